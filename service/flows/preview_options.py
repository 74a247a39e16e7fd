"""Reading a case to preview: option names and values as people type them and programs write them, into moments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from service.domain.errors import AftercareError
from service.domain.windows import resolve_local
from service.store.content import shipped_templates

NAMES = frozenset(
    {
        "clinic",
        "time_zone",
        "patient_time_zone",
        "language",
        "plan",
        "booked_at",
        "scheduled_at",
        "completed_at",
        "next_session",
        "first_session",
        "now",
    }
)
YEARS = range(1970, 2200)
"""Zones know no rules of their own before and after, and a typing error is then likelier than a session."""


class OptionError(AftercareError):
    """A case that can not be previewed as it is written; the text names the option and what would help."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of the patient and the session. Moments are UTC; at least one of the two session moments is there.

    ``now`` is when the service learns of it all: nothing goes out before.
    """

    patient_zone: ZoneInfo | None
    language: str | None
    plan: str | None
    booked_at: datetime | None
    scheduled_at: datetime | None
    completed_at: datetime | None
    next_session: datetime | None
    first_session: bool
    now: datetime | None


Options = Mapping[str, object]
"""A case as it was written: the names of the options with ``_`` for ``-``; None and a missing name mean the same."""


def check_names(options: Options) -> None:
    """Refuse a name that is no option: a typing error would quietly preview another case."""
    if unknown := sorted(set(options) - NAMES):
        raise OptionError(f"{unknown[0]!r} is no option of a case. The options are {_listed(NAMES)}.")


def read_case(options: Options, *, zone: ZoneInfo, plans: Iterable[str]) -> Asked:
    """The case; times without an offset are wall time in ``zone``. Raises :class:`OptionError`."""
    asked = Asked(
        patient_zone=read_zone(options, "patient_time_zone"),
        language=_language(options),
        plan=_one_of(plans, options, "plan"),
        booked_at=_moment(options, "booked_at", zone),
        scheduled_at=_moment(options, "scheduled_at", zone),
        completed_at=_moment(options, "completed_at", zone),
        next_session=_moment(options, "next_session", zone),
        first_session=_yes(options, "first_session"),
        now=_moment(options, "now", zone),
    )
    if asked.scheduled_at is None and asked.completed_at is None:
        raise OptionError("There is no session to preview. Give --scheduled-at, --completed-at or both.")
    return asked


def read_text(options: Options, name: str) -> str | None:
    """The value of an option that is a word."""
    value = options.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise OptionError(f"{_spelled(name)} {value!r} is not a text.")
    return value


def read_zone(options: Options, name: str) -> ZoneInfo | None:
    """The value of an option that is a time zone."""
    if (key := read_text(options, name)) is None:
        return None
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError):  # unknown, no name of a file, a folder of zones
        raise OptionError(f"{_spelled(name)} {key!r} is no time zone. Write it like America/New_York.") from None


def _moment(options: Options, name: str, zone: ZoneInfo) -> datetime | None:
    if (written := read_text(options, name)) is None:
        return None
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        raise OptionError(_no_moment(name, written)) from None
    # A day alone would be read as midnight, when no session is.
    if len(written) <= len("2026-09-30") or read.year not in YEARS:
        raise OptionError(_no_moment(name, written))
    if read.tzinfo is None:
        return resolve_local(read.date(), read.time(), zone)
    return read.astimezone(UTC)


def _no_moment(name: str, written: str) -> str:
    return (
        f"{_spelled(name)} {written!r} is no moment. Write day and time like 2026-09-30T14:30, or with its offset like "
        "2026-09-30T14:30-04:00."
    )


def _yes(options: Options, name: str) -> bool:
    value = options.get(name)
    if value is not None and not isinstance(value, bool):
        raise OptionError(f"{_spelled(name)} {value!r} is neither true nor false.")
    return bool(value)


def _one_of(known: Iterable[str], options: Options, name: str) -> str | None:
    value = read_text(options, name)
    if value is not None and value not in known:
        raise OptionError(f"{_spelled(name)} {value!r} is not there. There are {_listed(known)}.")
    return value


def _language(options: Options) -> str | None:
    """The tag as it is written: a text is looked up by it first, and then by its language alone (``es`` for ``es-MX``)."""
    tag = read_text(options, "language")
    known = shipped_templates()["templates"][0]["text"]
    if tag is not None and tag.replace("_", "-").partition("-")[0].lower() not in known:
        raise OptionError(f"--language {tag!r} is not there. There are {_listed(known)}.")
    return tag


def _spelled(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
