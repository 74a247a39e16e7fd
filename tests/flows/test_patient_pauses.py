"""A patient's pause, as staff set it and end it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.flows.patient_pauses import NoPauseError, NoSuchPatient, pause_patient, resume_patient
from service.store.tables import JournalEntry, Message, Patient
from tests.store import factories
from tests.store.factories import NOW


@pytest.fixture
def patient(sessions: sessionmaker[Session]) -> int:
    with sessions.begin() as db:
        return factories.patient(db, factories.clinic(db), marked=False).id


def pause(sessions: sessionmaker[Session], patient: int, until: str) -> datetime:
    with sessions.begin() as db:
        return pause_patient(db, patient, until=until, reason="abroad", by="robin", now=NOW)


def resume(sessions: sessionmaker[Session], patient: int, *, later: timedelta = timedelta(0)) -> bool:
    with sessions.begin() as db:
        return resume_patient(db, patient, by="robin", now=NOW + later)


def journal(sessions: sessionmaker[Session]) -> list[tuple[str, str | None, dict[str, Any]]]:
    with sessions() as db:
        return [(entry.kind, entry.reason, entry.data) for entry in db.scalars(select(JournalEntry))]


def test_a_pause_until_a_day_ends_when_it_begins_there(sessions: sessionmaker[Session], patient: int) -> None:
    end = datetime(2026, 3, 20, 5, 0, tzinfo=UTC)
    assert pause(sessions, patient, "2026-03-20") == end
    with sessions() as db:
        row = db.get_one(Patient, patient)
        assert (row.paused_until, row.pause_reason, row.marked) == (end, "abroad", True)
    data = {"until": end.isoformat(), "by": "robin"}
    assert journal(sessions) == [("patient_paused", "abroad", data)]


def test_a_pause_until_a_moment(sessions: sessionmaker[Session], patient: int) -> None:
    assert pause(sessions, patient, "2026-03-20T14:30") == datetime(2026, 3, 20, 19, 30, tzinfo=UTC)


@pytest.mark.parametrize("until", ["2026-03-02", "2026-03-02T09:00", "soon", ""], ids=["today", "now", "word", "empty"])
def test_a_pause_that_is_none(sessions: sessionmaker[Session], patient: int, until: str) -> None:
    with pytest.raises(NoPauseError, match="--until"):
        pause(sessions, patient, until)
    assert journal(sessions) == []


def test_a_pause_is_ended_once(sessions: sessionmaker[Session], patient: int) -> None:
    pause(sessions, patient, "2026-03-20")
    with sessions.begin() as db:
        owner = db.get_one(Patient, patient)
        held = {"attempt_at": NOW + timedelta(days=9)}
        ours = factories.message(db, owner, held_reason="patient_paused", **held).id
        other = factories.message(db, owner, held_reason="cap", **held).id
    assert resume(sessions, patient)
    with sessions() as db:
        found = {id_: db.get_one(Message, id_) for id_ in (ours, other)}
        assert (found[ours].held_reason, found[ours].attempt_at) == (None, NOW)
        assert (found[other].held_reason, found[other].attempt_at) == ("cap", held["attempt_at"])
    assert not resume(sessions, patient)
    with sessions() as db:
        row = db.get_one(Patient, patient)
        assert (row.paused_until, row.pause_reason) == (None, None)
    assert [kind for kind, _, _ in journal(sessions)] == ["patient_paused", "patient_resumed"]


def test_a_pause_that_is_over_needs_no_end(sessions: sessionmaker[Session], patient: int) -> None:
    pause(sessions, patient, "2026-03-20")
    assert not resume(sessions, patient, later=timedelta(days=30))


def test_a_patient_who_is_not_there(sessions: sessionmaker[Session]) -> None:
    with pytest.raises(NoSuchPatient):
        pause(sessions, 4711, "2026-03-20")
    with pytest.raises(NoSuchPatient):
        resume(sessions, 4711)
