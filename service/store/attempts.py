"""Handing over to the provider: a row before each request leaves, and its outcome when it is known."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from service.domain.sms import Accepted, Outcome, OutgoingSms, Refused, Unknown
from service.store.tables import SendAttempt


def add(db: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write the attempts that are about to leave."""
    if rows:
        db.execute(insert(SendAttempt), rows)


def finish(db: Session, sms: OutgoingSms, outcome: Outcome, *, now: datetime) -> None:
    """Write how an attempt ended. An acceptance that is known already, by a receipt, stays."""
    attempt = update(SendAttempt).where(SendAttempt.message_id == sms.message_id, SendAttempt.n == sms.attempt)
    unknown = SendAttempt.outcome.is_(None) | (SendAttempt.outcome != "accepted")
    db.execute(attempt.where(unknown).values(finished_at=now, **_columns(outcome)))


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
