"""The journal: facts that happened, written once and never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.inserts import insert_new
from service.store.tables import JournalEntry, Message


def append(
    db: Session,
    kind: str,
    *,
    at: datetime,
    message: Message | None = None,
    clinic_id: int | None = None,
    patient_id: int | None = None,
    session_id: int | None = None,
    reason: str | None = None,
    data: Mapping[str, Any] | None = None,
    outside_key: str | None = None,
) -> bool:
    """Note a fact. ``message`` fills in whom it concerns; False if ``outside_key`` says that it was noted before.

    ``data`` never holds a body, a name or a whole number: an entry can not be taken back.
    """
    written = insert_new(
        db,
        JournalEntry,
        kind=kind,
        at=at,
        reason=reason,
        clinic_id=message.clinic_id if message else clinic_id,
        patient_id=message.patient_id if message else patient_id,
        session_id=message.session_id if message else session_id,
        message_id=message.id if message else None,
        data=dict(data or {}),
        outside_key=outside_key,
    )
    return written is not None


def story(db: Session, message_id: int) -> list[JournalEntry]:
    """What happened to one message, in the order in which it happened."""
    entries = select(JournalEntry).where(JournalEntry.message_id == message_id)
    return list(db.scalars(entries.order_by(JournalEntry.at, JournalEntry.id)))
