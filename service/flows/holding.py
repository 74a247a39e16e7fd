"""Letting go of texts that were held: what stopped them is over, so they are looked at again at once."""

from datetime import datetime

from sqlalchemy import case, literal, update
from sqlalchemy.orm import Session

from service.store.columns import UtcDateTime
from service.store.messages import PLANNED
from service.store.tables import Message


def release(
    db: Session,
    reason: str,
    *,
    now: datetime,
    clinic_id: int | None = None,
    patient_id: int | None = None,
    sender_id: int | None = None,
) -> int:
    """Make what is held for ``reason`` due again; None leaves a filter out. Returns how many texts that were.

    What was due first goes first, of those that are as urgent. Each still gets its last look: one whose hours are over waits
    for the next opening.
    """
    filters = ((Message.clinic_id, clinic_id), (Message.patient_id, patient_id), (Message.sender_id, sender_id))
    held = update(Message).where(PLANNED, Message.held_reason == reason)
    for column, wanted in filters:
        if wanted is not None:
            held = held.where(column == wanted)
    as_planned = case((Message.due_at < now, Message.due_at), else_=literal(now, UtcDateTime()))
    again = held.values(attempt_at=as_planned, held_reason=None).returning(Message.id)
    return len(db.scalars(again.execution_options(synchronize_session=False)).all())
