"""The world's own going: the next thing happens, then the ticks that have work because of it, until the end."""

from datetime import datetime

from service.simulator.agenda import Agenda
from service.simulator.clock import VirtualClock
from service.simulator.clockwork.house import House
from service.simulator.clockwork.ticks import Ticks


class World:
    """Steps from event to event. ``touched`` is set whenever somebody has committed something."""

    def __init__(self, agenda: Agenda, clock: VirtualClock, *, ticks: Ticks, house: House) -> None:
        self._agenda, self._clock, self._ticks, self._house = agenda, clock, ticks, house
        self.touched = True
        self.steps = 0

    def touch(self, *_: object) -> None:
        """The database is different: the ticks have to look whether they have work."""
        self.touched = True

    def live(self, until: datetime) -> None:
        """Let everything happen that happens up to then."""
        while self._step(until):
            self.steps += 1
        self._clock.reach(until)

    def _step(self, until: datetime) -> bool:
        """Whether anything happened."""
        if self.touched:
            self.touched = False
            self._ticks.look()
        event, tick = self._agenda.next_at, self._ticks.first()
        tick_at = None if tick is None else max(tick[0], self._house.worker_up_at)
        if event is not None and (tick_at is None or event <= tick_at):
            return event < until and self._happen(event)
        if tick is None or tick_at is None or tick_at >= until:
            return False
        self._clock.reach(tick_at)
        self._house.work(lambda: self._ticks.run(tick[1]))
        self.touched = True
        return True

    def _happen(self, moment: datetime) -> bool:
        self._clock.reach(moment)
        self._agenda.take()()
        if self.touched:
            self._clock.go_on()
            self._ticks.stir()
            self.touched = False
        return True
