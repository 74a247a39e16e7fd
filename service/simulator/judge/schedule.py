"""All texts that a plan wants of one patient as one reader sees them: at their times, and one a day."""

from dataclasses import replace
from datetime import date, time, timedelta

from service.simulator.judge.case import Case, Key, key_of
from service.simulator.judge.slots import Slot, chance, own_clock_times, slot_of, too_late
from service.simulator.judge.walls import DAY, day_of, moment_of

AFTER_NEWS = timedelta(minutes=2)
"""A reminder may wait for the text that tells of the new time, so that it is not needed any more."""
Schedule = dict[Key, Slot]


def schedule(case: Case, *, quick: bool) -> Schedule:
    """Every step whose anchor is known, in the order of the plan, then of the sessions."""
    slots: Schedule = {}
    held = case.too_close()
    for step in case.plan.steps:
        if case.clinic.plan in step.plans:
            for visit in [None] if step.of_patient else case.visits:
                slot = slot_of(step, visit, case, quick=quick)
                if slot is not None:
                    is_held = visit is not None and visit.key in held
                    slots[key_of(step, visit)] = replace(slot, held=True) if is_held else slot
    return _spaced(slots, case, quick=quick)


def _spaced(slots: Schedule, case: Case, *, quick: bool) -> Schedule:
    """At most one planned text a day of the clinic; fixed steps stay, of two others the later in plan order moves."""
    left = {**case.perhaps_left, **case.left} if quick else dict(case.left)
    placed: Schedule = {}
    for key, slot in slots.items():
        if slot.step.fixed or key in left or slot.skips or not slot.step.is_text:
            placed[key] = _following(slot, slots, placed, case, quick=quick)
    taken = {day_of(at, case.zone) for key, at in left.items() if _counts(key, case)}
    for key, slot in placed.items():
        if key not in left and slot.due is not None and not slot.skips and slot.step.takes_a_day:
            taken.add(day_of(slot.due, case.zone))
    for key, slot in slots.items():
        if key not in placed:
            placed[key] = moved = _on_free_day(slot, case, taken)
            if moved.due is not None and not moved.skips and moved.step.takes_a_day:
                taken.add(day_of(moved.due, case.zone))
    return {key: placed[key] for key in slots}


def _counts(key: Key, case: Case) -> bool:
    step = case.plan.step(key[1])
    return step is None or step.takes_a_day


def _following(slot: Slot, slots: Schedule, placed: Schedule, case: Case, *, quick: bool) -> Slot:
    """The second part keeps its two minutes to the first; a reminder may wait for the news of a move."""
    if slot.visit is None or slot.due is None or slot.skips or not slot.step.is_text:
        return slot
    waits = []
    for first in placed.values():
        same = first.visit is not None and first.visit.key == slot.visit.key
        if same and first.due is not None and not first.skips and first.step.key in slot.step.after:
            waits.append(first.due + (slot.own - first.own))
    for news in slots.values():
        same = news.visit is not None and news.visit.key == slot.visit.key
        is_news = news.step.anchor == "moved" and slot.step.anchor == "session_start"
        if same and is_news and not quick and news.due is not None and not news.skips:
            waits.append(news.due + AFTER_NEWS)
    if not waits:
        return slot
    due = chance(slot.step, case, max(slot.due, *waits))
    slot = replace(slot, due=due)
    return slot.skip("expired") if due is None or too_late(slot, due) else slot


def _on_free_day(slot: Slot, case: Case, taken: set[date]) -> Slot:
    if slot.due is None or not slot.step.takes_a_day or day_of(slot.due, case.zone) not in taken:
        return slot
    tomorrow = moment_of(day_of(slot.due, case.zone) + DAY, time(), case.zone)
    for due in own_clock_times(slot, case, tomorrow):
        if day_of(due, case.zone) not in taken:
            return replace(slot, due=due)
    return slot.skip("spacing")
