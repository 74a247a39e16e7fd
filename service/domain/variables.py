"""The values behind a text's placeholders, each computed from the case at the moment of sending."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.case import Case, SessionFacts
from service.domain.phone import display
from service.domain.windows import local_day
from service.domain.wording import by_time, clock_time, short_date, until_time

DEFAULT_LENGTH = timedelta(minutes=20)
"""How long a session takes where nobody said (15-20 min)."""
FULL_EFFECT_DAYS = "10-14"


@dataclass(frozen=True, slots=True)
class Writing:
    """One text being written: for whom, about which session, when, and the aftercare rules it carries."""

    case: Case
    session: SessionFacts | None
    at: datetime
    language: str
    rules: tuple[str, ...] = ()

    def local(self, moment: datetime) -> datetime:
        """The moment on the clinic's wall clock: every time in a text is the clinic's."""
        return moment.astimezone(self.case.clinic.zone)


def values_for(names: Iterable[str], writing: Writing) -> dict[str, str]:
    """The value of each name, empty where the case does not have it: an empty value stops the text."""
    return {name: VALUES[name](writing) if name in VALUES else "" for name in names}


def _start(writing: Writing, form: Callable[[datetime, str], str]) -> str:
    return form(writing.local(writing.session.start), writing.language) if writing.session else ""


def _minutes(writing: Writing) -> str:
    if writing.session is None:
        return ""
    length = writing.session.end - writing.session.start if writing.session.end else DEFAULT_LENGTH
    return str(int(length.total_seconds() // 60)) if length > timedelta(0) else str(DEFAULT_LENGTH.seconds // 60)


def _staffed(writing: Writing) -> bool:
    clinic = writing.case.clinic
    return clinic.hours.is_open(writing.at, clinic.zone, holidays=clinic.holidays)


def _urgent_phone(writing: Writing) -> str:
    clinic = writing.case.clinic
    return display(clinic.phone if _staffed(writing) or not clinic.after_hours else clinic.after_hours)


def _until(writing: Writing) -> str:
    ends = writing.case.rule_ends(writing.session) if writing.session else {}
    carried = [ends[key] for key in writing.rules if key in ends]
    return until_time(writing.local(max(carried)), writing.language) if carried else ""


def _n_days(writing: Writing) -> str:
    if writing.session is None or writing.session.completed_at is None:
        return ""
    zone = writing.case.clinic.zone
    return str((local_day(writing.at, zone) - local_day(writing.session.completed_at, zone)).days)


def _ended_rules(writing: Writing) -> str:
    ended = writing.case.ended_rules(writing.session, writing.at) if writing.session else []
    phrases = {rule.key: rule.phrases for rule in writing.case.plan.rules}
    return ", ".join(phrases[key].get(writing.language, phrases[key]["en"]) for key in ended)


def _due_date(writing: Writing) -> str:
    due = writing.case.due_day(writing.session) if writing.session else None
    return short_date(due, writing.language) if due else ""


def _by(writing: Writing, deadline: datetime) -> str:
    return by_time(writing.local(deadline), writing.local(writing.at), writing.language)


def _callback_by(writing: Writing) -> str:
    clinic = writing.case.clinic
    return _by(writing, clinic.hours.callback_by(writing.at, clinic.zone, holidays=clinic.holidays))


def _read_by(writing: Writing) -> str:
    clinic = writing.case.clinic
    return _by(writing, clinic.hours.read_by(writing.at, clinic.zone, holidays=clinic.holidays))


VALUES: Mapping[str, Callable[[Writing], str]] = {
    "clinic": lambda w: w.case.clinic.sms_name,
    "date": lambda w: _start(w, short_date),
    "time": lambda w: _start(w, clock_time),
    "minutes": _minutes,
    "phone": lambda w: display(w.case.clinic.phone),
    "urgent_phone": _urgent_phone,
    "emergency": lambda w: w.case.clinic.emergency,
    "crisis_line": lambda w: w.case.clinic.crisis_line or w.case.clinic.emergency,
    "until": _until,
    "n_msgs": lambda w: str(w.case.plan.n_msgs(w.case.clinic.plan_name)),
    "n_days": _n_days,
    "ended_rules": _ended_rules,
    "onset_window": lambda _: FULL_EFFECT_DAYS,
    "due_date": _due_date,
    "interval_weeks": lambda w: str(w.case.interval_days // 7),
    "callback_by": _callback_by,
    "read_by": _read_by,
}
