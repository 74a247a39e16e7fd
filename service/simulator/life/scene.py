"""Where life takes place: all that events need in order to happen and to bring about others."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from service.domain.windows import local_day, resolve_local
from service.simulator.acts.clinics import Offices
from service.simulator.acts.records import Records
from service.simulator.agenda import Act, Agenda
from service.simulator.clock import VirtualClock
from service.simulator.dice import Dice
from service.simulator.network.phones import Phones
from service.simulator.people import Place

MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
SLOT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Scene:
    """The world as life sees it; nothing is put on the agenda for ``end`` or later."""

    dice: Dice
    clock: VirtualClock
    agenda: Agenda
    records: Records
    offices: Offices
    phones: Phones
    end: datetime

    @property
    def now(self) -> datetime:
        return self.clock.now

    def later(self, wait: timedelta, act: Act) -> None:
        """Have something happen after so much time."""
        self.at(self.now + wait, act)

    def at(self, moment: datetime, act: Act) -> None:
        if moment < self.end:
            self.agenda.put(moment, act)

    def slot(self, place: Place, moment: datetime, *what: object) -> datetime:
        """A time for a session, on the first working day of the clinic that is not before ``moment``."""
        day = local_day(moment, place.clock)
        while day.weekday() >= 5:
            day += DAY
        minutes = 8 * 60 + 5 * self.dice.whole(0, 104, "slot", *what)
        found = self.wall(place, day, time(minutes // 60, minutes % 60))
        return found if found > moment else self._soon(moment)

    def wall(self, place: Place, day: date, at: time) -> datetime:
        """When the clinic's clock shows that time."""
        return resolve_local(day, at, place.clock)

    def _soon(self, moment: datetime) -> datetime:
        """The next full five minutes, whatever the hour: somebody is squeezed in."""
        return moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0) + 2 * SLOT
