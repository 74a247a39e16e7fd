"""A whole simulated world: put together, lived through, and told as a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine, event, inspect
from sqlalchemy.orm import sessionmaker

from service.domain.errors import AftercareError
from service.domain.sms import OutgoingSms
from service.flows.policy import SendingPolicy
from service.gateways.simulated import SimulatedGateway
from service.gateways.simulated_network import SimulatedNetwork, Span
from service.simulator.acts.clinics import Offices
from service.simulator.acts.hand import Hand
from service.simulator.acts.records import Records
from service.simulator.agenda import Agenda
from service.simulator.chaos import Fate, MortalSessions
from service.simulator.clock import VirtualClock
from service.simulator.clockwork.chores import Chores
from service.simulator.clockwork.house import House
from service.simulator.clockwork.mishaps import Mishaps
from service.simulator.clockwork.ticks import Ticks
from service.simulator.clockwork.world import World
from service.simulator.dice import Dice
from service.simulator.labels import Labels
from service.simulator.life.beginnings import Beginnings
from service.simulator.life.courses import Courses
from service.simulator.life.decisions import Decisions
from service.simulator.life.meddling import Meddling
from service.simulator.life.replies import Replies
from service.simulator.life.scene import Scene
from service.simulator.life.turns import Turns
from service.simulator.log import Log, stamp
from service.simulator.network.carrier import Carrier, Taken, Watchers
from service.simulator.network.phones import Phones
from service.simulator.network.reports import Postman
from service.simulator.network.weather import config, forecast
from service.simulator.network.wires import Wires
from service.simulator.people import Place, Visit, people, places
from service.simulator.testimony import prove, testify
from service.store.database import create_engine_for, upgrade

STARTS = (datetime(2026, 2, 23, 5, tzinfo=UTC), datetime(2026, 9, 14, 5, tzinfo=UTC))
"""In spring and in autumn the clocks of three of the clinics change within seven weeks."""
MOST_PATIENTS = 999_999


@dataclass(frozen=True, slots=True)
class Lived:
    """What came of a world, what the service itself found ``broken`` in the end, and which borders its processes died at."""

    log: Log
    broken: list[dict[str, Any]]
    fate: Fate
    steps: int


def simulate(seed: int, *, patients: int, weeks: int, chaos: bool, database_url: str | None = None) -> Lived:
    """Live through ``weeks`` with so many patients. ``database_url``: an empty database; None is SQLite in memory."""
    if not 1 <= patients <= MOST_PATIENTS or weeks < 1:
        raise AftercareError(f"A world has 1 to {MOST_PATIENTS} patients and at least one week. Nothing was simulated.")
    with _database(database_url) as engine:
        return _Stage(engine, Dice(seed), patients=patients, weeks=weeks, chaos=chaos).live()


@contextmanager
def _database(url: str | None) -> Iterator[Engine]:
    engine = create_engine_for(url or "sqlite://")
    try:
        if inspect(engine).get_table_names():
            raise AftercareError(
                "The database that --database names is not empty, and a simulation would fill it with invented people. "
                "Nothing was changed. Make an empty one for it."
            )
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()


class _Stage:
    """Everything of one world, wired."""

    def __init__(self, engine: Engine, dice: Dice, *, patients: int, weeks: int, chaos: bool) -> None:
        self._start = dice.pick(STARTS, "starts in")
        self._end = self._start + timedelta(weeks=weeks)
        self._dice, self._log = dice, Log()
        self._clock, self._agenda = VirtualClock(self._start), Agenda()
        self._fate = Fate(dice, self._clock, self._log, chaos=chaos)
        self._immortal = sessionmaker(engine, expire_on_commit=False)
        self._mortal = MortalSessions(engine, self._fate)
        self._house = House(self._clock, self._log, dice)
        self._wire_network()
        self._wire_life(patients)
        self._wire_worker(chaos=chaos)
        event.listen(engine, "commit", self._world.touch)

    def _wire_network(self) -> None:
        provider_stops = self._dice.falls(0.5, "the provider keeps opt-outs")
        self._spans = forecast(self._dice, self._start, self._end)
        self._network = SimulatedNetwork("simulated", config(self._dice, self._spans, provider_stops=provider_stops))
        self._inner = SimulatedGateway(self._network, lambda: self._clock.now)
        wires = Wires(self._network, self._inner, self._mortal, self._house.knock, self._agenda, self._clock, self._log)
        self._postman = Postman(wires, self._dice)
        self._phones = Phones(wires, self._dice, stop_replies="provider" if provider_stops else "own")

    def _wire_life(self, patients: int) -> None:
        hand = Hand(self._immortal, self._log, self._clock)
        self._records = Records(hand, self._mortal)
        self._labels = Labels(self._immortal, self._records, self._phones.said)
        self._places = places(self._start)
        self._people = list(people(self._dice, patients, of=self._places))
        scene = Scene(self._dice, self._clock, self._agenda, self._records, Offices(hand), self._phones, self._end)
        courses, turns = Courses(scene), Turns(scene, self._people)
        self._beginnings = Beginnings(scene, courses, turns)
        self._decisions = Decisions(scene, self._visits_at)
        self._replies = Replies(scene)
        self._meddling = Meddling(courses, turns, {person.key: person for person in self._people})

    def _wire_worker(self, *, chaos: bool) -> None:
        watchers = Watchers(before=self._before, after=self._after, taken=self._taken)
        carrier = Carrier(
            self._inner,
            self._network,
            clock=self._clock,
            log=self._log,
            dice=self._dice,
            label_of=self._labels.of,
            watchers=watchers,
            mute=self._spans["list_down"],
        )
        policy = SendingPolicy(answers_understood=True, allowed_countries=frozenset({"US"}))
        chores = Chores(self._mortal, carrier, self._clock, policy, self._phones.stop_replies, self._phones.fetched)
        ticks = Ticks(
            chores.by_name(),
            clock=self._clock,
            peeping=self._immortal,
            dice=self._dice,
            unheard=lambda: self._phones.unheard,
        )
        self._world = World(self._agenda, self._clock, ticks=ticks, house=self._house)
        self._mishaps = Mishaps(
            self._dice, self._clock, self._log, self._fate, self._world.live, self._meddle, self._world.touch, chaos
        )

    def _before(self, sms: OutgoingSms) -> None:
        self._mishaps.before(sms)

    def _after(self, sms: OutgoingSms) -> None:
        self._mishaps.after(sms)

    def _taken(self, taken: Taken) -> None:
        self._postman.expect(taken)
        self._replies.to(taken)

    def _meddle(self, sms: OutgoingSms) -> None:
        self._meddling.with_text(self._labels.of(sms.message_id))

    def _visits_at(self, place: Place) -> list[Visit]:
        return [visit for person in self._people if person.place is place for visit in person.visits]

    def live(self) -> Lived:
        """From the opening of the clinics to the last word of the service."""
        for place in self._places:
            self._beginnings.of(place, [person for person in self._people if person.place is place])
            self._decisions.begin(place)
        self._mishaps.set_clocks(self._agenda, until=self._end)
        self._note_weather()
        self._world.live(self._end)
        testify(self._immortal, self._labels, self._log, at=self._clock.now)
        broken = prove(self._immortal, self._labels, at=self._clock.now)
        return Lived(self._log, broken, self._fate, self._world.steps)

    def _note_weather(self) -> None:
        for what, spans in self._spans.items():
            for span in spans:
                self._agenda.put(span.start, partial(self._note_trouble, what, span))

    def _note_trouble(self, what: str, span: Span) -> None:
        self._log.note("trouble", span.start, what=what, start=stamp(span.start), end=stamp(span.end))
