"""What the service asks about itself every minute: cheap, however long the tables of messages and attempts grow."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from service.domain.careplan import Urgency
from service.store.columns import UtcDateTime
from service.store.inserts import insert_into, insert_new
from service.store.messages import PLANNED, PRIORITIES, UNSETTLED
from service.store.tables import (
    Alarm,
    Clinic,
    Installation,
    Message,
    NightlyProof,
    Patient,
    RawReceipt,
    SendAttempt,
    Sender,
    Task,
    TreatmentSession,
)


def overdue(db: Session, *, before: datetime) -> list[tuple[int, int, datetime]]:
    """Clinic, sender, and since when its oldest text waits: of those due before a moment that nothing and nobody holds."""
    # By number, so that both databases step through the index that sending reads.
    senders = list(db.scalars(select(Sender.id).where(Sender.paused_at.is_(None), ~_all_is_paused())))
    oldest = func.min(Message.attempt_at, type_=UtcDateTime())
    waiting = (
        select(Message.clinic_id, Message.sender_id, oldest)
        .join(Clinic, Clinic.id == Message.clinic_id)
        .where(PLANNED, Message.sender_id.in_(senders), Message.priority.in_(PRIORITIES), Message.attempt_at <= before)
        .where(Message.held_reason.is_(None), Clinic.paused_at.is_(None))
        .group_by(Message.clinic_id, Message.sender_id)
    )
    return [(clinic_id, sender_id, at) for clinic_id, sender_id, at in db.execute(waiting) if at is not None]


def last_left(db: Session, sender_id: int) -> datetime | None:
    """When the sender last handed a text over."""
    return db.scalar(select(func.max(SendAttempt.started_at)).where(SendAttempt.sender_id == sender_id))


def without_aftercare(db: Session, *, after: datetime, before: datetime, due_before: datetime) -> list[tuple[int, int]]:
    """Clinic and session, for sessions that took place in between and whose aftercare nobody can account for.

    Either planning has not looked at what happened, or a text of the day waits longer than since ``due_before`` for nothing.
    A session that planning saw, and made no row for, is left to the nightly proof: it knows the plan of that day.
    """
    waits = and_(Message.held_reason.is_(None), Message.attempt_at <= due_before)
    stuck = exists().where(Message.session_id == TreatmentSession.id, Message.urgency == Urgency.CARE, PLANNED, waits)
    newer = aliased(TreatmentSession)
    is_last = ~exists().where(
        newer.patient_id == TreatmentSession.patient_id,
        newer.status == "completed",
        newer.completed_at > TreatmentSession.completed_at,
    )
    ended = func.coalesce(TreatmentSession.completed_at, TreatmentSession.scheduled_end, type_=UtcDateTime())
    found = (
        select(TreatmentSession.clinic_id, TreatmentSession.id)
        .join(Patient, Patient.id == TreatmentSession.patient_id)
        .join(Clinic, Clinic.id == TreatmentSession.clinic_id)
        .where(TreatmentSession.status == "completed", ended > after, ended <= before)
        .where(Patient.status == "active", is_last)
        .where(Clinic.paused_at.is_(None), ~_all_is_paused())
        .where(or_(and_(stuck, Patient.textable_since.is_not(None)), Patient.marked))
        .where(~_is_told(TreatmentSession.patient_id))
    )
    return [(row[0], row[1]) for row in db.execute(found.order_by(TreatmentSession.clinic_id, TreatmentSession.id))]


def _is_told(patient_id: ColumnElement[int] | Any) -> ColumnElement[bool]:
    """Staff have a task open that nothing can be planned for the patient."""
    return exists().where(Task.patient_id == patient_id, Task.kind == "planning_failed", Task.state == "open")


def _all_is_paused() -> ColumnElement[bool]:
    return exists().where(Installation.paused_at.is_not(None))


def unreported(db: Session, *, after: datetime, before: datetime) -> dict[int, int]:
    """How many texts of each clinic, sent in between, wait for their report."""
    waiting = select(Message.clinic_id, func.count()).where(
        UNSETTLED, Message.state == "sent", Message.sent_at > after, Message.sent_at <= before
    )
    return dict(db.execute(waiting.group_by(Message.clinic_id)).all())


def last_report(db: Session) -> datetime | None:
    """When the provider last reported on any text."""
    return db.scalar(select(RawReceipt.received_at).order_by(RawReceipt.id.desc()).limit(1))


def first_clinic(db: Session) -> Clinic | None:
    """The clinic that what is nobody's alone is put before, and on whose clock the night is."""
    return db.scalar(select(Clinic).order_by(Clinic.id).limit(1))


