"""Which texts may have left without anybody knowing: found by index, in the order in which the provider is asked."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from service.store import doubts
from service.store.tables import Message, Patient, SendAttempt
from tests.store import factories
from tests.store.factories import NOW

NUMBER = "+12025550142"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def db(sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sessions.begin() as db:
        yield db


@pytest.fixture
def patient(db: Session) -> Patient:
    return factories.patient(db, factories.clinic(db), phone=NUMBER)


def lost(
    db: Session, patient: Patient, *, attempt: dict[str, Any] | None = None, ago: timedelta = HOUR, **over: Any
) -> Message:
    """A text in doubt, and its one attempt."""
    values = {"state": "unconfirmed", "attempts": 1, "to_number": NUMBER, "sent_at": NOW - ago, "attempt_at": NOW - ago}
    message = factories.message(db, patient, **values | over)
    known = {"number": NUMBER, "started_at": NOW - ago, "outcome": "unknown"}
    factories.attempt(db, message, **known | (attempt or {}))
    return message


def due(db: Session) -> list[int]:
    found = doubts.next_to_ask(db, now=NOW, after=NOW - 72 * HOUR, until=NOW - 90 * SECOND, limit=1)
    return [message.id for message in found]


@pytest.mark.parametrize(
    ("over", "asked"),
    [
        pytest.param({}, True, id="an hour old"),
        pytest.param({"ago": 90 * SECOND}, True, id="as old as the wait"),
        pytest.param({"ago": 89 * SECOND}, False, id="younger"),
        pytest.param({"ago": 72 * HOUR}, False, id="too old"),
        pytest.param({"attempt_at": NOW + SECOND}, False, id="its next turn is to come"),
        pytest.param({"attempt_at": None}, True, id="it never had a turn"),
        pytest.param({"state": "sent"}, False, id="not in doubt"),
        pytest.param({"state": "planned"}, False, id="not sent"),
        pytest.param({"to_number": None}, False, id="no number"),
        pytest.param({"attempts": 2}, False, id="its newest attempt is another one"),
        pytest.param({"attempt": {"provider_sid": "SM1"}}, False, id="its id is known"),
        pytest.param({"attempt": {"outcome": "refused"}}, False, id="refused"),
        pytest.param({"attempt": {"outcome": None}}, True, id="the worker died"),
        pytest.param({"attempt": {"number": "+12025550199"}}, False, id="it went to another number"),
    ],
)
def test_who_is_asked_about(db: Session, patient: Patient, over: dict[str, Any], *, asked: bool) -> None:
    message = lost(db, patient, **over)
    assert due(db) == [message.id] * asked


def test_all_to_one_number_are_asked_about_at_once_the_most_urgent_number_first(db: Session, patient: Patient) -> None:
    first, second = lost(db, patient), lost(db, patient, ago=2 * HOUR)
    assert due(db) == [second.id, first.id]
    urgent = lost(db, patient, priority=1, to_number="+12025550199", attempt={"number": "+12025550199"})
    assert due(db) == [urgent.id]
    urgent.attempt_at = NOW + HOUR
    assert due(db) == [second.id, first.id]


@pytest.mark.parametrize(
    ("attempt", "is_open"),
    [
        pytest.param({}, True, id="its answer was lost"),
        pytest.param({"outcome": None}, True, id="under way"),
        pytest.param({"outcome": "accepted"}, True, id="a person decided that it left"),
        pytest.param({"outcome": "refused"}, False, id="refused"),
        pytest.param({"provider_sid": "SM1"}, False, id="its id is known"),
        pytest.param({"number": "+12025550199"}, False, id="to another number"),
        pytest.param({"started_at": NOW - 73 * HOUR}, False, id="long ago"),
    ],
)
def test_which_attempts_are_open(db: Session, patient: Patient, attempt: dict[str, Any], *, is_open: bool) -> None:
    message = lost(db, patient, attempt=attempt)
    found = doubts.open_attempts(db, NUMBER, since=NOW - 72 * HOUR)
    assert [(each.message.id, each.attempt.n) for each in found] == [(message.id, 1)] * is_open


def test_ids_are_known_by_attempt_or_message(db: Session, patient: Patient) -> None:
    lost(db, patient, attempt={"provider_sid": "SM1"})
    lost(db, patient, provider_sid="SM2")
    assert doubts.known_ids(db, ["SM1", "SM2", "SM3"]) == {"SM1", "SM2"}
    assert doubts.known_ids(db, []) == set()


def test_the_newest_text_that_certainly_left(db: Session, patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    def newest() -> str | None:
        found = doubts.newest_accepted(db, after=NOW - 72 * HOUR, until=NOW - 90 * SECOND)
        return found.provider_sid if found else None

    assert newest() is None
    left = {"outcome": "accepted"}
    lost(db, patient, ago=80 * HOUR, attempt=left | {"provider_sid": "too old"})
    assert newest() is None
    lost(db, patient, ago=3 * HOUR, attempt=left | {"provider_sid": "older"})
    lost(db, patient, ago=2 * HOUR, attempt=left | {"provider_sid": "newest"})
    lost(db, patient, ago=SECOND, attempt=left | {"provider_sid": "too young"})
    lost(db, patient, attempt=left)
    lost(db, patient)
    assert newest() == "newest"
    monkeypatch.setattr(doubts, "LOOKED_THROUGH", 3)
    assert newest() is None


@pytest.mark.parametrize(
    ("ago", "turn", "found"),
    [
        pytest.param(timedelta(minutes=3), NOW - SECOND, True, id="old enough"),
        pytest.param(timedelta(minutes=3) - SECOND, NOW - SECOND, False, id="not yet"),
        pytest.param(timedelta(minutes=3), NOW + SECOND, False, id="being asked about"),
        pytest.param(timedelta(minutes=3), None, True, id="never asked about"),
    ],
)
def test_whom_a_person_has_not_been_told_of(
    db: Session, patient: Patient, ago: timedelta, turn: Any, *, found: bool
) -> None:
    message = lost(db, patient, ago=ago, attempt_at=turn)
    until = NOW - timedelta(minutes=3)
    assert [each.id for each in doubts.untold(db, until=until, in_turn=NOW, limit=5)] == [message.id] * found
    everybody = doubts.untold(db, until=until, in_turn=None, limit=5)
    assert [each.id for each in everybody] == [message.id] * (ago >= timedelta(minutes=3))


def test_each_attempt_is_told_of_once(db: Session, patient: Patient) -> None:
    message = lost(db, patient)
    clinic = factories.clinic(db)
    factories.task(db, clinic, identity=f"unconfirmed:{message.id}:1", state="closed")
    assert doubts.untold(db, until=NOW, in_turn=None, limit=5) == []
    message.attempts = 2
    assert doubts.untold(db, until=NOW, in_turn=None, limit=5) == [message]


def test_the_newest_attempt_learns_what_became_of_it(db: Session, patient: Patient) -> None:
    message = lost(db, patient, attempts=2)
    newest = factories.attempt(db, message, n=2, outcome=None, number=NUMBER)
    doubts.finish(db, message, "unknown", detail="The worker was lost.", now=NOW)
    doubts.finish(db, message, "accepted", provider_sid="SM1", now=NOW + HOUR)
    db.refresh(newest)
    assert (newest.outcome, newest.provider_sid, newest.finished_at) == ("accepted", "SM1", NOW)
    assert newest.detail == "The worker was lost."
    earlier = db.get_one(SendAttempt, newest.id - 1, populate_existing=True)
    assert (earlier.outcome, earlier.provider_sid) == ("unknown", None)


def test_doubts_are_found_by_an_index(sqlite_sessions: sessionmaker[Session]) -> None:
    """A table of millions is not read for the few that are in doubt, and not for one text that left."""
    said: list[tuple[str, Any]] = []
    engine = sqlite_sessions.kw["bind"]
    event.listen(
        engine, "before_cursor_execute", lambda _c, _k, statement, values, *_: said.append((statement, values))
    )
    with sqlite_sessions.begin() as db:
        doubts.next_to_ask(db, now=NOW, after=NOW - HOUR, until=NOW, limit=50)
        doubts.open_attempts(db, NUMBER, since=NOW)
        doubts.known_ids(db, ["SM1"])
        doubts.untold(db, until=NOW, in_turn=NOW, limit=1)
        asked = [each for each in said if each[0].startswith("SELECT")]
        plans = [
            " ".join(step[3] for step in db.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))
            for statement, values in asked
        ]
    assert len(plans) == 6
    assert [
        plan for plan in plans if "SCAN message" in plan or "SCAN send_attempt" in plan or "SCAN task" in plan
    ] == []
    assert "ix_message_unsettled" in plans[0]
