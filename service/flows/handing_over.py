"""Texts from phones that a person has to act on: for each sort of text, how urgent it is, what happened, what to do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.flows.lines import Line
from service.flows.questions import Question
from service.store import tasks
from service.store.tables import Inbound, TreatmentSession

BEFORE_SESSION = timedelta(days=8)
"""Who opts out this near to a session may have meant the session: CANCEL is an opt-out word."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What a sort of text asks of staff."""

    kind: str
    level: str
    reason: str
    next_action: str


OTHER = Handover(
    "reply", "amber", "A text came that a person has to read.", "Read it in the inbox; answer it by phone."
)
HANDOVERS: Mapping[str, Handover] = {
    "help": Handover(
        "reply_help", "amber", "The patient asks for help.", "Phone: a person in trouble may text just this one word."
    ),
    "change": Handover(
        "reply_change",
        "amber",
        "The patient wants another time for the session.",
        "Phone and agree on one; the session stays booked until then.",
    ),
    "book": Handover("reply_book", "routine", "The patient wants to book a session.", "Phone and agree on a time."),
    "decline": Handover(
        "reply_decline",
        "routine",
        "The patient does not want the next session.",
        "Tell the care team; phone if they want to know why.",
    ),
    "unclear": Handover(
        "reply_unclear",
        "amber",
        "Patients who share this number were asked the same, and one text answered. Nothing was recorded.",
        "Phone, ask who answered, and record it.",
    ),
    "late": Handover(
        "reply_late",
        "amber",
        "The answer to a question came so late that it may mean something else. Nothing was recorded.",
        "Read it in the inbox; phone if it is not plain what it means, and record the answer.",
    ),
}


def hand_over(
    db: Session, inbound: Inbound, sort: str, *, line: Line, answered: Collection[Question], now: datetime
) -> None:
    """Put a text before the staff of the clinic that asked, or else of the one that texted the number last."""
    what = HANDOVERS.get(sort, OTHER)
    only = next(iter(answered)).message if len(answered) == 1 else None
    patient_id = only.patient_id if only else line.patients[0].id if len(line.patients) == 1 else None
    for clinic_id in sorted({question.message.clinic_id for question in answered}) or [line.clinic_id]:
        tasks.open_task(
            db,
            identity=f"inbound:{inbound.id}:{clinic_id}",
            kind=what.kind,
            clinic_id=clinic_id,
            patient_id=patient_id,
            session_id=only.session_id if only else None,
            message_id=only.id if only else None,
            inbound_id=inbound.id,
            level=what.level,
            now=now,
            reason=what.reason,
            next_action=what.next_action,
        )


def ask_about_sessions(db: Session, inbound: Inbound, *, line: Line, now: datetime) -> None:
    """Somebody opted out shortly before a session: did they mean the session?"""
    soon = select(TreatmentSession).where(
        TreatmentSession.patient_id.in_([patient.id for patient in line.patients]),
        TreatmentSession.status == "booked",
        TreatmentSession.scheduled_start > now,
        TreatmentSession.scheduled_start <= now + BEFORE_SESSION,
    )
    for session in db.scalars(soon.order_by(TreatmentSession.id)):
        tasks.open_task(
            db,
            identity=f"inbound:{inbound.id}:session:{session.id}",
            kind="opted_out_before_session",
            clinic_id=session.clinic_id,
            patient_id=session.patient_id,
            session_id=session.id,
            inbound_id=inbound.id,
            level="amber",
            now=now,
            reason="The patient opted out of texts in the week before this session.",
            next_action="Phone and ask whether they are coming: they may have meant the session. No more texts either way.",
        )
