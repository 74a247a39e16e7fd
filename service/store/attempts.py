"""Handing over to the provider: a row before each request leaves, and its outcome when it is known."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from service.domain.sms import Accepted, Outcome, OutgoingSms, Refused, Unknown
from service.store.tables import SendAttempt


def add(db: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write the attempts that are about to leave."""
    if rows:
        db.execute(insert(SendAttempt), rows)


def find(db: Session, sms: OutgoingSms) -> SendAttempt:
    """The row of a handing over, as it stands now."""
    row = select(SendAttempt).where(SendAttempt.message_id == sms.message_id, SendAttempt.n == sms.attempt)
    return db.scalars(row, execution_options={"populate_existing": True}).one()


def newest_to(db: Session, number: str) -> datetime | None:
    """When a text to the number was last looked at and handed over."""
    of_number = select(SendAttempt.started_at).where(SendAttempt.number == number)
    return db.scalar(of_number.order_by(SendAttempt.started_at.desc()).limit(1))


def is_of_another(db: Session, provider_sid: str, *, than: int) -> bool:
    """Whether the provider's id stands on an attempt of another message."""
    other = select(SendAttempt.id).where(SendAttempt.provider_sid == provider_sid, SendAttempt.message_id != than)
    return db.scalar(other.limit(1)) is not None


def finish(attempt: SendAttempt, outcome: Outcome, *, now: datetime) -> bool:
    """Write how an attempt ended. An acceptance that is known already, by a receipt, stays; and not knowing proves nothing.

    False if exactly this was written before.
    """
    written = _columns(outcome)
    if attempt.finished_at is not None and all(getattr(attempt, name) == value for name, value in written.items()):
        return False
    is_known = attempt.outcome is not None if isinstance(outcome, Unknown) else attempt.outcome == "accepted"
    if not is_known:
        for name, value in {**written, "finished_at": now}.items():
            setattr(attempt, name, value)
    return True


def others_got_through(db: Session, message_id: int, *, code: str, sender_id: int | None) -> bool:
    """Whether texts were accepted, from this sender if one is given, since the message was first refused with this code."""
    mine = SendAttempt.message_id == message_id, SendAttempt.outcome == "refused", SendAttempt.code == code
    first = select(func.min(SendAttempt.id)).where(*mine).scalar_subquery()
    # By id, which follows time: so only what was handed over since is read.
    accepted = select(SendAttempt.id).where(SendAttempt.id > first, SendAttempt.outcome == "accepted")
    if sender_id is not None:
        accepted = accepted.where(SendAttempt.sender_id == sender_id)
    return db.scalar(accepted.limit(1)) is not None


def _columns(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Accepted(provider_sid):
            return {"outcome": "accepted", "provider_sid": provider_sid}
        case Refused(code=code, reason=reason):
            return {"outcome": "refused", "code": code, "detail": reason}
        case Unknown(reason):
            return {"outcome": "unknown", "detail": reason}
        case _:
            assert_never(outcome)
