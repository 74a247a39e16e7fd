"""From a case to everything its plan wants said, and when: the one computation of the plan.

``expand`` is pure and complete: a step that is not to be sent is in the answer too, with the reason. The planner
makes the table equal to it; the preview prints it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from service.domain.anchors import (
    anchor_moment,
    at_offset,
    expiry,
    identity,
    is_direct_reply,
    known_at,
    own_time,
    permission,
    too_late_for_evening,
)
from service.domain.careplan import OF_PATIENT, Anchor, CareDayEnd, Evening, Late, Step
from service.domain.case import Case, SessionFacts
from service.domain.conditions import KNOWN_WHEN_PLANNED, Circumstances, holds
from service.domain.windows import LEAST_USEFUL, local_day, next_opening, resolve_local

AFTER_NEWS = timedelta(minutes=2)
"""So that the last look at a reminder already knows that the patient was told of the new time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the plan wants of one step: a moment, or the reason why not (``skipped``).

    ``nominal_at`` is the step's own time; ``due_at`` the moment after windows, lateness and spacing.
    """

    step: Step
    session: SessionFacts | None
    identity: str
    nominal_at: datetime | None
    due_at: datetime | None
    expires_at: datetime | None
    skipped: str | None = None

    def skip(self, reason: str) -> "Entry":
        """The same step, not to be sent."""
        return replace(self, due_at=None, skipped=reason)


def expand(case: Case, *, already_out: Mapping[str, datetime] | None = None) -> list[Entry]:
    """Every step whose anchor is known, in plan order, then by session.

    ``already_out`` maps the identities of planned texts that left, to when: they keep their day, and it is taken.
    """
    entries = list(_timed(case))
    return _spaced(case, entries, already_out or {})


def circumstances(step: Step, session: SessionFacts | None, case: Case, *, at: datetime) -> Circumstances:
    """What the step's conditions are judged by at a moment, as far as the case alone says it."""
    return Circumstances(
        case=case,
        session=session,
        at=at,
        day=local_day(at, case.clinic.zone),
        day_missed=_day_missed(step, session, case),
        told=session.told if session else (),
    )


def _day_missed(step: Step, session: SessionFacts | None, case: Case) -> bool:
    if session is None or session.completed_at is None or not {"day_missed", "day_not_missed"} & set(step.conditions):
        return False
    nominal = at_offset(step.offset, session.completed_at, case.clinic.zone)
    opening = _first_chance(step, nominal, known_at(step, session, case), case)
    ends = at_offset(CareDayEnd(), session.completed_at, case.clinic.zone)
    return opening is None or opening > ends - LEAST_USEFUL


def _first_chance(step: Step, nominal: datetime, known: datetime | None, case: Case) -> datetime | None:
    hours, earliest = permission(step, case), max(nominal, known or nominal)
    if is_direct_reply(step, case):
        return earliest
    return None if hours is None else next_opening(earliest, *hours)


def _timed(case: Case) -> Iterator[Entry]:
    for step in case.plan.steps:
        sessions = [None] if step.anchor in OF_PATIENT else list(case.sessions)
        for session in sessions:
            anchor = anchor_moment(step, session, case)
            if anchor is not None:
                yield _entry(step, session, case, anchor)


def _entry(step: Step, session: SessionFacts | None, case: Case, anchor: datetime | date) -> Entry:
    nominal = at_offset(step.offset, anchor, case.clinic.zone)
    entry = Entry(
        step=step,
        session=session,
        identity=identity(step, session, case),
        nominal_at=nominal,
        due_at=nominal,
        expires_at=expiry(step.useless_after, session, case),
    )
    if (reason := _not_wanted(step, session, case, nominal)) is not None:
        return entry.skip(reason)
    timed = _timely(entry, known_at(step, session, case), case) if step.is_text else entry
    reason = _condition_against(step, session, case, at=timed.due_at or nominal)
    return timed if reason is None else timed.skip(reason)


def _not_wanted(step: Step, session: SessionFacts | None, case: Case, nominal: datetime) -> str | None:
    clinic, patient = case.clinic, case.patient
    if clinic.plan_name not in step.plans or (step.asks_number and not clinic.answers_understood):
        return "off"
    if patient.status != "active" or (
        step.is_text and (step.needs_consent or patient.phone is None) and patient.blocked
    ):
        return patient.blocked
    if (session.imported if session else patient.imported) and step.anchor in (Anchor.BOOKED, Anchor.PATIENT_ADDED):
        return "imported"
    if clinic.live_from is not None and nominal < clinic.live_from:
        return "past"
    if isinstance(step.offset, Evening) and too_late_for_evening(nominal, clinic.zone):
        return "evening"
    return None


