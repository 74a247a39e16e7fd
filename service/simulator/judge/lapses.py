"""Why a text that was due may rightly not leave: what was said before, and what the network said of the number."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from service.simulator.judge.calm import Span
from service.simulator.judge.case import Case, key_of
from service.simulator.judge.epochs import Epoch, Story
from service.simulator.judge.slots import Slot
from service.simulator.judge.walls import DAY, day_of
from service.simulator.judge.wording import Context, approved_body, faults
from service.simulator.judge.world import World

NEWS = timedelta(minutes=10)
"""News of a change leave after so long; what would say the same waits for them, be it that they turn out to be none."""
JUST_TOLD, SAME_WORDS, RECENT = timedelta(hours=20), timedelta(hours=12), 21
ASKED_WHEN_LEAVING = frozenset({"not_just_told", "no_recent_count", "no_consent"})
"""Conditions that hang on what went out before."""


def lapsed(world: World, story: Story, slot: Slot, epoch: Epoch, span: Span) -> bool:
    """Whether at some moment of the span the text would have been dropped for good when it was looked at."""
    conditions = ASKED_WHEN_LEAVING & set(slot.step.conditions)
    if any(failed(world, story, slot, name, span) for name in conditions):
        return True
    if any(start <= span[1] and span[0] <= end for start, end in blocked(world, epoch.case.patient.number)):
        return True
    return said_already(world, story, epoch, slot, span)


def blocked(world: World, number: str | None) -> Iterator[Span]:
    """When the number was known not to take texts: from a refusal that says so until the phone itself agrees to texts again."""
    refused = world.refused_numbers.get(number or "", [])
    if not refused:
        return
    yes = {"start", "consent", "perhaps_consent"}
    said = [s for s in world.hearing.of_number(number or "") if s.brought and world.hearing.reading(s).kind in yes]
    again = [s.brought for s in said if s.brought]
    for at in refused:
        yield at, min((moment for moment in again if moment > at), default=world.last)


def failed(world: World, story: Story, slot: Slot, name: str, span: Span) -> bool:
    """Whether a condition that is judged when the text leaves failed at some moment of the span."""
    since, until = span
    case = _last_case(story, until)
    match name:
        case "not_answered":
            return True
        case "not_just_told":
            cases = [epoch.case for epoch in story.epochs if epoch.start <= until and since <= epoch.end]
            visits = [visit for one in (*cases, case) for visit in one.visits]
            start = {visit.start for visit in visits if slot.visit and visit.key == slot.visit.key}
            key = key_of(slot.step, slot.visit)
            others = [told for told in _last_case(story, until + NEWS).told if told.key != key]
            own = [told for told in others if slot.visit and told.visit == slot.visit.key and told.start in start]
            return any(told.at <= until + NEWS and since < told.at + JUST_TOLD and not told.off for told in own)
        case "no_recent_count":
            return any(_recent(taken_at, since, until, case) for taken_at in _counts(world, story))
        case "no_consent":
            return any(
                take.label.step == slot.step.key and take.number == case.patient.number for take in world.told.takes
            )
        case _:
            return any(
                f"condition:{name}" in found.skips
                for epoch in story.epochs
                if epoch.start <= until and since <= epoch.end
                for reader in epoch.readers
                if (found := reader.get(key_of(slot.step, slot.visit))) is not None
            )


def _last_case(story: Story, until: datetime) -> Case:
    epoch = story.at(until) or story.epochs[0]
    return epoch.case


def _counts(world: World, story: Story) -> Iterator[datetime]:
    """When headache days were, or may have been, asked for."""
    counting = {step.key for epoch in story.epochs for step in epoch.case.plan.steps if step.counts_headaches}
    yield from (taken.take.at for taken in story.taken if taken.take.label.step in counting)
    yield from (one.at for one in world.breaks_of.get(story.patient, ()) if one.label.step in counting)


def _recent(asked: datetime, since: datetime, until: datetime, case: Case) -> bool:
    first, last = day_of(since, case.zone), day_of(until, case.zone)
    day = day_of(asked, case.zone)
    return day <= last and (first - day) < RECENT * DAY


def said_already(world: World, story: Story, epoch: Epoch, slot: Slot, span: Span) -> bool:
    """Whether the patient had had, within 12 hours, exactly the words that this text would have had."""
    since, until = span
    case = epoch.case
    bodies = world.told.texts[case.clinic.key].at(until) or {}
    template = slot.step.variants.get(case.patient.privacy, slot.step.template) or ""
    found = approved_body(bodies, template, case.patient.language, case.clinic)
    if found is None:
        return False
    for taken in reversed(story.taken):
        if not since - SAME_WORDS <= taken.take.at <= until:
            continue
        context = Context(case.clinic, case.plan, case.patient, slot.visit, taken.take.at, template, found[1])
        if not faults(taken.take.body, found[0], context):
            return True
        if taken.tells and slot.visit is not None and taken.take.label.session == slot.visit.key:
            return False  # the patient was told another time since, so that the same words are news again
    return False
