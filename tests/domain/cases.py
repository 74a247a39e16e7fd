"""Builders of cases: a clinic, a patient and sessions on a plan, each with only what a test is about.

Two plans stand side by side: the shipped one, and the same with other keys, other times and one more step. Whatever
holds for planning holds for both, because no step is known to the code.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from service.domain.careplan import CarePlan, Step
from service.domain.case import Case, ClinicFacts, PatientFacts, SessionFacts, Told
from service.domain.composition import TemplateText
from service.domain.consent import Standing
from service.domain.expansion import Entry, expand
from service.domain.opening_hours import parse_hours
from service.domain.plan_file import read_plan, window
from service.store.content import shipped_plan, shipped_templates

ZONE = ZoneInfo("America/New_York")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(wall: str, zone: ZoneInfo = ZONE) -> datetime:
    """The moment at which the wall clock of the zone shows ``2026-03-02 14:30``."""
    return datetime.fromisoformat(wall).replace(tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Book:
    """A plan, and where it differs from the shipped one: keys, and how much later its steps stand."""

    name: str
    document: Mapping[str, Any]
    plan: CarePlan
    keys: Mapping[str, str]
    minutes_later: timedelta
    clock_later: timedelta

    def step(self, key: str) -> Step:
        """The step that has this key in the shipped plan."""
        found = self.plan.step(self.keys[key])
        assert found is not None
        return found

    def after(self, wall: str) -> datetime:
        """The moment of a step so many minutes after an event, in words of the shipped plan."""
        return at(wall) + self.minutes_later

    def clock(self, wall: str) -> datetime:
        """The moment of a step at a time of day, in words of the shipped plan."""
        return at(wall) + self.clock_later


@cache
def shipped() -> Book:
    """The plan that clinics start with."""
    document = shipped_plan()
    keys = {step["key"]: step["key"] for step in document["steps"]}
    return Book("shipped", document, read_plan(document), keys, timedelta(0), timedelta(0))


@cache
def renamed() -> Book:
    """The same plan under other keys, 3 minutes (after events) or 15 (at times of day) later, and one step more."""
    document = deepcopy(shipped_plan())
    keys = {step["key"]: f"s{i:02}" for i, step in enumerate(document["steps"])}
    for step in document["steps"]:
        step["key"] = keys[step["key"]]
        if "nudges" in step:
            step["nudges"] = keys[step["nudges"]]
        step["after_step"] = [keys[key] for key in step.get("after_step", [])]
        step["offset"] = _later(step["offset"])
    document["steps"].insert(-3, deepcopy(_step_of(document, keys["d3"])) | _ONE_MORE)
    return Book("renamed", document, read_plan(document), keys, timedelta(minutes=3), timedelta(minutes=15))


_ONE_MORE = {
    "key": "one_more",
    "offset": {"days": 7, "at": "12:00"},
    "useless_after": {"from": "completed", "days": 9, "at": "19:00"},
}


def _step_of(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in document["steps"] if step["key"] == key)
    return found


def _later(offset: Any) -> Any:
    if offset == "evening":
        return offset
    if "minutes" in offset:
        return {"minutes": offset["minutes"] + 3}
    return offset | {"at": f"{offset['at'][:2]}:{int(offset['at'][3:]) + 15:02}"}


BOOKS = [shipped(), renamed()]
on_both_plans = pytest.mark.parametrize("book", BOOKS, ids=lambda book: f"{book.name} plan")


def changed(document: Mapping[str, Any], key: str, **fields: Any) -> CarePlan:
    """The plan of a document in which one step has other fields."""
    steps = [step | fields if step["key"] == key else step for step in document["steps"]]
    return read_plan({**document, "steps": steps})


def clinic(**changes: Any) -> ClinicFacts:
    """A clinic in New York with the shipped choices."""
    return replace(_CLINIC, **changes)


_CLINIC = ClinicFacts(
    id=1,
    sms_name="Lakeside Clinic",
    zone=ZONE,
    country="US",
    phone="+15550100199",
    emergency="911",
    after_hours="+15550100142",
    crisis_line="988",
    languages=("en", "es", "tr"),
    hours=parse_hours("Mon-Fri 08:00-17:00"),
    holidays=frozenset(),
    window=window("09:00", "19:00"),
    plan_name="standard",
    interval_weeks=12,
    transliterate=True,
    live_from=None,
    answers_understood=True,
    rule_hours={},
)


def patient(**changes: Any) -> PatientFacts:
    """A patient who agreed to texts long ago."""
    return replace(_PATIENT, **changes)


_PATIENT = PatientFacts(
    id=7,
    phone="+15550100123",
    language="en",
    zone=None,
    status="active",
    privacy="neutral",
    interval_weeks=None,
    authorisation_ends=None,
    standing=Standing.GRANTED,
    may_ask=False,
    imported=False,
    added_at=None,
    consented_at=None,
    consented_by_text=False,
    textable_since=None,
)

START = at("2026-06-17 14:00")
"""A Wednesday far from any night on which the clock changes."""


def booked(start: datetime = START, *, known: datetime | None = None, **changes: Any) -> SessionFacts:
    """A session in the book, known for 40 days unless said otherwise."""
    return replace(SessionFacts(id=1, status="booked", start=start, booked_at=known or start - 40 * DAY), **changes)


def completed(done: datetime = START, *, known: datetime | None = None, **changes: Any) -> SessionFacts:
    """A session that took place, recorded at once unless said otherwise."""
    facts = SessionFacts(
        id=1,
        status="completed",
        start=done - timedelta(minutes=20),
        booked_at=done - 40 * DAY,
        completed_at=done,
        completion_known_at=known or done,
    )
    return replace(facts, **changes)


def told(when: str | datetime, start: datetime = START, *, called_off: bool = False) -> Told:
    """A text about the start of a session, at a moment or a New York wall time."""
    return Told(at=at(when) if isinstance(when, str) else when, start=start, called_off=called_off)


def case(
    *sessions: SessionFacts,
    book: Book | None = None,
    plan: CarePlan | None = None,
    clinic: ClinicFacts = _CLINIC,
    patient: PatientFacts = _PATIENT,
) -> Case:
    """A case of these sessions, on the shipped plan unless said otherwise."""
    return Case(clinic=clinic, patient=patient, sessions=sessions, plan=plan or (book or shipped()).plan)


def wanted(
    about: Case, *, book: Book | None = None, of: int | None = None, out: Mapping[str, datetime] | None = None
) -> dict[str, Entry]:
    """What the plan wants, by the shipped plan's keys; ``of`` picks a session, ``out`` are identities that left."""
    names = {own: key for key, own in (book or shipped()).keys.items()}
    found = [entry for entry in expand(about, already_out=out) if of in {None, entry.session and entry.session.id}]
    return {names.get(entry.step.key, entry.step.key): entry for entry in found}


