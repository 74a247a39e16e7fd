"""Texts of which nobody knows whether they left, and what is known that helps to find out."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import String, cast, exists, func, literal, literal_column, or_, select, union_all, update
from sqlalchemy.orm import Session, aliased

from service.store.messages import MAYBE_SENT, UNSETTLED
from service.store.tables import Message, SendAttempt, Task

# With the wider condition and not bound, so that both databases see that their partial index holds all that is asked for.
UNCONFIRMED = UNSETTLED, Message.state == literal_column("'unconfirmed'")
LOOKED_THROUGH = 10_000
"""Attempts among which the newest accepted one is looked for: no index knows it, and no table is read to its end for it."""


class OpenAttempt(NamedTuple):
    """An attempt that may have left under an id that nobody knows, and its message."""

    attempt: SendAttempt
    message: Message


def next_to_ask(db: Session, *, now: datetime, after: datetime, until: datetime, limit: int) -> list[Message]:
    """The most urgent doubts that began up to ``until``, about texts handed over after ``after``, whose turn has come, and all
    others about texts to their numbers behind them; locked. A doubt's turn stands in ``attempt_at``; one without an attempt of unknown id has none.
    """
    comparable = exists().where(
        SendAttempt.message_id == Message.id,
        SendAttempt.n == Message.attempts,
        SendAttempt.number == Message.to_number,
        SendAttempt.started_at > after,
        SendAttempt.provider_sid.is_(None),
        MAYBE_SENT,
    )
    due = select(Message).where(
        *UNCONFIRMED,
        Message.sent_at > after,
        Message.sent_at <= until,
        or_(Message.attempt_at.is_(None), Message.attempt_at <= now),
        comparable,
    )
    first = due.order_by(Message.priority, Message.sent_at, Message.id).limit(limit).with_for_update(skip_locked=True)
    found = list(db.scalars(first))
    alike = due.where(
        Message.to_number.in_({message.to_number for message in found}),
        Message.id.not_in([message.id for message in found]),
    )
    return [*found, *db.scalars(alike.order_by(Message.id).with_for_update(skip_locked=True))]


def open_attempts(db: Session, number: str, *, since: datetime) -> list[OpenAttempt]:
    """Attempts to a number, begun after ``since``, that may have left and whose provider's id is not known; their messages locked."""
    attempts = select(SendAttempt).where(
        SendAttempt.number == number,
        SendAttempt.started_at > since,
        SendAttempt.provider_sid.is_(None),
        MAYBE_SENT,
    )
    ids = select(attempts.subquery().c.message_id)
    locked = select(Message).where(Message.id.in_(ids)).order_by(Message.id).with_for_update()
    held = {message.id: message for message in db.scalars(locked, execution_options={"populate_existing": True})}
    # Read again: what was open may have been settled while the locks were waited for.
    still = db.scalars(attempts.order_by(SendAttempt.id), execution_options={"populate_existing": True})
    return [OpenAttempt(each, held[each.message_id]) for each in still if each.message_id in held]


def known_ids(db: Session, provider_sids: Collection[str]) -> set[str]:
    """Which of the provider's ids belong to texts that we know of."""
    of_attempts = select(SendAttempt.provider_sid).where(SendAttempt.provider_sid.in_(provider_sids))
    of_messages = select(Message.provider_sid).where(Message.provider_sid.in_(provider_sids))
    return {sid for sid in db.scalars(union_all(of_attempts, of_messages)) if sid}


def newest_accepted(db: Session, *, after: datetime, until: datetime) -> SendAttempt | None:
    """The last attempt begun after ``after`` and up to ``until`` that the provider is known to have taken."""
    newest = select(SendAttempt).order_by(SendAttempt.id.desc()).limit(LOOKED_THROUGH).subquery()
    attempt = aliased(SendAttempt, newest)
    accepted = select(attempt).where(
        attempt.outcome == "accepted",
        attempt.provider_sid.is_not(None),
        attempt.started_at > after,
        attempt.started_at <= until,
    )
    return db.scalar(accepted.order_by(attempt.id.desc()).limit(1))


def untold(db: Session, *, until: datetime, in_turn: datetime | None, limit: int) -> list[Message]:
    """Doubts that began up to ``until`` and that no person has been told of, locked; whose turn came by ``in_turn``, if given."""
    identity = literal("unconfirmed:") + cast(Message.id, String) + ":" + cast(Message.attempts, String)
    waiting = select(Message).where(*UNCONFIRMED, Message.sent_at <= until, ~exists().where(Task.identity == identity))
    if in_turn is not None:
        waiting = waiting.where(or_(Message.attempt_at.is_(None), Message.attempt_at <= in_turn))
    first = waiting.order_by(Message.sent_at).limit(limit).with_for_update(skip_locked=True)
    return list(db.scalars(first, execution_options={"populate_existing": True}))


def finish(
    db: Session,
    message: Message,
    outcome: str,
    *,
    now: datetime,
    provider_sid: str | None = None,
    code: str | None = None,
    detail: str | None = None,
) -> None:
    """Write what is held to have become of the newest attempt of ``message``."""
    newest = update(SendAttempt).where(SendAttempt.message_id == message.id, SendAttempt.n == message.attempts)
    known = {"provider_sid": provider_sid, "code": code, "detail": detail}
    db.execute(
        newest.values(
            outcome=outcome,
            finished_at=func.coalesce(SendAttempt.finished_at, now),
            **{column: value for column, value in known.items() if value is not None},
        ).execution_options(synchronize_session=False)
    )
