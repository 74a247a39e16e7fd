"""Texts from phones: kept as they came, then understood at once; fetched where none are brought to us."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.sms import InboundSms, SmsGateway
from service.flows.raw_first import second_act
from service.flows.understanding import StopReplies, understand
from service.store import inbox, running, tasks
from service.store.database import read_only
from service.store.tables import Clinic, Inbound, Installation, Patient

BATCH = 200
OVERLAP = timedelta(hours=3)
"""A list may show a text later than its time says, and our clock may have run ahead; what is seen again is not kept again."""
FIRST_LOOK = timedelta(days=1)
"""How far back the first look reaches."""

log = structlog.get_logger()


def receive_inbound(
    sessions: sessionmaker[Session], sms: InboundSms, clock: Clock, *, via: str, stop_replies: StopReplies
) -> bool:
    """Keep a text, then understand it. False, and nothing is changed, if the provider gave it to us before."""
    with sessions.begin() as db:
        inbound_id = inbox.add_raw(db, sms, now=clock(), via=via)
    if inbound_id is not None:
        _work_in(sessions, inbound_id, clock, stop_replies)
    return inbound_id is not None


def understand_pending(sessions: sessionmaker[Session], clock: Clock, *, stop_replies: StopReplies) -> int:
    """Understand what was kept and not understood, each at most once a run; returns how many it was."""
    done, tried = 0, set[int]()
    while pending := _pending(sessions) - tried:
        done += sum(_work_in(sessions, inbound_id, clock, stop_replies) for inbound_id in sorted(pending))
        tried |= pending
    return done


def poll_inbound(
    sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, *, stop_replies: StopReplies
) -> int:
    """Fetch what phones have texted since the last time; returns how many texts were new.

    The time until which all is fetched moves only after the last text is kept: a list that broke off may lack older ones.
    """
    started = clock()
    with sessions.begin() as db:
        # A time ahead of ours was written by a clock that ran ahead: nothing that came since may be lost to it.
        since = min(running.installation(db).inbound_polled_to or started - FIRST_LOOK, started)
    texts = gateway.inbound_since(since - OVERLAP)
    new = sum(
        receive_inbound(sessions, sms, clock, via="poll", stop_replies=stop_replies)
        for sms in texts
        if not _is_known(sessions, sms)
    )
    with sessions.begin() as db:
        earlier = or_(Installation.inbound_polled_to.is_(None), Installation.inbound_polled_to < started)
        db.execute(update(Installation).where(earlier).values(inbound_polled_to=started))
    return new


def _is_known(sessions: sessionmaker[Session], sms: InboundSms) -> bool:
    """Most of what is fetched is: asking waits for no writer."""
    with sessions() as db:
        return inbox.is_known(read_only(db), sms)


def _pending(sessions: sessionmaker[Session]) -> set[int]:
    with sessions.begin() as db:
        return {inbound.id for inbound in inbox.new_inbound(db, limit=BATCH)}


def _work_in(sessions: sessionmaker[Session], inbound_id: int, clock: Clock, stop_replies: StopReplies) -> bool:
    def act(db: Session) -> None:
        inbound = db.get_one(Inbound, inbound_id, with_for_update=True)
        if inbound.state == "new":
            understand(db, inbound, now=clock(), stop_replies=stop_replies)

    return second_act(
        sessions,
        act,
        failed=lambda db: _failed(db, inbound_id, clock()),
        action="understanding_failed",
        inbound=inbound_id,
    )


def _failed(db: Session, inbound_id: int, now: datetime) -> None:
    """Count it; the second time a person reads the text instead."""
    inbound = db.get_one(Inbound, inbound_id, with_for_update=True)
    inbound.failures += 1
    if inbound.failures < inbox.TRIES:
        return
    inbound.state = "failed"
    clinic_id = _any_clinic(db, inbound.from_number)
    if clinic_id is None:
        log.error("nobody_to_tell", inbound=inbound_id)
        return
    inbound.clinic_id = clinic_id
    tasks.open_task(
        db,
        identity=f"inbound:{inbound_id}:failed",
        kind="reply",
        clinic_id=clinic_id,
        inbound_id=inbound_id,
        level="red",
        now=now,
        reason="A text came that the service failed to understand, through a fault of its own. Nothing followed from it.",
        next_action="Read it now, as it came, and do what it asks; if it asks for no more texts, record that first.",
    )


def _any_clinic(db: Session, number: str) -> int | None:
    """Found in the plainest way: whatever broke the understanding must not keep the text from a person."""
    own = db.scalar(select(Patient.clinic_id).where(Patient.phone == number).order_by(Patient.id).limit(1))
    return own or db.scalar(select(Clinic.id).order_by(Clinic.id).limit(1))
