"""Send windows on the wall clock, and how wall-clock times become moments.

Rules are kept as local time and zone and resolved late: a time in a DST gap becomes the first valid moment
after it, a time in a fold the first of the two.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

LEAST_USEFUL = timedelta(seconds=60)
"""With less than this left before a window or a use ends, a text is not sent any more."""


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open hours of the day in which a text may leave: ``opens`` <= wall time < ``closes``."""

    opens: time
    closes: time

    def meet(self, other: "Window") -> "Window | None":
        """The hours in which both are open, or None."""
        opens, closes = max(self.opens, other.opens), min(self.closes, other.closes)
        return Window(opens, closes) if opens < closes else None


def resolve_local(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC moment at which the clock on the wall of ``zone`` first shows ``at`` (or has jumped past it) on ``day``."""
    wall = datetime.combine(day, at, zone).replace(fold=0)
    moment = wall.astimezone(UTC)
    # Compared on the same wall: a time in a gap comes back as another one.
    return moment if moment.astimezone(zone) == wall else _end_of_gap(wall.replace(tzinfo=None), zone)


def _end_of_gap(naive: datetime, zone: ZoneInfo) -> datetime:
    """Bisect for the jump: the last second before it still shows less than ``naive``, the first after it more."""
    low = naive.replace(tzinfo=UTC) - timedelta(days=2)
    high = naive.replace(tzinfo=UTC) + timedelta(days=2)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) < naive:
            low = middle
        else:
            high = middle
    return high


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day that people in ``zone`` are living in at ``moment``."""
    return moment.astimezone(zone).date()


def window_end(moment: datetime, window: Window, zone: ZoneInfo) -> datetime | None:
    """When the opening that ``moment`` lies in ends, or None where the window is closed at ``moment``.

    A window that closes within a fold is not opened again when the clock shows its hours a second time.
    """
    local = moment.astimezone(zone)
    if not window.opens <= local.time() < window.closes:
        return None
    end = resolve_local(local.date(), window.closes, zone)
    return end if moment < end else None


def is_open(moment: datetime, window: Window, zone: ZoneInfo) -> bool:
    """Whether a text may leave at ``moment``: the window is open and stays open for :data:`LEAST_USEFUL`."""
    end = window_end(moment, window, zone)
    return end is not None and end - moment >= LEAST_USEFUL


def next_opening(moment: datetime, window: Window, zone: ZoneInfo) -> datetime:
    """The first moment not before ``moment`` at which a text may leave."""
    if is_open(moment, window, zone):
        return moment
    day = local_day(moment, zone)
    for ahead in range(-1, 15):
        opening = resolve_local(day + timedelta(days=ahead), window.opens, zone)
        if opening >= moment and is_open(opening, window, zone):
            return opening
    raise AssertionError(f"no opening of {window} within two weeks of {moment} in {zone}")  # pragma: no cover


def in_words(window: Window, zone: ZoneInfo) -> str:
    """Hours as they are noted: ``America/Chicago 09:00:00-19:00:00``; :func:`from_words` reads them."""
    return f"{zone.key} {window.opens.isoformat()}-{window.closes.isoformat()}"


def from_words(words: str) -> tuple[Window, ZoneInfo]:
    """What :func:`in_words` wrote."""
    name, hours = words.rsplit(" ", 1)
    opens, closes = (time.fromisoformat(each) for each in hours.split("-"))
    return Window(opens, closes), ZoneInfo(name)
