"""Putting before staff what texting alone can not mend: each sentence says what happened and what to do."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from service.domain.careplan import Step
from service.domain.case import Case, SessionFacts
from service.domain.errors import AftercareError
from service.flows.casework import FactsError
from service.store import tasks
from service.store.tables import Message, Patient, Task

log = structlog.get_logger()

SAY_AGAIN = timedelta(days=1)
"""So long after staff closed the task about data that can not be used it is put before them again, if that is still so."""


def tell_missed(
    db: Session, case: Case, *, identity: str, step: Step | None, now: datetime, reason: str = "its useful time passed"
) -> None:
    """A planned text will not be sent, and the plan wants staff to speak to the patient instead."""
    if step is None or not step.on_missed_task:
        return
    tasks.open_task(
        db,
        identity=f"missed:{identity}",
        kind="missed_text",
        clinic_id=case.clinic.id,
        patient_id=case.patient.id,
        session_id=_session_of(identity),
        level="amber" if step.urgency.priority < 2 else "routine",
        now=now,
        reason=f"{step.title}: the text was not sent ({reason}).",
        next_action="Phone the patient and say what the text would have said.",
    )


def tell_two_sessions(db: Session, case: Case, *, now: datetime) -> None:
    """Two live sessions stand so close that one is probably the other entered twice; the later one's texts wait."""
    for session_id in sorted(case.held_sessions()):
        tasks.open_task(
            db,
            identity=f"two_sessions:{session_id}",
            kind="two_sessions",
            clinic_id=case.clinic.id,
            patient_id=case.patient.id,
            session_id=session_id,
            level="amber",
            now=now,
            reason="The patient has another session within 20 hours of this one. Nothing is texted about this one.",
            next_action="Cancel the one that is wrong; if both are right, phone the patient about the second.",
        )


def tell_wrongly_told(db: Session, case: Case, *, now: datetime) -> None:
    """A session that was told to the patient turns out never to have been meant."""
    for session in case.sessions:
        if session.status == "entered_in_error" and _was_told(session):
            tasks.open_task(
                db,
                identity=f"wrongly_told:{session.id}",
                kind="wrongly_told",
                clinic_id=case.clinic.id,
                patient_id=case.patient.id,
                session_id=session.id,
                level="amber",
                now=now,
                reason="The session was entered in error, and the patient had been told of its time.",
                next_action="Phone the patient and say that there is no such session.",
            )


def tell_unconfirmed(db: Session, message: Message, *, now: datetime) -> bool:
    """Nobody can prove whether the patient has the text: it is not sent again, and a person decides. False if told before."""
    urgent = message.priority < 2
    ask = "Phone the patient at once and say what the text says." if urgent else "If it matters what it says, phone."
    return tasks.open_about(
        db,
        message,
        identity=f"unconfirmed:{message.id}:{message.attempts}",
        kind="unconfirmed",
        level="red" if urgent else "routine",
        now=now,
        reason="The provider did not say whether it took this text, and nothing proves it. It is not sent again by itself.",
        next_action=f"{ask} Then say what you found: `aftercare message decide {message.id} --sent` or `--not-sent`. "
        "Should a receipt come, this closes by itself.",
    )


def tell_sent_twice(db: Session, message: Message, *, now: datetime) -> None:
    """The provider reports on a text of ours under an id that none of our requests got: it may have sent it twice."""
    tasks.open_about(
        db,
        message,
        identity=f"sent_twice:{message.id}",
        kind="sent_twice",
        level="red",
        now=now,
        reason="The provider reports on this text under an id that it did not give us: it may have gone out twice.",
        next_action="Look into the provider's list, phone the patient if need be, and tell whoever runs the service.",
    )


def tell_left_after_all(db: Session, message: Message, *, now: datetime) -> None:
    """What was ended as not sent has left: the plan went on as if the patient did not have it."""
    tasks.open_about(
        db,
        message,
        identity=f"left_after_all:{message.id}",
        kind="left_after_all",
        level="amber",
        now=now,
        reason=f"The provider reports that it had taken this text, which was held for not sent and has ended as {message.state}.",
        next_action="Phone the patient if what the text says is not so any more.",
    )


def end_doubt(db: Session, message: Message, *, attempt: int, outcome: str, now: datetime) -> None:
    """Nobody has to find out any more whether the provider took it."""
    for task_id in db.scalars(select(Task.id).where(_of_doubt(message, attempt))).all():
        tasks.close(db, task_id, outcome=outcome, now=now)


def doubt_again(db: Session, message: Message, *, attempt: int) -> None:
    """What had ended the doubt proves nothing: if a person had been asked to find out, one is asked again."""
    task = db.scalar(select(Task).where(_of_doubt(message, attempt), Task.state == "closed"))
    if task is not None:
        task.state, task.closed_at, task.outcome = "open", None, None


def _of_doubt(message: Message, attempt: int) -> ColumnElement[bool]:
    return Task.identity == f"unconfirmed:{message.id}:{attempt}"


def tell_unplannable(db: Session, errors: Mapping[int, Exception], *, now: datetime) -> None:
    """Nothing can be computed of these patients (by id), or of their whole clinics: one task about each, however long it is so."""
    of = select(Patient.id, Patient.clinic_id).where(Patient.id.in_(errors))
    said = [_unplannable(patient_id, clinic_id, errors[patient_id]) for patient_id, clinic_id in db.execute(of)]
    wanted = {task["identity"]: task for task in said}
    there = {task.identity: task for task in db.scalars(select(Task).where(Task.identity.in_(wanted)))}
    for identity, task in wanted.items():
        if identity in there:
            _say_again(there[identity], task["reason"], now)
        else:
            tasks.open_task(db, **task, now=now)
            log.error("planning_failed", whose=identity.partition(":")[2])


def _unplannable(patient_id: int, clinic_id: int, error: Exception) -> dict[str, Any]:
    whose = error.whose if isinstance(error, FactsError) else f"patient {patient_id}"
    # Words that were not written for staff may repeat what stands in a row.
    why = str(error) if isinstance(error, AftercareError) else type(error).__name__
    return {
        "identity": f"planning_failed:{whose}",
        "kind": "planning_failed",
        "clinic_id": clinic_id,
        "patient_id": None if whose.startswith("clinic") else patient_id,
        "level": "amber",
        "reason": f"The texts of {whose} can not be planned, so none is sent. {why}",
        "next_action": "Correct the data; planning is then tried again by itself.",
    }


def _say_again(task: Task, reason: str, now: datetime) -> None:
    """Open it again where something else is wrong, or where it was closed a while ago and nothing was mended."""
    if task.reason != reason or (task.closed_at is not None and task.closed_at <= now - SAY_AGAIN):
        task.state, task.reason, task.opened_at, task.due_at = "open", reason, now, now
        task.closed_at, task.outcome = None, None


def _was_told(session: SessionFacts) -> bool:
    return any(not told.called_off for told in session.told)


def _session_of(identity: str) -> int | None:
    kind, number, *_ = identity.split(":")
    return int(number) if kind == "plan" else None
