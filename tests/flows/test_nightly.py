"""The nightly proof: once a night, whoever comes first, and staff hear of what is new."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.flows import nightly
from service.flows.nightly import MOST_KEPT, night_of, prove_nightly
from service.flows.verification.findings import Findings, Rule, Violation
from service.flows.verification.verifying import StoppedEarlyError
from service.store import watching
from service.store.tables import NightlyProof, Task
from tests.flows.clinic_life import ClinicLife
from tests.store import factories
from tests.store.factories import NOW

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CHICAGO = ZoneInfo("America/Chicago")


def prove(life: ClinicLife, worker: str = "one") -> int:
    return prove_nightly(life.sessions, life.clock, worker=worker)


def proofs(life: ClinicLife) -> list[NightlyProof]:
    with life.sessions() as db:
        return list(db.scalars(select(NightlyProof).order_by(NightlyProof.night)))


def tasks(life: ClinicLife) -> list[Task]:
    return life.tasks("promise_broken")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[Violation]:
    """What the next proof finds."""
    found: list[Violation] = []

    def verify(*_: object, **__: object) -> Findings:
        findings = Findings()
        findings.note_all(Rule.SENT_TWICE, found, looked_at=len(found) + 1)
        return findings

    monkeypatch.setattr(nightly, "verify", verify)
    return found


def twice(message_id: int | None, session_id: int | None = None) -> Violation:
    return Violation(Rule.SENT_TWICE, message_id, session_id, "It left twice.")


@pytest.mark.parametrize(
    ("wall", "night"),
    [
        pytest.param("2026-03-05 02:59", "2026-03-04", id="a minute before three it is still yesterday's night"),
        pytest.param("2026-03-05 03:00", "2026-03-05", id="the night begins at three"),
        pytest.param("2026-03-08 03:30", "2026-03-08", id="also when clocks are put forward"),
        pytest.param("2026-11-01 03:00", "2026-11-01", id="and back"),
    ],
)
def test_when_the_night_begins(wall: str, night: str) -> None:
    assert night_of(datetime.fromisoformat(wall).replace(tzinfo=CHICAGO), CHICAGO) == night


def test_once_a_night_for_all_workers(life: ClinicLife) -> None:
    life.completed(NOW - DAY)
    life.tick()
    assert prove(life) > 0
    assert (prove(life), prove(life, "two")) == (0, 0)
    life.now += DAY
    assert prove(life, "two") > 0
    assert [(row.night, row.worker) for row in proofs(life)] == [("2026-03-02", "one"), ("2026-03-03", "two")]
    row = proofs(life)[0]
    assert row.ended_at == NOW
    assert set(row.checked) == set(Rule)
    assert (row.broken, row.found) == ({}, {})


def test_without_a_clinic_there_is_nothing_to_prove(quick: ClinicLife) -> None:
    assert prove(quick) == 0
    assert proofs(quick) == []


def test_where_another_program_wrote_a_zone_that_is_none_the_night_comes(quick: ClinicLife) -> None:
    quick.change(quick.clinic, time_zone="Mars/Olympus")
    prove(quick)
    assert [row.night for row in proofs(quick)] == ["2026-03-02"]


def test_a_worker_that_died_over_it_is_followed_by_another(life: ClinicLife) -> None:
    assert life.clinic.id
    with life.sessions.begin() as db:
        watching.claim_night(db, "2026-03-02", worker="dead", now=NOW, lost_before=NOW)
    life.now += HOUR
    assert prove(life) == 0
    life.now += HOUR + timedelta(minutes=1)
    prove(life)
    assert [(row.worker, row.ended_at) for row in proofs(life)] == [("one", life.now)]


def test_of_two_that_follow_the_second_finds_it_taken(quick: ClinicLife) -> None:
    claims = []
    for worker in ("one", "two"):
        with quick.sessions.begin() as db:
            claims.append(watching.claim_night(db, "2026-03-02", worker=worker, now=NOW, lost_before=NOW))
    assert claims == [True, False]


def test_a_worker_that_loses_the_race_does_nothing(quick: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quick.clinic.id
    monkeypatch.setattr(watching, "claim_night", lambda *_, **__: False)
    assert prove(quick) == 0


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_stopping_is_asked_between_batches_and_leaves_no_trace(quick: ClinicLife, looks: int) -> None:
    quick.message(quick.patient())
    answers = iter([True] * looks)
    assert prove_nightly(quick.sessions, quick.clock, worker="one", go_on=lambda: next(answers, False)) == 0
    assert proofs(quick) == []
    prove(quick)
    assert proofs(quick)[0].ended_at == NOW


def test_stopping_says_that_nothing_was_changed() -> None:
    assert "Nothing was changed" in str(StoppedEarlyError())


def test_each_clinic_is_told_of_its_own_by_ids_alone(life: ClinicLife, broken: list[Violation]) -> None:
    own, other = life.message(life.patient()), life.message(life.patient(of=life.another_clinic()))
    session = life.booked(NOW + DAY)
    broken += [twice(own.id), twice(other.id), twice(None, session.id), twice(None)]
    prove(life)
    reasons = {task.clinic_id: task.reason.partition(": ")[2] for task in tasks(life)}
    assert reasons == {
        life.clinic.id: f"sent_twice session {session.id}; sent_twice message {own.id}.",
        other.clinic_id: f"sent_twice message {other.id}.",
    }
    assert proofs(life)[0].broken == {"sent_twice": 4}


def test_what_was_told_is_not_told_again_and_what_is_new_is(quick: ClinicLife, broken: list[Violation]) -> None:
    first, second = (quick.message(quick.patient()) for _ in range(2))
    broken.append(twice(first.id))
    prove(quick)
    quick.now += DAY
    prove(quick)
    assert len(tasks(quick)) == 1
    broken.append(twice(second.id))
    quick.now += DAY
    prove(quick)
    assert [f"message {second.id}" in task.reason for task in tasks(quick)] == [False, True]


def test_the_task_closes_once_nothing_is_wrong_any_more(quick: ClinicLife, broken: list[Violation]) -> None:
    text = quick.message(quick.patient())
    with quick.sessions.begin() as db:
        factories.task(db, quick.clinic)
    broken.append(twice(text.id))
    prove(quick)
    broken.clear()
    quick.now += DAY
    prove(quick)
    assert [task.state for task in tasks(quick)] == ["closed"]
    assert [task.state for task in quick.tasks("call")] == ["open"]


def test_many_are_counted_and_some_are_named(quick: ClinicLife, broken: list[Violation]) -> None:
    text = quick.message(quick.patient())
    broken += [twice(text.id, n) for n in range(MOST_KEPT + 5)]
    prove(quick)
    assert tasks(quick)[0].reason.endswith(f"; and {MOST_KEPT - 5} more.")
    (row,) = proofs(quick)
    assert (row.broken["sent_twice"], len(row.found["sent_twice"])) == (MOST_KEPT + 5, MOST_KEPT)
