"""``aftercare recover``, as an operator types it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import messages, recovering, running
from tests.cli.console import Run, commands, installation


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with installation(tmp_path, {}):
        run = commands(recovering.register, running.register, messages.register)
        assert run("migrate").exit_code == 0
        yield run


def test_it_counts_and_holds_sending_until_it_is_released(run: Run) -> None:
    held = run("recover", "--since", "2026-03-01T00:00:00Z")
    assert held.exit_code == 0
    assert "recover --since 2026-03-01T00:00:00Z --release" in held.stderr
    released = run("recover", "--since", "2026-03-01T00:00:00Z", "--release", "--json")
    assert json.loads(released.stdout) == {
        "listed": 0, "known": 0, "attached": 0, "held": 0, "unexplained": 0, "inbound": 0,
        "since": "2026-03-01T00:00:00Z", "released": True,
    }  # fmt: skip
    assert "Sending goes on." in run("recover", "--since", "2026-03-01", "--release").stderr


def test_a_release_leaves_a_persons_own_pause_and_says_so(run: Run) -> None:
    run("pause", "--reason", "Wrong texts.")
    released = run("recover", "--since", "2026-03-01", "--release")
    assert "paused besides (Wrong texts.): `aftercare resume`" in released.stderr
    assert "Sending goes on." not in released.stderr
    assert run("resume").exit_code == 0


def test_while_it_is_held_a_person_can_not_resume(run: Run) -> None:
    run("recover", "--since", "2026-03-01")
    refused = run("resume")
    assert refused.exit_code != 0
    assert "recover --since 2026-03-01T00:00:00Z --release" in str(refused.exception)


def test_a_moment_is_needed(run: Run) -> None:
    assert run("recover").exit_code == 2
    assert run("recover", "--since", "yesterday").exit_code == 2
