"""The journal takes each outside fact once and tells a message's story in order."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.store import journal
from service.store.tables import JournalEntry
from tests.store import factories
from tests.store.factories import NOW


def test_an_entry_about_a_message_names_whom_it_concerns(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        treatment = factories.session(db, patient)
        message = factories.message(db, patient, session_id=treatment.id)
        assert journal.append(db, "held", at=NOW, message=message, reason="paused", data={"until": "tomorrow"})
        entry = db.scalars(select(JournalEntry)).one()
        assert (entry.kind, entry.at, entry.reason, entry.data) == ("held", NOW, "paused", {"until": "tomorrow"})
        assert (entry.clinic_id, entry.patient_id) == (patient.clinic_id, patient.id)
        assert (entry.session_id, entry.message_id) == (treatment.id, message.id)


def test_an_entry_about_no_message(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        treatment = factories.session(db, patient)
        whom: dict[str, Any] = {"clinic_id": patient.clinic_id, "patient_id": patient.id, "session_id": treatment.id}
        assert journal.append(db, "released", at=NOW, **whom)
        entry = db.scalars(select(JournalEntry)).one()
        assert {name: getattr(entry, name) for name in whom} == whom
        assert (entry.message_id, entry.reason, entry.data) == (None, None, {})


def test_an_outside_fact_is_noted_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        assert journal.append(db, "receipt", at=NOW, outside_key="SM1:delivered")
    with sessions.begin() as db:
        assert not journal.append(db, "receipt", at=NOW, outside_key="SM1:delivered")
        assert journal.append(db, "receipt", at=NOW, outside_key="SM1:failed")
        assert journal.append(db, "paused", at=NOW)
        assert journal.append(db, "paused", at=NOW)
        assert [entry.kind for entry in db.scalars(select(JournalEntry))] == ["receipt", "receipt", "paused", "paused"]


def test_a_story_is_told_in_the_order_in_which_it_happened(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        message, another = factories.message(db, patient), factories.message(db, patient)
        journal.append(db, "sent", at=NOW, message=message)
        journal.append(db, "delivered", at=NOW + timedelta(seconds=9), message=message)
        journal.append(db, "held", at=NOW - timedelta(hours=1), message=message)
        journal.append(db, "settled", at=NOW, message=message)
        journal.append(db, "sent", at=NOW, message=another)
        assert [entry.kind for entry in journal.story(db, message.id)] == ["held", "sent", "settled", "delivered"]
        assert journal.story(db, another.id + 1) == []
