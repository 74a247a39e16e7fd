"""Having the provider's copies of texts deleted, one after the other, until the provider has let go of each."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.sms import GatewayClosedError, SmsGateway
from service.store.tables import ProviderCopy, RawReceipt

AT_ONCE = 100
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
_log = structlog.get_logger()


def forget_due(sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock) -> int:
    """Ask the provider about the copies whose time has come; returns how many it let go of.

    No transaction is open while it is asked; two that ask about the same copy do no harm. Each one is tried again ever more
    rarely, six hours apart at the most, without end.
    """
    with sessions() as db:
        due = select(ProviderCopy.id, ProviderCopy.provider_sid, ProviderCopy.attempts)
        waiting = due.where(ProviderCopy.done_at.is_(None), ProviderCopy.next_at <= clock())
        copies = db.execute(waiting.order_by(ProviderCopy.next_at, ProviderCopy.id).limit(AT_ONCE)).all()
    gone = 0
    for key, sid, attempts in copies:
        try:
            outcome = gateway.forget(sid)
        except GatewayClosedError:
            break
        except AftercareError as why:
            _put_off(sessions, key, attempts, why=str(why), now=clock())
            continue
        with sessions.begin() as db:
            _note(db, key, sid, outcome=outcome.value, attempts=attempts, now=clock())
        gone += 1
    if copies:
        _log.info("copies_forgotten", asked=len(copies), gone=gone)
    return gone


def wait_after(attempts: int) -> timedelta:
    """How long until the provider is asked again after so many times: twice as long each time, up to six hours."""
    return min(FIRST_WAIT * (1 << min(attempts - 1, 16)), LONGEST_WAIT)


def _put_off(sessions: sessionmaker[Session], key: int, attempts: int, *, why: str, now: datetime) -> None:
    asked = {"attempts": attempts + 1, "next_at": now + wait_after(attempts + 1), "last_error": why}
    with sessions.begin() as db:
        db.execute(update(ProviderCopy).where(ProviderCopy.id == key).values(asked))


def _note(db: Session, key: int, sid: str, *, outcome: str, attempts: int, now: datetime) -> None:
    """Done. Reports that came after the words went name the number once more: they go with the copy."""
    done = {"attempts": attempts + 1, "done_at": now, "outcome": outcome, "last_error": None}
    db.execute(update(ProviderCopy).where(ProviderCopy.id == key).values(done))
    late = update(RawReceipt).where(RawReceipt.provider_sid == sid, RawReceipt.applied_at.is_not(None))
    db.execute(late.values(fields={}))
