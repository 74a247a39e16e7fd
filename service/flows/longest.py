"""How long a clinic's texts really get: filled with its own names and numbers, and with every patient's and session's values."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.domain.careplan import CarePlan
from service.domain.case import ClinicFacts
from service.domain.phone import display
from service.domain.segments import GSM_BASIC, GSM_EXTENSION, Policy, measure, prepare
from service.domain.templates import PLACEHOLDER, placeholders
from service.domain.variables import DEFAULT_LENGTH
from service.domain.windows import local_day
from service.domain.wording import clock_time, short_date
from service.store.tables import Patient, TreatmentSession

AT_ONCE = 1_000
GSM = GSM_BASIC | GSM_EXTENSION


class LongestValues:
    """Of each variable, in each language, the value of this clinic that makes a text longest; one is kept, however many there are."""

    def __init__(self, facts: ClinicFacts, plan: CarePlan, languages: Iterable[str]) -> None:
        self._facts, self._plan = facts, plan
        self._kept: dict[str, dict[str, str]] = {language: {} for language in languages}
        self._seen: set[tuple[str, str, str]] = set()
        self._spelling: Policy = "transliterate" if facts.transliterate else "native"

    def gather(self, db: Session) -> "LongestValues":
        """Take in the clinic, and stream through all its patients and sessions."""
        for language in self._kept:
            for name, value in _of_clinic(self._facts, self._plan):
                self._take(language, name, value)
        weeks = select(Patient.interval_weeks).where(Patient.clinic_id == self._facts.id).distinct()
        for own in db.scalars(weeks):
            self._take_all("interval_weeks", partial(_in_any, str(own or self._facts.interval_weeks)))
        for session in db.execute(_sessions_of(self._facts.id), execution_options={"yield_per": AT_ONCE}):
            self._take_session(*session)
        return self

    def _take_session(self, start: datetime, end: datetime | None, done: datetime | None, weeks: int | None) -> None:
        local, length = start.astimezone(self._facts.zone), end - start if end else DEFAULT_LENGTH
        self._take_all("date", lambda language: short_date(local.date(), language))
        self._take_all("time", lambda language: clock_time(local, language))
        self._take_all("minutes", partial(_in_any, str(int(length.total_seconds() // 60))))
        if done is not None:
            due = local_day(done, self._facts.zone) + timedelta(weeks=weeks or self._facts.interval_weeks)
            self._take_all("due_date", lambda language: short_date(due, language))

    def segments(self, text: str, language: str, *, plain: bool) -> int | None:
        """How many segments the text takes at the most; None where it names something that has no value."""
        lengths, kept = self._plan.max_lengths, self._kept[language]
        if any(name not in kept and name not in lengths for name in placeholders(text)):
            return None
        filled = PLACEHOLDER.sub(lambda found: kept.get(found[1]) or "x" * lengths[found[1]], text)
        return measure(prepare(filled, "transliterate" if plain else self._spelling)).segments

    def _take_all(self, name: str, value_in: Callable[[str], str]) -> None:
        for language in self._kept:
            self._take(language, name, value_in(language))

    def _take(self, language: str, name: str, value: str) -> None:
        if (language, name, value) in self._seen:
            return
        self._seen.add((language, name, value))
        kept = self._kept[language]
        if name not in kept or self._weight(value) > self._weight(kept[name]):
            kept[name] = value

    def _weight(self, value: str) -> tuple[bool, int]:
        """One letter outside GSM-7 makes the whole text longer than any length of one value could."""
        spelled = prepare(value, self._spelling)
        return not GSM.issuperset(spelled), measure(spelled).units


def _in_any(value: str, _language: str) -> str:
    """The value as every language writes it."""
    return value


def _of_clinic(facts: ClinicFacts, plan: CarePlan) -> Iterator[tuple[str, str]]:
    shown: Mapping[str, Iterable[str]] = {
        "clinic": [facts.sms_name],
        "phone": [display(facts.phone)],
        "urgent_phone": [display(facts.phone), *([display(facts.after_hours)] if facts.after_hours else [])],
        "emergency": [facts.emergency],
        "crisis_line": [facts.crisis_line or facts.emergency],
        "n_msgs": [str(plan.n_msgs(facts.plan_name))],
    }
    yield from ((name, value) for name, values in shown.items() for value in values)


def _sessions_of(clinic_id: int) -> Select[datetime, datetime | None, datetime | None, int | None]:
    about = TreatmentSession.scheduled_start, TreatmentSession.scheduled_end, TreatmentSession.completed_at
    sessions = select(*about, Patient.interval_weeks).join(Patient, Patient.id == TreatmentSession.patient_id)
    return sessions.where(TreatmentSession.clinic_id == clinic_id)
