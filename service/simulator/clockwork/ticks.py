"""The worker's ticks in virtual time: each runs when the tables say that there is work, as soon as the real one would."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.domain.windows import LEAST_USEFUL
from service.flows.recovery import STALE
from service.simulator.clock import VirtualClock
from service.simulator.clockwork.chores import WAIT
from service.simulator.clockwork.work import BROUGHT_BY_THEN, Work, look
from service.simulator.dice import Dice
from service.store.database import read_only

NONE = timedelta()
LAST_TRIES = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker comes by, and how rarely at most while it finds nothing to do although its table says so."""

    every: timedelta
    rarest: timedelta


PACES: Mapping[str, Pace] = {
    "dispatch": Pace(timedelta(seconds=1), timedelta(minutes=1)),
    "plan": Pace(timedelta(seconds=5), timedelta(minutes=10)),
    "understand": Pace(timedelta(seconds=5), timedelta(minutes=10)),
    "fetch": Pace(timedelta(minutes=5), timedelta(minutes=5)),
    "receipts": Pace(timedelta(minutes=5), timedelta(minutes=5)),
    "recover": Pace(timedelta(seconds=30), timedelta(minutes=5)),
}


class Ticks:
    """When each of the ``chores`` runs next.

    ``peeping`` are sessions that only look; ``unheard`` says whether phones wait to be heard.
    """

    def __init__(
        self, chores: Mapping[str, Callable[[], int]], *, clock: VirtualClock, peeping: sessionmaker[Session],
        dice: Dice, unheard: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._chores, self._clock, self._peeping, self._dice = chores, clock, peeping, dice
        self._unheard = unheard
        self._runs = 0
        self._idle = dict.fromkeys(PACES, 0)
        self._ran_at: dict[str, datetime] = {}
        self._next: dict[str, datetime] = {}

    def first(self) -> tuple[datetime, str] | None:
        """When the next tick is to run, and which; None if there is no work at all."""
        return min(((moment, name) for name, moment in self._next.items()), default=None)

    def stir(self) -> None:
        """Something has happened: whatever tick had found nothing to do comes by as often as ever."""
        self._idle = dict.fromkeys(PACES, 0)
        self.look()

    def look(self) -> None:
        """Read from the tables when which tick has work."""
        with self._peeping() as db:
            work = look(read_only(db), now=self._clock.shown())
        self._next = {name: self._when(name, self._clock.truly(shown)) for name, shown in self._wanted(work)}

    def run(self, name: str) -> int:
        """Run one tick; returns how many rows it worked on."""
        self._runs += 1
        self._ran_at[name] = self._clock.now
        self._idle[name] += 1
        rows = self._chores[name]()
        if rows:
            self._idle = dict.fromkeys(PACES, 0)
        return rows

    def _wanted(self, work: Work) -> Iterator[tuple[str, datetime]]:
        """By the service's clock, when there is, or will be, work for a tick."""
        now = self._clock.shown()
        moments: dict[str, tuple[datetime | None, ...]] = {
            "plan": (now if work.marked else None, work.task_due),
            "dispatch": (work.due, work.expires and work.expires - LEAST_USEFUL),
            "understand": (now if work.raw_texts else None,),
            "fetch": (now if self._unheard() else None,),
            "receipts": (
                now if work.raw_receipts else None,
                work.young and work.young + BROUGHT_BY_THEN,
                work.unreported and self._asked_again(work.unreported),
            ),
            "recover": (
                work.claimed and work.claimed + STALE,
                work.doubted and work.doubted + WAIT,
                work.asked_again,
            ),
        }
        for name, wanted in moments.items():
            if found := [moment for moment in wanted if moment is not None]:
                yield name, min(found)

    def _asked_again(self, unreported: datetime) -> datetime:
        """When it is worth while to ask the network for reports: soon at first, then ever more rarely."""
        ran_at = self._ran_at.get("receipts")
        asked = None if ran_at is None else ran_at + self._clock.off_by
        if asked is None or asked < unreported + BROUGHT_BY_THEN:
            return unreported + BROUGHT_BY_THEN
        return asked + min((asked - unreported) / 3, LAST_TRIES)

    def _when(self, name: str, wanted: datetime) -> datetime:
        """When the worker that comes by at its own pace does what is wanted by then."""
        now, pace = self._clock.now, PACES[name]
        if wanted <= now:
            before = self._next.get(name)
            is_soon = before is not None and now <= before <= now + pace.every
            late = self._dice.span(NONE, pace.every, name, self._runs)
            wanted = before if before is not None and is_soon else now + late
        return max(wanted, now, self._rested_at(name))

    def _rested_at(self, name: str) -> datetime:
        """Before that a tick does not run again. After a batch was sent, the next one follows at once."""
        idle, pace = self._idle[name], PACES[name]
        rest = NONE if name == "dispatch" and not idle else min(pace.every * (1 << min(idle, 12)) / 2, pace.rarest)
        ran_at = self._ran_at.get(name)
        return self._clock.now if ran_at is None else ran_at + rest
