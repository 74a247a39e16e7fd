"""Dates in a file: ISO 8601, or one of the formats that were named. Nothing is guessed: 03/04 is March or April only to who wrote it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from service.domain.errors import AftercareError
from service.domain.moments import YEARS, falls_into_gap, on_the_clock, read_iso
from service.sources.csv_layout import LayoutError
from service.sources.csv_shown import shown

_PROBE = datetime(2026, 11, 23, 15, 47, tzinfo=UTC)
"""Survives a format only if that holds year, month, day, hour and minute, and says which half of the day 3 o'clock is in."""


class DateError(AftercareError):
    """A value that is no moment, or more than one; ``code`` says which."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class ReadDate:
    """A moment in UTC. ``in_gap``: the clock jumps over the time that was written, so the first moment after it was taken.

    ``twice``: the clock shows the time that was written two times, and the first was taken.
    """

    at: datetime
    in_gap: bool
    twice: bool


def read_formats(given: Iterable[str]) -> tuple[str, ...]:
    """Formats as of ``strptime``, each once. Raises LayoutError for one in which no moment can be written."""
    formats = tuple(dict.fromkeys(given))
    for wanted in formats:
        _check(wanted)
    return formats


class DateReader:
    """Reads ISO 8601 and the named formats; times without an offset are wall time in ``zone``."""

    def __init__(self, formats: tuple[str, ...], zone: ZoneInfo) -> None:
        self._formats = formats
        self._zone = zone

    def read(self, written: str) -> ReadDate:
        """Raises :class:`DateError`: ``date`` if no format fits, ``ambiguous_date`` if several do."""
        moment = self._only_reading(written)
        if moment.year not in YEARS:
            raise DateError("date", f"{shown(written)} lies outside the years {YEARS[0]} to {YEARS[-1]}.")
        at, in_gap = on_the_clock(moment, self._zone), falls_into_gap(moment, self._zone)
        return ReadDate(at, in_gap, twice=_comes_twice(moment, self._zone))

    def _only_reading(self, written: str) -> datetime:
        iso = read_iso(written)
        readings = [] if iso is None else [iso]
        # That a named format is ISO itself, or agrees with it, is no doubt about the date.
        readings += [moment for moment in self._in_formats(written) if moment != iso]
        if len(readings) > 1:
            raise DateError(
                "ambiguous_date", f"{shown(written)} fits more than one date format. Name only the right one."
            )
        if not readings:
            raise DateError(
                "date",
                f"{shown(written)} is no day and time in ISO 8601 (2026-12-07T15:00) nor in a format that was named "
                'with --date-format, for example "%d.%m.%Y %H:%M".',
            )
        return readings[0]

    def _in_formats(self, written: str) -> Iterable[datetime]:
        for wanted in self._formats:
            try:
                yield datetime.strptime(written, wanted)  # noqa: DTZ007 -- without an offset it is the clinic's wall time
            except (ValueError, OverflowError):
                continue


def _comes_twice(moment: datetime, zone: ZoneInfo) -> bool:
    if moment.tzinfo is not None:
        return False
    first, second = (moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first < second  # in a gap it is the other way round (PEP 495)


def _check(wanted: str) -> None:
    try:
        back = datetime.strptime(_PROBE.strftime(wanted), wanted)  # noqa: DTZ007 -- only compared with what was written
    except (ValueError, re.error):
        back = None
    if "%Z" in wanted or back is None or back.replace(tzinfo=UTC) != _PROBE:
        raise LayoutError(
            f"The date format {wanted!r} cannot tell a moment: it needs year, month, day, hour and minute, %p beside %I, and an "
            'offset only as %z. For example "%d.%m.%Y %H:%M" or "%m/%d/%Y %I:%M %p".'
        )
