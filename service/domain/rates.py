"""How much a sender may send now: its rate in segments, counted as the moment when all that was handed over is through."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

AHEAD = timedelta(seconds=1)
"""How far ahead of its rate a sender may be: the provider queues little, so that a STOP keeps its effect."""
CARRIERS = ZoneInfo("America/Los_Angeles")
"""US carriers count a sender's day from midnight Pacific (Twilio error 30023)."""


def room(*, now: datetime, free_at: datetime | None, per_second: float) -> float:
    """Segments that may be handed over now; below or equal to zero: none."""
    start = max(free_at or now, now)
    return (now + AHEAD - start).total_seconds() * per_second


def through_at(segments: int, *, now: datetime, free_at: datetime | None, per_second: float) -> datetime:
    """When the sender is through after ``segments`` more."""
    return max(free_at or now, now) + timedelta(seconds=segments / per_second)


def opens_at(free_at: datetime) -> datetime:
    """When a sender that is through at ``free_at`` may be given more; a millisecond on, so that there is room then."""
    return free_at - AHEAD + timedelta(milliseconds=1)


def carriers_day(now: datetime) -> date:
    """The day that daily caps count."""
    return now.astimezone(CARRIERS).date()


def day_is_full(*, now: datetime, day: date | None, used: int, allowed: int | None) -> bool:
    """Whether the ``used`` segments of ``day`` leave nothing of what is ``allowed`` today."""
    used_today = used if day == carriers_day(now) else 0
    return allowed is not None and used_today >= allowed
