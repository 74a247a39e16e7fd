"""The times of a plan once more, straight from the words of its file and by the naive clock; without spacing.

Deliberately another computation than the service's: it reads the file's JSON, knows no classes of the service, and
shares no line with it.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, cast

from tests.domain.naive_clock import MINUTE, day_of, first_valid, next_open

DAY = timedelta(days=1)
Judged = tuple[datetime | None, str | None]
"""When a text is due, or why it is not sent."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One session of a patient of a clinic with the shipped windows; whole minutes, UTC."""

    zone: str
    start: datetime
    booked: datetime
    done: datetime | None = None
    known: datetime | None = None
    textable: datetime | None = None
    patient_zone: str | None = None
    live_from: datetime | None = None
    repeat: bool = False
    rule_hours: float = 24
    """How long every rule of the all-clear lasts."""


def without_spacing(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same plan with every text at its own time."""
    changed = deepcopy(dict(document))
    for step in changed["steps"]:
        step["fixed"] = True
    return changed


def judged(document: Mapping[str, Any], facts: Facts) -> dict[str, Judged]:
    """Every text of the standard plan that the session brings, by step."""
    found: dict[str, Judged] = {}
    for step in document["steps"]:
        anchor = _anchor(step["anchor"], facts)
        if step["kind"] == "text" and anchor is not None:
            found[step["key"]] = _judged(step, anchor, facts)
    for step in document["steps"]:
        for first in step.get("after_step", []):
            part_one, part_two = found.get(first, (None, None))[0], found.get(step["key"], (None, None))[0]
            if part_one is not None and part_two is not None:
                distance = step["offset"]["minutes"] - _step(document, first)["offset"]["minutes"]
                again = _opening(step, max(part_two, part_one + distance * MINUTE), facts)
                found[step["key"]] = _unless_useless(step, again, facts)
                break
    return found


def _step(document: Mapping[str, Any], key: str) -> Any:
    return next(step for step in document["steps"] if step["key"] == key)


def _anchor(name: str, facts: Facts) -> datetime | date | None:
    if facts.done is None:
        return {"booked": facts.booked, "session_start": facts.start}.get(name)
    return {"completed": facts.done, "due": day_of(facts.done, facts.zone) + 84 * DAY}.get(name)


def _learned(name: str, facts: Facts) -> datetime | None:
    learned = {"session_start": facts.booked, "completed": facts.known, "due": facts.known}.get(name)
    return max((moment for moment in (learned, facts.textable) if moment is not None), default=None)


def _judged(step: Mapping[str, Any], anchor: Any, facts: Facts) -> Judged:
    if "standard" not in step["plans"]:
        return None, "off"
    own = _own_time(step["offset"], anchor, facts)
    if facts.live_from is not None and own < facts.live_from:
        return None, "past"
    if step["offset"] == "evening" and own > first_valid(day_of(anchor, facts.zone), time(20, 45), facts.zone):
        return None, "evening"
    due, skipped = _timed(step, own, facts)
    for name in step["condition"]:
        if not _holds(name, step, due or own, own=own, facts=facts):
            return None, f"condition:{name}"
    return due, skipped


def _own_time(offset: Any, anchor: Any, facts: Facts) -> datetime:
    if offset == "evening":
        eight = first_valid(day_of(anchor, facts.zone), time(20), facts.zone)
        return max(eight, cast("datetime", anchor) + 120 * MINUTE)
    if "minutes" in offset:
        return cast("datetime", anchor) + int(offset["minutes"]) * MINUTE
    day = day_of(anchor, facts.zone) if isinstance(anchor, datetime) else anchor
    return first_valid(cast("date", day) + int(offset["days"]) * DAY, time.fromisoformat(offset["at"]), facts.zone)


def _timed(step: Mapping[str, Any], own: datetime, facts: Facts) -> Judged:
    learned = _learned(step["anchor"], facts)
    late = learned is not None and own < learned
    if late and step["late_booking"] == "skip":
        return None, "late"
    if late and learned is not None and step["late_booking"] == "next_window":
        return _at_its_clock_time(step, learned, facts)
    return _unless_useless(step, _opening(step, max(own, learned or own), facts), facts)


def _at_its_clock_time(step: Mapping[str, Any], learned: datetime, facts: Facts) -> Judged:
    clock = time.fromisoformat(step["offset"].get("at", step["window"]["from"]))
    day = day_of(learned, facts.zone)
    while first_valid(day, clock, facts.zone) < learned:
        day += DAY
    return _unless_useless(step, _opening(step, first_valid(day, clock, facts.zone), facts), facts)


def _opening(step: Mapping[str, Any], moment: datetime, facts: Facts) -> datetime:
    opens, closes = (time.fromisoformat(step["window"][side]) for side in ("from", "to"))
    if step["urgency"] == "care":
        return next_open(moment, opens, closes, facts.zone, every=15)
    opens, closes = max(opens, time(9)), min(closes, time(19))
    return next_open(moment, opens, closes, facts.patient_zone or facts.zone, every=15)


def _unless_useless(step: Mapping[str, Any], due: datetime, facts: Facts) -> Judged:
    return (None, "expired") if due > _useless_after(step["useless_after"], facts) - MINUTE else (due, None)


def _useless_after(words: Mapping[str, Any], facts: Facts) -> datetime:
    if words.get("rule") == "care_day_end":
        assert facts.done is not None
        return first_valid(day_of(facts.done, facts.zone), time(21), facts.zone)
    anchor = facts.start if words["from"] == "session_start" else _anchor(words["from"], facts)
    assert anchor is not None
    return _own_time(words, anchor, facts)


def _holds(name: str, step: Mapping[str, Any], at: datetime, *, own: datetime, facts: Facts) -> bool:
    match name:
        case "first_session":
            return not facts.repeat
        case "repeat_session":
            return facts.repeat
        case "day_missed":
            return _day_missed(step, own, facts)
        case "day_not_missed":
            return not _day_missed(step, own, facts)
        case "a_rule_ended":
            return facts.done is not None and at >= facts.done + timedelta(hours=facts.rule_hours)
        case _:
            return True


def _day_missed(step: Mapping[str, Any], own: datetime, facts: Facts) -> bool:
    assert facts.done is not None
    chance = _opening(step, max(own, _learned("completed", facts) or own), facts)
    return chance > first_valid(day_of(facts.done, facts.zone), time(21), facts.zone) - MINUTE
