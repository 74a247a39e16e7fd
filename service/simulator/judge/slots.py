"""When one text of a plan should go out, reckoned from the words of the plan's file and the truth of one moment.

Two readers reckon it: a quick one, who notices everything at once, and a slow one, who needs as long as is allowed. What
both want is owed to the patient; what one of them wants may be sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from service.simulator.judge.case import Case
from service.simulator.judge.conditions import failing
from service.simulator.judge.plan import Step
from service.simulator.judge.visits import Visit
from service.simulator.judge.walls import DAY, LEAST_LEFT, MINUTE, Hours, both, closing, day_of, moment_of, opening

EVENING, EVENING_ENDS, CARE_ENDS = time(20), time(20, 45), time(21)
STATUS = {
    "booked": "booked",
    "moved": "booked",
    "session_start": "booked",
    "cancelled": "cancelled",
    "no_show": "no_show",
    "completed": "completed",
    "due": "completed",
}
"""In which status of its session a step is wanted, by its anchor."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One text as one reader sees it: its own time, when it may go, until when; ``skips`` are all reasons not to send it.

    ``alone``: when it could go if no other text took the day.
    """

    step: Step
    visit: Visit | None
    own: datetime
    due: datetime | None
    until: datetime | None
    skips: frozenset[str]
    held: bool = False
    owed: bool = True
    alone: datetime | None = None

    def skip(self, reason: str) -> "Slot":
        """The same with one more reason not to send it."""
        return replace(self, skips=self.skips | {reason})


def anchor_of(step: Step, visit: Visit | None, case: Case, *, quick: bool) -> datetime | date | None:
    """The step's event; None where it did not happen or no longer counts."""
    if visit is None:
        heard = case.added if step.anchor == "patient_added" else case.consented
        return heard.by(quick=quick) if heard else None
    if visit.status != STATUS[step.anchor] or (visit.status == "completed" and not case.is_newest(visit)):
        return None
    return _event(step.anchor, visit, case, quick=quick)


def _event(anchor: str, visit: Visit, case: Case, *, quick: bool) -> datetime | date | None:
    noted = {"booked": visit.booked, "moved": visit.moved, "cancelled": visit.cancelled, "no_show": visit.missed}
    if anchor in noted:
        heard = noted[anchor]
        return heard.by(quick=quick) if heard else None
    return {"session_start": visit.start, "completed": visit.done, "due": case.due_day(visit)}[anchor]


def _own_time(offset: Any, anchor: datetime | date, case: Case) -> datetime:
    day = day_of(anchor, case.zone) if isinstance(anchor, datetime) else anchor
    exact = anchor if isinstance(anchor, datetime) else moment_of(anchor, time(), case.zone)
    if offset == "evening":
        return max(moment_of(day, EVENING, case.zone), exact + timedelta(hours=2))
    if offset.get("rule") == "care_day_end":
        return moment_of(day, CARE_ENDS, case.zone)
    if "minutes" in offset:
        return exact + int(offset["minutes"]) * MINUTE
    return moment_of(day + int(offset["days"]) * DAY, time.fromisoformat(offset["at"]), case.zone)


def _known(step: Step, visit: Visit | None, case: Case, *, quick: bool) -> datetime | None:
    """When the step could be wanted at the earliest, because its session, its end or the consent was not known before."""
    heard = [case.textable] if step.needs_consent else []
    if visit is not None:
        if step.anchor == "session_start":
            heard += [visit.booked, visit.moved]
        if step.anchor in {"completed", "due"}:
            heard.append(visit.done_known)
        if "not_rebooked" in step.conditions:
            heard += [v.cancelled if v.status == "cancelled" else v.missed for v in case.later(visit) if not v.is_live]
    return max((one.by(quick=quick) for one in heard if one is not None), default=None)


def hours_of(step: Step, case: Case) -> tuple[Hours, Any] | None:
    """In which hours, on whose clock, a step may be sent; None: never. Care keeps its own, on the clinic's clock."""
    if step.care:
        return step.hours, case.zone
    hours = both(step.hours, case.clinic.hours)
    return None if hours is None else (hours, case.patient.zone or case.zone)


def is_direct(step: Step, case: Case) -> bool:
    """Whether the step answers a text that just came, and so keeps no hours."""
    return step.direct and case.by_text


def chance(step: Step, case: Case, moment: datetime) -> datetime | None:
    if not step.is_text or is_direct(step, case):
        return moment
    hours = hours_of(step, case)
    return None if hours is None else opening(moment, *hours)


