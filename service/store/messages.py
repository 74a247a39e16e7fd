"""The schedule: which messages are due, who holds them, and the moves from state to state.

Whoever changes a state says which one it found: where somebody else was first, nothing is changed and False comes back.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal_column, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from service.domain import rates
from service.domain.breakers import LONGEST_WAIT, SHOWN_BY_STOPS, is_due
from service.domain.careplan import Urgency
from service.domain.eligibility import HELD_FOR
from service.domain.errors import AftercareError
from service.domain.lifecycle import MOVES, State
from service.store import running
from service.store.inserts import insert_missing
from service.store.tables import Message, PhoneNumber, SendAttempt, Sender

# Spelled out and not bound, so that both databases see that the partial indexes hold all that is asked for.
PLANNED = Message.state == literal_column("'planned'")
SENDING = Message.state == literal_column("'sending'")
UNSETTLED = Message.state.in_([literal_column("'sent'"), literal_column("'unconfirmed'")])

PRIORITIES = sorted({urgency.priority for urgency in Urgency})
STOPPED_BY_HAND = and_(Sender.paused_at.is_not(None), Sender.pause_cause.is_(None))
MAYBE_SENT = or_(SendAttempt.outcome.is_(None), SendAttempt.outcome != "refused")
# Asked after every dispatch, so it is built once.
EARLIEST = select(
    Sender.free_at,
    Sender.probe_at,
    STOPPED_BY_HAND,
    *(
        select(Message.attempt_at)
        .where(PLANNED, Message.sender_id == Sender.id, Message.priority == priority, Message.attempt_at.is_not(None))
        .order_by(Message.attempt_at)
        .limit(1)
        .scalar_subquery()
        for priority in PRIORITIES
    ),
).select_from(Sender)


class ForbiddenMoveError(AftercareError):
    """The program asked for a move between states that the lifecycle does not have; nothing was changed."""

    def __init__(self, message_id: int, found: str, to: State) -> None:
        super().__init__(f"Message {message_id} can not go from '{found}' to '{to}'; it was left as it is.")


def add_planned(db: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write new messages, all with the same columns; one whose identity is there already stays as it is."""
    insert_missing(db, Message, rows)


