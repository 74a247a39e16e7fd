"""Who lives in the world: clinics, the senders they text from, their patients and the patients' sessions, as they truly are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service.simulator.dice import Dice
from service.simulator.log import stamped

SESSION = timedelta(minutes=20)
SLOW = 0.2
"""Segments a second of a sender that can not keep up on a busy morning."""
ABROAD = ("America/New_York", "America/Los_Angeles", "Europe/London", "Asia/Tokyo", "Australia/Sydney", "Asia/Kolkata")
NAMES = ("Robin", "Alex", "Deniz", "Sam", "Noa", "Kim", "Ariel", "Toni", "Sasha", "Jo")


@dataclass(slots=True, eq=False)
class Line:
    """A sender: the number that texts leave from. ``id`` is that of its row, once there is one."""

    key: str
    number: str
    segments_per_second: float = 3.0
    id: int = 0


@dataclass(slots=True, eq=False)
class Place:
    """A clinic. ``hands`` says how its sessions reach the service: service, import or sql."""

    key: str
    name: str
    sms_name: str
    zone: str
    country: str
    phone: str
    emergency: str
    after_hours: str
    crisis_line: str | None
    languages: tuple[str, ...]
    line: Line
    hands: str
    live_from: datetime
    plan: str = "standard"
    hours: str = "Mon-Fri 08:00-17:00"
    opens: str = "09:00"
    closes: str = "19:00"
    interval_weeks: int = 12
    id: int = 0

    @property
    def clock(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def document(self) -> dict[str, Any]:
        """The clinic as it stands in the log."""
        return {
            "clinic": self.key,
            "name": self.name,
            "sms_name": self.sms_name,
            "zone": self.zone,
            "country": self.country,
            "phone": self.phone,
            "emergency": self.emergency,
            "after_hours": self.after_hours,
            "crisis_line": self.crisis_line,
            "languages": list(self.languages),
            "hours": self.hours,
            "window": {"from": self.opens, "to": self.closes},
            "plan": self.plan,
            "interval_weeks": self.interval_weeks,
            "live_from": stamped(self.live_from),
            "sender": self.line.number,
        }


@dataclass(slots=True, eq=False)
class Person:
    """A patient. ``paper`` is what the clinic's files say was agreed: yes, ask, or nothing.

    ``booked`` counts the sessions that were ever entered for the patient, whosever they are now.
    """

    key: str
    place: Place
    number: str | None
    language: str | None
    zone: str | None
    first_name: str
    last_name: str
    paper: str = "yes"
    status: str = "active"
    interval_weeks: int | None = None
    may_ask: bool = False
    imported: bool = False
    id: int = 0
    visits: list["Visit"] = field(default_factory=list)
    booked: int = 0

    def next_key(self) -> str:
        """The name of one more session."""
        self.booked += 1
        return f"{self.key}.{self.booked}"

    def document(self) -> dict[str, Any]:
        """The patient as it stands in the log."""
        return {
            "patient": self.key,
            "clinic": self.place.key,
            "number": self.number,
            "language": self.language,
            "zone": self.zone,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "status": self.status,
            "interval_weeks": self.interval_weeks,
            "may_ask": self.may_ask,
            "imported": self.imported,
        }


@dataclass(slots=True, eq=False)
class Visit:
    """A treatment session. ``source`` is the feed that wrote it first."""

    key: str
    person: Person
    start: datetime
    end: datetime | None
    status: str = "booked"
    completed_at: datetime | None = None
    source: str = "sql"
    imported: bool = False
    id: int = 0

    def document(self) -> dict[str, Any]:
        """The session as it stands in the log."""
        return {
            "session": self.key,
            "patient": self.person.key,
            "start": stamped(self.start),
            "end": stamped(self.end),
            "status": self.status,
            "completed_at": stamped(self.completed_at),
            "imported": self.imported,
        }


def places(now: datetime) -> list[Place]:
    """Four clinics: two share a sender, one has a slow one. Each tells of its sessions in its own way."""
    own, shared, slow = Line("one", "+15550100001"), Line("two", "+15550100002"), Line("three", "+15550100003", SLOW)
    made: list[dict[str, Any]] = [
        {"zone": "America/Chicago", "languages": ("en", "es"), "line": own, "hands": "service"},
        {"zone": "Europe/Madrid", "languages": ("es", "en"), "line": shared, "hands": "import", "emergency": "112"},
        {"zone": "Europe/Istanbul", "languages": ("tr", "en"), "line": shared, "hands": "sql", "plan": "lite"},
        {"zone": "Pacific/Auckland", "languages": ("en",), "line": slow, "hands": "sql", "emergency": "111"},
    ]
    names = ("Lakeside Clinic", "Clínica Lago", "Göl Kliniği", "Harbour Clinic")
    return [
        Place(
            key=f"c{n}",
            name=f"{name} (simulated)",
            sms_name=name,
            country="US",
            phone=f"+155501001{n:02}",
            after_hours=f"+155501002{n:02}",
            crisis_line="988" if n == 1 else None,
            live_from=now,
            **{"emergency": "911"} | facts,
        )
        for n, (name, facts) in enumerate(zip(names, made, strict=True), start=1)
    ]


def people(dice: Dice, count: int, *, of: list[Place]) -> Iterator[Person]:
    """So many patients, dealt out among the clinics. Some share a number with the one before, at whichever clinic."""
    before = None
    for n in range(1, count + 1):
        key = f"p{n:04}"
        person = _person(dice, key, n=n, place=of[(n - 1) % len(of)])
        if before is not None and dice.falls(0.12, key, "shares the number"):
            person.number = before.number
        yield person
        before = person


def number_of(n: int, *, change: int = 0) -> str:
    """An invented number: the area code 555 is nobody's. Each change of number brings another."""
    return f"+1555{change % 8 + 2}{n % 1_000_000:06}"


def _person(dice: Dice, key: str, *, n: int, place: Place) -> Person:
    return Person(
        key=key,
        place=place,
        number=None if dice.falls(0.02, key, "no phone") else number_of(n),
        language=dice.weighed(dict.fromkeys(place.languages, 1.0) | {None: 0.5}, key, "language"),
        zone=dice.pick(ABROAD, key, "zone") if dice.falls(0.2, key, "lives abroad") else None,
        first_name=dice.pick(NAMES, key, "name"),
        last_name=f"Sample {n}",
        paper=dice.weighed({"yes": 0.88, "ask": 0.08, "": 0.04}, key, "paper"),
        interval_weeks=dice.weighed({None: 0.9, 10: 0.05, 16: 0.05}, key, "interval"),
    )
