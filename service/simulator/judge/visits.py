"""Sessions as they were in the course of time, and when the service may have noticed what happened to them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.simulator.judge.calm import Calm, ServiceClock
from service.simulator.judge.facts import Session
from service.simulator.judge.history import History

NOTICED = timedelta(seconds=60)
"""Planning runs every few seconds; a minute without trouble is plenty for a change to be seen."""
TOGETHER = timedelta(seconds=2)
"""What is noted in the log together may have stood in the database one moment after the other."""
IN_PARTS = timedelta(minutes=3)
"""An import that breaks off is started again until it is through: its first rows stood there earlier, by an outage at most."""
STILL_NEWS = timedelta(hours=48)
"""A session first seen as missed is worth a text only within 48 hours of its start (docs/reference.md)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Between these two moments the service noted, on its own clock, that something had happened."""

    soon: datetime
    late: datetime

    def by(self, *, quick: bool) -> datetime:
        """What a quick reader, or a slow one, noted."""
        return self.soon if quick else self.late


class Ears:
    """When news reaches the service."""

    def __init__(self, calm: Calm, bare: Calm, clock: ServiceClock) -> None:
        self._calm, self._bare, self._clock = calm, bare, clock

    def hear(self, happened: datetime) -> Heard:
        """News that stood in the database at that moment."""
        soon = max(self._bare.began(happened), happened - IN_PARTS) - TOGETHER
        late = self._calm.after(happened, NOTICED)
        behind, ahead = self._clock.off(soon, late)
        return Heard(soon + behind, late + ahead)


@dataclass(frozen=True, slots=True)
class Visit:
    """A session at a moment. ``done`` is the end of the injections; ``moves`` and ``cancels`` count what befell it."""

    key: str
    patient: str
    status: str
    start: datetime
    end: datetime | None
    done: datetime | None
    imported: bool
    booked: Heard | None = None
    moved: Heard | None = None
    moves: int = 0
    cancelled: Heard | None = None
    cancels: int = 0
    missed: Heard | None = None
    done_known: Heard | None = None

    @property
    def is_live(self) -> bool:
        return self.status in {"booked", "completed"}


def visit_history(sessions: Iterable[tuple[datetime, Session]], ears: Ears) -> History[Visit]:
    """One session from its first appearance on."""
    history: History[Visit] = History()
    for at, session in sessions:
        before = history.last
        history.add(
            at, _first(session, ears.hear(at), at) if before is None else _changed(before, session, ears.hear(at))
        )
    return history


def _plain(session: Session) -> Visit:
    done = None
    if session.status == "completed":
        # Completed without a time: its planned end, else twenty minutes (contract, section 4).
        done = session.completed_at or session.end or session.start + timedelta(minutes=20)
    return Visit(
        key=session.key,
        patient=session.patient,
        status=session.status,
        start=session.start,
        end=session.end,
        done=done,
        imported=session.imported,
    )


def _first(session: Session, heard: Heard, at: datetime) -> Visit:
    seen = _plain(session)
    match session.status:
        case "booked":
            return replace(seen, booked=heard)
        case "completed":
            return replace(seen, done_known=heard)
        case "no_show" if at - session.start <= STILL_NEWS:
            return replace(seen, missed=heard)
        case _:
            return seen


def _changed(before: Visit, session: Session, heard: Heard) -> Visit:
    now = replace(
        _plain(session),
        booked=before.booked,
        moved=before.moved,
        moves=before.moves,
        cancelled=before.cancelled,
        cancels=before.cancels,
        missed=before.missed,
        done_known=before.done_known if session.status == "completed" else None,
    )
    if before.status == session.status:
        moved = session.status == "booked" and session.start != before.start
        return replace(now, moved=heard, moves=now.moves + 1) if moved else now
    match session.status:
        case "booked" if before.booked is None:
            return replace(now, booked=heard)
        case "booked":
            return replace(now, moved=heard, moves=now.moves + 1)
        case "cancelled":
            return replace(now, cancelled=heard, cancels=now.cancels + 1)
        case "no_show":
            return replace(now, missed=heard)
        case "completed":
            return replace(now, done_known=heard)
        case _:
            return now
