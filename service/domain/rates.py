"""How much a sender may send now, and whose turn it is: rates in segments, the carriers' day, and who goes ahead of whom."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

AHEAD = timedelta(seconds=5)
"""How far ahead of its rate a sender may be: the provider queues little, so that a STOP keeps its effect."""
LARGEST = 24
"""Segments of the longest text that a network takes."""
CARRIERS = ZoneInfo("America/Los_Angeles")
"""US carriers count a sender's day from midnight Pacific (Twilio error 30023)."""
AHEAD_OF_A_TURN = 9
"""What is more urgent always goes first, but for one segment in ten while both wait: so nothing ever waits for ever."""


def room(*, now: datetime, free_at: datetime | None, per_second: float) -> float:
    """Segments that may be handed over now; below or equal to zero: none."""
    return (now + AHEAD - _busy_until(now, free_at, per_second)).total_seconds() * per_second


def through_at(segments: int, *, now: datetime, free_at: datetime | None, per_second: float) -> datetime:
    """When the sender is through after ``segments`` more."""
    return _busy_until(now, free_at, per_second) + timedelta(seconds=segments / per_second)


def opens_at(free_at: datetime) -> datetime:
    """When a sender that is through at ``free_at`` may be given more; a millisecond on, so that there is room then."""
    return free_at - AHEAD + timedelta(milliseconds=1)


def _busy_until(now: datetime, free_at: datetime | None, per_second: float) -> datetime:
    """When the sender is through. A time that no handing over leads to was written by a clock that ran ahead."""
    latest = now + AHEAD + timedelta(seconds=LARGEST / per_second)
    return free_at if free_at is not None and now < free_at <= latest else now


def carriers_day(now: datetime) -> date:
    """The day that daily caps count."""
    return now.astimezone(CARRIERS).date()


def day_is_full(*, now: datetime, day: date | None, used: int, allowed: int | None, segments: int = 1) -> bool:
    """Whether the ``used`` segments of ``day`` leave no room for ``segments`` more of what is ``allowed`` today."""
    used_today = used if day == carriers_day(now) else 0
    return allowed is not None and used_today + segments > allowed


def is_turn(ahead: int) -> bool:
    """Whether it is the turn of what is less urgent, after ``ahead`` segments that went ahead of it."""
    return ahead >= AHEAD_OF_A_TURN


def after_going_ahead(ahead: int, segments: int) -> int:
    """What ``ahead`` is after so many segments more that went ahead of what waits."""
    return min(ahead + segments, AHEAD_OF_A_TURN)


def after_turn(ahead: int, segments: int) -> int:
    """What ``ahead`` is after a turn of so many segments: below zero where it was more than one of ten."""
    return ahead - AHEAD_OF_A_TURN * segments