def claim_due(db: Session, *, sender_id: int, priority: int, now: datetime, limit: int, token: str) -> list[Message]:
    """Take up to ``limit`` due messages for sending, the longest due first; whoever asks at the same time gets others."""
    due = (
        select(Message.id)
        .where(PLANNED, Message.sender_id == sender_id, Message.priority == priority, Message.attempt_at <= now)
        .order_by(Message.attempt_at, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = _claim(db, select(due.c.id), now=now, token=token)
    return sorted(claimed, key=lambda message: (message.attempt_at, message.id))


def claim_to_try(
    db: Session, *, sender_id: int, since: datetime, now: datetime, limit: int, token: str
) -> list[Message]:
    """Take messages of a sender that is stopped ``since`` then, held ones too, the most urgent first.

    Those that have tried it in vain already come after all others: it may be their own fault.
    """
    order = _has_tried(since), Message.priority, Message.due_at, Message.id
    return _claim_in_order(db, sender_id, order, now=now, limit=limit, token=token)


def claim_to_risk(
    db: Session, *, sender_id: int, since: datetime, now: datetime, limit: int, token: str
) -> list[Message]:
    """Take messages as :func:`claim_to_try` does, but the least urgent first."""
    order = _has_tried(since), Message.priority.desc(), Message.due_at, Message.id
    return _claim_in_order(db, sender_id, order, now=now, limit=limit, token=token)


def _claim_in_order(
    db: Session, sender_id: int, order: Sequence[Any], *, now: datetime, limit: int, token: str
) -> list[Message]:
    own = PLANNED, Message.sender_id == sender_id, Message.priority.in_(PRIORITIES), _waits(now)
    first = select(Message.id).where(*own).order_by(*order).limit(limit)
    ids = list(db.scalars(first.with_for_update(skip_locked=True)))
    return sorted(_claim(db, ids, now=now, token=token), key=lambda message: ids.index(message.id))


def _waits(now: datetime) -> ColumnElement[bool]:
    """Due, or held by a stop that the provider brought about: such a hold is for :data:`HELD_FOR` at the most."""
    held = Message.held_reason.in_(SHOWN_BY_STOPS)
    return and_(Message.attempt_at <= now + HELD_FOR, or_(Message.attempt_at <= now, held))


def _has_tried(since: datetime) -> ColumnElement[bool]:
    return exists().where(SendAttempt.message_id == Message.id, SendAttempt.started_at > since)


def _claim(db: Session, ids: Select[int] | list[int], *, now: datetime, token: str) -> Iterable[Message]:
    claim = (
        update(Message)
        .where(Message.id.in_(ids))
        .values(state=State.SENDING, claim_token=token, claimed_at=now)
        .returning(Message)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return db.scalars(claim)


def settle(db: Session, message_id: int, *, token: str, values: Mapping[str, Any]) -> bool:
    """Write how a claim ended, and give the claim back. False, and nothing is written, if the claim was lost meanwhile."""
    settled = (
        update(Message)
        .where(Message.id == message_id, SENDING, Message.claim_token == token)
        .values({"claim_token": None, **values})
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return db.scalar(settled) is not None


def change_state(db: Session, message: Message, to: State, *, reason: str | None = None, **values: Any) -> bool:
    """Move ``message`` from the state it was read in; ``message`` then shows what was written.

    False if it is no longer in that state. Raises :class:`ForbiddenMoveError` for a move that the lifecycle does not have.
    """
    if to not in MOVES[State(message.state)]:
        raise ForbiddenMoveError(message.id, message.state, to)
    written = {**values, "state": to, "reason": reason}
    move = (
        update(Message)
        .where(Message.id == message.id, Message.state == message.state)
        .values(written)
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    if db.scalar(move) is None:
        return False
    for column, value in written.items():
        set_committed_value(message, column, value)
    return True


def stale_claims(db: Session, *, before: datetime, limit: int) -> list[Message]:
    """Messages claimed before ``before`` and not settled, the oldest claim first, locked."""
    return _locked(db, select(Message).where(SENDING, Message.claimed_at < before).order_by(Message.claimed_at), limit)


def expired(db: Session, *, now: datetime, limit: int) -> list[Message]:
    """Planned messages whose useful time has passed, locked."""
    return _locked(db, select(Message).where(PLANNED, Message.expires_at <= now).order_by(Message.expires_at), limit)


def senders_due(db: Session, *, now: datetime) -> list[int]:
    """Senders that have something to do, by id.

    Where everything is stopped and it is time to try the provider out, the one with the most urgent text alone; one that is
    not stopped itself comes first.
    """
    whole = running.installation(db)
    if whole.paused_at is not None and whole.probe_at is not None and is_due(whole.probe_at, now):
        first = _to_try_first(db, whole.paused_at, now)
        if first is not None:
            return [first]
    planned = exists().where(PLANNED, Message.sender_id == Sender.id, Message.priority.in_(PRIORITIES))
    due = planned.where(Message.attempt_at <= now)
    time_to_try = or_(Sender.probe_at <= now, Sender.probe_at > now + LONGEST_WAIT)
    to_try = and_(time_to_try, planned.where(Message.attempt_at <= now + HELD_FOR))
    work = due if whole.paused_at else or_(due, to_try)
    return list(db.scalars(select(Sender.id).where(work).order_by(Sender.id)))


def _to_try_first(db: Session, since: datetime, now: datetime) -> int | None:
    soon = PLANNED, Message.priority.in_(PRIORITIES), Message.attempt_at <= now + HELD_FOR
    waiting = select(Message.sender_id).join(Sender, Sender.id == Message.sender_id).where(*soon, ~STOPPED_BY_HAND)
    goes_first = case((_waits(now), 0), else_=1), Sender.paused_at.is_not(None), _has_tried(since)
    return db.scalar(waiting.order_by(*goes_first, Message.priority, Message.due_at, Message.id).limit(1))


def next_due_at(db: Session) -> datetime | None:
    """When the next message is to be looked at, over all senders; it may lie in the past. None: nothing is planned.

    A sender that is ahead of its rate waits until it is not; one that is stopped may be tried out earlier. Reads one entry of
    the claim index for each sender and priority, however many messages there are.
    """
    whole, found = running.installation(db), []
    for free_at, own_probe_at, by_hand, *moments in db.execute(EARLIEST):
        due = min((moment for moment in moments if moment is not None), default=None)
        if due is None:
            continue
        opens = max(due, rates.opens_at(free_at)) if free_at else due
        probe_at = own_probe_at if whole.paused_at is None else whole.probe_at
        to_try = probe_at is not None and due <= probe_at + HELD_FOR and not by_hand
        found.append(min(opens, probe_at) if to_try else opens)
    return min(found, default=None)


def sent_counts(db: Session, patient_ids: Collection[int], *, now: datetime) -> dict[int, tuple[int, int]]:
    """How many texts that count for the caps each patient may have got in the last 24 hours and in the last 7 days."""
    day, week = now - timedelta(hours=24), now - timedelta(days=7)
    counts = (
        select(SendAttempt.patient_id, func.count().filter(SendAttempt.started_at > day), func.count())
        .where(SendAttempt.patient_id.in_(patient_ids), SendAttempt.started_at > week, SendAttempt.counts, MAYBE_SENT)
        .group_by(SendAttempt.patient_id)
    )
    found = {patient_id: (of_day, of_week) for patient_id, of_day, of_week in db.execute(counts)}
    return {patient_id: found.get(patient_id, (0, 0)) for patient_id in patient_ids}


def same_text_since(
    db: Session, *, patient_id: int, number: str, body_hash: str, since: datetime, other_than_message: int
) -> bool:
    """Whether this patient may have got exactly this text on this number since then, by another message."""
    same = exists().where(
        SendAttempt.number == number,
        SendAttempt.started_at >= since,
        SendAttempt.body_hash == body_hash,
        SendAttempt.patient_id == patient_id,
        SendAttempt.message_id != other_than_message,
        MAYBE_SENT,
    )
    return bool(db.scalar(select(same)))


def lock_numbers(db: Session, numbers: Collection[str]) -> dict[str, PhoneNumber]:
    """Hold each number until the transaction ends, so that nobody else counts or sends texts to it meanwhile.

    Always in the same order, so that two that need the same numbers wait for each other and never for ever.
    """
    ordered = sorted(set(numbers))
    insert_missing(db, PhoneNumber, [{"number": number} for number in ordered])
    held = select(PhoneNumber).where(PhoneNumber.number.in_(ordered)).order_by(PhoneNumber.number).with_for_update()
    return {row.number: row for row in db.scalars(held, execution_options={"populate_existing": True})}


def _locked(db: Session, messages: Select[Message], limit: int) -> list[Message]:
    """The first of ``messages``; those that another worker holds are left to it."""
    waiting = messages.limit(limit).with_for_update(skip_locked=True)
    return list(db.scalars(waiting, execution_options={"populate_existing": True}))
