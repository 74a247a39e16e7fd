"""The processes of the service: a worker that ticks and a web server that answers. Either may die and be started again."""

from datetime import datetime, timedelta

from sqlalchemy.exc import OperationalError

from service.domain.errors import AftercareError
from service.simulator.agenda import Act
from service.simulator.chaos import DiedError
from service.simulator.clock import VirtualClock
from service.simulator.dice import Dice
from service.simulator.log import Log, stamp

RESTARTS = timedelta(seconds=2), timedelta(hours=6)
"""Usually a supervisor is quick; now and then somebody has to come and look."""


class House:
    """Until when each process is down; a moment that is over means that it runs."""

    def __init__(self, clock: VirtualClock, log: Log, dice: Dice) -> None:
        self._clock, self._log, self._dice = clock, log, dice
        self.worker_up_at = self.web_up_at = clock.now
        self.deaths = 0

    @property
    def works(self) -> bool:
        return self._clock.now >= self.worker_up_at

    def work(self, tick: Act) -> object:
        """Let the worker do something; None where it died over it, or the database or the network did not let it."""
        try:
            return tick()
        except DiedError as death:
            self.worker_up_at = self._die("worker", death)
        except (OperationalError, AftercareError):
            pass
        return None

    def knock(self, act: Act) -> bool:
        """Let the web server do something; False where it is down, dies over it, or can not."""
        if self._clock.now < self.web_up_at:
            return False
        try:
            act()
        except DiedError as death:
            self.web_up_at = self._die("web", death)
            return False
        except OperationalError:
            return False
        return True

    def _die(self, who: str, death: DiedError) -> datetime:
        self.deaths += 1
        up_at = self._clock.now + self._dice.any_scale(*RESTARTS, "restarts after", self.deaths)
        start, end = stamp(self._clock.now), stamp(up_at)
        self._log.note("trouble", self._clock.now, what="died", start=start, end=end, who=who, where=str(death))
        return up_at
