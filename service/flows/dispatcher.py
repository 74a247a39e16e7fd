"""Sending: claim, look again, compose, send, settle. The only way out of the house.

Three acts: everything up to the attempt row is one transaction; the request leaves with none open; the outcome is
settled in a third, and only where the claim still holds. A crash between them leaves ``sending`` rows behind, never
a text that nobody knows of.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, assert_never

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.eligibility import HELD_FOR
from service.domain.lifecycle import State, advance
from service.domain.retries import next_attempt_at
from service.domain.sms import Accepted, Blame, Outcome, OutgoingSms, Refused, SmsGateway, Unknown
from service.domain.windows import LEAST_USEFUL
from service.flows.claiming import BATCH, Claim, claim_and_compose, set_aside
from service.flows.ending import end_missed
from service.flows.policy import SendingPolicy
from service.flows.refusals import draw_consequences
from service.flows.telling import end_doubt, tell_unconfirmed
from service.store import attempts, journal, messages
from service.store.tables import Message

log = structlog.get_logger()
EXPIRED_BATCH = 500
SETTLE_TRIES = 3
TOO_LITTLE = LEAST_USEFUL - timedelta(microseconds=1)
"""Less than the least that a text must still be of use for, by the smallest bit that the tables know."""


def dispatch_due(
    sessions: sessionmaker[Session],
    gateway: SmsGateway,
    clock: Clock,
    policy: SendingPolicy,
    *,
    go_on: Callable[[], bool] = lambda: True,
) -> int:
    """End what is no longer of use, then send what may leave now, once; returns how many rows were looked at.

    Whoever calls comes again at once while there is more: so a backlog neither silences the heartbeat nor outlives a stop.
    """
    looked = _expire(sessions, clock, policy)
    while go_on():
        claim = dispatch_batch(sessions, gateway, clock, policy)
        looked += claim.looked
        if claim.outgoing or not claim.looked:
            break
    return looked


def dispatch_batch(sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, policy: SendingPolicy) -> Claim:
    """The walk of a message, for as many as the senders can take now: claim, look again, compose, send, settle."""
    claim = _claim(sessions, clock, policy)
    unsettled: list[OperationalError] = []
    for sms, outcome in gateway.send_batch(claim.outgoing):
        try:
            _settle_surely(sessions, sms, outcome, token=claim.token, clock=clock)
        except OperationalError as error:
            unsettled.append(error)  # the others have left, too: each outcome gets its own chance to be written
    if unsettled:
        log.error("outcomes_lost", texts=len(unsettled))
        raise unsettled[0]
    return claim


def _claim(sessions: sessionmaker[Session], clock: Clock, policy: SendingPolicy) -> Claim:
    """Claim a batch; where one text's facts break it, one text; where it is that text, set it aside for a person."""
    for most in (BATCH, 1):
        try:
            with sessions.begin() as db:
                return claim_and_compose(db, now=clock(), policy=policy, most=most)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever one text's facts do, everybody else's texts leave
            log.error("claim_failed", error=type(error).__name__, texts=most)  # noqa: TRY400 -- words may hold numbers
    with sessions.begin() as db:
        return set_aside(db, now=clock())


def _settle_surely(
    sessions: sessionmaker[Session], sms: OutgoingSms, outcome: Outcome, *, token: str, clock: Clock
) -> None:
    """Write an outcome, again where the database chose this transaction to give way: the text has left already."""
    left = SETTLE_TRIES
    while True:
        try:
            with sessions.begin() as db:
                settle(db, sms, outcome, token=token, now=clock())
        except OperationalError:
            left -= 1
            if not left:
                raise
        else:
            return


def settle(db: Session, sms: OutgoingSms, outcome: Outcome, *, token: str, now: datetime) -> bool:
    """Write what became of one handing over. False where the claim was lost: then only the attempt learns of it.

    The message is locked before its attempt, as receipts do.
    """
    message = db.get_one(Message, sms.message_id, populate_existing=True, with_for_update=True)
    attempts.finish(db, sms, outcome, now=now)
    values = _after(message, sms, outcome, now)
    if not messages.settle(db, sms.message_id, token=token, values=values):
        return _settle_late(db, message, sms, outcome, now)
    db.refresh(message)
    _note(db, message, sms, outcome, now)
    return True


def _after(message: Message, sms: OutgoingSms, outcome: Outcome, now: datetime) -> dict[str, Any]:
    state = advance(State.SENDING, outcome)
    match outcome:
        case Accepted(provider_sid, segments):
            return {"state": state, "provider_sid": provider_sid, "billed_segments": segments, "sent_at": now}
        case Unknown(reason):
            return {"state": state, "reason": reason, "sent_at": now}
        case Refused(blame=Blame.RETRY):
            again = next_attempt_at(
                now,
                message_id=message.id,
                attempts=sms.attempt,
                retry_after_seconds=outcome.retry_after_seconds,
            )
            return {"state": state, "attempt_at": again, "held_reason": "retry"}
        case Refused(blame=Blame.SENDER | Blame.ACCOUNT):
            held = "sender_paused" if outcome.blame is Blame.SENDER else "paused"
            return {"state": state, "attempt_at": now + HELD_FOR, "held_reason": held}
        case Refused():
            return {"state": state, "reason": outcome.because, "settled_at": now}
        case _:
            assert_never(outcome)


def _note(db: Session, message: Message, sms: OutgoingSms, outcome: Outcome, now: datetime) -> None:
    data = {"attempt": sms.attempt, "segments": message.segments}
    match outcome:
        case Accepted():
            journal.append(db, "sent", at=now, message=message, data=data)
        case Unknown(reason):
            journal.append(db, "unconfirmed", at=now, message=message, reason=reason, data=data)
            tell_unconfirmed(db, message, now=now)
        case Refused():
            journal.append(db, "refused", at=now, message=message, reason=outcome.code, data=data)
            draw_consequences(db, message, outcome, now=now)
        case _:
            assert_never(outcome)
    log.info("text_settled", state=message.state, message=message.id, step=message.step, attempt=sms.attempt)


def _settle_late(db: Session, message: Message, sms: OutgoingSms, outcome: Outcome, now: datetime) -> bool:
    """The claim was taken away meanwhile, from a worker that was frozen perhaps; what it learned is still a fact."""
    journal.append(db, "late_outcome", at=now, message=message, reason=type(outcome).__name__.lower())
    newest = message.attempts == sms.attempt
    if newest and message.state == State.UNCONFIRMED and not isinstance(outcome, Unknown):
        values = {"sent_at": None, **_after(message, sms, outcome, now)}
        messages.change_state(db, message, values.pop("state"), **values)
        end_doubt(db, message, attempt=sms.attempt, outcome="The answer of the provider came late.", now=now)
        _note(db, message, sms, outcome, now)
    return False


def _expire(sessions: sessionmaker[Session], clock: Clock, policy: SendingPolicy) -> int:
    """Give up planned texts whose useful time is over, held ones too, and tell staff where the plan wants it."""
    ended = 0
    while True:
        now = clock()
        with sessions.begin() as db:
            overdue = messages.expired(db, now=now + TOO_LITTLE, limit=EXPIRED_BATCH)
            end_missed(db, overdue, now=now, policy=policy)
        if not overdue:
            return ended
        ended += len(overdue)
