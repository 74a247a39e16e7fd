"""``aftercare simulate``."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.cli import simulate
from service.simulator import judge
from service.simulator.judge import Verdict, Violation
from tests.cli.console import commands, installation

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SMALL = ("simulate", "--seed", "1", "--patients", "3", "--weeks", "1")
BROKEN = [Violation("late", "p0001", f"p0001.{n}", "some_step", NOON, "it left an hour later") for n in range(25)]

run = commands(simulate.register)


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> object:
    with installation(tmp_path, {}):
        yield


def judged(monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> None:
    monkeypatch.setattr(judge, "judge", lambda _log: verdict)


def test_a_world_in_which_every_promise_was_kept() -> None:
    result = run(*SMALL, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], found["patients"], found["weeks"]) == (0, True, 3, 1)
    assert found.keys() == {"ok", "patients", "weeks", "texts", "missed", "violations"}


def test_for_people_it_is_told_in_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, Verdict(missed=Counter({"expired": 2}), texts=17))
    result = run(*SMALL)
    assert result.exit_code == 0
    assert "3 patients lived through 1 weeks and got 17 texts." in result.stdout
    assert "expired" in result.stdout
    assert "Every promise was kept." in result.stdout


def test_a_broken_promise_says_what_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, Verdict(violations=BROKEN, texts=17))
    result = run(*SMALL, "--chaos")
    assert result.exit_code == 1
    assert "Broken promises: 25, the first 20:" in result.stdout
    assert result.stdout.count("it left an hour later") == 20
    assert "aftercare simulate --seed 1 --patients 3 --weeks 1 --chaos" in result.stderr


def test_all_violations_are_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, Verdict(violations=BROKEN[:1], texts=17))
    result = run(*SMALL, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["violations"] == [
        {
            "rule": "late",
            "patient": "p0001",
            "session": "p0001.0",
            "step": "some_step",
            "at": "2026-03-02T12:00:00Z",
            "detail": "it left an hour later",
        }
    ]


def test_a_report_is_a_folder_with_the_transcript(tmp_path: Path) -> None:
    result = run(*SMALL, "--report", str(tmp_path / "a" / "report"))
    assert result.exit_code == 0
    lines = (tmp_path / "a" / "report" / "transcript.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[-1])["kind"] == "end"
    assert (tmp_path / "a" / "report" / "index.html").exists()


@pytest.mark.parametrize("words", [("--patients", "0"), ("--weeks", "0"), ()], ids=["nobody", "no time", "no seed"])
def test_what_can_not_be_simulated_is_wrong_usage(words: tuple[str, ...]) -> None:
    assert run("simulate", *(("--seed", "1", *words) if words else ())).exit_code == 2
