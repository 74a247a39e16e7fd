"""Gathering what the last look asks about, for a batch of claimed texts at once."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from service.domain import rates
from service.domain.careplan import Step
from service.domain.case import Case, SessionFacts
from service.domain.conditions import Circumstances
from service.domain.consent import standing
from service.domain.eligibility import DirectLook, Look
from service.domain.expansion import circumstances
from service.domain.lifecycle import OUT_OF_HOUSE, State
from service.domain.windows import local_day
from service.flows.casework import load_cases
from service.flows.policy import SendingPolicy
from service.store import consent, messages, running
from service.store.columns import UtcDateTime
from service.store.tables import Clinic, Message, Patient, SendAttempt, Sender

Known = TypeVar("Known", Clinic, Patient, Sender)
WAITING = (State.PLANNED, State.SENDING)
NOT_WRITABLE = "not_writable"
"""Held because the text has a hole that a person has to mend."""


class Looking:
    """The facts of one moment about everybody a batch of texts concerns. The numbers stay locked to the end."""

    def __init__(self, db: Session, claimed: Sequence[Message], *, now: datetime, policy: SendingPolicy) -> None:
        self._db, self._now = db, now
        ids = {m.patient_id for m in claimed if m.patient_id is not None}
        self._patients = _by_id(db, Patient, ids)
        self._clinics = _by_id(db, Clinic, {m.clinic_id for m in claimed})
        self._senders = _by_id(db, Sender, {m.sender_id for m in claimed})
        fixed = {m.to_number for m in claimed if m.to_number is not None}
        self._numbers = messages.lock_numbers(db, fixed | {p.phone for p in self._patients.values() if p.phone})
        self._ledger = consent.entries_for(db, fixed)
        self.cases = load_cases(db, ids, now=now, answers_understood=policy.answers_understood)
        self._counts = messages.sent_counts(db, ids, now=now)
        self._more: Counter[int] = Counter()
        self._asked = _last_counts(db, self.cases)
        self._waiting = _waiting_parts(db, claimed, self.cases)
        self._all_paused = running.installation(db).paused_at is not None
        # Last of all: a change that came while the facts were read has set its mark by now.
        self._marked = set(db.scalars(select(Patient.id).where(Patient.id.in_(ids), Patient.marked)))

    def at(self, message: Message) -> Look | None:
        """The look at one text about a patient; None where the patient's facts can not be used."""
        case = self.cases.get(message.patient_id or 0)
        if case is None:
            return None
        step = case.plan.step(message.step)
        session = next((s for s in case.sessions if s.id == message.session_id), None)
        if case.patient.id in self._marked:
            return Look(case, step, session, None, message.expires_at, marked=True, held_reason=message.held_reason)
        day, week = self._counts[case.patient.id]
        more = self._more[case.patient.id]
        return Look(
            case=case,
            step=step,
            session=session,
            circumstances=None if step is None else self._circumstances(message, step, session, case),
            expires_at=message.expires_at,
            paused=self.paused(message),
            number_blocked=self._blocked(case.patient.phone),
            sent_24h=day + more,
            sent_7d=week + more,
            waits_for_part=message.id in self._waiting,
            held_reason=message.held_reason,
        )

    def clinic_of(self, message: Message) -> Clinic:
        """The clinic that the text is from."""
        return self._clinics[message.clinic_id]

    def directly_at(self, message: Message) -> DirectLook:
        """The look at a text whose number is fixed."""
        lines = self._ledger.get(message.to_number or "", [])
        return DirectLook(
            kind=message.kind,
            template=message.template,
            urgency=message.urgency,
            number=message.to_number,
            standing=standing(lines, clinic_id=message.clinic_id, sender_id=message.sender_id, now=self._now),
            expires_at=message.expires_at,
            paused=self.paused(message),
            number_blocked=self._blocked(message.to_number),
            held_reason=message.held_reason,
        )

    def paused(self, message: Message) -> str | None:
        """Which pause holds the text, the widest first."""
        sender = self._senders[message.sender_id]
        if self._all_paused:
            return "paused"
        if sender.paused_at is not None:
            return "sender_paused"
        if self.clinic_of(message).paused_at is not None:
            return "clinic_paused"
        if self._patient_paused(message):
            return "patient_paused"
        return "daily_cap" if message.priority == messages.PRIORITIES[-1] and day_is_full(sender, self._now) else None

    def counted(self, patient_id: int) -> None:
        """One more text that counts for the caps leaves in this batch."""
        self._more[patient_id] += 1

    def _patient_paused(self, message: Message) -> bool:
        patient = self._patients.get(message.patient_id or 0) if message.kind == "plan" else None
        return patient is not None and patient.paused_until is not None and patient.paused_until > self._now

    def _blocked(self, number: str | None) -> bool:
        """Whether the number is known not to take texts."""
        row = self._numbers.get(number or "")
        return row is not None and row.blocked_at is not None

    def _circumstances(self, message: Message, step: Step, session: SessionFacts | None, case: Case) -> Circumstances:
        found = circumstances(step, session, case, at=self._now)
        asked_before = not step.needs_consent and _asked_before(self._db, message, case)
        return replace(found, last_count_day=self._asked.get(case.patient.id), asked_before=asked_before)


