"""What goes wrong around a text that is leaving, and with the clock: at the worst moments there are."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from service.domain.sms import OutgoingSms
from service.simulator.agenda import Agenda
from service.simulator.chaos import Fate
from service.simulator.clock import VirtualClock
from service.simulator.dice import Dice
from service.simulator.log import Log, stamp

DAY = timedelta(days=1)
FROZEN_FOR = timedelta(seconds=5), timedelta(minutes=90)
STEPS = timedelta(seconds=1), timedelta(hours=1)
STEP_LASTS = timedelta(seconds=30), timedelta(hours=8)


@dataclass(slots=True)
class Mishaps:
    """``live`` lets the rest of the world go on while this worker stands still; ``meddle`` changes what a text is about.

    ``touch`` has the ticks look anew when they have work.
    """

    dice: Dice
    clock: VirtualClock
    log: Log
    fate: Fate
    live: Callable[[datetime], None]
    meddle: Callable[[OutgoingSms], None]
    touch: Callable[[], None]
    chaos: bool
    _texts: int = 0
    _frozen: bool = False

    def before(self, sms: OutgoingSms) -> None:
        """A text has been looked at and written, and is about to leave."""
        self._texts += 1
        if self.dice.falls(0.01, "meddles", self._texts):
            self.meddle(sms)
        if not self.chaos:
            return
        if self.dice.falls(0.006, "freezes", self._texts) and not self._frozen and not self.clock.off_by:
            self._freeze()
        self.fate.reach("handing over: before", drops=False)

    def after(self, _sms: OutgoingSms) -> None:
        """The network has answered, or not, and nothing of that is written yet."""
        if self.chaos:
            self.fate.reach("handing over: after", drops=False)

    def _freeze(self) -> None:
        """This worker stands still, for all it knows for no time at all; another one comes by."""
        start = self.clock.now
        end = start + self.dice.any_scale(*FROZEN_FOR, "frozen for", self._texts)
        self.log.note("trouble", start, what="frozen", start=stamp(start), end=stamp(end))
        self._frozen = True
        try:
            self.live(end)
        finally:
            self._frozen = False

    def set_clocks(self, agenda: Agenda, *, until: datetime) -> None:
        """Now and then the service's clock jumps, and some time later it is right again."""
        n, moment = 0, self.clock.now
        while self.chaos and (moment := moment + self.dice.span(2 * DAY, 18 * DAY, "clock", n)) < until:
            agenda.put(moment, partial(self._step, agenda, n))
            n += 1

    def _step(self, agenda: Agenda, n: int) -> None:
        if self._frozen or self.clock.off_by:
            return
        off_by = self.dice.any_scale(*STEPS, "off by", n)
        self.clock.off_by = off_by if self.dice.falls(0.5, "ahead", n) else -off_by
        start = self.clock.now
        end = start + self.dice.any_scale(*STEP_LASTS, "clock is off for", n)
        seconds = self.clock.off_by.total_seconds()
        self.log.note("trouble", start, what="clock_step", start=stamp(start), end=stamp(end), seconds=seconds)
        agenda.put(end, self._set_right)
        self.touch()

    def _set_right(self) -> None:
        self.clock.off_by = timedelta()
        self.touch()
