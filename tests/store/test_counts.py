"""Totals for the metrics."""

from datetime import timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.store import counts
from tests.store import factories
from tests.store.factories import NOW


def test_attempts_are_counted_by_outcome(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        assert counts.attempts_by_outcome(db) == {"accepted": 0, "refused": 0, "unknown": 0}
        message = factories.message(db, factories.patient(db, factories.clinic(db)))
        for n, outcome in enumerate(["accepted", "accepted", "refused", None], start=1):
            factories.attempt(db, message, n=n, outcome=outcome)
        assert counts.attempts_by_outcome(db) == {"accepted": 2, "refused": 1, "unknown": 0, "under_way": 1}


def test_texts_from_phones_are_counted_by_the_level_of_their_task(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        assert counts.inbound_by_level(db) == {}
        for level in ("red", "amber", "amber"):
            factories.task(db, clinic, level=level, inbound_id=factories.inbound(db).id)
        factories.inbound(db)
        factories.task(db, clinic, level="red")
        assert counts.inbound_by_level(db) == {"red": 1, "amber": 2, "none": 1}


def test_pages_are_timed_from_when_they_were_due(sessions: sessionmaker[Session]) -> None:
    """What is not sent, or was due at no time, is left out."""
    with sessions.begin() as db:
        assert counts.page_delays(db) == (0, timedelta())
        patient = factories.patient(db, factories.clinic(db))
        for kind, seconds in (("page", 3), ("page", 4), ("plan", 100)):
            factories.message(db, patient, kind=kind, state="sent", sent_at=NOW + timedelta(seconds=seconds))
        factories.message(db, patient, kind="page")
        factories.message(db, patient, kind="page", due_at=None, state="sent", sent_at=NOW)
        assert counts.page_delays(db) == (2, timedelta(seconds=7))