def _condition_against(step: Step, session: SessionFacts | None, case: Case, *, at: datetime) -> str | None:
    known = [name for name in step.conditions if name in KNOWN_WHEN_PLANNED]
    if not known:
        return None
    now = circumstances(step, session, case, at=at)
    failed = next((name for name in known if not holds(name, now)), None)
    return None if failed is None else f"condition:{failed}"


def _timely(entry: Entry, known: datetime | None, case: Case) -> Entry:
    late = known is not None and entry.nominal_at is not None and entry.nominal_at < known
    if late and entry.step.late is Late.SKIP:
        return entry.skip("late")
    if entry.nominal_at is None or (due := _first_chance(entry.step, entry.nominal_at, known, case)) is None:
        return entry.skip("expired")
    if late and known is not None and entry.step.late is Late.NEXT_WINDOW:
        own = next(_own_clock_times(entry, case, not_before=known), None)
        return entry.skip("expired") if own is None else replace(entry, due_at=own)
    return _unless_expired(replace(entry, due_at=due))


def _unless_expired(entry: Entry) -> Entry:
    return entry.skip("expired") if entry.due_at and _useless(entry, entry.due_at) else entry


def _useless(entry: Entry, due: datetime) -> bool:
    return entry.expires_at is not None and due > entry.expires_at - LEAST_USEFUL


def _own_clock_times(entry: Entry, case: Case, *, not_before: datetime) -> Iterator[datetime]:
    """Openings at the step's own clock time (window start where it has none), day by day, while it is of use."""
    step, zone = entry.step, case.clinic.zone
    day = local_day(not_before, zone)
    while True:
        own = own_time(step, day, zone)
        due = _first_chance(step, own, None, case)
        if due is None or _useless(entry, due):
            return
        if own >= not_before:
            yield due
        day += timedelta(days=1)


def _spaced(case: Case, entries: list[Entry], out: Mapping[str, datetime]) -> list[Entry]:
    """One planned text per day of the clinic; the later in plan order moves on, aftercare parts follow each other."""
    zone = case.clinic.zone
    placed: dict[str, Entry] = {}
    for entry in entries:
        if entry.step.fixed or entry.identity in out or not entry.due_at or not entry.step.is_text:
            placed[entry.identity] = _following(entry, placed, case)
    taken = {local_day(moment, zone) for moment in out.values()}
    staying = (entry for entry in placed.values() if entry.identity not in out and entry.step.counts_for_day)
    taken |= {local_day(entry.due_at, zone) for entry in staying if entry.due_at}
    for entry in entries:
        if entry.identity not in placed:
            placed[entry.identity] = moved = _on_free_day(entry, case, taken)
            if moved.due_at is not None and moved.step.counts_for_day:
                taken.add(local_day(moved.due_at, zone))
    return [placed[entry.identity] for entry in entries]


def _following(entry: Entry, placed: Mapping[str, Entry], case: Case) -> Entry:
    """A second part keeps its distance to the first where that one has to wait; news of a move goes before reminders."""
    if entry.due_at is None or entry.session is None or not (entry.step.after_step or entry.session.moves):
        return entry
    for first in placed.values():
        distance = _distance(first, entry)
        if distance is not None and first.due_at:
            due = _first_chance(entry.step, max(entry.due_at, first.due_at + distance), None, case)
            return _unless_expired(replace(entry, due_at=due))
    return entry


def _distance(first: Entry, second: Entry) -> timedelta | None:
    """How long after ``first`` the second may go, or None where it need not wait for it."""
    if first.session is not second.session:
        return None
    if first.step.key in second.step.after_step and first.nominal_at and second.nominal_at:
        return second.nominal_at - first.nominal_at
    news = first.step.anchor is Anchor.MOVED and second.step.anchor is Anchor.SESSION_START
    return AFTER_NEWS if news and second.step.is_text else None


def _on_free_day(entry: Entry, case: Case, taken: set[date]) -> Entry:
    zone = case.clinic.zone
    if entry.due_at is None or not entry.step.counts_for_day or local_day(entry.due_at, zone) not in taken:
        return entry
    tomorrow = resolve_local(local_day(entry.due_at, zone) + timedelta(days=1), time(0, 0), zone)
    for due in _own_clock_times(entry, case, not_before=tomorrow):
        if local_day(due, zone) not in taken:
            return replace(entry, due_at=due)
    return entry.skip("spacing")
