"""``aftercare worker --check``: does the worker on this machine work?"""

import platform
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.assembly import utc_now
from service.cli import running as commands_to_run
from service.domain.errors import AftercareError
from service.store import running
from tests.cli.console import commands

run = commands(commands_to_run.register)
HERE, ELSEWHERE = f"{platform.node()}:7", "another-machine:7"


def beat(sessions: sessionmaker[Session], *, job: str, worker: str, ago: timedelta) -> None:
    with sessions.begin() as db:
        running.beat(db, job=job, worker=worker, at=utc_now() - ago, took_ms=1, rows=0)


def test_a_worker_whose_jobs_run(sessions: sessionmaker[Session]) -> None:
    beat(sessions, job="plan", worker=HERE, ago=timedelta(hours=1))
    beat(sessions, job="plan", worker=f"{platform.node()}:8", ago=timedelta(seconds=5))
    beat(sessions, job="dispatch", worker=HERE, ago=timedelta(seconds=30))
    result = run("worker", "--check")
    assert (result.exit_code, result.stderr) == (0, f"The worker on {platform.node()} works: 2 jobs run.\n")


@pytest.mark.parametrize(
    ("beats", "found"),
    [
        ({}, "none of its jobs has run yet"),
        ({("dispatch", ELSEWHERE): 1}, "none of its jobs has run yet"),
        ({("dispatch", HERE): 600, ("dispatch", ELSEWHERE): 1, ("plan", HERE): 1}, "dispatch was last seen 60"),
    ],
    ids=["just started", "only others work", "one job stands still"],
)
def test_a_worker_that_does_not_work(
    sessions: sessionmaker[Session], beats: dict[tuple[str, str], int], found: str
) -> None:
    for (job, worker), seconds in beats.items():
        beat(sessions, job=job, worker=worker, ago=timedelta(seconds=seconds))
    result = run("worker", "--check")
    assert isinstance(result.exception, AftercareError)
    assert found in str(result.exception)
    assert "start it again" in str(result.exception)
