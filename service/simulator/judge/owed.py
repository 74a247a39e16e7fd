"""What should have gone out: for each text that both readers want, the moment by which it must have left."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from service.simulator.judge.calm import Calm, Span
from service.simulator.judge.case import Key
from service.simulator.judge.codes import AGAIN
from service.simulator.judge.epochs import Epoch, Story
from service.simulator.judge.facts import Label
from service.simulator.judge.lapses import blocked, lapsed
from service.simulator.judge.slots import Slot, hours_of, is_direct
from service.simulator.judge.walls import DAY, LEAST_LEFT, closing, day_of, moment_of, opening
from service.simulator.judge.world import HELD_AGAIN, World

PROMPT = timedelta(minutes=3)
"""A due text leaves within seconds; an idle worker looks each minute, and a change of the facts is planned first."""
NEVER_OWED = frozenset({"not_answered"})
"""Conditions that are false until replies are understood."""
TOGETHER = timedelta(minutes=1)
"""What made the text wanted may be noted in the log some moments after it stood in the database."""


@dataclass(frozen=True, slots=True)
class Debt:
    """A text that was owed and had not left: due for the quick reader at ``due``, and at the latest ``by`` then."""

    key: Key
    slot: Slot
    due: datetime
    by: datetime
    epoch: Epoch


def debts(world: World, story: Story) -> Iterator[Debt]:
    """Texts of the plan that came to their deadline and had not left by then."""
    steps = {key: slot.step for epoch in story.epochs for key, slot in epoch.slow.items()}
    for key, step in steps.items():
        if step.is_text and not NEVER_OWED & set(step.conditions):
            debt = _Pursuit(world, story, key).debt()
            if debt is not None:
                yield debt


class _Pursuit:
    """Follows one text from epoch to epoch: since when it is wanted without a break, and from when on it could leave."""

    def __init__(self, world: World, story: Story, key: Key) -> None:
        self._world, self._story, self._key = world, story, key
        self._left = [taken.take.at for taken in story.taken if taken.key[:2] == key[:2]]
        self._since: datetime | None = None
        self._was_wanted = False
        self._dues: list[datetime | None] = []
        self._due_since: datetime | None = None
        self._news: datetime | None = None
        self._due: datetime | None = None
        self._lapsed: datetime | None = None
        self._put_off: datetime | None = None

    def debt(self) -> Debt | None:
        """The first stretch in which it should have left and had not."""
        for epoch in self._story.epochs:
            if epoch.news:
                self._news, self._due = epoch.start, None
            slots = _owed(epoch, self._key)
            if self._is_over(epoch, wanted=bool(slots)):
                return None
            if epoch.news and slots and (dues := [slot.due for slot in slots]) != self._dues:
                self._dues, self._due_since = dues, epoch.start
            debt = self._overdue(epoch, slots) if slots else None
            if debt is not None:
                return debt
            # Whose use ended in it is wanted anew where a change gives it another.
            self._was_wanted = self._was_wanted or bool(slots)
            in_use = slots and all(slot.until is None or epoch.end < slot.until - LEAST_LEFT for slot in slots)
            self._since = (self._since or epoch.start) if in_use else None
        return None

    def _is_over(self, epoch: Epoch, *, wanted: bool) -> bool:
        """Whether it left earlier, or was let go of after an attempt: only what was never attempted comes back (contract, 3)."""
        if self._key in epoch.case.left or self._took_before(epoch):
            return True
        if wanted or not self._was_wanted:
            return False
        slots = [reader[self._key] for reader in epoch.readers if self._key in reader]
        own = labels(self._world, self._story.patient, self._key)
        tried = [one.at for label in own for one in self._world.refusals[label]]
        tried += [one.at for label in own for one in self._world.breaks[label]]
        is_let_go = not slots or any(slot.skips for slot in slots)
        return is_let_go and any(at <= epoch.start + TOGETHER for at in tried)

    def _took_before(self, epoch: Epoch) -> bool:
        return any(taken.key == self._key and taken.take.at <= epoch.start for taken in self._story.taken)

    def _overdue(self, epoch: Epoch, slots: list[Slot]) -> Debt | None:
        since = self._since or epoch.start
        # What it may have waited for is forgotten once it has happened; when it could leave is not.
        self._due = due = max([slot.due for slot in slots if slot.due] + ([self._due] if self._due else []))
        first = min(slot.due for slot in slots if slot.due)
        if slots[1].step.late == "skip" and first < max(since, self._due_since or since) + TOGETHER:
            return None  # wanted for then only since that may have passed, which such a step does not make up for
        if self._lapsed is not None and due <= self._lapsed:
            return None  # what was rightly dropped at its time is wanted again only for a later one
        moment = max(due, since, self._news or since)
        plain = _Wait(slots[1], epoch, self._world.calm).by(moment)
        if self._has_left(since, plain) or not _came(plain, slots, epoch):
            return None
        hindered = self._world.calm.also(_held_up(self._world, self._story, self._key, slots[1], epoch))
        wait = _Wait(slots[1], epoch, hindered)
        by = wait.by(max([moment, *_parts_before(self._story, slots[1], epoch)]))
        free = max(wait.on_a_free_day(start, self._days()) for start in (moment, by))
        if free > by:
            self._put_off = free  # to a day on which it then waits for its own time, whatever changes meanwhile
        by = max(free, self._put_off or free)
        if self._has_left(since, by) or not _came(by, slots, epoch):
            return None
        if lapsed(self._world, self._story, slots[1], epoch, (max(first, since) - TOGETHER, by)):
            self._lapsed = due
            return None
        return Debt(self._key, slots[1], first, by, epoch)

    def _days(self) -> list[datetime]:
        """When other texts left that take the day they leave on."""
        others = (taken for taken in self._story.taken if taken.key != self._key)
        steps = ((taken.take.at, taken.epoch.case.plan.step(taken.take.label.step)) for taken in others)
        return [at for at, step in steps if step is None or step.takes_a_day]

    def _has_left(self, since: datetime, by: datetime) -> bool:
        return any(since - TOGETHER <= at <= by for at in self._left)


def _came(by: datetime, slots: list[Slot], epoch: Epoch) -> bool:
    """Whether the deadline came while nothing changed, and while the text was of use."""
    return by <= epoch.end and all(slot.until is None or by <= slot.until - LEAST_LEFT for slot in slots)


def _owed(epoch: Epoch, key: Key) -> list[Slot]:
    """How the readers see it, if all of them want it to leave; the second is the slow one."""
    slots = [reader[key] for reader in epoch.readers if key in reader]
    if len(slots) < len(epoch.readers) or any(slot.skips or slot.held or not slot.owed for slot in slots):
        return []
    return slots if all(slot.due is not None for slot in slots) else []


@dataclass(frozen=True, slots=True)
class _Wait:
    """How long one text may take once it could leave."""

    slot: Slot
    epoch: Epoch
    calm: Calm

    def by(self, moment: datetime) -> datetime:
        """When it must have left if it could at ``moment``: in its hours, and after some minutes without trouble."""
        hours = None if is_direct(self.slot.step, self.epoch.case) else hours_of(self.slot.step, self.epoch.case)
        while hours is not None:
            moment = opening(moment, *hours)
            ends = closing(moment, *hours)
            by = self.calm.after(moment, PROMPT)
            if ends is None or by < ends - LEAST_LEFT:
                return by
            moment = ends
        return self.calm.after(moment, PROMPT)

    def on_a_free_day(self, by: datetime, days: list[datetime]) -> datetime:
        """A text that was held up may not share its day with another: it waits for its own clock time on the next one."""
        step, zone = self.slot.step, self.epoch.case.zone
        while (
            not step.fixed and step.takes_a_day and any(day_of(at, zone) == day_of(by, zone) for at in days if at <= by)
        ):
            at = time.fromisoformat(step.offset["at"]) if "at" in step.offset else step.hours[0]
            by = self.by(moment_of(day_of(by, zone) + DAY, at, zone))
        return by


def _held_up(world: World, story: Story, key: Key, slot: Slot, epoch: Epoch) -> Iterator[Span]:
    """What kept this text alone, or this patient's, or this sender's: none of it is the service's fault."""
    for start, end in world.holds(epoch.case.clinic, story.patient):
        yield start, end + HELD_AGAIN
    yield from world.queues.get(epoch.case.clinic.sender, ())
    yield from _too_close(story, key)
    yield from _full(world, story, slot, epoch)
    for label in labels(world, story.patient, key):
        for broken in world.breaks[label]:
            # Until the network's list has answered it may have left.
            yield broken.at, world.asking.after(broken.at, HELD_AGAIN)
        for refusal in world.refusals[label]:
            if refusal.code in AGAIN:
                yield refusal.at, refusal.at + HELD_AGAIN
    yield from blocked(world, epoch.case.patient.number)


