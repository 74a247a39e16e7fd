"""Whom to call: patients whom a text did not reach, or may not have reached, and to whom no later one has said the same."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from service.domain.lifecycle import State
from service.flows.casework import FactsError, live_plan
from service.store.columns import UtcDateTime
from service.store.tables import Message, Patient, Task, TreatmentSession

IN_VAIN = (State.MISSED, State.FAILED, State.UNDELIVERED)
REACHED = (State.SENT, State.DELIVERED)
NOBODY_KNOWS = "nobody knows whether it left"


@dataclass(frozen=True, slots=True)
class Call:
    """One text that did not reach a patient. ``why`` is its reason; ``task_id`` is an open task about it."""

    clinic_id: int
    patient_id: int
    external_id: str | None
    phone: str | None
    message_id: int
    step: str | None
    title: str
    urgency: str
    session_id: int | None
    session_start: datetime | None
    state: str
    why: str
    at: datetime
    task_id: int | None


def whom_to_call(
    db: Session, *, since: datetime, doubtful_until: datetime, now: datetime, clinic_id: int | None = None
) -> list[Call]:
    """What ended without reaching its patient since then, the most urgent first, then by the time of the session.

    What has been in doubt since ``doubtful_until`` or longer is among it; a younger doubt may still end by itself.
    """
    ended_at = func.coalesce(Message.settled_at, Message.sent_at, type_=UtcDateTime())
    in_vain = and_(Message.state.in_(IN_VAIN), ended_at >= since)
    in_doubt = and_(Message.state == State.UNCONFIRMED, Message.sent_at.between(since, doubtful_until))
    found = (
        select(Message, Patient, TreatmentSession.scheduled_start, ended_at)
        .join(Patient, Patient.id == Message.patient_id)
        .join(TreatmentSession, TreatmentSession.id == Message.session_id, isouter=True)
        .where(or_(in_vain, in_doubt), Message.kind != "page", Patient.status == "active", ~_said_later())
    )
    if clinic_id is not None:
        found = found.where(Message.clinic_id == clinic_id)
    rows = db.execute(found.order_by(Message.id)).all()
    titles = _titles(db, {message.clinic_id for message, *_ in rows}, now)
    about = _tasks(db, [message for message, *_ in rows])
    calls = [
        (message.priority, _call(message, patient, start, at, titles=titles, task=about.get(message.id)))
        for message, patient, start, at in rows
        if _is_open(message, about.get(message.id))
    ]
    return [call for _, call in sorted(calls, key=lambda each: (each[0], each[1].session_start or each[1].at))]


def _is_open(message: Message, task: Task | None) -> bool:
    """Not where somebody has seen to it, nor where it was too late before anybody knew and the plan asks for no call."""
    return message.due_at is not None if task is None else task.state == "open"


def _said_later() -> Any:
    """A text of the same step and session got through after this one was due."""
    later = aliased(Message)
    same = later.patient_id == Message.patient_id, later.step == Message.step, later.id != Message.id
    of_session = later.session_id.is_not_distinct_from(Message.session_id)
    after = later.sent_at >= func.coalesce(Message.due_at, Message.sent_at, type_=UtcDateTime())
    return select(later.id).where(*same, of_session, later.state.in_(REACHED), after).exists()


def _call(
    message: Message,
    patient: Patient,
    start: datetime | None,
    ended_at: datetime,
    *,
    titles: Mapping[tuple[int, str | None], str],
    task: Task | None,
) -> Call:
    unknown = message.state == State.UNCONFIRMED
    return Call(
        clinic_id=message.clinic_id,
        patient_id=patient.id,
        external_id=patient.external_id,
        phone=patient.phone,
        message_id=message.id,
        step=message.step,
        title=titles.get((message.clinic_id, message.step)) or message.template or message.kind,
        urgency=message.urgency,
        session_id=message.session_id,
        session_start=start,
        state=message.state,
        why=NOBODY_KNOWS if unknown else message.reason or message.state,
        at=ended_at,
        task_id=task.id if task else None,
    )


def _titles(db: Session, clinic_ids: Iterable[int], now: datetime) -> dict[tuple[int, str | None], str]:
    """What each step is called; a clinic whose plan can not be read has no titles, but patients to be called."""
    found: dict[tuple[int, str | None], str] = {}
    for clinic_id in clinic_ids:
        try:
            steps = live_plan(db, clinic_id, now=now)[1].steps
        except FactsError:
            continue
        found |= {(clinic_id, step.key): step.title for step in steps}
    return found


def _tasks(db: Session, messages: Collection[Message]) -> dict[int, Task]:
    """The latest task about each message, where there is one; what came of a doubt that is over says nothing of the patient."""
    by_identity = {f"missed:{message.identity}": message.id for message in messages}
    about = or_(Task.message_id.in_(by_identity.values()), Task.identity.in_(by_identity))
    in_doubt = {message.id for message in messages if message.state == State.UNCONFIRMED}
    said = or_(Task.kind != "unconfirmed", Task.message_id.in_(in_doubt))
    tasks = db.scalars(select(Task).where(about, said).order_by(Task.id))
    return {task.message_id or by_identity[task.identity]: task for task in tasks}
