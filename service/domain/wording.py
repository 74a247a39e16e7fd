"""Days and times as the patient's language writes them in a text: short, unmistakable, in plain spaces.

Every moment given here is already local to the clinic. Names of days and months come from CLDR (through Babel), cut to three
letters without a dot, because CLDR's own short forms change length from year to year (es: sep, sept, sept.).
"""

from datetime import date, datetime
from functools import cache
from typing import Literal

from babel.dates import get_day_names, get_month_names

Written = Literal["en", "es", "tr"]

_TODAY: dict[Written, str] = {"en": "today", "es": "hoy", "tr": "bugün"}
_TOMORROW: dict[Written, str | None] = {"en": None, "es": "mañana", "tr": "yarın"}
"""English has no room for it: "10:00 AM tomorrow" is longer than the 14 letters that the plan allows."""


def written_in(language: str) -> Written:
    """The language whose forms are used for a patient's language tag (``es-MX``: es); English for any other."""
    match language.replace("_", "-").partition("-")[0].lower():
        case "es":
            return "es"
        case "tr":
            return "tr"
        case _:
            return "en"


def short_date(day: date, language: str) -> str:
    """``Wed 30 Sep``, ``mié 30 sep``, ``30 Ağu Çar``: at most 12 characters."""
    written = written_in(language)
    weekday, month = _weekday(day, written), _month(day, written)
    return f"{day.day} {month} {weekday}" if written == "tr" else f"{weekday} {day.day} {month}"


def clock_time(moment_local: datetime, language: str) -> str:
    """``12:45 PM`` or ``12:45``, without seconds: at most 8 characters."""
    if written_in(language) != "en":
        return f"{moment_local:%H:%M}"
    return f"{moment_local.hour % 12 or 12}:{moment_local:%M} {'AM' if moment_local.hour < 12 else 'PM'}"


def until_time(moment_local: datetime, language: str) -> str:
    """``Wed 12:45 PM``, ``mié 12:45``, ``30 Ağu 12:45``: at most 14 characters."""
    written, at = written_in(language), clock_time(moment_local, language)
    if written == "tr":
        return f"{moment_local.day} {_month(moment_local, written)} {at}"
    return f"{_weekday(moment_local, written)} {at}"


def by_time(deadline_local: datetime, now_local: datetime, language: str) -> str:
    """A deadline as it is said now, at most 14 characters: ``12:00 PM today``, ``10:00 AM Mon``, ``mañana 10:00``, ``Pzt 10:00``.

    A week ahead or more a weekday could be mistaken, so the date is named instead.
    """
    written, at = written_in(language), clock_time(deadline_local, language)
    days = (deadline_local.date() - now_local.date()).days
    if days >= 7:
        return short_date(deadline_local, language)
    name = _TODAY[written] if days <= 0 else _TOMORROW[written] if days == 1 else None
    day = name or _weekday(deadline_local, written)
    return f"{at} {day}" if written == "en" else f"{day} {at}"


def _weekday(day: date, written: Written) -> str:
    return _names(written)[0][day.weekday()]


def _month(day: date, written: Written) -> str:
    return _names(written)[1][day.month - 1]


@cache
def _names(written: Written) -> tuple[tuple[str, ...], tuple[str, ...]]:
    weekdays, months = get_day_names("abbreviated", locale=written), get_month_names("abbreviated", locale=written)
    return tuple(weekdays[n][:3] for n in range(7)), tuple(months[n][:3] for n in range(1, 13))
