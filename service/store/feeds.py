"""What feeds have told of patients and sessions: read and written by the hundred, in a few statements whatever their number."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from service.store.columns import Table
from service.store.inserts import insert_missing
from service.store.tables import Clinic, Consent, JournalEntry, Patient, TreatmentSession

CHUNK = 500
PATIENT = ("external_id", "id", "first_name", "last_name", "phone", "language", "may_ask")
SESSION = (
    *("external_id", "id", "patient_id", "scheduled_start", "scheduled_end", "completed_at", "completed_assumed"),
    *("status", "source_version"),
)

Values = dict[str, Any]
"""One row's values by column."""


def take_turns(db: Session, clinic_id: int) -> None:
    """Wait for others that record sessions of the clinic: two that add the same patients would wait for each other."""
    db.execute(select(Clinic.id).where(Clinic.id == clinic_id).with_for_update(key_share=True))


def patients(db: Session, clinic_id: int, *, external_ids: Collection[str]) -> dict[str, Values]:
    """The patients there are, by external id. Their rows are locked in one order, before anything of them is changed."""
    own = _columns(Patient, PATIENT).where(Patient.clinic_id == clinic_id, Patient.external_id.in_(external_ids))
    locked = own.order_by(Patient.id).with_for_update(key_share=True)
    return {row["external_id"]: dict(row) for row in db.execute(locked).mappings()}


def sessions(db: Session, clinic_id: int, *, source: str, external_ids: Collection[str]) -> dict[str, Values]:
    """The sessions of a source that there are, by external id."""
    own = _columns(TreatmentSession, SESSION).where(
        TreatmentSession.clinic_id == clinic_id,
        TreatmentSession.source == source,
        TreatmentSession.external_id.in_(external_ids),
    )
    return {row["external_id"]: dict(row) for row in db.execute(own).mappings()}


def _columns(table: type[Table], names: Sequence[str]) -> Select[Any]:
    return select(*(getattr(table, name) for name in names))


def add_patients(db: Session, clinic_id: int, rows: Sequence[Values]) -> dict[str, int]:
    """Write patients that are new; returns the ids by external id, also of those that another program wrote a moment ago."""
    insert_missing(db, Patient, rows)
    external_ids = [row["external_id"] for row in rows]
    own = select(Patient.external_id, Patient.id).where(Patient.clinic_id == clinic_id)
    return {str(name): key for name, key in db.execute(own.where(Patient.external_id.in_(external_ids)))}


def add_sessions(db: Session, rows: Sequence[Values]) -> None:
    """Write sessions that are new; one that another program wrote a moment ago stays as it is."""
    insert_missing(db, TreatmentSession, rows)


def change(db: Session, table: type[Patient | TreatmentSession], rows: Sequence[Values]) -> None:
    """Write the values of each row that has changed, by its ``id``; all rows name the same columns."""
    if rows:
        db.execute(update(table), rows)


def add_consents(db: Session, rows: Sequence[Values]) -> None:
    """Add lines to the ledger."""
    if rows:
        db.execute(insert(Consent), rows)


def booked_from(db: Session, clinic_id: int, *, source: str, now: datetime) -> dict[str, int]:
    """Sessions of a source that are still to come, their keys by external id. One without an id cannot be missed."""
    own = select(TreatmentSession.external_id, TreatmentSession.id).where(
        TreatmentSession.clinic_id == clinic_id,
        TreatmentSession.source == source,
        TreatmentSession.external_id.is_not(None),
        TreatmentSession.status == "booked",
        TreatmentSession.scheduled_start > now,
    )
    return {str(name): key for name, key in db.execute(own)}


def call_off(db: Session, ids: Sequence[int], *, now: datetime, reason: str) -> int:
    """Cancel sessions that are still to come, with an entry in the journal for each; returns how many there were.

    What version they were is forgotten: when the source names them again, its word counts whatever its age.
    """
    return sum(_call_off(db, ids[start : start + CHUNK], now, reason) for start in range(0, len(ids), CHUNK))


def _call_off(db: Session, ids: Sequence[int], now: datetime, reason: str) -> int:
    coming = (
        TreatmentSession.id.in_(ids),
        TreatmentSession.status == "booked",
        TreatmentSession.scheduled_start > now,
    )
    ending = update(TreatmentSession).where(*coming).values(status="cancelled", source_version=None)
    ended = ending.returning(TreatmentSession.id, TreatmentSession.clinic_id, TreatmentSession.patient_id)
    about = {"at": now, "kind": "session_cancelled", "reason": reason, "data": {}}
    entries = [
        about | {"session_id": key, "clinic_id": clinic_id, "patient_id": patient_id}
        for key, clinic_id, patient_id in db.execute(ended, execution_options={"synchronize_session": False})
    ]
    if entries:
        db.execute(insert(JournalEntry), entries)
    return len(entries)
