"""Clocks on walls, reckoned once more and naively: moments of wall times, days, and hours in which a text may leave."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LEAST_LEFT = timedelta(seconds=60)
"""With less than 60 s left a text is not sent (contract, section 3, on ValidityPeriod)."""
Hours = tuple[time, time]
"""From the first to, not including, the second."""


@lru_cache(maxsize=200_000)
def moment_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the wall clock first shows ``at`` on ``day``; a time that never comes is the first moment after the gap."""
    wall = datetime.combine(day, at)
    while True:
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall:
            return moment
        wall = (wall + MINUTE).replace(second=0, microsecond=0)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The day on the calendar of that zone."""
    return moment.astimezone(zone).date()


def closing(moment: datetime, hours: Hours, zone: ZoneInfo) -> datetime | None:
    """When the hours end that ``moment`` lies in, or None where they do not run."""
    wall = moment.astimezone(zone)
    if not hours[0] <= wall.time() < hours[1]:
        return None
    return moment_of(wall.date(), hours[1], zone)


def opening(moment: datetime, hours: Hours, zone: ZoneInfo) -> datetime:
    """The first moment from ``moment`` on at which the hours run, and run long enough for a text."""
    ends = closing(moment, hours, zone)
    if ends is not None and ends - moment >= LEAST_LEFT:
        return moment
    day = day_of(moment, zone)
    while (opens := moment_of(day, hours[0], zone)) < moment:
        day += DAY
    return opens


def both(one: Hours, other: Hours) -> Hours | None:
    """The hours that both allow, or None."""
    opens, closes = max(one[0], other[0]), min(one[1], other[1])
    return (opens, closes) if opens < closes else None
