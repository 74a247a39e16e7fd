"""Rules between the texts of one patient: never twice, not too many, one a day, in their order, and by what was said before."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from service.simulator.judge.conditions import no_recent_count, not_just_told
from service.simulator.judge.epochs import Story, Taken
from service.simulator.judge.leaving import violation
from service.simulator.judge.plan import Step
from service.simulator.judge.slots import Slot
from service.simulator.judge.verdict import Violation, utc
from service.simulator.judge.walls import day_of
from service.simulator.judge.words import folded
from service.simulator.judge.world import FAILED, World

SAME_WORDS = timedelta(hours=12)
DAY, WEEK = timedelta(hours=24), timedelta(days=7)
MEASURED = timedelta(minutes=1)
"""The edges of the cap's 24 hours and 7 days: counted from the claim, seconds before the network took the text."""
TRIES = 3
"""A phone that was off is worth one or two more tries some hours later."""


def judge_limits(world: World, story: Story) -> Iterator[Violation]:
    """Everything that is wrong with a patient's texts as a row of texts."""
    for place, taken in enumerate(story.taken):
        before = story.taken[:place]
        yield from _once(world, taken, before)
        yield from _new_words(world, taken, before)
        if any(other.key == taken.key for other in before):
            continue
        step = taken.epoch.case.plan.step(taken.take.label.step)
        if step is not None:
            yield from _within_caps(world, taken, before, step)
            yield from _alone_that_day(world, taken, before, step)
            yield from _in_order(world, taken, before, step)
            yield from _conditions(world, taken, before, step)


def _failed_between(world: World, taken: Taken, until: datetime) -> bool:
    """Whether the network had found by then that the text does not arrive."""
    reports = world.reports[taken.take.label]
    return any(r.state in FAILED and taken.take.at <= r.at <= until for r in reports)


def _once(world: World, taken: Taken, before: list[Taken]) -> Iterator[Violation]:
    """A text leaves once; again only after the network said that it did not arrive."""
    same = [other for other in before if other.take.label == taken.take.label or other.key == taken.key]
    if same and not _failed_between(world, same[-1], taken.take.at):
        yield violation(taken, "sent_twice", f"the network took it already at {utc(same[-1].take.at)}")
    if len(same) >= TRIES:
        yield violation(taken, "sent_twice", f"it was tried {len(same) + 1} times")


def _new_words(world: World, taken: Taken, before: list[Taken]) -> Iterator[Violation]:
    """The same words to the same phone within 12 hours help nobody, unless what was said in between makes them news."""
    words = folded(taken.take.body)
    for other in reversed(before):
        if taken.take.at - other.take.at > SAME_WORDS:
            return
        if other.take.label == taken.take.label or other.take.number != taken.take.number:
            continue
        if folded(other.take.body) != words:
            if other.tells and other.take.label.session == taken.take.label.session:
                return
        elif not _failed_between(world, other, taken.take.at):
            yield violation(taken, "same_words_twice", f"the patient had these words at {utc(other.take.at)}")
            return


def _within_caps(world: World, taken: Taken, before: list[Taken], step: Step) -> Iterator[Violation]:
    if step.care:
        return
    plan = taken.epoch.case.plan
    # What lies near the edge of the span while the clock was wrong may have been counted in another one.
    behind, ahead = world.clock.off(taken.take.at - WEEK, taken.take.at)
    slack = MEASURED + world.race(taken.take.at) + (ahead - behind)
    for span, most in ((DAY, plan.per_day), (WEEK, plan.per_week)):
        had = sum(taken.take.at - other.take.at < span - slack for other in before)
        if had >= most:
            yield violation(taken, "over_cap", f"{had} texts in the {span} before, and {most} are allowed")


