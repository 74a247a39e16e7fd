"""What the judge says in the end."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: about whom, when, and how. Keys are the world's own."""

    rule: str
    patient: str | None
    session: str | None
    step: str | None
    at: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``missed`` counts by reason the texts that should have gone out and, with good reason, did not."""

    violations: list[Violation] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    texts: int = 0
    texts_per_patient_week: float = 0.0


def utc(moment: datetime | None) -> str:
    """A moment as violations name it: UTC, to the second."""
    return "never" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
