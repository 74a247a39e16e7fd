"""When the clinic is staffed, and by when staff will have phoned or read: the promises that texts make to patients.

Hours are wall-clock times of the clinic's zone, resolved late, so they hold on the days on which the clock changes.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.domain.errors import AftercareError
from service.domain.segments import tidy
from service.domain.windows import local_day, resolve_local

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ENTRY = re.compile(r"([a-z]+)(?:\s*-\s*([a-z]+))?\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.IGNORECASE)
_EXAMPLE = 'Write hours like "Mon-Thu 08:00-17:00, Fri 08:00-13:00".'
_MIDNIGHT = 24 * 60

CALLBACK_AFTER = timedelta(hours=2)
"""Staffed time in which a patient who was promised a call is phoned."""
_LOOK_AHEAD = 400


class HoursError(AftercareError):
    """Opening hours that nobody could keep; the text names the part that is wrong."""


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open, in minutes since local midnight: 0 <= opens < closes <= 1440."""

    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Seven days from Monday, each with its spans in order. ``holidays`` are local days on which nobody is there."""

    week: tuple[tuple[Span, ...], ...]

    def is_open(self, moment: datetime, zone: ZoneInfo, *, holidays: Collection[date]) -> bool:
        """Whether the clinic is staffed at ``moment`` (aware)."""
        return any(opens <= moment < closes for opens, closes in self._staffed(local_day(moment, zone), zone, holidays))

    def callback_by(self, now: datetime, zone: ZoneInfo, *, holidays: Collection[date]) -> datetime:
        """The UTC end of the next two staffed hours from ``now``, over as many days as they take."""
        left = CALLBACK_AFTER
        for spans in self._days_from(now, zone, holidays):
            for opens, closes in spans:
                start = max(opens, now)
                if start + left <= closes:
                    return start + left
                left -= max(closes - start, timedelta(0))
        raise HoursError(_never_open(now))

    def read_by(self, now: datetime, zone: ZoneInfo, *, holidays: Collection[date]) -> datetime:
        """The UTC end of today's last staffed hours, or of the next staffed day's when they are over."""
        for spans in self._days_from(now, zone, holidays):
            if spans and spans[-1][1] > now:
                return spans[-1][1]
        raise HoursError(_never_open(now))

    def _days_from(
        self, now: datetime, zone: ZoneInfo, holidays: Collection[date]
    ) -> Iterator[list[tuple[datetime, datetime]]]:
        today = local_day(now, zone)
        for ahead in range(_LOOK_AHEAD):
            yield self._staffed(today + timedelta(days=ahead), zone, holidays)

    def _staffed(self, day: date, zone: ZoneInfo, holidays: Collection[date]) -> list[tuple[datetime, datetime]]:
        if day in holidays:
            return []
        return [
            (_resolve(day, span.opens, zone), _resolve(day, span.closes, zone)) for span in self.week[day.weekday()]
        ]


def _resolve(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    days, minutes = divmod(minutes, _MIDNIGHT)
    return resolve_local(day + timedelta(days=days), time(*divmod(minutes, 60)), zone)


def _never_open(now: datetime) -> str:
    return (
        f"The clinic has no staffed hour in the {_LOOK_AHEAD} days from {now.astimezone(UTC):%Y-%m-%d}, so no call can be promised. "
        "Correct its hours or its holidays."
    )


def parse_hours(text: str) -> OpeningHours:
    """Read "Mon-Fri 08:00-17:00" and lists of such parts, with commas or semicolons between them; a day may stand in several.

    Raises :class:`HoursError`.
    """
    week: list[list[Span]] = [[] for _ in _DAYS]
    parts = [part.strip() for part in re.split("[,;\n]", tidy(text)) if part.strip()]
    if not parts:
        raise HoursError(f"The opening hours are empty. {_EXAMPLE}")
    for part in parts:
        days, span = _read_part(part)
        for day in days:
            _add(week[day], span, part)
    return OpeningHours(tuple(tuple(sorted(spans, key=lambda span: span.opens)) for spans in week))


def _add(spans: list[Span], new: Span, part: str) -> None:
    if any(new.opens < span.closes and span.opens < new.closes for span in spans):
        raise HoursError(f"{part!r} overlaps with hours given before it. Give each hour of the week once.")
    spans.append(new)


def _read_part(part: str) -> tuple[list[int], Span]:
    found = _ENTRY.fullmatch(part)
    if not found:
        raise HoursError(f"{part!r} is not understood. {_EXAMPLE}")
    first, last, *digits = found.groups()
    opens, closes = _minutes(digits[0], digits[1], part), _minutes(digits[2], digits[3], part)
    if opens >= closes:
        raise HoursError(
            f"{part!r} closes before it opens. Hours past midnight are written as two parts, one for each day."
        )
    start = _day(first, part)
    length = (_day(last or first, part) - start) % 7 + 1
    return [(start + n) % 7 for n in range(length)], Span(opens, closes)


def _day(name: str, part: str) -> int:
    word = name.lower()
    for names in (_DAYS, _FULL):
        if word in names:
            return names.index(word)
    raise HoursError(f"{name!r} in {part!r} is no day. The days are Mon, Tue, Wed, Thu, Fri, Sat and Sun.")


def _minutes(hours: str, minutes: str, part: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > _MIDNIGHT:
        raise HoursError(f"{hours}:{minutes} in {part!r} is no time of day. Times run from 00:00 to 24:00.")
    return total