def _too_close(story: Story, key: Key) -> Iterator[Span]:
    for epoch in story.epochs:
        if any(reader[key].held for reader in epoch.readers if key in reader):
            yield epoch.start, epoch.end + HELD_AGAIN


def _full(world: World, story: Story, slot: Slot, epoch: Epoch) -> Iterator[Span]:
    """When the patient had had as many texts as are allowed; aftercare of the day is never held back."""
    if slot.step.care:
        return
    plan = epoch.case.plan
    left = sorted([t.take.at for t in story.taken] + [b.at for b in world.breaks_of.get(story.patient, ())])
    for span, most in ((timedelta(hours=24), plan.per_day), (timedelta(days=7), plan.per_week)):
        for place in range(most - 1, len(left)):
            if left[place] - left[place - most + 1] < span:
                yield left[place], left[place - most + 1] + span + HELD_AGAIN


def _parts_before(story: Story, slot: Slot, epoch: Epoch) -> Iterator[datetime]:
    """When the part before this one left, or could not leave any more."""
    for key, first in epoch.slow.items():
        if first.step.key in slot.step.after and first.visit and slot.visit and first.visit.key == slot.visit.key:
            left = [taken.take.at for taken in story.taken if taken.key == key]
            if left:
                yield left[0]
            elif not first.skips and first.until is not None:
                yield first.until


def labels(world: World, patient: str, key: Key) -> list[Label]:
    """Labels of the rows, and of what happened on the network, that may be this text."""
    rows = [row.label for row in world.rows_of.get((None if key[0] else patient, key[0], key[1]), ())]
    return [label for label in rows if len(rows) == 1 or label.n in {key[2], None}] or rows
