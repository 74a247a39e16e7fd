"""Putting before staff what texting alone can not mend: each sentence says what happened and what to do."""

from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.domain.careplan import Step
from service.domain.case import Case, SessionFacts
from service.flows.casework import FactsError
from service.store import tasks
from service.store.tables import Message, Patient, Task

log = structlog.get_logger()


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


def tell_unconfirmed(db: Session, message: Message, *, now: datetime) -> None:
    """Nobody knows whether the patient has the text: it is not sent again, and a person decides."""
    tasks.open_task(
        db,
        identity=f"unconfirmed:{message.id}:{message.attempts}",
        kind="unconfirmed",
        clinic_id=message.clinic_id,
        patient_id=message.patient_id,
        session_id=message.session_id,
        message_id=message.id,
        level="amber" if message.priority < 2 else "routine",
        now=now,
        reason="The provider did not say whether it took this text. It is not sent again by itself.",
        next_action="If the patient needs what it says, phone. Close this when a receipt arrives.",
    )


def end_doubt(db: Session, message: Message, *, attempt: int, outcome: str, now: datetime) -> None:
    """Nobody has to find out any more whether the provider took it."""
    doubt = db.scalar(select(Task.id).where(Task.identity == f"unconfirmed:{message.id}:{attempt}"))
    if doubt is not None:
        tasks.close(db, doubt, outcome=outcome, now=now)


def tell_unplannable(db: Session, patient: Patient, error: Exception, *, now: datetime) -> None:
    """Nothing can be computed of this patient, or of the whole clinic: said anew on every day on which it is so."""
    whose = error.whose if isinstance(error, FactsError) else f"patient {patient.id}"
    # A database's own words may repeat what stands in a row.
    why = type(error).__name__ if isinstance(error, DBAPIError) else str(error)
    opened = tasks.open_task(
        db,
        identity=f"planning_failed:{whose}:{now.date()}",
        kind="planning_failed",
        clinic_id=patient.clinic_id,
        patient_id=None if whose.startswith("clinic") else patient.id,
        level="amber",
        now=now,
        reason=f"The texts of {whose} can not be planned, so none is sent. {why}",
        next_action="Correct the data; planning is then tried again by itself.",
    )
    if opened:
        log.error("planning_failed", whose=whose, error=type(error).__name__)


def _was_told(session: SessionFacts) -> bool:
    return any(not told.called_off for told in session.told)


def _session_of(identity: str) -> int | None:
    kind, number, *_ = identity.split(":")
    return int(number) if kind == "plan" else None
