"""The last act of sending: what became of each text is written, whatever the database does meanwhile.

Only where the claim still holds does the outcome move the text; and the same outcome, written twice, is written once.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, assert_never

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.eligibility import HELD_FOR
from service.domain.lifecycle import State, advance
from service.domain.retries import next_attempt_at
from service.domain.sms import TOO_LATE, Accepted, Blame, Outcome, OutgoingSms, Refused, Unknown
from service.flows import breakers
from service.flows.doubts import NOT_IN_LIST
from service.flows.refusals import draw_consequences
from service.flows.telling import doubt_again, end_doubt, tell_sent_twice
from service.store import attempts, journal, messages
from service.store.tables import Message, SendAttempt
from service.store.trouble import is_passing

log = structlog.get_logger()
QUICK_TRIES = 3
WAITS = (0.2, 0.5, 1.0, 2.0, *[5.0] * 58)
"""Seconds between further tries, five minutes in all: a database that restarts is back by then."""
Wait = Callable[[float], bool]
"""Waits for so many seconds, or until the service stops: then it says True."""


def settle_all(
    sessions: sessionmaker[Session],
    outcomes: Iterable[tuple[OutgoingSms, Outcome]],
    *,
    token: str,
    clock: Clock,
    wait: Wait,
) -> None:
    """Write each outcome as it comes. The texts have left already: what can not be written costs no other its chance.

    The patience with a database that is away is one for all of them.
    """
    waits, unsettled = iter(WAITS), list[Exception]()
    for sms, outcome in outcomes:
        try:
            _settle_surely(sessions, sms, outcome, token=token, clock=clock, wait=lambda: _wait_again(waits, wait))
        except Exception as error:  # noqa: BLE001 -- whatever one outcome does, all others are written
            unsettled.append(error)
    if unsettled:
        log.error("outcomes_lost", texts=len(unsettled))
        raise unsettled[0]


def _wait_again(waits: Iterator[float], wait: Wait) -> bool:
    """False where the patience is at its end, or the service stops."""
    seconds = next(waits, None)
    return seconds is not None and not wait(seconds)


def _settle_surely(
    sessions: sessionmaker[Session],
    sms: OutgoingSms,
    outcome: Outcome,
    *,
    token: str,
    clock: Clock,
    wait: Callable[[], bool],
) -> None:
    """Write an outcome, again and again where the database gives way to others or is away."""
    tries = 0
    while True:
        try:
            with sessions.begin() as db:
                settle(db, sms, outcome, token=token, now=clock())
        except Exception as error:
            tries += 1
            if not is_passing(error) or (tries >= QUICK_TRIES and not wait()):
                raise
        else:
            return


def settle(db: Session, sms: OutgoingSms, outcome: Outcome, *, token: str, now: datetime) -> bool:
    """Write what became of one handing over. False where the claim was lost: then only the attempt learns of it.

    The message is locked before its attempt, as receipts do.
    """
    message = db.get_one(Message, sms.message_id, populate_existing=True, with_for_update=True)
    attempt = attempts.find(db, sms)
    if isinstance(outcome, Accepted) and attempts.is_of_another(db, outcome.provider_sid, than=message.id):
        # Of two texts of the same words to one phone, recovery has taken this one for the other.
        outcome = Unknown("The provider's id has been counted for another text of the same words.")
    if isinstance(outcome, Accepted) and attempt.provider_sid not in (None, outcome.provider_sid):
        tell_sent_twice(db, message, now=now)
    is_news = attempts.finish(attempt, outcome, now=now)
    db.flush()
    values = _after(message, sms, outcome, now)
    if not messages.settle(db, sms.message_id, token=token, values=values):
        if isinstance(outcome, Accepted):
            breakers.learn(db, message, outcome, since=attempt.started_at, now=now)
        # It may be written already: the connection broke before the database could say so.
        return _settle_late(db, message, attempt, sms=sms, outcome=outcome, now=now) if is_news else True
    db.refresh(message)
    _note(db, message, sms, outcome, now)
    breakers.learn(db, message, outcome, since=attempt.started_at, now=now)
    return True


def _after(message: Message, sms: OutgoingSms, outcome: Outcome, now: datetime) -> dict[str, Any]:
    state = advance(State.SENDING, outcome)
    match outcome:
        case Accepted(provider_sid, segments):
            return {"state": state, "provider_sid": provider_sid, "billed_segments": segments, "sent_at": now}
        case Unknown(reason):
            return {"state": state, "reason": reason, "sent_at": now}
        case Refused(code=TOO_LATE.code):
            return {"state": state, "attempt_at": now, "held_reason": None}
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
        case Refused():
            journal.append(db, "refused", at=now, message=message, reason=outcome.code, data=data)
        case _:
            assert_never(outcome)
    if isinstance(outcome, Refused):
        draw_consequences(db, message, outcome, now=now)
    log.info("text_settled", state=message.state, message=message.id, step=message.step, attempt=sms.attempt)


def _settle_late(
    db: Session, message: Message, attempt: SendAttempt, *, sms: OutgoingSms, outcome: Outcome, now: datetime
) -> bool:
    """The claim was taken away meanwhile, from a worker that was frozen perhaps; what it learned is still a fact."""
    journal.append(db, "late_outcome", at=now, message=message, reason=type(outcome).__name__.lower())
    is_newest = message.attempts == sms.attempt
    if isinstance(outcome, Accepted) and not is_newest:
        tell_sent_twice(db, message, now=now)
    if is_newest and message.state == State.PLANNED and _disproves(outcome, attempt):
        # It was held for proven that it had not left, and waits to be sent again.
        messages.change_state(db, message, State.SENDING, held_reason=None)
    is_open = message.state == State.SENDING or (
        message.state == State.UNCONFIRMED and not isinstance(outcome, Unknown)
    )
    if is_newest and is_open:
        values = {"sent_at": None, **_after(message, sms, outcome, now)}
        messages.change_state(db, message, values.pop("state"), **values)
        if isinstance(outcome, Unknown):
            doubt_again(db, message, attempt=sms.attempt)
        else:
            end_doubt(db, message, attempt=sms.attempt, outcome="The answer of the provider came late.", now=now)
        _note(db, message, sms, outcome, now)
    return False


def _disproves(outcome: Outcome, attempt: SendAttempt) -> bool:
    """Whether an attempt that was held for not sent may have left: its request was still under way when the list was read."""
    if isinstance(outcome, Unknown) and attempt.code == NOT_IN_LIST:
        attempt.outcome, attempt.code, attempt.detail = "unknown", None, outcome.reason
        return True
    return isinstance(outcome, Accepted)
