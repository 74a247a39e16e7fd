"""Sending: claim, look again, compose, send, settle. The only way out of the house.

Three acts: everything up to the attempt row is one transaction; the request leaves with none open; the outcome is
settled in a third, and only where the claim still holds. A crash between them leaves ``sending`` rows behind, never
a text that nobody knows of. Each sender goes its own way: what one of them waits for keeps no other waiting.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.sms import ListRefusedError, SmsGateway
from service.domain.windows import LEAST_USEFUL
from service.flows.breakers import still_silent
from service.flows.claiming import BATCH, Claim, claim_and_compose, set_aside
from service.flows.ending import end_missed
from service.flows.policy import SendingPolicy
from service.flows.settling import Wait, settle_all
from service.store import messages
from service.store.database import read_only
from service.store.trouble import is_passing

log = structlog.get_logger()
EXPIRED_BATCH = 500
TOO_LITTLE = LEAST_USEFUL - timedelta(microseconds=1)
"""Less than the least that a text must still be of use for, by the smallest bit that the tables know."""


@dataclass(frozen=True, slots=True)
class Sending:
    """With what texts are sent. ``go_on`` says no once the service stops, and ``wait`` waits no longer than that."""

    sessions: sessionmaker[Session]
    gateway: SmsGateway
    clock: Clock
    policy: SendingPolicy
    go_on: Callable[[], bool] = lambda: True
    wait: Wait = lambda _seconds: False


def dispatch_due(
    sessions: sessionmaker[Session],
    gateway: SmsGateway,
    clock: Clock,
    policy: SendingPolicy,
    *,
    go_on: Callable[[], bool] = lambda: True,
    wait: Wait = lambda _seconds: False,
) -> int:
    """End what is no longer of use, then one sender after the other sends what may leave now, once.

    Returns how many rows were looked at. Whoever calls comes again at once while there is more.
    """
    sending = Sending(sessions, gateway, clock, policy, go_on, wait)
    return expire(sending) + sum(dispatch_sender(sending, sender_id) for sender_id in senders_due(sending))


def senders_due(sending: Sending) -> list[int]:
    """Senders that have something to do, by id."""
    with sending.sessions() as db:
        return messages.senders_due(read_only(db), now=sending.clock())


def dispatch_sender(sending: Sending, sender_id: int) -> int:
    """The walk of a message, for as many as the sender can take now: claim, look again, compose, send, settle.

    Returns how many rows were looked at; 0 where nothing is left to do now.
    """
    looked, has_answered = 0, False
    while sending.go_on():
        claim = _claim(sending, sender_id, has_answered=has_answered)
        has_answered = claim.asks and _answers(sending, sender_id)
        if has_answered:
            continue
        looked += claim.looked
        outcomes = sending.gateway.send_batch(claim.outgoing)
        settle_all(sending.sessions, outcomes, token=claim.token, clock=sending.clock, wait=sending.wait)
        if claim.outgoing or not claim.looked:
            break
    return looked


def _claim(sending: Sending, sender_id: int, *, has_answered: bool) -> Claim:
    """Claim a batch; where one text's facts break it, one text; where it is that text, set it aside for a person."""
    for most in (BATCH, 1):
        try:
            with sending.sessions.begin() as db:
                return claim_and_compose(
                    db, sender_id, now=sending.clock(), policy=sending.policy, has_answered=has_answered, most=most
                )
        except Exception as error:  # whatever one text's facts do, everybody else's texts leave
            if is_passing(error):
                raise
            log.error("claim_failed", error=type(error).__name__, texts=most)  # noqa: TRY400 -- words may hold numbers
    with sending.sessions.begin() as db:
        return set_aside(db, sender_id, now=sending.clock(), policy=sending.policy, has_answered=has_answered)


def _answers(sending: Sending, sender_id: int) -> bool:
    """Whether the provider is there: a question in vain leaves nothing behind, a text would leave a doubt."""
    try:
        sending.gateway.texts_to(None, sending.clock())
    except ListRefusedError:
        return True
    except AftercareError:
        with sending.sessions.begin() as db:
            still_silent(db, sender_id, now=sending.clock())
        return False
    return True


def expire(sending: Sending) -> int:
    """Give up planned texts whose useful time is over, held ones too, and tell staff where the plan wants it."""
    ended = 0
    while sending.go_on():
        now = sending.clock()
        with sending.sessions.begin() as db:
            overdue = messages.expired(db, now=now + TOO_LITTLE, limit=EXPIRED_BATCH)
            end_missed(db, overdue, now=now, policy=sending.policy)
        if not overdue:
            break
        ended += len(overdue)
    return ended
