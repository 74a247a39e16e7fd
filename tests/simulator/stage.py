"""A bare stage for tests about single parts of the simulated world: one database, one clinic, a clock and a log."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.gateways.simulated import SimulatedGateway
from service.gateways.simulated_network import NetworkConfig, SimulatedNetwork
from service.simulator.acts.clinics import Offices
from service.simulator.acts.hand import Hand
from service.simulator.acts.records import Records
from service.simulator.agenda import Act, Agenda
from service.simulator.clock import VirtualClock
from service.simulator.dice import Dice
from service.simulator.life.scene import Scene
from service.simulator.log import Entry, Log
from service.simulator.network.phones import Phones
from service.simulator.network.wires import Wires
from service.simulator.people import SESSION, Person, Place, Visit, number_of, places

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Stage:
    """``doors_open`` False: the service's web server does not answer."""

    sessions: sessionmaker[Session]
    hands: str = "sql"
    seed: int = 1
    network: SimulatedNetwork = field(default_factory=lambda: SimulatedNetwork("test"))
    doors_open: bool = True
    log: Log = field(default_factory=Log)
    agenda: Agenda = field(default_factory=Agenda)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOON))

    def __post_init__(self) -> None:
        self.dice = Dice(self.seed)
        self.hand = Hand(self.sessions, self.log, self.clock)
        self.records, self.offices = Records(self.hand, self.sessions), Offices(self.hand)
        self.gateway = SimulatedGateway(self.network, lambda: self.clock.now)
        self.wires = Wires(self.network, self.gateway, self.sessions, self.knock, self.agenda, self.clock, self.log)
        self.phones = Phones(self.wires, self.dice, stop_replies="own")
        self.scene = Scene(
            self.dice, self.clock, self.agenda, self.records, self.offices, self.phones, NOON + 365 * DAY
        )
        (self.place,) = (place for place in places(NOON) if place.hands == self.hands and place.key != "c4")
        self.offices.open(self.place)
        self._people = 0

    def knock(self, act: Act) -> bool:
        if self.doors_open:
            act()
        return self.doors_open

    def behave(self, **config: object) -> None:
        self.network.config = NetworkConfig(**config)  # type: ignore[arg-type]  # each test names what it means

    def person(self, place: Place | None = None, **facts: object) -> Person:
        self._people += 1
        values: dict[str, object] = {
            "number": number_of(self._people),
            "language": None,
            "zone": None,
            "first_name": "Robin",
            "last_name": f"Sample {self._people}",
        }
        return Person(f"p{self._people:04}", place or self.place, **values | facts)  # type: ignore[arg-type]  # as above

    def visit(self, person: Person, start: datetime = NOON + 7 * DAY, **facts: object) -> Visit:
        source = {"service": "desk", "import": "csv"}.get(self.hands, "sql")
        visit = Visit(person.next_key(), person, start, start + SESSION, source=source, **facts)  # type: ignore[arg-type]
        person.visits.append(visit)
        return visit

    def happen(self, until: datetime = NOON + 365 * DAY) -> None:
        """Let everything on the agenda happen."""
        while self.agenda.next_at is not None and self.agenda.next_at < until:
            self.clock.reach(self.agenda.next_at)
            self.agenda.take()()

    def noted(self, kind: str) -> list[Entry]:
        return [entry for entry in self.log if entry["kind"] == kind]
