"""Stopping where the provider does not answer or turns us away, and going on by itself once it takes texts again.

A stop is a row's: of one sender, or of the installation. While it lasts one text at a time tries the provider out, whichever
worker comes first. Rows are taken in one order, message, sender, installation: so nobody waits for ever.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.breakers import (
    PROVIDER_DOWN,
    TOLD_AFTER,
    Cause,
    Reach,
    Sign,
    asks_first,
    ends,
    is_due,
    shown_as,
    sign_of,
    tried_after,
    who_is_cut_off,
)
from service.domain.sms import Outcome
from service.flows.holding import release
from service.store import journal, running, tasks
from service.store.messages import PLANNED
from service.store.tables import Installation, Message, Sender, Task

Stop = Sender | Installation
NO_ANSWER = "The provider does not answer."
log = structlog.get_logger()


class Way(Enum):
    """What a sender may do now."""

    FREE = auto()
    HELD = auto()
    ASK = auto()
    """Ask the provider anything at all; where it answers, try it with one text."""
    TRY = auto()
    """One text may leave, in spite of the stop: the most urgent."""
    RISK = auto()
    """One text may leave, though nobody answers: the least urgent, because it will be in doubt."""


@dataclass(frozen=True, slots=True)
class Gate:
    """``stop``: what is tried out."""

    way: Way
    stop: Stop | None = None


def gate(db: Session, sender: Sender, *, now: datetime, has_answered: bool) -> Gate:
    """What ``sender``, whose row is held, may do now. Where that is to try, nobody else does until it is time again.

    ``has_answered``: the provider was asked just now, as :attr:`Way.ASK` said.
    """
    whole = running.installation(db)
    stops = [row for row in (whole, sender) if row.paused_at is not None]
    if not stops:
        return Gate(Way.FREE)
    stop = stops[0]
    if stop.pause_cause is None or any(row.pause_cause is None for row in stops):
        return _held(db, sender)
    if has_answered:
        return Gate(Way.TRY, stop)
    if stop is whole and running.claim_try(db, now=now) is None:
        return _held(db, sender)
    if stop.probe_at is None or not is_due(stop.probe_at, now):
        return _held(db, sender)
    cause = Cause(stop.pause_cause)
    stop.probes += 1
    stop.probe_at = now + tried_after(cause, stop.probes)
    if cause is Cause.REFUSED:
        return Gate(Way.TRY, stop)
    return Gate(Way.ASK if asks_first(stop.probes) else Way.RISK, stop)


def _held(db: Session, sender: Sender) -> Gate:
    """Whoever ends the stop waits until what it holds now is written: so that is let go of, too."""
    is_stopped = running.installation_as_it_stays(db).paused_at is not None or sender.paused_at is not None
    return Gate(Way.HELD if is_stopped else Way.FREE)


def held_as(db: Session, sender: Sender) -> str | None:
    """The reason that a stop gives to what it holds, the wider stop first; None where nothing is stopped."""
    whole = running.installation(db)
    if whole.paused_at is not None:
        return shown_as(whole.pause_cause, "paused")
    return shown_as(sender.pause_cause, "sender_paused") if sender.paused_at is not None else None


def stop_for(db: Session, reach: Reach, *, sender_id: int, cause: Cause | None, reason: str, now: datetime) -> bool:
    """Stop for the provider's sake. False if that is so already. Without ``cause`` a person has to end it."""
    if reach is Reach.ALL:
        stopped = running.pause_all(db, at=now, reason=reason, cause=cause)
    else:
        stopped = running.pause_sender(db, sender_id, at=now, reason=reason, cause=cause)
    if stopped:
        row = db.get_one(Sender, sender_id) if reach is Reach.SENDER else running.installation(db)
        journal.append(db, "paused", at=now, reason=reason, data={"by": "the provider", "what": _name(row)})
    return stopped


