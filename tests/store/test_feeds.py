"""What feeds write beside other programs that write the same."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.store import feeds
from service.store.tables import Clinic, JournalEntry, Patient, TreatmentSession
from tests.store import factories
from tests.store.factories import NOW


@pytest.fixture
def clinic(sessions: sessionmaker[Session]) -> Clinic:
    with sessions.begin() as db:
        return factories.clinic(db)


def new_patient(clinic: Clinic, name: str, **over: Any) -> dict[str, Any]:
    return {"clinic_id": clinic.id, "external_id": name, "first_name": "Robin"} | over


def test_who_is_there_already_is_left_as_they_are(sessions: sessionmaker[Session], clinic: Clinic) -> None:
    with sessions.begin() as db:
        there = factories.patient(db, clinic, external_id="MRN-1", first_name="Kim")
    with sessions.begin() as db:
        ids = feeds.add_patients(db, clinic.id, [new_patient(clinic, "MRN-1"), new_patient(clinic, "MRN-2")])
    assert ids["MRN-1"] == there.id
    with sessions() as db:
        assert db.get_one(Patient, there.id).first_name == "Kim"
        assert db.get_one(Patient, ids["MRN-2"]).first_name == "Robin"


def test_nothing_to_write_is_no_statement(sessions: sessionmaker[Session], clinic: Clinic) -> None:
    with sessions.begin() as db:
        assert feeds.add_patients(db, clinic.id, []) == {}
        feeds.add_sessions(db, [])
        feeds.change(db, Patient, [])
        feeds.add_consents(db, [])


def test_only_what_is_still_to_come_is_called_off(sessions: sessionmaker[Session], clinic: Clinic) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, clinic)
        coming = factories.session(db, patient, source_version="1")
        begun = factories.session(db, patient, scheduled_start=NOW - timedelta(minutes=1))
        done = factories.session(db, patient, status="no_show")
    keys = [coming.id, begun.id, done.id]
    with sessions.begin() as db:
        assert feeds.call_off(db, keys[1:], now=NOW, reason="not in file") == 0
        assert feeds.call_off(db, keys, now=NOW, reason="not in file") == 1
        assert feeds.call_off(db, keys, now=NOW, reason="not in file") == 0
    with sessions() as db:
        rows = {row.id: (row.status, row.source_version) for row in db.scalars(select(TreatmentSession))}
        assert rows == {coming.id: ("cancelled", None), begun.id: ("booked", None), done.id: ("no_show", None)}
        assert [entry.session_id for entry in db.scalars(select(JournalEntry))] == [coming.id]
