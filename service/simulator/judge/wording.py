"""What a text must say: the approved body with the patient's own values in it, each reckoned here once more."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from service.simulator.judge.facts import Clinic, Patient
from service.simulator.judge.plan import Plan
from service.simulator.judge.visits import Visit
from service.simulator.judge.walls import day_of
from service.simulator.judge.words import clock_time, digits, folded, language_of, short_day, weekday_time

_HOLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
_PHONES = frozenset({"phone", "urgent_phone", "emergency", "crisis_line"})
_OF_THE_HOUR = frozenset({"callback_by", "read_by", "count"})
"""Values that hang on staffed hours or on an answer: they must be there, and are not reckoned again."""
_WHOSE = {
    **dict.fromkeys(("date", "time", "minutes"), "wrong_time"),
    **dict.fromkeys(("clinic", *_PHONES), "wrong_clinic"),
}
"""Which rule a wrong value breaks; of all others it is ``wrong_words``."""


@dataclass(frozen=True, slots=True)
class Context:
    """For whom a text was written, about which session, and when by the service's clock."""

    clinic: Clinic
    plan: Plan
    patient: Patient | None
    visit: Visit | None
    at: datetime
    template: str
    language: str


def names_start(body: str) -> bool:
    """Whether an approved text tells when a session starts."""
    return "time" in _HOLE.findall(body)


def faults(body: str, approved: str, context: Context) -> list[tuple[str, str]]:
    """What is wrong with a text, as (rule, detail); empty for one that says what it must."""
    found = _pattern(approved).fullmatch(folded(body))
    if found is None:
        return [("wrong_words", f"not the approved text {context.template!r}")]
    names = _HOLE.findall(approved)
    wrong = []
    for name, written in zip(names, found.groups(), strict=True):
        if not _fits(name, written, context):
            wrong.append((_WHOSE.get(name, "wrong_words"), f"{name} says {written!r}, not {_said(name, context)!r}"))
    return wrong


@lru_cache(maxsize=5_000)
def _pattern(approved: str) -> re.Pattern[str]:
    """The approved body as it may arrive, with a group for each value; spaces at its ends are no matter."""
    parts = _HOLE.split(approved)
    written = ["(.+?)" if place % 2 else _literal(part) for place, part in enumerate(parts)]
    return re.compile(r"\s*" + "".join(written) + r"\s*", re.DOTALL)


def _literal(part: str) -> str:
    """The words between two values; the spaces around them stay, as they stand in the middle of the text."""
    inner = folded(f"|{part}|")[1:-1]
    return re.escape(inner)


def _fits(name: str, written: str, context: Context) -> bool:
    if name in _OF_THE_HOUR:
        return bool(written.strip())
    if name == "urgent_phone":
        return digits(written) in {digits(context.clinic.phone), digits(context.clinic.after_hours)} - {""}
    value = VALUES[name](context) if name in VALUES else None
    if value is None:
        return False
    return digits(written) == digits(value) if name in _PHONES else written == folded(value)


def _said(name: str, context: Context) -> str | None:
    return VALUES[name](context) if name in VALUES else None


def _start(context: Context, form: Callable[[datetime, str], str]) -> str | None:
    if context.visit is None:
        return None
    return form(context.visit.start.astimezone(context.clinic.zone), context.language)


def _minutes(context: Context) -> str | None:
    visit = context.visit
    if visit is None:
        return None
    length = visit.end - visit.start if visit.end is not None and visit.end > visit.start else timedelta(minutes=20)
    return str(int(length / timedelta(minutes=1)))


def rule_ends(visit: Visit | None, clinic: Clinic, plan: Plan) -> Mapping[str, datetime]:
    """When each timed aftercare rule ends."""
    if visit is None or visit.done is None:
        return {}
    hours = {rule.key: clinic.rule_hours.get(rule.key, rule.hours) for rule in plan.rules}
    return {key: visit.done + timedelta(hours=float(length)) for key, length in hours.items() if length is not None}


def ended(visit: Visit | None, clinic: Clinic, plan: Plan, at: datetime) -> Iterator[str]:
    """Keys of the rules that an all-clear may name at that moment."""
    ends = rule_ends(visit, clinic, plan)
    yield from (rule.key for rule in plan.rules if rule.in_allclear and rule.key in ends and ends[rule.key] <= at)


def _until(context: Context) -> str | None:
    ends = rule_ends(context.visit, context.clinic, context.plan)
    carried = [ends[r.key] for r in context.plan.rules if context.template in r.carried_by and r.key in ends]
    return weekday_time(max(carried).astimezone(context.clinic.zone), context.language) if carried else None


def _ended_rules(context: Context) -> str | None:
    keys = set(ended(context.visit, context.clinic, context.plan, context.at))
    words = [r.words.get(context.language, r.words["en"]) for r in context.plan.rules if r.key in keys]
    return ", ".join(words) or None


def _n_days(context: Context) -> str | None:
    if context.visit is None or context.visit.done is None:
        return None
    zone = context.clinic.zone
    return str((day_of(context.at, zone) - day_of(context.visit.done, zone)).days)


def weeks_between(clinic: Clinic, patient: Patient | None) -> int:
    """Weeks from one session to the next."""
    return (patient.interval_weeks if patient else None) or clinic.interval_weeks


def _due_date(context: Context) -> str | None:
    if context.visit is None or context.visit.done is None:
        return None
    weeks = weeks_between(context.clinic, context.patient)
    return short_day(day_of(context.visit.done, context.clinic.zone) + timedelta(weeks=weeks), context.language)


VALUES: Mapping[str, Callable[[Context], str | None]] = {
    "clinic": lambda c: c.clinic.sms_name,
    "date": lambda c: _start(c, short_day),
    "time": lambda c: _start(c, clock_time),
    "minutes": _minutes,
    "phone": lambda c: c.clinic.phone,
    "emergency": lambda c: c.clinic.emergency,
    "crisis_line": lambda c: c.clinic.crisis_line or c.clinic.emergency,
    "until": _until,
    "n_msgs": lambda c: str(c.plan.counted[c.clinic.plan]),
    "n_days": _n_days,
    "ended_rules": _ended_rules,
    "onset_window": lambda _: "10-14",
    "due_date": _due_date,
    "interval_weeks": lambda c: str(weeks_between(c.clinic, c.patient)),
}


def approved_body(
    texts: Mapping[str, Mapping[str, str]], template: str, language: str | None, clinic: Clinic
) -> tuple[str, str] | None:
    """The body in the patient's language, else the clinic's, with the forms its values are written in; None: there is none."""
    bodies = texts.get(template, {})
    own = language or clinic.languages[0]
    for tag in (own, re.split("[-_]", own)[0].lower(), *clinic.languages):
        if tag in bodies:
            return bodies[tag], language_of(tag)
    return None
