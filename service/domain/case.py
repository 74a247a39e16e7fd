"""What is known of a patient when a text is planned, looked at or written: plain facts, no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from service.domain.careplan import CarePlan
from service.domain.consent import Standing
from service.domain.opening_hours import OpeningHours
from service.domain.windows import Window, local_day

TOO_CLOSE = timedelta(hours=20)
"""Two live sessions of one patient nearer than this are taken for one session entered twice."""


@dataclass(frozen=True, slots=True)
class ClinicFacts:
    """A clinic's clock, contacts and choices. ``rule_hours`` overrides the plan's durations by rule key."""

    id: int
    sms_name: str
    zone: ZoneInfo
    country: str
    phone: str
    emergency: str
    after_hours: str
    crisis_line: str | None
    languages: tuple[str, ...]
    hours: OpeningHours
    holidays: frozenset[date]
    window: Window
    plan_name: str
    interval_weeks: int
    transliterate: bool
    live_from: datetime | None
    answers_understood: bool
    rule_hours: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """A patient as far as texts are concerned. ``textable_since``: without a break, or None."""

    id: int
    phone: str | None
    language: str
    zone: ZoneInfo | None
    status: str
    privacy: str
    interval_weeks: int | None
    authorisation_ends: date | None
    standing: Standing
    may_ask: bool
    imported: bool
    added_at: datetime | None
    consented_at: datetime | None
    consented_by_text: bool
    textable_since: datetime | None

    @property
    def blocked(self) -> str | None:
        """Why this patient gets no text that rests on consent, or None."""
        if self.status != "active":
            return f"patient_{self.status}"
        if self.phone is None:
            return "no_number"
        return None if self.standing is Standing.GRANTED else self.standing.value


NOBODY = PatientFacts(
    id=0,
    phone=None,
    language="",
    zone=None,
    status="active",
    privacy="strict",
    interval_weeks=None,
    authorisation_ends=None,
    standing=Standing.NONE,
    may_ask=False,
    imported=False,
    added_at=None,
    consented_at=None,
    consented_by_text=False,
    textable_since=None,
)
"""Of whom nothing is known: what a case begins with that is of no patient in the database."""


@dataclass(frozen=True, slots=True)
class Told:
    """A text that named a start time, or called the session off."""

    at: datetime
    start: datetime
    called_off: bool = False


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A treatment session and when each thing about it became known."""

    id: int
    status: str
    start: datetime
    end: datetime | None = None
    completed_at: datetime | None = None
    completion_known_at: datetime | None = None
    booked_at: datetime | None = None
    moved_at: datetime | None = None
    moves: int = 0
    cancelled_at: datetime | None = None
    cancels: int = 0
    no_show_at: datetime | None = None
    imported: bool = False
    confirmed_start: datetime | None = None
    told: tuple[Told, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether the session takes, or took, place."""
        return self.status in ("booked", "completed")


@dataclass(frozen=True, slots=True)
class Case:
    """One patient with all sessions, in the order of their start."""

    clinic: ClinicFacts
    patient: PatientFacts
    sessions: tuple[SessionFacts, ...]
    plan: CarePlan

    @property
    def interval_days(self) -> int:
        """Calendar days from one session to the next."""
        return 7 * (self.patient.interval_weeks or self.clinic.interval_weeks)

    def completed(self) -> list[SessionFacts]:
        """Sessions that took place, in the order of their completion."""
        done = (s for s in self.sessions if s.status == "completed" and s.completed_at is not None)
        return sorted(done, key=lambda s: (s.completed_at, s.id))

    def completed_before(self, session: SessionFacts) -> int:
        """How many sessions took place before this one."""
        own = session.completed_at or session.start
        return sum(
            1 for s in self.completed() if s.id != session.id and s.completed_at is not None and s.completed_at < own
        )

    def is_latest(self, session: SessionFacts) -> bool:
        """Whether no later session took place: only the newest cycle has open steps."""
        own = session.completed_at
        return (
            session.status == "completed"
            and own is not None
            and not any(
                s.status == "completed" and s.completed_at is not None and (s.completed_at, s.id) > (own, session.id)
                for s in self.sessions
            )
        )

    def rebooked(self, session: SessionFacts) -> bool:
        """Whether a later session stands in the book: one booked past its date counts until staff say how it ended."""
        own = session.completed_at or session.start
        return any(s.id != session.id and s.status == "booked" and s.start > own for s in self.sessions)

    def let_go_at(self, session: SessionFacts) -> list[datetime]:
        """When sessions that stood in the book after this one were taken out of it again."""
        own = session.completed_at or session.start
        later = (s for s in self.sessions if s.id != session.id and s.start > own)
        ends = ({"cancelled": s.cancelled_at, "no_show": s.no_show_at}.get(s.status) for s in later)
        return [moment for moment in ends if moment is not None]

    def due_day(self, session: SessionFacts) -> date | None:
        """The planned day of the next session, clinic zone."""
        if session.completed_at is None:
            return None
        return local_day(session.completed_at, self.clinic.zone) + timedelta(days=self.interval_days)

    def held_sessions(self) -> frozenset[int]:
        """Live sessions that start less than 20 h after another one: nobody may tell the patient of both."""
        held: set[int] = set()
        last: datetime | None = None
        for session in sorted((s for s in self.sessions if s.is_live), key=lambda s: (s.start, s.id)):
            if last is not None and session.start - last < TOO_CLOSE:
                held.add(session.id)
            else:
                last = session.start
        return frozenset(held)

    def rule_ends(self, session: SessionFacts) -> dict[str, datetime]:
        """When each timed aftercare rule ends, by rule key; rules of the first night are not in it."""
        if session.completed_at is None:
            return {}
        ends = {}
        for rule in self.plan.rules:
            hours = self.clinic.rule_hours.get(rule.key)
            duration = timedelta(hours=hours) if hours is not None else rule.duration
            if duration is not None:
                ends[rule.key] = session.completed_at + duration
        return ends

    def ended_rules(self, session: SessionFacts, at: datetime) -> list[str]:
        """Keys of the rules that an all-clear at ``at`` may name, in the plan's order."""
        ends = self.rule_ends(session)
        return [r.key for r in self.plan.rules if r.in_allclear and r.key in ends and ends[r.key] <= at]
