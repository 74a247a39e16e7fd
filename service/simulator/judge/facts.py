"""The world's log as values: what was true, what the network did, what the service says of itself in the end."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service.simulator.judge.walls import Hours


@dataclass(frozen=True, slots=True)
class Label:
    """Which text it is, in the world's keys; ``answers`` is the number of the text from a phone that a reply answers."""

    patient: str | None
    session: str | None
    step: str | None
    n: int | None
    kind: str
    template: str | None
    answers: int | None

    def __str__(self) -> str:
        parts = (self.kind, self.patient, self.session, self.step or self.template, self.n, self.answers)
        return " ".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Clinic:
    """``answers``: whether answers that are numbers are understood, so that such questions are asked."""

    key: str
    sms_name: str
    zone: ZoneInfo
    phone: str
    after_hours: str
    emergency: str
    crisis_line: str | None
    languages: tuple[str, ...]
    hours: Hours
    plan: str
    interval_weeks: int
    live_from: datetime | None
    sender: str
    rule_hours: dict[str, float]
    answers: bool


@dataclass(frozen=True, slots=True)
class Patient:
    key: str
    clinic: str
    number: str | None
    language: str | None
    zone: ZoneInfo | None
    status: str
    interval_weeks: int | None
    imported: bool
    may_ask: bool
    privacy: str


@dataclass(frozen=True, slots=True)
class Session:
    key: str
    patient: str
    start: datetime
    end: datetime | None
    status: str
    completed_at: datetime | None
    imported: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """What somebody wrote into the ledger of consents."""

    at: datetime
    number: str
    clinic: str
    granted: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A text from a phone. ``brought``: when the service could have learned of it, None if it never could."""

    at: datetime
    no: int
    number: str
    to: str
    body: str
    brought: datetime | None


@dataclass(frozen=True, slots=True)
class Take:
    """The network took a text; ``order`` is its place in the log."""

    at: datetime
    order: int
    number: str
    sender: str
    body: str
    attempt: int
    valid_seconds: int | None
    label: Label


@dataclass(frozen=True, slots=True)
class Refusal:
    at: datetime
    number: str
    code: str
    label: Label


@dataclass(frozen=True, slots=True)
class Break:
    """A handing over that ended without a clear answer."""

    at: datetime
    number: str
    taken: bool
    label: Label


@dataclass(frozen=True, slots=True)
class Report:
    at: datetime
    state: str
    code: str | None
    label: Label
    times: int
    lost: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """Sending paused: ``what`` is all, sender, clinic or patient, ``who`` its key."""

    start: datetime
    end: datetime | None
    what: str
    who: str | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """``who`` died: the worker, which sends, or the web server, which hears."""

    what: str
    who: str | None
    start: datetime
    end: datetime
    step: timedelta


@dataclass(frozen=True, slots=True)
class Row:
    """What the service says in the end became of a text."""

    label: Label
    state: str
    reason: str | None
    held_reason: str | None
    due_at: datetime | None
    attempts: int
    to_number: str | None


@dataclass(frozen=True, slots=True)
class Task:
    """What the service put before staff."""

    kind: str
    level: str | None
    patient: str | None
    session: str | None
    step: str | None
    opened_at: datetime | None
    state: str
    about: Label | None
    answers: int | None


def moment(written: Any) -> datetime:
    """A moment as the log writes it."""
    return datetime.fromisoformat(written)


def moment_or_none(written: Any) -> datetime | None:
    return None if written is None else moment(written)


def hours_of(window: Any) -> Hours:
    """``{"from": "09:00", "to": "19:00"}``."""
    return time.fromisoformat(window["from"]), time.fromisoformat(window["to"])
