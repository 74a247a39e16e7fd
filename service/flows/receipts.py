"""Receipts: what the provider reports on our texts, kept as it came and worked in at once; asked for where none comes."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, false, or_, select, true, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.retries import asked_again
from service.domain.sms import Receipt, ReceiptState, SmsGateway
from service.flows.delivery import apply_receipt, message_of
from service.flows.raw_first import second_act
from service.store import inbox, messages, tasks
from service.store.database import read_only
from service.store.tables import Message, RawReceipt

BATCH = 200
NO_LONGER_ASKED = timedelta(hours=72)
"""Some networks never report: after this long nothing more is to be learned."""
FINAL = frozenset({ReceiptState.DELIVERED, ReceiptState.UNDELIVERED, ReceiptState.FAILED, ReceiptState.CANCELLED})

log = structlog.get_logger()
Reader = Callable[[RawReceipt], Receipt]


def receive_receipt(sessions: sessionmaker[Session], receipt: Receipt, clock: Clock) -> bool:
    """Keep a report, then work it in. False, and nothing is changed, if the provider has said the same before."""
    raw_id = _keep(sessions, receipt, clock)
    if raw_id is not None:
        _work_in(sessions, raw_id, _as_said(receipt), clock)
    return raw_id is not None


def apply_pending(sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock) -> int:
    """Work in what was kept and not worked in, each at most once a run; returns how many it was."""

    def read(raw: RawReceipt) -> Receipt:
        return gateway.read_receipt(raw.fields)

    done, tried = 0, set[int]()
    while pending := _pending(sessions) - tried:
        done += sum(_work_in(sessions, raw_id, read, clock) for raw_id in sorted(pending))
        tried |= pending
    return done


def poll_receipts(
    sessions: sessionmaker[Session],
    gateway: SmsGateway,
    clock: Clock,
    *,
    after: timedelta = timedelta(minutes=1),
    last: datetime | None = None,
) -> int:
    """Ask for texts that left more than ``after`` ago and have no final report, the oldest first; returns how much was news.

    ``last`` is when that was last done: the older a text, the more rarely it is asked about again. None asks about all.
    """
    news = 0
    for sids in _unsettled(sessions, now=clock(), after=after, last=last):
        for receipt in gateway.receipts_for(sids):
            raw_id = _keep(sessions, receipt, clock) or _again(sessions, receipt)
            news += raw_id is not None and _work_in(sessions, raw_id, _as_said(receipt), clock)
    return news


def _as_said(receipt: Receipt) -> Reader:
    return lambda _raw: receipt


def _keep(sessions: sessionmaker[Session], receipt: Receipt, clock: Clock) -> int | None:
    with sessions.begin() as db:
        return inbox.add_receipt(db, receipt, now=clock())


def _again(sessions: sessionmaker[Session], receipt: Receipt) -> int | None:
    """A final report of a text that has none was kept when nobody knew the text yet: now it can be worked in."""
    if receipt.state not in FINAL:
        return None
    code = receipt.failure.code if receipt.failure else ""
    with sessions.begin() as db:
        kept = update(RawReceipt).where(RawReceipt.provider_sid == receipt.provider_sid)
        same = kept.where(RawReceipt.status == receipt.word, RawReceipt.error_code == code)
        return db.scalar(same.values(applied_at=None).returning(RawReceipt.id))


def _pending(sessions: sessionmaker[Session]) -> set[int]:
    with sessions.begin() as db:
        return {raw.id for raw in inbox.new_receipts(db, limit=BATCH)}


def _work_in(sessions: sessionmaker[Session], raw_id: int, read: Reader, clock: Clock) -> bool:
    def act(db: Session) -> None:
        raw = db.get_one(RawReceipt, raw_id, with_for_update=True)
        raw.applied_at = clock()
        if not apply_receipt(db, read(raw), now=raw.applied_at):
            log.warning("receipt_of_unknown_text", receipt=raw_id, provider_sid=raw.provider_sid)

    return second_act(
        sessions, act, failed=lambda db: _failed(db, raw_id, clock()), action="receipt_failed", receipt=raw_id
    )


def _failed(db: Session, raw_id: int, now: datetime) -> None:
    """Count it; the second time a person looks at the text in question."""
    raw = db.get_one(RawReceipt, raw_id, with_for_update=True)
    raw.failures += 1
    message = message_of(db, raw.provider_sid, message_id=raw.message_id) if raw.failures >= inbox.TRIES else None
    if message is not None:
        tasks.open_about(
            db,
            message,
            identity=f"receipt_failed:{raw_id}",
            kind="receipt_failed",
            level="red",
            now=now,
            reason=f"The provider reported “{raw.status}” on this text, and the service failed to work that in.",
            next_action="Look whether the patient has the text, phone if in doubt, and tell whoever runs the service.",
        )


def _unsettled(
    sessions: sessionmaker[Session], *, now: datetime, after: timedelta, last: datetime | None
) -> Iterator[list[str]]:
    """The provider's ids of texts to ask about, batch by batch; no transaction is open meanwhile."""
    last_at, last_id = now - NO_LONGER_ASKED, 0
    in_turn = true() if last is None else _reached(asked_again(last, now))
    while True:
        later = or_(Message.sent_at > last_at, and_(Message.sent_at == last_at, Message.id > last_id))
        waiting = select(Message.sent_at, Message.id, Message.provider_sid).where(
            messages.UNSETTLED, Message.provider_sid.is_not(None), in_turn, later, Message.sent_at <= now - after
        )
        with sessions() as db:
            batch = read_only(db).execute(waiting.order_by(Message.sent_at, Message.id).limit(BATCH)).all()
        if not batch:
            return
        yield [sid for _, _, sid in batch if sid]
        last_at, last_id = batch[-1].sent_at or now, batch[-1].id


def _reached(spans: Iterable[tuple[datetime, datetime]]) -> ColumnElement[bool]:
    return or_(false(), *(and_(Message.sent_at > after, Message.sent_at <= until) for after, until in spans))