def day_is_full(sender: Sender, now: datetime) -> bool:
    """Whether the sender has used up what carriers take from it in a day; what is urgent goes on."""
    return rates.day_is_full(now=now, day=sender.day, used=sender.day_segments, allowed=sender.daily_segments)


def _last_counts(db: Session, cases: dict[int, Case]) -> dict[int, date]:
    """The clinic's day on which each patient was last asked for headache days; repetitions do not count."""
    found: dict[int, date] = {}
    plans = {case.clinic.id: case.plan for case in cases.values()}
    for clinic_id, plan in plans.items():
        of_clinic = [patient_id for patient_id, case in cases.items() if case.clinic.id == clinic_id]
        asked = select(Message.patient_id, func.max(Message.sent_at, type_=UtcDateTime())).where(
            Message.patient_id.in_(of_clinic),
            Message.step.in_([step.key for step in plan.steps if step.counts_headache_days]),
            Message.state.in_(OUT_OF_HOUSE),
            Message.sent_at.is_not(None),
        )
        last = db.execute(asked.group_by(Message.patient_id)).all()
        found |= {who: local_day(at, cases[who].clinic.zone) for who, at in last if who is not None and at is not None}
    return found


def _waiting_parts(db: Session, claimed: Sequence[Message], cases: dict[int, Case]) -> set[int]:
    """Texts that follow another one of the same session which has not left yet, and is not stuck either."""
    waiting: set[int] = set()
    for message in claimed:
        case = cases.get(message.patient_id or 0)
        step = case.plan.step(message.step) if case else None
        if step is None or not step.after_step:
            continue
        first = aliased(Message)
        ahead = select(first.id).where(first.session_id == message.session_id, first.step.in_(step.after_step))
        on_its_way = first.state.in_(WAITING), first.held_reason.is_distinct_from(NOT_WRITABLE)
        if db.scalar(ahead.where(*on_its_way, first.kind == "plan").limit(1)) is not None:
            waiting.add(message.id)
    return waiting


def _asked_before(db: Session, message: Message, case: Case) -> bool:
    """Whether anybody was ever asked for consent on this number."""
    asked = select(SendAttempt.id).join(Message, Message.id == SendAttempt.message_id)
    of_number = asked.where(
        SendAttempt.number == case.patient.phone,
        SendAttempt.clinic_id == message.clinic_id,
        Message.step == message.step,
        Message.id != message.id,
        messages.MAYBE_SENT,
    )
    return db.scalar(of_number.limit(1)) is not None


def _by_id(db: Session, table: type[Known], ids: Collection[int]) -> dict[int, Known]:
    """Rows by id, read once: asked for one by one they would be read again for each text."""
    return {row.id: row for row in db.scalars(select(table).where(table.id.in_(ids)))}