def template(key: str, language: str = "en") -> TemplateText:
    """A shipped text."""
    about = next(t for t in shipped_templates()["templates"] if t["key"] == key)
    return TemplateText(
        key=key,
        language=language,
        version=1,
        version_id=None,
        text=about["text"][language],
        rules=tuple(about.get("rules", ())),
        plain=about["max_segments"] == 1,
    )


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A moment from which the clock of a zone stands ``by`` later (or earlier) than before."""

    zone: str
    moment: datetime
    by: timedelta

    def __str__(self) -> str:
        return f"{self.zone} {self.moment:%Y-%m-%d}"


ALL_ZONES = sorted(available_timezones() - {"localtime"})


@cache
def clock_changes() -> tuple[ClockChange, ...]:
    """Every change of a clock in 2026 and 2027, in all zones."""
    return tuple(change for zone in ALL_ZONES for change in _changes_of(zone))


def _changes_of(name: str) -> Iterable[ClockChange]:
    zone, day = ZoneInfo(name), datetime(2026, 1, 1, tzinfo=UTC)
    while day.year < 2028:
        by = _offset(day + DAY, zone) - _offset(day, zone)
        if by:
            quarters = (day + timedelta(minutes=m) for m in range(15, 1441, 15))
            yield ClockChange(name, next(q for q in quarters if _offset(q, zone) != _offset(day, zone)), by)
        day += DAY


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


@cache
def different_clock_changes() -> tuple[ClockChange, ...]:
    """One zone for each change that people in some zone live through: same moment, same clock, same jump."""
    seen = {(c.moment, _offset(c.moment, ZoneInfo(c.zone)), c.by): c for c in reversed(clock_changes())}
    return tuple(sorted(seen.values(), key=str))
