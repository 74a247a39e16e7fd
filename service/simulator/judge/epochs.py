"""Stretches of a patient's life in which nothing changed, and the texts that left in them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from service.simulator.judge.case import Case, Key
from service.simulator.judge.facts import Take
from service.simulator.judge.schedule import Schedule
from service.simulator.judge.slots import Slot
from service.simulator.judge.walls import day_of

A_DAY_APART = timedelta(hours=12)


@dataclass(slots=True)
class Epoch:
    """From ``start`` to ``end`` nothing changed. ``news``: it began with a change of the facts, not with a text."""

    start: datetime
    end: datetime
    case: Case
    quick: Schedule
    slow: Schedule
    doubting: Schedule | None
    news: bool

    @property
    def readers(self) -> tuple[Schedule, ...]:
        """The quick one, the slow one, and where something may have been sent, a quick one who holds that it was not."""
        return (self.quick, self.slow) if self.doubting is None else (self.quick, self.slow, self.doubting)

    def slots(self, session: str | None, step: str | None) -> list[tuple[Key, Slot]]:
        """How each reader sees a step of a session."""
        return [
            (key, slot)
            for reader in self.readers
            for key, slot in reader.items()
            if key[0] == session and key[1] == step
        ]


@dataclass(frozen=True, slots=True)
class Taken:
    """A text the network took; ``epochs`` are those in which its last look may have been, the newest first.

    ``tells``: it names the start of the session.
    """

    take: Take
    key: Key
    epochs: tuple[Epoch, ...]
    epoch: Epoch
    fits: bool
    tells: bool
    faults: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Story:
    patient: str
    epochs: list[Epoch] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def at(self, moment: datetime) -> Epoch | None:
        """The epoch in which the moment lies."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.start <= moment), None)


def may_go(slot: Slot, moment: datetime, slots: list[Slot], *, zone: ZoneInfo) -> bool:
    """Whether a reader would let the text go at that moment on the service's clock.

    Who notices in between wants it from then on: so as for one of the readers of ``slots`` it has to be wanted, it has to be
    due for any of them. Its hours, and what it shares its day with, are looked at elsewhere.
    """
    return (
        not slot.skips
        and not slot.held
        and slot.due is not None
        and any(_has_come(each, moment, zone) for each in slots)
        and (slot.until is None or moment <= slot.until)
    )


def _has_come(slot: Slot, moment: datetime, zone: ZoneInfo) -> bool:
    """Whether its time has come; or the day to which it was moved, where it was held up beyond its own and is late already."""
    if slot.due is None or slot.due <= moment:
        return slot.due is not None
    alone = slot.alone or slot.due
    return alone <= moment and day_of(alone, zone) < day_of(slot.due, zone) <= day_of(moment, zone)


def between(slots: list[Slot], moment: datetime) -> bool:
    """Whether the readers name different days for it: one who notices in between may find yet another one free."""
    dues = [slot.due for slot in slots if slot.due is not None and not slot.skips and not slot.held]
    if len(dues) < 2 or max(dues) - min(dues) < A_DAY_APART:
        return False
    alone = min(slot.alone or slot.own for slot in slots)
    return alone <= moment and all(slot.until is None or moment <= slot.until for slot in slots)
