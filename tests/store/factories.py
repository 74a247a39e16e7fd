"""Rows for tests, sensible unless said otherwise: ``factories.patient(db, clinic, language="es")``."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from service.store import consent
from service.store.columns import Table
from service.store.tables import Clinic, Inbound, Message, Patient, SendAttempt, Sender, Task, TreatmentSession

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday morning at the clinic of these tests (09:00 in Chicago)."""

Row = TypeVar("Row", bound=Table)
_numbers = count(1)


def sender(db: Session, **over: Any) -> Sender:
    n = next(_numbers)
    return _add(db, Sender(**{"key": f"sender-{n}", "number": f"+1312555{n % 10_000:04}"} | over))


def clinic(db: Session, **over: Any) -> Clinic:
    values = {
        "key": f"clinic-{next(_numbers)}",
        "name": "Lakeside Headache Clinic",
        "sms_name": "Lakeside Clinic",
        "time_zone": "America/Chicago",
        "country": "US",
        "phone": "+13125550100",
        "emergency": "911",
        "after_hours": "+13125550142",
        "languages": "en,es",
    }
    return _add(db, Clinic(**values | over))


def patient(db: Session, of: Clinic, **over: Any) -> Patient:
    n = next(_numbers)
    values = {
        "clinic_id": of.id,
        "external_id": f"MRN-{n}",
        "first_name": "Robin",
        "last_name": f"Sample{n}",
        "phone": f"+1202555{n % 10_000:04}",
        "added_at": NOW - timedelta(days=30),
    }
    return _add(db, Patient(**values | over))


def grant(db: Session, of: Patient, **over: Any) -> None:
    """The clinic has the patient's consent to text the present number."""
    values: dict[str, Any] = {"clinic_id": of.clinic_id, "number": of.phone, "sender_id": None, "granted": True}
    consent.append(db, **values | {"at": NOW - timedelta(days=30), "method": "import"} | over)


def session(db: Session, of: Patient, **over: Any) -> TreatmentSession:
    """Booked, in two weeks."""
    values = {
        "clinic_id": of.clinic_id,
        "patient_id": of.id,
        "external_id": f"S-{next(_numbers)}",
        "scheduled_start": NOW + timedelta(days=14),
    }
    return _add(db, TreatmentSession(**values | over))


def message(db: Session, of: Patient, **over: Any) -> Message:
    """Planned and due now, from the default sender."""
    values = {
        "clinic_id": of.clinic_id,
        "patient_id": of.id,
        "identity": f"staff:{next(_numbers)}",
        "kind": "staff",
        "text": "Please call us.",
        "urgency": "routine",
        "priority": 2,
        "sender_id": 1,
        "state": "planned",
        "due_at": NOW,
        "expires_at": NOW + timedelta(hours=8),
    }
    values |= over
    return _add(db, Message(**{"attempt_at": values["due_at"]} | values))


def attempt(db: Session, of: Message, **over: Any) -> SendAttempt:
    """Accepted by the provider, just now."""
    values = {
        "message_id": of.id,
        "clinic_id": of.clinic_id,
        "patient_id": of.patient_id,
        "n": 1,
        "number": "+12025550100",
        "sender_id": of.sender_id,
        "text": "Please call us.",
        "body_hash": "a" * 64,
        "encoding": "GSM-7",
        "segments": 1,
        "started_at": NOW,
        "outcome": "accepted",
    }
    return _add(db, SendAttempt(**values | over))


def inbound(db: Session, **over: Any) -> Inbound:
    values = {
        "provider_sid": f"SM{next(_numbers):032}",
        "received_at": NOW,
        "from_number": "+12025550100",
        "to_number": "+13125550100",
        "body": "Yes",
        "fields": {},
        "via": "webhook",
    }
    return _add(db, Inbound(**values | over))


def task(db: Session, of: Clinic, **over: Any) -> Task:
    values = {"clinic_id": of.id, "identity": f"task:{next(_numbers)}", "kind": "call", "due_at": NOW, "state": "open"}
    return _add(db, Task(**values | over))


def _add(db: Session, row: Row) -> Row:
    db.add(row)
    db.flush()
    return row