# alarms that go on


def ongoing(db: Session) -> list[Alarm]:
    """Everything that was amiss when it was last looked."""
    return list(db.scalars(select(Alarm).order_by(Alarm.id)))


def told_by_kind(db: Session) -> dict[str, int]:
    """How many alarms of each kind staff were told of and are not over."""
    told = select(Alarm.kind, func.count()).where(Alarm.told_at.is_not(None)).group_by(Alarm.kind)
    return dict(db.execute(told).all())


def begin(db: Session, *, identity: str, kind: str, clinic_id: int | None, since: datetime, seconds: int) -> bool:
    """Note something amiss; False where another worker was quicker."""
    values = {"identity": identity, "kind": kind, "clinic_id": clinic_id, "since": since, "seconds": seconds}
    return insert_new(db, Alarm, **values) is not None


def find(db: Session, identity: str) -> Alarm | None:
    """One that goes on; None where another worker has just ended it."""
    return db.scalar(select(Alarm).where(Alarm.identity == identity))


def claim_telling(db: Session, identity: str, *, at: datetime) -> datetime | None:
    """Since when it goes on, for the one worker that is to tell of it; None for all others."""
    untold = update(Alarm).where(Alarm.identity == identity, Alarm.told_at.is_(None)).values(told_at=at)
    return db.scalar(untold.returning(Alarm.since))


def end(db: Session, identity: str) -> bool | None:
    """Forget an alarm. Whether staff were told of it; None where another worker was quicker."""
    row = db.execute(delete(Alarm).where(Alarm.identity == identity).returning(Alarm.told_at)).one_or_none()
    return None if row is None else row[0] is not None


def close_tasks(db: Session, *, beginning: str, outcome: str, now: datetime) -> int:
    """Close the open tasks whose identity begins so; returns how many."""
    named = Task.identity.startswith(beginning, autoescape=True)
    closing = update(Task).where(named, Task.state == "open")
    closed = closing.values(state="closed", outcome=outcome, closed_at=now).returning(Task.id)
    return len(db.scalars(closed.execution_options(synchronize_session=False)).all())


# nightly proofs


def claim_night(db: Session, night: str, *, worker: str, now: datetime, lost_before: datetime) -> bool:
    """Take a night's proof on: for one worker, and for another one where the first began before a moment and never ended."""
    first = insert_into(db, NightlyProof).values(night=night, worker=worker, began_at=now)
    if db.scalar(first.on_conflict_do_nothing().returning(NightlyProof.night)) is not None:
        return True
    mine = update(NightlyProof).where(NightlyProof.night == night, NightlyProof.ended_at.is_(None))
    taken = mine.where(NightlyProof.began_at < lost_before).values(worker=worker, began_at=now)
    return db.scalar(taken.returning(NightlyProof.night)) is not None


def give_night_back(db: Session, night: str, *, worker: str) -> None:
    """The worker stops before the proof is done: another one may begin anew."""
    mine = delete(NightlyProof).where(NightlyProof.night == night, NightlyProof.worker == worker)
    db.execute(mine.where(NightlyProof.ended_at.is_(None)))


def finished_proofs(db: Session, *, limit: int) -> list[NightlyProof]:
    """The proofs that came to an end, the last one first."""
    ended = select(NightlyProof).where(NightlyProof.ended_at.is_not(None))
    return list(db.scalars(ended.order_by(NightlyProof.ended_at.desc()).limit(limit)))


def clinics_of_messages(db: Session, ids: Collection[int]) -> dict[int, int]:
    """Message → its clinic."""
    return _clinics(db, Message.id, Message.clinic_id, ids)


def clinics_of_sessions(db: Session, ids: Collection[int]) -> dict[int, int]:
    """Session → its clinic."""
    return _clinics(db, TreatmentSession.id, TreatmentSession.clinic_id, ids)


def _clinics(db: Session, key: Any, clinic: Any, ids: Collection[int]) -> dict[int, int]:
    found: dict[int, int] = defaultdict(int)
    wanted = sorted(ids)
    for first in range(0, len(wanted), 1000):
        found |= dict(db.execute(select(key, clinic).where(key.in_(wanted[first : first + 1000]))).all())
    return dict(found)
