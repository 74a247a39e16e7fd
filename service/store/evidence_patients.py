"""What a patient got altogether, what became of aftercare, what answered one text. For those who prove; read-only."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.domain.careplan import Urgency
from service.domain.lifecycle import State
from service.store.evidence import columns_of, readable
from service.store.messages import MAYBE_SENT
from service.store.tables import Message, Patient, SendAttempt, Task, TreatmentSession

UNSENT = (State.CANCELLED, State.MISSED)


@dataclass(frozen=True, slots=True)
class Counted:
    """A text that counts for the caps of its patient, when it may have left."""

    patient_id: int
    started_at: datetime
    message_id: int
    session_id: int | None
    clinic_id: int
    kind: str
    urgency: str
    plan_version_id: int | None


@dataclass(frozen=True, slots=True)
class Completed:
    """A session that took place, and its patient, as planning has seen them. ``completed_at`` None: nobody can read it."""

    id: int
    patient_id: int
    clinic_id: int
    completed_at: datetime | None
    planned_status: str | None
    completion_known_at: datetime | None
    marked: bool
    textable_since: datetime | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What became of one step of the plan for one session."""

    id: int
    identity: str
    session_id: int
    step: str
    urgency: str
    plan_version_id: int | None
    state: str
    reason: str | None
    held_reason: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One of several answers to one text from a phone."""

    inbound_id: int
    message_id: int
    template: str | None
    urgency: str


def patients_after(db: Session, after: int, *, limit: int) -> int | None:
    """The last of the next patients by id; None where there are no more."""
    ahead = db.scalars(select(Patient.id).where(Patient.id > after).order_by(Patient.id).limit(limit))
    return max(ahead, default=None)


def counted(db: Session, *, after: int, last: int) -> list[Counted]:
    """The texts that count for the caps of the patients with ids after ``after`` up to ``last``, patient by patient, as they left."""
    found = _counted(db, SendAttempt.patient_id, SendAttempt.patient_id > after, SendAttempt.patient_id <= last)
    # A handing over that the service noted names the patient; whatever else stands there counts, too.
    found += _counted(
        db, Message.patient_id, SendAttempt.patient_id.is_(None), Message.patient_id > after, Message.patient_id <= last
    )
    return sorted(found, key=lambda text: (text.patient_id, text.started_at))


def _counted(db: Session, patient_id: InstrumentedAttribute[Any], *which: ColumnElement[bool]) -> list[Counted]:
    of_text = Message.session_id, SendAttempt.clinic_id, Message.kind, Message.urgency, Message.plan_version_id
    columns: tuple[Any, ...] = patient_id, SendAttempt.started_at, SendAttempt.message_id, *of_text
    rows = select(*columns).join_from(SendAttempt, Message, Message.id == SendAttempt.message_id)
    own = rows.where(*which, SendAttempt.counts, MAYBE_SENT).order_by(SendAttempt.started_at, SendAttempt.id)
    return [Counted(*row) for row in db.execute(own)]


def completed(db: Session, *, after: int, limit: int) -> list[Completed]:
    """The next sessions that took place, by id."""
    of_session = TreatmentSession.id, TreatmentSession.patient_id, TreatmentSession.clinic_id
    seen = (
        readable(TreatmentSession.completed_at),
        TreatmentSession.planned_status,
        TreatmentSession.completion_known_at,
    )
    rows = (
        select(*of_session, *seen, Patient.marked, Patient.textable_since)
        .join_from(TreatmentSession, Patient, Patient.id == TreatmentSession.patient_id)
        .where(TreatmentSession.status == "completed", TreatmentSession.id > after)
    )
    return [Completed(*row) for row in db.execute(rows.order_by(TreatmentSession.id).limit(limit))]


def newest(db: Session, patient_ids: Collection[int]) -> set[int]:
    """Of each of these patients the session that took place last."""
    columns = TreatmentSession.patient_id, readable(TreatmentSession.completed_at), TreatmentSession.id
    own = select(*columns).where(TreatmentSession.patient_id.in_(patient_ids), TreatmentSession.status == "completed")
    last: dict[int, tuple[datetime, int]] = {}
    for patient_id, at, session_id in db.execute(own):
        if at is not None:
            last[patient_id] = max((at, session_id), last.get(patient_id, (at, session_id)))
    return {session_id for _, session_id in last.values()}


def planned(db: Session, session_ids: Collection[int], *, care: bool) -> defaultdict[int, list[Planned]]:
    """What became of the plan's texts, by session: of aftercare on the day, or of all others."""
    of_care = Message.urgency == Urgency.CARE
    rows = select(*columns_of(Message, Planned)).where(Message.session_id.in_(session_ids), Message.kind == "plan")
    found: defaultdict[int, list[Planned]] = defaultdict(list)
    for row in db.execute(rows.where(of_care if care else ~of_care).order_by(Message.id)):
        found[row[2]].append(Planned(*row))
    return found


def tasks_there(db: Session, identities: Collection[str]) -> set[str]:
    """Which of these tasks were ever put before staff."""
    return set(db.scalars(select(Task.identity).where(Task.identity.in_(identities))))


def texts_answered(db: Session) -> int:
    """How many texts from phones got an answer, or are to get one."""
    return db.scalar(select(func.count(Message.inbound_id.distinct())).where(*_answering())) or 0


def several_answers(db: Session) -> list[Answer]:
    """The answers to texts from phones that got, or are to get, more than one; in the order in which they were given."""
    several = select(Message.inbound_id).where(*_answering()).group_by(Message.inbound_id).having(func.count() > 1)
    columns: tuple[Any, ...] = Message.inbound_id, Message.id, Message.template, Message.urgency
    rows = (
        select(*columns).where(*_answering(), Message.inbound_id.in_(several)).order_by(Message.inbound_id, Message.id)
    )
    return [Answer(*row) for row in db.execute(rows)]


def _answering() -> tuple[Any, ...]:
    tried = select(SendAttempt.id).where(SendAttempt.message_id == Message.id, MAYBE_SENT).exists()
    return Message.kind == "reply", Message.inbound_id.is_not(None), or_(Message.state.not_in(UNSENT), tried)
