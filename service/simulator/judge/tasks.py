"""Tasks that the plan itself asks for: each must be before staff once its time has come and its conditions hold."""

from collections.abc import Iterator
from datetime import timedelta

from service.simulator.judge.case import Key
from service.simulator.judge.conditions import review_due
from service.simulator.judge.epochs import Epoch, Story
from service.simulator.judge.slots import Slot
from service.simulator.judge.verdict import Violation, utc
from service.simulator.judge.world import World

SHOWN = timedelta(minutes=20)
"""Tasks are shown by planning, which comes by every few seconds, and after a failure every ten minutes."""
NOT_JUDGED = frozenset({"authorisation_ends", "not_confirmed"})
"""They hang on what the log does not tell, or on whether a word was a confirmation."""


def judge_tasks(world: World, story: Story) -> Iterator[Violation]:
    """Staff tasks of the plan that were never put before staff."""
    keys = dict.fromkeys(key for epoch in story.epochs for key in epoch.slow if not epoch.slow[key].step.is_text)
    for key in keys:
        for epoch in story.epochs:
            slots = [reader.get(key) for reader in epoch.readers]
            if any(slot is not None and _was_anothers(world, story, slot) for slot in slots):
                break
            if all(slot is not None and _came(world, slot, epoch) for slot in slots):
                yield from _shown(world, story, key, epoch)
                break
            if any(slot is not None and slot.due is not None and slot.due < epoch.end for slot in slots):
                break  # it had its chance, and was not needed then


def _was_anothers(world: World, story: Story, slot: Slot) -> bool:
    """Whether its time came while the session was another patient's: it had its chance there."""
    if slot.visit is None or slot.due is None:
        return False
    then = world.visits[slot.visit.key].at(slot.due)
    return then is not None and then.patient != story.patient


def _came(world: World, slot: Slot, epoch: Epoch) -> bool:
    """Whether a reader would have shown it in this epoch."""
    if slot.skips or not slot.owed or slot.due is None or NOT_JUDGED & set(slot.step.conditions):
        return False
    begins = max(slot.due, epoch.start)
    if "review_due" in slot.step.conditions and (slot.visit is None or not review_due(slot.visit, epoch.case, begins)):
        return False
    return world.calm.after(begins, SHOWN) <= epoch.end


def _shown(world: World, story: Story, key: Key, epoch: Epoch) -> Iterator[Violation]:
    session, step, _ = key
    if not any(task.step == step and task.opened_at for task in world.tasks_of.get(session, ())):
        detail = f"due {utc(epoch.slow[key].due)}, and staff never got it"
        yield Violation("task_missing", story.patient, session, step, epoch.start, detail)
