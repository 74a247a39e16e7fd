"""The difference between what a patient's plan wants and what stands in the table. Pure; the planner writes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from service.domain.careplan import Late
from service.domain.case import Case, SessionFacts
from service.domain.expansion import Entry
from service.domain.lifecycle import State
from service.domain.windows import LEAST_USEFUL

BY_STAFF = "staff: "
"""Begins the reason of whatever a person has stopped: the plan never takes that back."""


@dataclass(frozen=True, slots=True)
class Row:
    """A planned text, or a planned task of staff, as it stands in its table. ``looked_at``: when it was to be looked at next."""

    id: int
    identity: str
    step: str
    session_id: int | None
    state: str
    reason: str | None
    nominal_at: datetime | None
    due_at: datetime | None
    expires_at: datetime | None
    attempts: int
    settled_at: datetime | None
    looked_at: datetime | None = None


Pair = tuple[Row, Entry]


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be written so that the table says what the plan says; ``kept`` rows stand at their time already."""

    new: tuple[Entry, ...]
    kept: tuple[Pair, ...]
    moved: tuple[Pair, ...]
    revived: tuple[Pair, ...]
    withdrawn: tuple[tuple[Row, str], ...]


def difference(case: Case, entries: Iterable[Entry], rows: Mapping[str, Row], *, now: datetime) -> Difference:
    """Compare by identity. Rows that left the house, and whatever staff stopped, are never touched."""
    wanted = {entry.identity: entry for entry in entries}
    pairs = [(row, wanted[row.identity]) for row in rows.values() if row.identity in wanted]
    standing = [(row, entry) for row, entry in pairs if row.state == State.PLANNED]
    timed = [(row, entry) for row, entry in standing if entry.due_at]
    gone = [row for row in rows.values() if row.identity not in wanted and row.state == State.PLANNED]
    return Difference(
        new=tuple(
            # What nobody wanted when its time came, because the plan did not have it, is late like any other.
            entry.skip("late") if _has_passed(entry, now) else entry
            for entry in wanted.values()
            if entry.identity not in rows
        ),
        kept=tuple((row, entry) for row, entry in timed if not _differs(row, entry)),
        moved=tuple((row, entry) for row, entry in timed if _differs(row, entry)),
        revived=tuple((row, entry) for row, entry in pairs if _comes_back(row, entry, now)),
        withdrawn=(
            *((row, entry.skipped) for row, entry in standing if entry.skipped),
            *((row, _why_gone(row, case)) for row in gone),
        ),
    )


def _differs(row: Row, entry: Entry) -> bool:
    return (row.nominal_at, row.due_at, row.expires_at) != (entry.nominal_at, entry.due_at, entry.expires_at)


def _has_passed(entry: Entry, now: datetime) -> bool:
    """Whether a step that is wanted from now on can not go out any more as it was meant to."""
    if entry.due_at is None or entry.due_at >= now:
        return False
    useless = entry.expires_at is not None and entry.expires_at - LEAST_USEFUL < now
    return useless or entry.step.late is Late.SKIP


def _comes_back(row: Row, entry: Entry, now: datetime) -> bool:
    """Whether a text that was never attempted is wanted again, for a time that it has not yet had its chance at."""
    if row.state not in (State.CANCELLED, State.MISSED, "withdrawn") or row.attempts or entry.due_at is None:
        return False
    if (row.reason or "").startswith(BY_STAFF) or _had_its_chance(row, entry.due_at):
        return False
    return not _has_passed(entry, now)


def _had_its_chance(row: Row, due_at: datetime) -> bool:
    """Whether the row ended when ``due_at`` had come. One that never had a time of its own ended without coming to it.

    Nor had one its chance that was held when it ended: until a later look nobody had decided about it.
    """
    if row.settled_at is None or (row.looked_at is not None and row.looked_at > row.settled_at):
        return False
    return due_at < row.settled_at or (due_at == row.settled_at and row.due_at is not None)


def _why_gone(row: Row, case: Case) -> str:
    session = next((s for s in case.sessions if s.id == row.session_id), None)
    step = case.plan.step(row.step)
    if step is None or case.clinic.plan_name not in step.plans:
        return "plan_changed"
    if session is None:
        return "no_longer_wanted"
    return _why_session_lets_go(session, case)


def _why_session_lets_go(session: SessionFacts, case: Case) -> str:
    match session.status:
        case "booked":
            return "moved"
        case "completed" if not case.is_latest(session):
            return "newer_session"
        case _:
            return f"session_{session.status}"
