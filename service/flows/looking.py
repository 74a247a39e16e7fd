"""Gathering what the last look asks about, for a batch of claimed texts at once."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from sqlalchemy import and_, exists, func, or_, select
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
from service.flows.approving import UNAPPROVED_TEXT
from service.flows.casework import load_cases
from service.flows.policy import SendingPolicy
from service.flows.spending import SPEND_LIMIT, Purse
from service.store import consent, messages
from service.store.columns import UtcDateTime
from service.store.tables import Clinic, Message, Patient, SendAttempt, Sender

Known = TypeVar("Known", Clinic, Patient)
WAITING = (State.PLANNED, State.SENDING)
A_DAY = timedelta(hours=25)
"""The longest that a day of any zone lasts."""
DAILY_CAP = "daily_cap"
NOT_WRITABLE = "not_writable"
"""Held because the text has a hole that a person has to mend."""
STUCK = (NOT_WRITABLE, UNAPPROVED_TEXT)
"""What waits for a person keeps no part that follows it waiting."""


class Looking:
    """The facts of one moment about everybody whom a batch of one sender's texts concerns. The numbers stay locked to the end.

    ``stopped``: the reason of a stop that holds all of them.
    """

    def __init__(
        self,
        db: Session,
        claimed: Sequence[Message],
        *,
        sender: Sender,
        stopped: str | None,
        purse: Purse,
        now: datetime,
        policy: SendingPolicy,
    ) -> None:
        self._db, self._now = db, now
        self.sender, self._stopped, self._purse = sender, stopped, purse
        ids = {m.patient_id for m in claimed if m.patient_id is not None}
        self._patients = _by_id(db, Patient, ids)
        self._clinics = _by_id(db, Clinic, {m.clinic_id for m in claimed})
        fixed = {m.to_number for m in claimed if m.to_number is not None}
        self._numbers = messages.lock_numbers(db, fixed | {p.phone for p in self._patients.values() if p.phone})
        self._ledger = consent.entries_for(db, fixed)
        self.cases = load_cases(db, ids, now=now, answers_understood=policy.answers_understood)
        self._counts = messages.sent_counts(db, ids, now=now)
        self._more: Counter[int] = Counter()
        self._asked = _last_counts(db, self.cases)
        self._waiting = _waiting_parts(db, claimed, self.cases)
        self._today = _todays_texts(db, self.cases, now)
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
            day_taken=bool(self._today[case.patient.id] - {message.id}),
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
        if self._stopped is not None:
            return self._stopped
        if self.clinic_of(message).paused_at is not None:
            return "clinic_paused"
        if self._patient_paused(message):
            return "patient_paused"
        return self.no_more_today(message, segments=1)

    def no_more_today(self, message: Message, *, segments: int) -> str | None:
        """Why so much more of what is not urgent has no room in this day, if so: the carriers' cap, or the limit of money."""
        if message.priority != messages.PRIORITIES[-1]:
            return None
        if day_is_full(self.sender, self._now, segments=segments):
            return DAILY_CAP
        return SPEND_LIMIT if self._purse.lacks(segments) else None

    def paid(self, segments: int) -> None:
        """So many segments leave now."""
        self._purse.pay(segments)

    def counted(self, message: Message) -> None:
        """One more text that counts for the caps leaves in this batch."""
        if message.patient_id is not None:
            self._more[message.patient_id] += 1
        case = self.cases.get(message.patient_id or 0)
        step = case.plan.step(message.step) if case else None
        if case is not None and step is not None and step.counts_for_day:
            self._today[case.patient.id].add(message.id)

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


def day_is_full(sender: Sender, now: datetime, *, segments: int = 1) -> bool:
    """Whether what carriers take from the sender in a day leaves no room for so much more; what is urgent goes on."""
    used, allowed = sender.day_segments, sender.daily_segments
    return rates.day_is_full(now=now, day=sender.day, used=used, allowed=allowed, segments=segments)


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


def _todays_texts(db: Session, cases: dict[int, Case], now: datetime) -> dict[int, set[int]]:
    """By patient the texts that have taken the clinic's day already, or are going to and stand fixed.

    Planning gives each text a day of its own; one that trouble held up over the night may meet another's.
    """
    taken: dict[int, set[int]] = {patient_id: set() for patient_id in cases}
    left = and_(Message.state.in_(OUT_OF_HOUSE), Message.sent_at.between(now - A_DAY, now + A_DAY))
    to_come = and_(Message.state == State.PLANNED, Message.due_at.between(now - A_DAY, now + A_DAY))
    rows = select(Message.id, Message.patient_id, Message.step, Message.state, Message.sent_at, Message.due_at)
    of_patients = rows.where(Message.patient_id.in_(cases), Message.kind == "plan", or_(left, to_come))
    for message_id, patient_id, key, state, sent_at, due_at in db.execute(of_patients):
        case, at = cases[patient_id or 0], due_at if state == State.PLANNED else sent_at
        step, zone = case.plan.step(key), case.clinic.zone
        takes = step is not None and step.counts_for_day and (step.fixed or state != State.PLANNED)
        if takes and at is not None and local_day(at, zone) == local_day(now, zone):
            taken[case.patient.id].add(message_id)
    return taken


def _waiting_parts(db: Session, claimed: Sequence[Message], cases: dict[int, Case]) -> set[int]:
    """Texts that follow another one of the same session which has not left yet, and is not stuck either.

    One that the provider took once has left, even if it is to be sent again because the carrier failed.
    """
    waiting: set[int] = set()
    for message in claimed:
        case = cases.get(message.patient_id or 0)
        step = case.plan.step(message.step) if case else None
        if step is None or not step.after_step:
            continue
        first = aliased(Message)
        ahead = select(first.id).where(first.session_id == message.session_id, first.step.in_(step.after_step))
        on_its_way = first.state.in_(WAITING), func.coalesce(first.held_reason, "").not_in(STUCK)
        was_taken = exists().where(SendAttempt.message_id == first.id, SendAttempt.outcome == "accepted")
        if db.scalar(ahead.where(*on_its_way, first.kind == "plan", ~was_taken).limit(1)) is not None:
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
