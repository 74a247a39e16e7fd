"""Whatever is killed, frozen, cut off or full: in the end the provider took every text once, and the rows say so.

The short ordeals belong to every run of the tests; the long ones take an hour or more: ``make crash``.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import copy_of, temporary_database
from tests.crash.counting import ALL_WELL
from tests.crash.ordeal import Ordeal, Outcome, Strike, endure
from tests.postgres_server import UNPRIVILEGED, PostgresServer

PG, LITE = "postgresql", "sqlite"
KILL, RESTART, DISCONNECT, CUT, FULL = Strike
ON_LINUX = sys.platform == "linux"
IS_LONG = os.environ.get("CRASH") == "long"
SHORT = (
    Ordeal(
        name="two workers beside a frozen one",
        engine=PG,
        patients=700,
        strikes={KILL: 4, DISCONNECT: 1, CUT: 1},
        workers=3,
        frozen=True,
        callbacks=True,
        segments_per_second=60,
        patience=4.0,
        within=300.0,
    ),
    Ordeal(
        name="one worker that asks for everything",
        engine=LITE,
        patients=300,
        strikes={KILL: 3, FULL: 1} if ON_LINUX else {KILL: 3},
        segments_per_second=20,
        patience=4.0,
        within=300.0,
    ),
)
FAST = 400
LONG = (
    *(
        Ordeal(f"workers: {n}", PG, 20_000, {KILL: 50}, workers=n, callbacks=True, segments_per_second=FAST)
        for n in (1, 2, 4)
    ),
    Ordeal("SQLite, all in one process", LITE, 20_000, {KILL: 50}, callbacks=True, segments_per_second=FAST),
    Ordeal("frozen, and asking for everything", PG, 3_000, {KILL: 15}, workers=3, frozen=True),
    Ordeal("SQLite, asking for everything", LITE, 3_000, {KILL: 15}),
    Ordeal("no database", PG, 5_000, {RESTART: 5, DISCONNECT: 10, KILL: 5}, workers=2, callbacks=True),
    Ordeal("no provider", PG, 5_000, {CUT: 30, KILL: 5}, workers=2, callbacks=True),
    Ordeal("a full disk", LITE, 3_000, {FULL: 6, KILL: 4}),
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where ordeals take place: each gets a folder and a database of its own."""

    folder: Path
    sqlite_template: Path
    postgres: PostgresServer
    postgres_template: str

    def endure(self, ordeal: Ordeal) -> Outcome:
        folder = self.folder / uuid4().hex
        folder.mkdir()
        with self._database(ordeal, folder) as url:
            return endure(ordeal, folder, url, restart=self._crash_the_server)

    @contextmanager
    def _database(self, ordeal: Ordeal, folder: Path) -> Iterator[str]:
        if ordeal.engine == LITE:
            yield copy_of(self.sqlite_template, folder)
            return
        with temporary_database(self.postgres, self.postgres_template) as name:
            # The server of the tests forgets what it committed last when it crashes; this database does not.
            self._ask(f"ALTER DATABASE {name} SET synchronous_commit = on")
            yield self.postgres.url_of(name)

    def _crash_the_server(self) -> None:
        programs = self._ask("SELECT setting FROM pg_config() WHERE name = 'BINDIR'")
        data = self._ask("SHOW data_directory")
        subprocess.run(
            [f"{programs}/pg_ctl", f"--pgdata={data}", "--mode=immediate", "--wait", f"--log={data}/../log", "restart"],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            user=UNPRIVILEGED,
            group=UNPRIVILEGED,
            extra_groups=[] if UNPRIVILEGED else None,
        )

    def _ask(self, statement: str) -> str:
        with self.postgres.connect() as connection:
            answer = connection.execute(statement.encode())
            row = answer.fetchone() if answer.description else None
            return str(row[0]) if row else ""


@pytest.fixture
def ground(tmp_path: Path, sqlite_template: Path, postgres: PostgresServer, postgres_template: str) -> Ground:
    return Ground(tmp_path, sqlite_template, postgres, postgres_template)


def judge(outcome: Outcome) -> None:
    assert outcome.doubts > 0, "nothing was in anybody's hands when it was struck"
    assert outcome.count == ALL_WELL
    assert outcome.violations == []
    assert outcome.exits == {0}


def test_short(ground: Ground, subtests: pytest.Subtests) -> None:
    """All at once: most of the time they wait until the claims of the dead are stale."""
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(ground.endure, SHORT))
    for ordeal, outcome in zip(SHORT, outcomes, strict=True):
        with subtests.test(ordeal.name):
            judge(outcome)


@pytest.mark.skipif(not IS_LONG, reason="the long ordeals are run by make crash")
@pytest.mark.parametrize("ordeal", LONG, ids=lambda ordeal: ordeal.name)
def test_long(ground: Ground, ordeal: Ordeal, capsys: pytest.CaptureFixture[str]) -> None:
    if RESTART in ordeal.strikes and "TEST_DATABASE_URL" in os.environ:
        pytest.skip("a named server is not crashed")
    if FULL in ordeal.strikes and not ON_LINUX:
        pytest.skip("only Linux lets the disk of a running process be full")
    outcome = ground.endure(ordeal)
    with capsys.disabled():
        sys.stdout.write(f"\n{ordeal.name}: {outcome}\n")
    judge(outcome)
