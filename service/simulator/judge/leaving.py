"""Rules for each text of the plan that left: wanted then, by the right patient, in the right hours, in the right words."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from service.simulator.judge.epochs import Epoch, Story, Taken
from service.simulator.judge.slots import Slot, is_direct, window_end
from service.simulator.judge.verdict import Violation, utc
from service.simulator.judge.world import World, paused

MOST_VALID = 36_000
LEAST_VALID = 60
ON_THE_WAY = timedelta(seconds=21)
"""The validity is reckoned at the claim, and the text may leave up to 20 s later."""
OTHER_RULE = {
    "late": "late_booking_ignored",
    "spacing": "spacing_ignored",
    "expired": "sent_after_use",
    "past": "sent_before_go_live",
    "imported": "imported_announced",
    "evening": "evening_too_late",
    "off": "step_is_off",
    "no_number": "wrong_number",
}
"""Which rule a text breaks that should have been skipped for this reason."""


def judge_leaving(world: World, story: Story) -> Iterator[Violation]:
    """Everything that is wrong with the texts of the plan that one patient got."""
    for place, taken in enumerate(story.taken):
        again = any(before.take.label == taken.take.label for before in story.taken[:place])
        for rule, detail in _judged(world, story, place, again=again):
            yield violation(taken, rule, detail)


def violation(taken: Taken, rule: str, detail: str) -> Violation:
    """A rule that one text broke."""
    label = taken.take.label
    return Violation(rule, label.patient, label.session, label.step, taken.take.at, detail)


def _judged(world: World, story: Story, place: int, *, again: bool) -> Iterator[tuple[str, str]]:
    taken = story.taken[place]
    yield from taken.faults
    yield from _right_phone(taken)
    if (reason := _blocked(taken)) is not None:
        yield reason
        return
    if not again:
        yield from _wanted(world, taken)
    yield from _in_hours(world, taken)
    yield from _validity(world, taken)
    yield from _not_paused(world, taken)


def _right_phone(taken: Taken) -> Iterator[tuple[str, str]]:
    if not any(epoch.case.patient.number == taken.take.number for epoch in taken.epochs):
        yield "wrong_number", "it went to a number that is not the patient's"
    if not any(epoch.case.clinic.sender == taken.take.sender for epoch in taken.epochs):
        yield "wrong_sender", "it came from a sender that is not the clinic's"


def _blocked(taken: Taken) -> tuple[str, str] | None:
    """Why nothing that needs consent might go to the patient, in none of the epochs in which it was looked at."""
    reasons = [epoch.case.blocked for epoch in taken.epochs]
    step = taken.epoch.case.plan.step(taken.take.label.step)
    if None in reasons or (step is not None and not step.needs_consent and taken.epoch.case.patient.status == "active"):
        return None
    reason = reasons[0] or ""
    rule = {"opted_out": "sent_after_opt_out", "no_consent": "sent_without_consent"}.get(reason, "sent_to_inactive")
    return rule, f"the patient could not be texted: {reason}"


def _wanted(world: World, taken: Taken) -> Iterator[tuple[str, str]]:
    if taken.fits:
        return
    label = taken.take.label
    slots = [slot for epoch in taken.epochs for _, slot in epoch.slots(label.session, label.step)]
    if not slots:
        yield "not_wanted", f"the plan wants no such text: {_why_not(taken)}"
        return
    moment = min(world.clock.shown(taken.take.at), key=lambda shown: abs(shown - taken.take.at))
    yield min((_fault(slot, moment) for slot in slots), key=lambda fault: fault[0])[1:]


def _why_not(taken: Taken) -> str:
    label, case = taken.take.label, taken.epoch.case
    visit = next((visit for visit in case.visits if visit.key == label.session), None)
    if case.plan.step(label.step) is None:
        return "there is no such step"
    if label.session is not None and visit is None:
        return "the session is not the patient's"
    return f"the session is {visit.status}" if visit else "its event did not happen"


def _fault(slot: Slot, moment: datetime) -> tuple[int, str, str]:
    """What one reader has against it: the fewer reasons, the nearer the truth."""
    if slot.held:
        return 1, "two_sessions", "another session of the patient lies within 20 h"
    if slot.skips:
        reason = min(slot.skips)
        rule = "condition_ignored" if reason.startswith("condition:") else OTHER_RULE.get(reason, "not_wanted")
        return 1 + len(slot.skips), rule, f"it should have been skipped: {', '.join(sorted(slot.skips))}"
    if slot.due is not None and moment < slot.due:
        moved = slot.own <= moment
        early = slot.due - moment
        return 0, "too_early", f"{early} before it was due" + (" on another day or in another hour" if moved else "")
    return 0, "sent_after_use", f"its use ended at {utc(slot.until)}"


def _in_hours(world: World, taken: Taken) -> Iterator[tuple[str, str]]:
    step = taken.epoch.case.plan.step(taken.take.label.step)
    if step is None:
        return
    for epoch in taken.epochs:
        for moment in _moments(world, taken):
            if is_direct(step, epoch.case) or window_end(step, epoch.case, moment) is not None:
                return
    zone = taken.epoch.case.clinic.zone if step.care else taken.epoch.case.patient.zone or taken.epoch.case.clinic.zone
    yield "outside_window", f"it left at {taken.take.at.astimezone(zone):%H:%M} on that wall ({zone})"


def _moments(world: World, taken: Taken) -> list[datetime]:
    """When the last look may have been, by the service's clock: at the moment itself or as long before as it was on its way."""
    race = world.race(taken.take.at)
    return [moment for shown in world.clock.shown(taken.take.at) for moment in (shown, shown - race)]


def _validity(world: World, taken: Taken) -> Iterator[tuple[str, str]]:
    take, seconds = taken.take, taken.take.valid_seconds
    step = taken.epoch.case.plan.step(take.label.step)
    if seconds is None or step is None:
        return
    if not LEAST_VALID <= seconds <= MOST_VALID:
        yield "wrong_validity", f"{seconds} s are not between {LEAST_VALID} and {MOST_VALID}"
    ends = [end for epoch in taken.epochs for end in _useful_ends(world, taken, epoch)]
    if ends and all(end is not None for end in ends):
        latest = max(end for end in ends if end is not None)
        shown = min(world.clock.shown(take.at))
        if shown + timedelta(seconds=seconds) > latest + ON_THE_WAY:
            yield "wrong_validity", f"valid for {seconds} s, beyond {utc(latest)}"


def _useful_ends(world: World, taken: Taken, epoch: Epoch) -> Iterator[datetime | None]:
    """When it has to be there at the latest: its use, or the window it leaves in."""
    label = taken.take.label
    for _, slot in epoch.slots(label.session, label.step):
        ends = [slot.until] if slot.until is not None else []
        if not is_direct(slot.step, epoch.case):
            windows = (window_end(slot.step, epoch.case, moment) for moment in _moments(world, taken))
            ends += sorted((end for end in windows if end is not None), reverse=True)[:1]
        yield min(ends, default=None)


def _not_paused(world: World, taken: Taken) -> Iterator[tuple[str, str]]:
    since, clinic = taken.take.at - world.race(taken.take.at), taken.epoch.case.clinic
    whose = {"all": None, "sender": clinic.sender, "clinic": clinic.key, "patient": taken.take.label.patient}
    for hold in paused(world.told.holds, taken.take.at):
        if hold.start < since and (hold.what == "all" or whose[hold.what] == hold.who):
            yield "sent_while_paused", f"sending was paused for {hold.what} {hold.who or ''}".strip()
