"""What goes wrong inside the house: processes die at the borders of transactions, and the database goes away.

A border is the moment right before a commit of some flow, or right after it, or one on either side of a handing over to
the network. Each sort of border is hit early in a run, and then again and again.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from inspect import currentframe
from types import FrameType
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.simulator.clock import VirtualClock
from service.simulator.dice import Dice
from service.simulator.log import Log, stamp

FIRST_HIT, LATER_HITS = 25, 400
"""Within so many passes each sort of border is hit for the first time, and then again and again."""
LONGEST_OUT = timedelta(minutes=2)


class DiedError(BaseException):
    """The process is gone, in the midst of whatever it did. No ``except Exception`` may catch it."""


class Fate:
    """Decides at each border whether life goes on. ``passed`` and ``hit`` count the borders, by name."""

    def __init__(self, dice: Dice, clock: VirtualClock, log: Log, *, chaos: bool) -> None:
        self._dice, self._clock, self._log, self._chaos = dice, clock, log, chaos
        self.passed: Counter[str] = Counter()
        self.hit: Counter[str] = Counter()
        self._next: dict[str, int] = {}
        self.out_until: datetime | None = None

    def reach(self, border: str, *, drops: bool = True) -> None:
        """Come to a border. Raises :class:`DiedError`, or OperationalError where the database ``drops`` instead."""
        self.passed[border] += 1
        if not self._chaos or self.passed[border] < self._due(border):
            return
        self.hit[border] += 1
        del self._next[border]
        if drops and self._dice.falls(0.3, "drops", border, self.hit[border]):
            self._drop(border)
        raise DiedError(border)

    def ask_database(self) -> None:
        """Raises OperationalError while the database is out."""
        if self.is_out:
            raise _gone()

    @property
    def is_out(self) -> bool:
        return self.out_until is not None and self._clock.now < self.out_until

    def _due(self, border: str) -> int:
        if border not in self._next:
            within = LATER_HITS if self.hit[border] else FIRST_HIT
            ahead = self._dice.whole(1, within, "next hit", border, self.hit[border])
            self._next[border] = self.passed[border] - 1 + ahead
        return self._next[border]

    def _drop(self, border: str) -> None:
        lasts = self._dice.any_scale(timedelta(seconds=1), LONGEST_OUT, "out", border, self.hit[border])
        now = self._clock.now
        self.out_until = now + lasts
        self._log.note("trouble", now, what="database_down", start=stamp(now), end=stamp(self.out_until))
        raise _gone()


def _gone() -> OperationalError:
    return OperationalError("the database went away", None, Exception("simulated"))


class MortalSessions(sessionmaker[Session]):
    """The service's own sessions: each transaction has a border before its commit, and one after."""

    def __init__(self, engine: Engine, fate: Fate) -> None:
        super().__init__(engine, expire_on_commit=False)
        self._fate = fate

    def __call__(self, **options: Any) -> Session:
        self._fate.ask_database()
        return super().__call__(**options)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction, as of any session factory. It is known by the function that began it."""
        whose = _caller(currentframe())
        with super().begin() as db:
            yield db
            self._fate.reach(f"{whose}: before the commit")
        self._fate.reach(f"{whose}: after the commit")


def _caller(frame: FrameType | None) -> str:
    """The flow's function that entered the context: beyond this frame lies the machinery of ``with``."""
    asked = frame.f_back.f_back if frame and frame.f_back else None
    if asked is None:
        return "nobody"
    module = str(asked.f_globals.get("__name__", "")).rpartition(".")[2]
    return f"{module}.{asked.f_code.co_qualname}"