def _alone_that_day(world: World, taken: Taken, before: list[Taken], step: Step) -> Iterator[Violation]:
    """A step that is not fixed leaves the day to whatever went out on it already."""
    if step.fixed or not step.takes_a_day:
        return
    zone, race = taken.epoch.case.zone, world.race(taken.take.at)
    days = {day_of(shown, zone) for shown in world.clock.shown(taken.take.at)}
    for other in before:
        its_step = other.epoch.case.plan.step(other.take.label.step)
        counts = its_step is None or its_step.takes_a_day
        same_day = {day_of(shown, zone) for shown in world.clock.shown(other.take.at)} == days
        if counts and same_day and other.take.at < taken.take.at - race and not world.failed(other.take):
            yield violation(taken, "spacing_ignored", f"{other.take.label.step} had gone out on the same day")
            return


def _in_order(world: World, taken: Taken, before: list[Taken], step: Step) -> Iterator[Violation]:
    """The second part goes out after the first was taken, or alone if none is sent."""
    if not step.after:
        return
    label = taken.take.label
    if any(other.take.label.session == label.session and other.take.label.step in step.after for other in before):
        return
    for key in step.after:
        slots = [slot for epoch in taken.epochs for _, slot in epoch.slots(label.session, key)]
        waiting = slots and all(_is_waiting(slot, taken.take.at) for slot in slots)
        if waiting and not _in_doubt(world, taken, key):
            yield violation(taken, "second_part_first", f"{key} had not gone out, and could still")


def _is_waiting(slot: Slot, moment: datetime) -> bool:
    return not slot.skips and not slot.held and slot.due is not None and (slot.until is None or moment < slot.until)


def _in_doubt(world: World, taken: Taken, key: str) -> bool:
    """Whether the first part may have left, or was refused for good: then the second need not wait for it."""
    label = taken.take.label
    if any(at <= taken.take.at for at in world.doubts_of.get((label.session, key), ())):
        return True
    return world.bare.troubled(taken.take.at - timedelta(hours=20), taken.take.at)


def _conditions(world: World, taken: Taken, before: list[Taken], step: Step) -> Iterator[Violation]:
    """Conditions that hang on what went out before: they are judged when the text leaves."""
    for name in step.conditions:
        if name == "not_answered":
            yield violation(taken, "condition_ignored", "not_answered is false until replies are understood")
        elif name == "not_just_told" and not _may_tell(world, taken):
            yield violation(taken, "condition_ignored", "the patient was told this start within the last 20 hours")
        elif name == "no_recent_count" and not _may_count(world, taken, before):
            yield violation(taken, "condition_ignored", "headache days were asked for less than 21 days ago")
        elif name == "no_consent" and _asked_before(taken, world):
            yield violation(taken, "condition_ignored", "this number was asked for consent before")


def _may_tell(world: World, taken: Taken) -> bool:
    label = taken.take.label
    race = world.race(taken.take.at)
    for epoch in taken.epochs:
        visit = next((v for v in epoch.case.visits if v.key == label.session), None)
        sure = [t for t in epoch.case.told if t.sure and t.key != taken.key and t.at < taken.take.at - race]
        if visit is None or any(not_just_told(visit, sure, shown) for shown in world.clock.shown(taken.take.at)):
            return True
    return False


def _may_count(world: World, taken: Taken, before: list[Taken]) -> bool:
    case = taken.epoch.case
    counts = [
        other.take.at
        for other in before
        if (step := other.epoch.case.plan.step(other.take.label.step)) is not None
        and step.counts_headaches
        and not world.failed(other.take)
    ]
    return any(no_recent_count(counts, shown, case) for shown in world.clock.shown(taken.take.at))


def _asked_before(taken: Taken, world: World) -> bool:
    take = taken.take
    return any(
        other.number == take.number
        and other.label.step == take.label.step
        and other.label != take.label
        and other.at < take.at - world.race(take.at)
        and _clinic_of(world, other.label.patient, other.at) == taken.epoch.case.clinic.key
        for other in world.told.takes
    )


def _clinic_of(world: World, patient: str | None, at: datetime) -> str | None:
    row = world.patient(patient, at)
    return row.clinic if row else None
