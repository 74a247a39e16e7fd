"""What may be said of a clinic: each option as people type it, checked, and put the way it is kept."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers

from service.domain.errors import AftercareError
from service.domain.moments import read_day_or_moment
from service.domain.opening_hours import parse_hours
from service.domain.phone import parse_number
from service.domain.replies import normalise
from service.domain.segments import GSM_BASIC, tidy, transliterate
from service.store.content import shipped_plan, shipped_templates

Options = Mapping[str, Any]
"""By the option's name with ``_`` for ``-``; only those that were given."""

SMS_NAME_CHARS = 20
_WEEKS = range(1, 53)
_USUAL_WEEKS = 12
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_SHORT_NUMBER = re.compile(r"\d{2,6}")
_TELLING = re.compile(r"migra|migren|jaqueca|botox|botulin|head ?ache|cefale|bas ?agri|\b(?:pain|dolor|agri)\b")


class OptionsError(AftercareError):
    """Options that no clinic can have; ``faults`` are whole sentences."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class _Fault(AftercareError):  # noqa: N818 -- gathered, never raised past this file
    """One option that is wrong."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the clinic is: numbers and times are read as people there write them."""

    country: str
    zone: ZoneInfo


def check_key(key: str) -> None:
    """Raises :class:`OptionsError` for what is no short name of a clinic."""
    if not _KEY.fullmatch(key):
        raise OptionsError(
            [f"--key {key!r} is no short name. Use small letters, digits, - and _, at most 40, like lakeside-2."]
        )


def read_zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises :class:`OptionsError`, with the nearest name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name of a file, a folder of zones
        nearest = get_close_matches(name, available_timezones(), n=1)
        hint = f"Did you mean {nearest[0]}?" if nearest else "Write it like America/New_York."
        raise OptionsError([f"--time-zone {name!r} is no time zone. {hint}"]) from None


def read_country(written: str) -> str:
    """The country of that two-letter code. Raises :class:`OptionsError`."""
    country = written.upper()
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise OptionsError([f"--country {written!r} is no country. Give its two-letter code, like US or TR."])
    return country


def read_holidays(text: str) -> dict[date, str]:
    """Days without staff and their names, from lines like ``2026-12-25 Christmas``. Raises :class:`OptionsError`."""
    days: dict[date, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        try:
            days[date.fromisoformat(written[:10])] = written[10:].strip(" ,;\t")
        except ValueError:
            reason = f"--holidays: line {number} does not begin with a day like 2026-12-25."
            raise OptionsError([reason]) from None
    return days


def read_options(given: Options, *, country: str | None, zone: str | None) -> dict[str, Any]:
    """The clinic's columns as they are to be. ``country`` and ``zone`` hold where the options do not name others.

    Raises :class:`OptionsError` with all that is wrong.
    """
    place = _Place(read_country(given.get("country") or country or ""), read_zone(given.get("time_zone") or zone or ""))
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, reader in _READERS.items():
        if name not in given:
            continue
        try:
            values[_COLUMNS.get(name, name)] = reader(given[name], place)
        except AftercareError as why:
            faults.append(f"--{name.replace('_', '-')}: {why}")
    if faults:
        raise OptionsError(faults)
    return values


def doubts(values: Mapping[str, Any]) -> Iterator[str]:
    """What is allowed and seldom meant; ``values`` as of :func:`read_options`."""
    sms_name = transliterate(values.get("sms_name", ""))
    if _TELLING.search(normalise(sms_name)):
        yield f"{sms_name!r} names the illness to whoever sees the phone. A name that tells nothing is better."
    if not GSM_BASIC.issuperset(sms_name):
        yield f"{sms_name!r} has letters that make every text dearer. Latin letters cost least."
    weeks, zone = values.get("interval_weeks", _USUAL_WEEKS), values.get("time_zone", "UTC")
    if weeks < _USUAL_WEEKS:
        yield f"{weeks} weeks between sessions is less than the usual {_USUAL_WEEKS}, and payers may refuse it."
    if "/" not in zone and zone != "UTC":
        yield f"{zone} is an old short name, which may know no summer time. Name a city, like America/New_York."


def _text(written: str, _: _Place) -> str:
    text = " ".join(tidy(written).split())
    if not text:
        raise _Fault("is empty.")
    return text


def _sms_name(written: str, place: _Place) -> str:
    text = _text(written, place)
    if len(transliterate(text)) > SMS_NAME_CHARS:
        raise _Fault(
            f"{text!r} has {len(transliterate(text))} characters in a text, and there is room for {SMS_NAME_CHARS}."
        )
    return text


def _own_number(written: str, place: _Place) -> str:
    return parse_number(written, place.country).e164


def _dialled(written: str, place: _Place) -> str:
    """Emergency and helplines have short numbers of their own, which no country code goes before."""
    number = written.strip()
    return number if _SHORT_NUMBER.fullmatch(number) else _own_number(number, place)


def _crisis_line(written: str, place: _Place) -> str | None:
    return _dialled(written, place) if written.strip() else None


def _pages(written: Sequence[str], place: _Place) -> str:
    return ",".join(dict.fromkeys(_own_number(number, place) for number in written if number.strip()))


def _languages(written: str, _: _Place) -> str:
    asked = list(dict.fromkeys(word.strip().lower() for word in written.split(",") if word.strip()))
    known = shipped_templates()["templates"][0]["text"]
    if not asked or not set(asked) <= set(known):
        raise _Fault(
            f"{written!r} is not understood. Texts exist in {', '.join(known)}; name the default language first."
        )
    return ",".join(asked)


def _hours(written: str, place: _Place) -> str:
    parse_hours(written)
    return _text(written, place)


def _weeks(written: int, _: _Place) -> int:
    if written not in _WEEKS:
        raise _Fault(f"{written} is no number of weeks from {_WEEKS[0]} to {_WEEKS[-1]}.")
    return written


def _period(longest: int, unit: str) -> Callable[[int, _Place], int]:
    """Reads how long something is kept; nothing is kept for no time at all, because proving and texting need it."""

    def read(written: int, _: _Place) -> int:
        if not 1 <= written <= longest:
            raise _Fault(f"{written} is no number of {unit} from 1 to {longest}.")
        return written

    return read


def _plan(written: str, _: _Place) -> str:
    plans = shipped_plan()["plans"]
    if written not in plans:
        raise _Fault(f"{written!r} is no plan. There are {', '.join(plans)}.")
    return written


def _live_from(written: str, place: _Place) -> datetime:
    moment = read_day_or_moment(written.strip(), place.zone)
    if moment is None:
        raise _Fault(f"{written!r} is no moment. Write day and time like 2026-09-30T14:30, or the day alone.")
    return moment


_READERS: dict[str, Callable[[Any, _Place], Any]] = {
    "name": _text,
    "sms_name": _sms_name,
    "time_zone": lambda written, _: written,
    "country": lambda _, place: place.country,
    "phone": _own_number,
    "emergency": _dialled,
    "after_hours": _dialled,
    "languages": _languages,
    "hours": _hours,
    "crisis_line": _crisis_line,
    "page": _pages,
    "interval_weeks": _weeks,
    "plan": _plan,
    "live_from": _live_from,
    "keep_texts_months": _period(600, "months"),
    "keep_consent_years": _period(50, "years"),
    "keep_raw_days": _period(3_650, "days"),
}
_COLUMNS = {"page": "page_numbers"}
