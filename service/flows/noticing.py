"""What happened to a session since it was last planned: the rows tell, whoever wrote them."""

from datetime import datetime, timedelta

from service.domain.variables import DEFAULT_LENGTH
from service.store.tables import TreatmentSession

STILL_NEWS = timedelta(hours=48)
"""A session first seen as missed is only worth a text to the patient while this is no longer ago."""


def notice(session: TreatmentSession, now: datetime) -> None:
    """Note on the row what is new about it, and that it has been seen."""
    before = session.planned_status
    if session.status != before:
        _status_changed(session, before, now)
    elif session.status == "booked" and session.scheduled_start != session.planned_start:
        _moved(session, now)
    if session.status == "completed" and session.completed_at is None:
        session.completed_at = session.scheduled_end or session.scheduled_start + DEFAULT_LENGTH
        session.completed_assumed = True
    session.planned_start, session.planned_status = session.scheduled_start, session.status


def _status_changed(session: TreatmentSession, before: str | None, now: datetime) -> None:
    if before == "completed":
        _forget_completion(session)
    match session.status:
        case "booked" if before is None or session.booked_at is None:
            session.booked_at = session.booked_at or now
        case "booked":
            _moved(session, now)
        case "cancelled" if before is not None:
            session.cancels += 1
            session.cancelled_at = now
        case "no_show" if before is not None or now - session.scheduled_start <= STILL_NEWS:
            session.no_show_at = now
        case "completed":
            session.completion_known_at = session.completion_known_at or now
        case _:
            pass


def _forget_completion(session: TreatmentSession) -> None:
    """Completed next time, it is at another time: what was assumed of this one says nothing of that."""
    session.completion_known_at = None
    if session.completed_assumed:
        session.completed_at, session.completed_assumed = None, False


def _moved(session: TreatmentSession, now: datetime) -> None:
    session.moves += 1
    session.moved_at = now
