"""Answers to texts from phones: rows of the message table, due at once, that leave through the one dispatcher."""

import re
from datetime import datetime, timedelta

from sqlalchemy import String, cast, func, literal, select
from sqlalchemy.orm import Session

from service.domain.careplan import Urgency
from service.domain.lifecycle import State
from service.flows.lines import Line
from service.store import messages
from service.store.columns import UtcDateTime
from service.store.inserts import insert_new
from service.store.tables import Clinic, Inbound, Message, Patient

E164 = re.compile(r"\+[1-9]\d{6,14}")
LIMITS = {"unknown_reply": (1, timedelta(hours=12))}
LOOP = (3, timedelta(hours=1))
"""The same answer this often: perhaps a machine is at the other end. ``LIMITS`` is stricter where the plan is."""
POLLED_LATE = timedelta(days=1)


def reply(
    db: Session,
    inbound: Inbound,
    *,
    template: str,
    line: Line,
    now: datetime,
    expires_in: timedelta,
    urgency: Urgency = Urgency.REPLY,
) -> bool:
    """Answer a text, in the patient's language or else the clinic's. ``expires_in`` counts from when the text was said.

    False where that answer stands already, was given often enough, or cannot be: a sender by name or short code, a number
    of patients who are all to be left in peace.
    """
    patient = next((p for p in line.patients if p.status == "active"), None)
    if not E164.fullmatch(line.number) or (line.patients and patient is None):
        return False
    messages.lock_numbers(db, [line.number])
    most, within = LIMITS.get(template, LOOP)
    if _answered(db, line.number, template=template, since=now - within) >= most:
        return False
    clinic_id = patient.clinic_id if patient else line.clinic_id
    answer = insert_new(
        db,
        Message,
        identity=f"reply:{inbound.id}:{template}",
        kind="reply",
        template=template,
        clinic_id=clinic_id,
        patient_id=patient.id if patient else None,
        inbound_id=inbound.id,
        urgency=urgency,
        priority=urgency.priority,
        sender_id=line.sender_id,
        state=State.PLANNED,
        nominal_at=now,
        due_at=now,
        attempt_at=now,
        expires_at=min(inbound.received_at, now) + expires_in,
        to_number=line.number,
        language=_language(db, patient, clinic_id),
    )
    return answer is not None


def _language(db: Session, patient: Patient | None, clinic_id: int) -> str:
    if patient is not None and patient.language:
        return patient.language
    return db.get_one(Clinic, clinic_id).languages.split(",")[0]


def _answered(db: Session, number: str, *, template: str, since: datetime) -> int:
    """How often the number got this answer. By identity, because texts from a number and identities are indexed."""
    identity = literal("reply:") + cast(Inbound.id, String) + literal(f":{template}")
    given = (
        select(func.count())
        .select_from(Inbound)
        .join(Message, Message.identity == identity)
        .where(
            Inbound.from_number == number,
            Inbound.received_at > since - POLLED_LATE,
            func.coalesce(Message.sent_at, Message.due_at, type_=UtcDateTime()) > since,
            Message.state.not_in((State.CANCELLED, State.MISSED)),
        )
    )
    return db.scalar(given) or 0
