"""Opting out and in: the ledger, and what it means at once for all that waits for the number."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.domain.careplan import Urgency
from service.domain.lifecycle import State
from service.flows.lines import Line, line_of
from service.store import attempts, consent, journal, messages
from service.store.tables import Message, Patient, PhoneNumber

REASON = "opted_out"
STILL_DUE = "stop_confirm"
"""The one text that an opt-out itself asks for."""


@dataclass(frozen=True, slots=True)
class Said:
    """What goes into the ledger: for which clinics, how it is known (text, provider, staff), and where the proof is."""

    clinic_ids: tuple[int, ...]
    method: str
    evidence: str | None
    wording_version: str | None = None


def withdraw(db: Session, *, number: str, sender_id: int, now: datetime, method: str, evidence: str | None) -> int:
    """Nothing more goes to the number from this sender, whoever has the number; returns how many waiting texts that ended.

    Texts that are leaving at this moment are left alone: they were looked at before.
    """
    _lock(db, number)
    line = line_of(db, number, sender_id=sender_id)
    at = _after_all(db, number, now)
    enter(db, line, Said(line.clinic_ids, method, evidence), granted=False, at=at)
    waiting = _waiting(db, line)
    for message in waiting:
        messages.change_state(db, message, State.CANCELLED, reason=REASON, settled_at=now, held_reason=None)
        journal.append(db, "withdrawn", at=now, message=message, reason=REASON)
    return len(waiting)


def grant(db: Session, line: Line, said: Said, *, now: datetime) -> None:
    """These clinics may text the number. That it texts proves that it takes texts, whatever was known before."""
    _lock(db, line.number)
    enter(db, line, said, granted=True, at=_after_all(db, line.number, now))
    blocked = update(PhoneNumber).where(PhoneNumber.number == line.number, PhoneNumber.blocked_at.is_not(None))
    db.execute(blocked.values(blocked_at=None, blocked_code=None, blocked_reason=None))


def enter(db: Session, line: Line, said: Said, *, granted: bool, at: datetime) -> None:
    """Lines of the ledger, one a clinic, and nothing else. The table's trigger marks the patients for planning."""
    for clinic_id in sorted(said.clinic_ids):
        consent.append(
            db,
            clinic_id=clinic_id,
            number=line.number,
            sender_id=line.sender_id,
            granted=granted,
            at=at,
            method=said.method,
            wording_version=said.wording_version,
            evidence=said.evidence,
        )


def _after_all(db: Session, number: str, now: datetime) -> datetime:
    """Now, but not before anything that is known of the number: whoever wrote it may have a clock that is ahead.

    What left while we waited for the number was lawful, too.
    """
    looked_at = attempts.newest_to(db, number)
    entered_at = (entry.at for entry in consent.entries_for(db, [number])[number])
    return max([now, *([looked_at] if looked_at else []), *entered_at])


def _lock(db: Session, number: str) -> None:
    """Patients first, as planning does, then the number, as sending does: in that order nobody waits in a circle."""
    own = select(Patient.id).where(Patient.phone == number).order_by(Patient.id)
    db.execute(own.with_for_update(key_share=True))
    messages.lock_numbers(db, [number])


def _waiting(db: Session, line: Line) -> list[Message]:
    """Planned texts to the number but for safety texts. Those another worker holds meet the ledger in their last look."""
    of_patients = Message.patient_id.in_([patient.id for patient in line.patients])
    # Answers to a number that is nobody's: few, and of the highest priority, which the claim's index begins with.
    urgent, sender = Urgency.REPLY.priority, line.sender_id
    answers = (Message.sender_id == sender) & (Message.priority == urgent) & (Message.to_number == line.number)
    planned = select(Message).where(
        messages.PLANNED,
        Message.kind != "page",
        Message.urgency != Urgency.SAFETY,
        or_(Message.template.is_(None), Message.template != STILL_DUE),
    )
    found: dict[int, Message] = {}
    for of_number in (of_patients, answers):
        free = planned.where(of_number).order_by(Message.id).with_for_update(skip_locked=True)
        found |= {m.id: m for m in db.scalars(free, execution_options={"populate_existing": True})}
    return list(found.values())
