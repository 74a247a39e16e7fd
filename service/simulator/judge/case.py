"""One patient at one moment, as far as the plan asks: who it is, which sessions, what was said so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from service.simulator.judge.facts import Clinic, Patient
from service.simulator.judge.plan import Plan, Step
from service.simulator.judge.visits import Heard, Visit
from service.simulator.judge.walls import day_of
from service.simulator.judge.wording import weeks_between

TOO_CLOSE = timedelta(hours=20)
"""Two live sessions of one patient within 20 h: the second is held (contract, section 4)."""
Key = tuple[str | None, str, int]
"""A text of the plan: session, step, and how often the session had moved, or been cancelled, by then."""


@dataclass(frozen=True, slots=True)
class Told:
    """A text that named a start time, or called the session off. ``sure``: the patient got it, as far as anyone knows."""

    at: datetime
    key: Key
    visit: str | None
    start: datetime | None
    off: bool
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """``textable``: since when, without a break, texts that need consent may go; ``left``: when texts of the plan went out."""

    clinic: Clinic
    plan: Plan
    patient: Patient
    visits: tuple[Visit, ...]
    standing: str
    textable: Heard | None
    added: Heard
    consented: Heard | None
    by_text: bool
    told: tuple[Told, ...]
    left: Mapping[Key, datetime]
    perhaps_left: Mapping[Key, datetime]
    on_since: Mapping[str, datetime]

    @property
    def zone(self) -> ZoneInfo:
        return self.clinic.zone

    @property
    def blocked(self) -> str | None:
        """Why nothing that needs consent may go to this patient."""
        if self.patient.status != "active":
            return f"patient_{self.patient.status}"
        if self.patient.number is None:
            return "no_number"
        return None if self.standing in {"granted", "unclear"} else self.standing

    def completed(self) -> list[Visit]:
        """Sessions that took place."""
        return [visit for visit in self.visits if visit.status == "completed" and visit.done is not None]

    def done_before(self, visit: Visit) -> int:
        """How many sessions took place before this one."""
        own = visit.done or visit.start
        return sum(other.key != visit.key and other.done is not None and other.done < own for other in self.completed())

    def is_newest(self, visit: Visit) -> bool:
        """Whether no later session took place: a new completion closes the open steps of the older cycle."""
        return not any(
            other.done is not None and visit.done is not None and other.done > visit.done for other in self.completed()
        )

    def later(self, visit: Visit) -> list[Visit]:
        """Sessions of the patient that start after this one took, or takes, place."""
        own = visit.done or visit.start
        return [other for other in self.visits if other.key != visit.key and other.start > own]

    def due_day(self, visit: Visit) -> date | None:
        """The date of the completion plus the interval, clinic zone."""
        if visit.done is None:
            return None
        return day_of(visit.done, self.zone) + timedelta(weeks=weeks_between(self.clinic, self.patient))

    def too_close(self) -> frozenset[str]:
        """Live sessions that start within 20 h of an earlier one."""
        held, last = set(), None
        for visit in sorted((v for v in self.visits if v.is_live), key=lambda v: (v.start, v.key)):
            if last is not None and visit.start - last < TOO_CLOSE:
                held.add(visit.key)
            else:
                last = visit.start
        return frozenset(held)


def key_of(step: Step, visit: Visit | None) -> Key:
    """What makes a text of the plan this one and no other."""
    if visit is None:
        return None, step.key, 0
    if step.anchor == "cancelled":
        return visit.key, step.key, visit.cancels
    return visit.key, step.key, visit.moves if step.anchor == "moved" or step.again else 0