def learn(db: Session, message: Message, outcome: Outcome, *, since: datetime, now: datetime) -> None:
    """Draw from what became of a text, handed over since then, what it says of the provider: count silence, stop, or go on."""
    match sign_of(outcome):
        case Sign.NOTHING:
            return
        case Sign.SILENT:
            _silent(db, message.sender_id, now)
        case sign:
            _answered(db, message, sign, since=since, now=now)


def _silent(db: Session, sender_id: int, now: datetime) -> None:
    of_sender, of_all = running.count_silence(db, sender_id)
    reach = who_is_cut_off(of_sender=of_sender, of_all=of_all)
    if reach is None:
        return
    if stop_for(db, reach, sender_id=sender_id, cause=Cause.DOWN, reason=NO_ANSWER, now=now):
        log.error(PROVIDER_DOWN, sender=sender_id, reach=reach.name.lower(), in_a_row=of_all)
    still_silent(db, sender_id, now=now)


def still_silent(db: Session, sender_id: int, *, now: datetime) -> None:
    """Put an outage that lasts before the staff of each clinic that has texts waiting for its end, once an outage."""
    for row in running.not_well(db, sender_id):
        if row.pause_cause == Cause.DOWN and row.paused_at is not None and row.paused_at <= now - TOLD_AFTER:
            _tell(db, row, since=row.paused_at, now=now)


def _tell(db: Session, row: Stop, *, since: datetime, now: datetime) -> None:
    waiting = select(Message.clinic_id).where(PLANNED, Message.held_reason == PROVIDER_DOWN).distinct()
    if isinstance(row, Sender):
        waiting = waiting.where(Message.sender_id == row.id)
    for clinic_id in db.scalars(waiting).all():
        tasks.open_task(
            db,
            identity=f"{_tasks_of(row, Cause.DOWN)}{since.isoformat()}:{clinic_id}",
            kind=PROVIDER_DOWN,
            clinic_id=clinic_id,
            level="red",
            now=now,
            reason=f"The provider has not answered since {since:%Y-%m-%d %H:%M} UTC: texts wait, and leave by themselves "
            "as soon as it does.",
            next_action="Phone the patients whose texts can not wait. `aftercare calls` lists whom a text did not reach.",
        )


def _answered(db: Session, message: Message, sign: Sign, *, since: datetime, now: datetime) -> None:
    for row in running.not_well(db, message.sender_id):
        running.end_silence(db, row)
        if row.pause_cause is None or row.paused_at is None:
            continue
        # What was on its way already when the stop began says nothing of what came after. A clock may have run ahead then.
        if (since > row.paused_at or row.paused_at > now) and ends(Cause(row.pause_cause), sign):
            _go_on(db, row, Cause(row.pause_cause), now)


def _go_on(db: Session, row: Stop, cause: Cause, now: datetime) -> None:
    what, because = _name(row), row.pause_reason
    if not running.end_stop(db, row):
        return
    if isinstance(row, Sender):
        release(db, shown_as(cause, "sender_paused"), now=now, sender_id=row.id)
    else:
        release(db, shown_as(cause, "paused"), now=now)
    tasks_of = Task.identity.startswith(_tasks_of(row, cause), autoescape=True)
    closed = {"state": "closed", "outcome": "It ended by itself: the provider takes texts again.", "closed_at": now}
    db.execute(update(Task).where(tasks_of, Task.state == "open").values(closed))
    reason = f"{what} ({because}): by itself, the provider takes texts again"
    journal.append(db, "resumed", at=now, reason=reason, data={"by": "the service"})
    log.info("resumed_by_itself", what=what, cause=cause)


def _name(row: Stop) -> str:
    return f"sender {row.key}" if isinstance(row, Sender) else "all sending"


def _tasks_of(row: Stop, cause: Cause) -> str:
    """What the identities of a stop's tasks begin with."""
    if isinstance(row, Sender):
        return f"{shown_as(cause, 'sender_paused')}:{row.id}:"
    return f"{PROVIDER_DOWN}:all:" if cause is Cause.DOWN else "all_paused:"