def slot_of(step: Step, visit: Visit | None, case: Case, *, quick: bool) -> Slot | None:
    anchor = anchor_of(step, visit, case, quick=quick)
    if anchor is None:
        return None
    own = _own_time(step.offset, anchor, case)
    slot = Slot(
        step, visit, own, own, _useless(step, visit, case, quick=quick), frozenset(_unwanted(step, visit, case, own))
    )
    slot = _timed(slot, case, quick=quick)
    since = case.on_since.get(step.key)
    is_open = step.needs_consent and (case.standing == "unclear" or _perhaps_late(step, case, own))
    if (since is not None and own < since) or is_open:
        slot = replace(slot, owed=False)
    fails = "day_not_missed" if _day_missed(slot, case, quick=quick) else "day_missed"
    if fails in step.conditions:
        slot = slot.skip(f"condition:{fails}")
    for name in failing(step, visit, case, at=slot.due or own, quick=quick):
        slot = slot.skip(f"condition:{name}")
    return slot


def _perhaps_late(step: Step, case: Case, own: datetime) -> bool:
    """Whether its time came while it is open whether anybody knew yet that the patient may be texted."""
    heard = case.textable
    return step.late == "skip" and heard is not None and heard.soon <= own < heard.late


def _useless(step: Step, visit: Visit | None, case: Case, *, quick: bool) -> datetime | None:
    if step.useless is None:
        return None
    source = step.useless.get("from", "completed")
    if visit is None:
        anchor: datetime | date | None = anchor_of(step, None, case, quick=quick)
    else:
        anchor = _event(source, visit, case, quick=quick)
    return None if anchor is None else _own_time(step.useless, anchor, case)


def _unwanted(step: Step, visit: Visit | None, case: Case, own: datetime) -> Iterator[str]:
    if step.asks_number and step.is_text and not case.clinic.answers:
        yield "off"
    if case.patient.status != "active" or (step.needs_consent and case.blocked is not None):
        yield case.blocked or ""
    if step.is_text and not step.needs_consent and case.patient.number is None:
        yield "no_number"
    if step.anchor in {"booked", "patient_added"} and (visit.imported if visit else case.patient.imported):
        yield "imported"
    if case.clinic.live_from is not None and own < case.clinic.live_from:
        yield "past"
    if step.offset == "evening" and visit is not None and own > _evening_ends(visit, case):
        yield "evening"


def _evening_ends(visit: Visit, case: Case) -> datetime:
    return moment_of(day_of(visit.done or visit.start, case.zone), EVENING_ENDS, case.zone)


def _timed(slot: Slot, case: Case, *, quick: bool) -> Slot:
    step, known = slot.step, _known(slot.step, slot.visit, case, quick=quick)
    if not step.is_text:
        return slot
    is_late = known is not None and slot.own < known
    due = chance(step, case, max(slot.own, known or slot.own))
    if is_late and step.late == "next_window" and known is not None:
        due = next(own_clock_times(slot, case, known), None)
    slot = replace(slot, due=due, alone=due)
    if is_late and step.late == "skip":
        slot = slot.skip("late")
    return slot.skip("expired") if due is None or too_late(slot, due) else slot


def too_late(slot: Slot, due: datetime) -> bool:
    return slot.until is not None and due > slot.until - LEAST_LEFT


def own_clock_times(slot: Slot, case: Case, not_before: datetime) -> Iterator[datetime]:
    """The step's own clock time day by day, or where it has none the start of its window, while it is of use."""
    offset = slot.step.offset
    at = time.fromisoformat(offset["at"]) if "at" in offset else slot.step.hours[0]
    day = day_of(not_before, case.zone)
    while True:
        own = moment_of(day, at, case.zone)
        due = chance(slot.step, case, own)
        if due is None or too_late(slot, due):
            return
        if own >= not_before:
            yield due
        day += DAY


def _day_missed(slot: Slot, case: Case, *, quick: bool) -> bool:
    """Whether aftercare can not go out on the day of the session: recorded too late, or the window is closed."""
    visit = slot.visit
    if visit is None or visit.done is None:
        return False
    known = _known(slot.step, visit, case, quick=quick)
    goes = chance(slot.step, case, max(slot.own, known or slot.own))
    return goes is None or goes > moment_of(day_of(visit.done, case.zone), CARE_ENDS, case.zone) - LEAST_LEFT


def window_end(step: Step, case: Case, at: datetime) -> datetime | None:
    """When the hours close in which the step may be sent at ``at``; None: they are closed, or it may never go."""
    hours = hours_of(step, case)
    return None if hours is None else closing(at, *hours)
