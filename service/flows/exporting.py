"""What is held about one person, for that person: whole numbers, names and texts. That it was given out is journalled."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, inspect, or_, select
from sqlalchemy.orm import Session

from service.flows.patient_pauses import NoSuchPatient
from service.store import consent, erasure, journal
from service.store.columns import Table
from service.store.tables import (
    Clinic,
    Consent,
    Inbound,
    JournalEntry,
    Message,
    Patient,
    SendAttempt,
    Task,
    TreatmentSession,
)

INNER = frozenset({"claim_token", "claimed_at", "marked", "body_hash", "priority", "attempt_at"})
"""The service's own handles, which say nothing about anybody."""
PROOF = ("id", "clinic", "number", "sender_id", "kind", "at", "method", "wording_version", "evidence")


def export_patient(db: Session, patient_id: int, *, by: str, now: datetime) -> dict[str, Any]:
    """Everything held about a person, by kind; moments are aware datetimes. Raises :class:`NoSuchPatient`."""
    patient = db.get(Patient, patient_id)
    if patient is None:
        raise NoSuchPatient(f"There is no patient {patient_id}.")
    who = erasure.person(db, patient)
    numbers = Consent.clinic_id == patient.clinic_id, Consent.number.in_(who.numbers)
    about = or_(
        JournalEntry.patient_id == patient_id,
        JournalEntry.message_id.in_(select(Message.id).where(who.messages)),
    )
    found: dict[str, Any] = {
        "patient": _record(patient) | {"clinic": db.get_one(Clinic, patient.clinic_id).name},
        "sessions": _records(db, TreatmentSession, TreatmentSession.patient_id == patient_id),
        "consents": _records(db, Consent, *numbers),
        "messages": _records(db, Message, who.messages),
        "attempts": _records(db, SendAttempt, who.attempts),
        "replies": _records(db, Inbound, who.replies),
        "tasks": _records(db, Task, Task.patient_id == patient_id),
        "journal": _records(db, JournalEntry, about),
    }
    found["answers"] = [
        {"reply": reply["id"], "understood_as": reply["reading"], "at": reply["understood_at"]}
        for reply in found["replies"]
    ]
    journal.append(db, "patient_exported", at=now, clinic_id=patient.clinic_id, patient_id=patient_id, data={"by": by})
    return found


def export_consents(
    db: Session, *, clinic: Clinic | None, number: str | None, by: str, now: datetime
) -> Iterator[dict[str, Any]]:
    """The ledger as proof, line by line: who agreed to or withdrew what, when, how, in which wording, and where the proof is.

    Keys: :data:`PROOF`. That it was given out is journalled before the first line.
    """
    which = {"of": "one number" if number else "all", "by": by}
    journal.append(db, "consents_exported", at=now, clinic_id=clinic.id if clinic else None, data=which)
    names = dict(db.execute(select(Clinic.id, Clinic.key)).all())
    for line in consent.ledger(db, clinic_id=clinic.id if clinic else None, number=number):
        yield {"clinic": names[line.clinic_id]} | {name: getattr(line, name) for name in PROOF if name != "clinic"}


def readable(found: dict[str, Any]) -> Iterator[str]:
    """The same for people: a heading for each kind, a line for each value that is there."""
    for kind, held in found.items():
        records = held if isinstance(held, list) else [held]
        yield f"{kind.upper()} ({len(records)})"
        for record in records:
            yield ""
            yield from (
                f"  {name.replace('_', ' ')}: {_said(value)}" for name, value in record.items() if _is_said(value)
            )
        yield ""


def _records(db: Session, table: type[Table], *which: ColumnElement[bool]) -> list[dict[str, Any]]:
    return [_record(row) for row in db.scalars(select(table).where(*which).order_by(table.__table__.c.id))]


def _record(row: Table) -> dict[str, Any]:
    names = [column.key for column in inspect(type(row)).column_attrs if column.key not in INNER]
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


def _is_said(value: Any) -> bool:
    return value not in (None, "", {})


def _said(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)
