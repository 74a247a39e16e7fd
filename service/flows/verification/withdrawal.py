"""Whether a session, or the step of the plan, was still wanted when a text of the plan left.

Of a session the rows tell when each thing was last seen to happen. What is certain is only how it has been since the
last of them; of earlier times the story of the text itself tells whether planning had let go of it.
"""

from collections.abc import Iterator
from datetime import datetime

from service.domain.anchors import EVENTS
from service.flows.verification.dossiers import Dossier
from service.flows.verification.findings import KEPT, NOT_ASKED, Judgement, moment
from service.store.evidence import Attempt, SessionDates

ENDED = ("withdrawn", "skipped", "missed")
BOOKED = "booked"


def after_withdrawal(of: Dossier, attempt: Attempt) -> Judgement:
    """Texts of the plan: what had been taken out and not taken back, or is about a session that had changed."""
    if of.text.kind != "plan":
        return NOT_ASKED
    if (ended := _ended_before(of, attempt)) is not None:
        return f"It left on {moment(attempt.started_at)}, and it had been {ended}; nothing had brought it back."
    if of.is_last(attempt) and of.plan is not None and of.step is None:
        return f"It left on {moment(attempt.started_at)}, and the plan that it followed has no step like it."
    return _wrong_session(of, attempt) or KEPT


def _ended_before(of: Dossier, attempt: Attempt) -> str | None:
    """How the text had ended before this look at it."""
    ended: str | None = None
    for entry in of.tells(*ENDED, "revived"):
        if entry.kind == "revived" and entry.at <= attempt.started_at:
            ended = None
        elif entry.kind != "revived" and entry.at < attempt.started_at:
            ended = f"{entry.kind} on {moment(entry.at)} ({entry.reason or 'no reason'})"
    return ended


def _wrong_session(of: Dossier, attempt: Attempt) -> str | None:
    session, step = of.session, of.step
    if session is None or step is None or step.anchor not in EVENTS:
        return None
    since, wanted = _status_since(session, of.session_off_at), EVENTS[step.anchor][0]
    if since is None or attempt.started_at <= since:
        return None
    left = f"It left on {moment(attempt.started_at)}"
    if session.status != wanted:
        return f"{left}; since {moment(since)} the session has been {session.status}, and the step is for one that is {wanted}."
    told = of.text.told_start if wanted == BOOKED and of.is_last(attempt) else None
    if told is not None and told != session.planned_start:
        return f"{left} and names a start from which the session had been moved by {moment(since)}."
    return None


def _status_since(session: SessionDates, off_at: datetime | None) -> datetime | None:
    """Since when the session has had its status without a break; None where nobody can say for certain.

    A status that planning has not seen yet has no date of its own: then something else is what was seen last.
    """
    dates = dict(_dates(session, off_at))
    own = dates.pop(session.status, None)
    return own if own is not None and all(own > other for other in dates.values()) else None


def _dates(session: SessionDates, off_at: datetime | None) -> Iterator[tuple[str, datetime]]:
    """When each status was last seen to begin; for one that has no column ``off_at``."""
    booked = max((at for at in (session.booked_at, session.moved_at) if at is not None), default=None)
    seen = {
        BOOKED: booked,
        "cancelled": session.cancelled_at,
        "no_show": session.no_show_at,
        "completed": session.completion_known_at,
    }
    for status, at in {session.status: off_at, **seen}.items():
        if at is not None:
            yield status, at
