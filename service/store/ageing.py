"""What has been kept long enough: words of texts and replies, raw reports, and numbers of those who are no patients any more.

Each function takes out one batch and says where it stopped, so that a run goes through a table once.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.store.seals import MARK
from service.store.tables import Consent, Inbound, Message, Patient, RawReceipt, SendAttempt, TreatmentSession

BATCH = 500
OVER = ("sent", "delivered", "undelivered", "failed", "cancelled", "missed")
"""States in which nobody needs the words of a text any more."""


def texts(db: Session, clinic_id: int, *, before: datetime, after: int) -> list[tuple[int, str | None]]:
    """Take out the words of the next handed over texts, of people whose last session was before then; their ids and the provider's."""
    own = SendAttempt.clinic_id == clinic_id, SendAttempt.id > after, SendAttempt.text != ""
    old = SendAttempt.started_at < before, ~_recent(SendAttempt.patient_id, before)
    over = select(Message.id).where(Message.id == SendAttempt.message_id, Message.state.in_(OVER)).exists()
    which = select(SendAttempt.id, SendAttempt.provider_sid, SendAttempt.message_id).where(*own, *old, over)
    found = db.execute(which.order_by(SendAttempt.id).limit(BATCH).with_for_update(skip_locked=True)).all()
    ids, message_ids = [row[0] for row in found], {row[2] for row in found}
    _write(db, update(SendAttempt).where(SendAttempt.id.in_(ids)), text="", body_hash="")
    _write(db, update(Message).where(Message.id.in_(message_ids)), text=None)
    return [(row[0], row[1]) for row in found]


def free_texts(db: Session, clinic_id: int, *, before: datetime) -> int:
    """Take out words that staff wrote and that never left."""
    old = Message.clinic_id == clinic_id, Message.text.is_not(None), Message.due_at < before
    over = Message.state.in_(OVER), ~_recent(Message.patient_id, before)
    ids = list(db.scalars(select(Message.id).where(*old, *over).limit(BATCH).with_for_update(skip_locked=True)))
    _write(db, update(Message).where(Message.id.in_(ids)), text=None)
    return len(ids)


def replies(db: Session, clinic_id: int, *, before: datetime) -> list[str]:
    """Take out the words of the next texts from phones; the provider's ids of them."""
    old = Inbound.clinic_id == clinic_id, Inbound.received_at < before, Inbound.body != "", Inbound.state != "new"
    which = select(Inbound.id, Inbound.provider_sid).where(*old, ~_recent(Inbound.patient_id, before))
    found = db.execute(which.order_by(Inbound.id).limit(BATCH).with_for_update(skip_locked=True)).all()
    _write(db, update(Inbound).where(Inbound.id.in_([key for key, _ in found])), body="", fields={})
    return [sid for _, sid in found]


def raw_replies(db: Session, clinic_id: int, *, before: datetime, after: int) -> list[int]:
    """Take out everything the provider said of the next texts from phones; who wrote what and when stays."""
    old = Inbound.clinic_id == clinic_id, Inbound.id > after, Inbound.received_at < before, Inbound.state != "new"
    full = _says_something(Inbound.fields)
    ids = list(db.scalars(select(Inbound.id).where(*old, full).order_by(Inbound.id).limit(BATCH)))
    _write(db, update(Inbound).where(Inbound.id.in_(ids)), fields={})
    return ids


def raw_receipts(db: Session, clinic_id: int | None, *, before: datetime, after: int) -> list[int]:
    """Take out everything the provider said in the next reports; its word and code stay. None: reports on no text of ours."""
    sent = select(SendAttempt.id).where(SendAttempt.provider_sid == RawReceipt.provider_sid)
    whose = ~sent.exists() if clinic_id is None else sent.where(SendAttempt.clinic_id == clinic_id).exists()
    old = RawReceipt.id > after, RawReceipt.received_at < before, RawReceipt.applied_at.is_not(None)
    full = _says_something(RawReceipt.fields)
    ids = list(db.scalars(select(RawReceipt.id).where(*old, whose, full).order_by(RawReceipt.id).limit(BATCH)))
    _write(db, update(RawReceipt).where(RawReceipt.id.in_(ids)), fields={})
    return ids


def old_numbers(db: Session, clinic_id: int, *, before: datetime) -> list[str]:
    """Numbers of which the clinic's ledger has only lines from before then, that nobody has here, and that were not texted since."""
    had = exists().where(Patient.clinic_id == clinic_id, Patient.phone == Consent.number)
    texted = exists().where(
        SendAttempt.clinic_id == clinic_id, SendAttempt.number == Consent.number, SendAttempt.started_at >= before
    )
    lines = select(Consent.number).where(Consent.clinic_id == clinic_id, Consent.number.not_like(f"{MARK}%"))
    silent = lines.where(~had, ~texted).group_by(Consent.number).having(func.max(Consent.at) < before)
    return list(db.scalars(silent.order_by(Consent.number).limit(BATCH)))


def _recent(patient_id: InstrumentedAttribute[Any], before: datetime) -> ColumnElement[bool]:
    """Whether the patient has a session that is not that old; of a text about nobody its own age alone counts."""
    recent = or_(TreatmentSession.scheduled_start >= before, TreatmentSession.completed_at >= before)
    return exists().where(and_(TreatmentSession.patient_id == patient_id, recent))


def _says_something(fields: InstrumentedAttribute[dict[str, Any]]) -> ColumnElement[bool]:
    return cast(fields, String) != "{}"


def _write(db: Session, rows: Any, **values: Any) -> None:
    db.execute(rows.values(values), execution_options={"synchronize_session": False})
