"""Moments as people and programs write them: ISO 8601, with an offset or as the time on a clinic's wall."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from service.domain.windows import resolve_local

YEARS = range(2000, 2100)
"""Outside these a typing error, or a spreadsheet's zero, is likelier than a session."""

_DAY_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d.*|\d{8}[Tt]\d\d.*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read_iso(written: str) -> datetime | None:
    """The moment, naive where no offset is given; None for anything else, also for a day alone: no session is at midnight."""
    if not _DAY_AND_TIME.fullmatch(written):
        return None
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def on_the_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC; a naive one is wall time in ``zone`` (in a gap the first moment after, in a fold the first)."""
    if moment.tzinfo is None:
        return resolve_local(moment.date(), moment.time(), zone)
    return moment.astimezone(UTC)


def falls_into_gap(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether a naive moment is a time that the clock on the wall jumps over, so that it never comes."""
    if moment.tzinfo is not None:
        return False
    return on_the_clock(moment, zone).astimezone(zone).replace(tzinfo=None) != moment


def read_day_or_moment(written: str, zone: ZoneInfo) -> datetime | None:
    """The moment in UTC; a day alone means its beginning in ``zone``. None for what is neither, or far from our time."""
    moment = read_iso(written)
    if moment is None and _DAY.fullmatch(written):
        moment = read_iso(f"{written}T00:00")
    return on_the_clock(moment, zone) if moment is not None and moment.year in YEARS else None
