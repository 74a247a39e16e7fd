"""Whether what the service gives as its reason for not sending a text is true."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from service.simulator.judge.calm import Span
from service.simulator.judge.case import Case
from service.simulator.judge.codes import AGAIN, OPTED_OUT
from service.simulator.judge.epochs import Epoch, Story
from service.simulator.judge.facts import Row
from service.simulator.judge.lapses import blocked, failed, said_already
from service.simulator.judge.owed import Debt
from service.simulator.judge.slots import Slot
from service.simulator.judge.visits import Visit
from service.simulator.judge.world import HELD_AGAIN, World

A_MOMENT = timedelta(minutes=1)
PAUSES = {"paused": "all", "sender_paused": "sender", "clinic_paused": "clinic", "patient_paused": "patient"}


def excuses(world: World, debt: Debt, row: Row) -> bool:
    """Whether the network explains why the text did not leave: it may have, or it never will."""
    if row.state == "unconfirmed":
        return in_doubt(world, row, debt.due - A_MOMENT, debt.by)
    return row.state == "failed" and any(refusal.code not in AGAIN for refusal in world.refusals[row.label])


def in_doubt(world: World, row: Row, since: datetime, until: datetime) -> bool:
    """Whether something happened after which nobody knows if the network took a text."""
    return bool(world.breaks[row.label]) or world.bare.troubled(since - A_MOMENT, until + A_MOMENT)


def is_true_at_all(world: World, story: Story, row: Row) -> bool:
    """Whether the reason was true at any moment of the patient's story: whoever gives another one has made it up."""
    reason, label = row.reason or "", row.label
    slots = [(epoch, slot) for epoch in story.epochs for _, slot in epoch.slots(label.session, label.step)]
    if any(reason in slot.skips for _, slot in slots) or reason in _changes(world, story, label.session):
        return True
    if reason.startswith("condition:"):
        name = reason.removeprefix("condition:")
        return any(failed(world, story, slot, name, _life(epoch, slot)) for epoch, slot in slots)
    if reason in PAUSES:
        return any(_paused(world, story, epoch, PAUSES[reason]) for epoch, _ in slots)
    return _by_what_happened(world, story, row, slots)


def _by_what_happened(world: World, story: Story, row: Row, slots: list[tuple[Epoch, Slot]]) -> bool:
    """Reasons that hang on the network, on other texts, or on how much time was left."""
    match row.reason:
        case "same_text":
            return any(said_already(world, story, epoch, slot, _life(epoch, slot)) for epoch, slot in slots)
        case "number_blocked":
            return any(any(blocked(world, epoch.case.patient.number)) for epoch in story.epochs)
        case "cap":
            return any(not slot.step.care for _, slot in slots) and _ever_full(world, story)
        case "spacing":
            # Held up to a day on which another text had left, it waits for a day of its own.
            return any(slot.due is not None and not slot.step.fixed for _, slot in slots) and len(story.taken) > 0
        case "two_sessions":
            return any(slot.held for _, slot in slots)
        case "expired" | "retry" | "provider_down" | "after_step" | "replanning" | "late":
            # Whether it is true hangs on what was owed: a text that was, and for which there was time, is a debt.
            return True
        case "opted_out":
            return any(refusal.code in OPTED_OUT for refusal in world.refusals[row.label])
        case _:
            return False


def _life(epoch: Epoch, slot: Slot) -> Span:
    """When a text that an epoch wants may have been looked at."""
    return max(epoch.start, slot.due or slot.own) - A_MOMENT, max(epoch.end, epoch.start)


def _changes(world: World, story: Story, session: str | None) -> Iterator[str]:
    """Why the plan may have let go of a text: what became of its session, of the patient, of the plan."""
    seen: set[str] = set()
    for _, visit in world.visits.get(session or "", ()):
        seen.add(f"session_{visit.status}")
        seen |= {"moved"} if visit.moves or visit.patient != story.patient else set()
    cases = [epoch.case for epoch in story.epochs]
    if any(not case.is_newest(visit) for case in cases for visit in _of(case, session)):
        seen.add("newer_session")
    if len({(case.clinic.plan, case.plan) for case in cases}) > 1:
        seen.add("plan_changed")
    if session is None or any(visit.patient != story.patient for _, visit in world.visits[session]):
        seen.add("no_longer_wanted")
    seen |= {case.blocked for case in cases if case.blocked is not None}
    # Where the papers leave open which of two acts counts, either may have been taken to.
    seen |= {"opted_out", "no_consent"} if any(case.standing == "unclear" for case in cases) else set()
    yield from seen


def _of(case: Case, session: str | None) -> list[Visit]:
    return [visit for visit in case.visits if visit.key == session and visit.status == "completed"]


def _paused(world: World, story: Story, epoch: Epoch, what: str) -> bool:
    whose = {"all": None, "sender": epoch.case.clinic.sender, "clinic": epoch.case.clinic.key, "patient": story.patient}
    return any(
        hold.what == what and (what == "all" or hold.who == whose[what]) and hold.start <= epoch.end
        for hold in world.told.holds
    )


def _ever_full(world: World, story: Story) -> bool:
    plan = story.epochs[-1].case.plan
    left = [taken.take.at for taken in story.taken] + [broken.at for broken in world.breaks_of.get(story.patient, ())]
    left.sort()
    for span, most in ((timedelta(hours=24), plan.per_day), (timedelta(days=7), plan.per_week)):
        if any(later - earlier < span + HELD_AGAIN for earlier, later in zip(left, left[most - 1 :], strict=False)):
            return True
    return False
