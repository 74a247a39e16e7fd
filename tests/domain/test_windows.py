"""Wall-clock times in every zone of the world, checked against another library's idea of them."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.windows import (
    Window,
    from_words,
    in_words,
    is_open,
    local_day,
    next_opening,
    resolve_local,
    window_end,
)
from tests.domain import naive_clock
from tests.domain.cases import ALL_ZONES, ZONE, ClockChange, at, clock_changes, different_clock_changes

CLINIC = Window(time(9), time(19))
CARE = Window(time(8), time(21))
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "wall", "moment"),
    [
        ("America/New_York", date(2026, 6, 17), time(11), "2026-06-17 15:00"),
        ("America/New_York", date(2026, 3, 8), time(1, 59), "2026-03-08 06:59"),
        ("America/New_York", date(2026, 3, 8), time(2, 0), "2026-03-08 07:00"),
        ("America/New_York", date(2026, 3, 8), time(2, 30), "2026-03-08 07:00"),
        ("America/New_York", date(2026, 3, 8), time(3, 0), "2026-03-08 07:00"),
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01 05:30"),
        ("America/New_York", date(2026, 11, 1), time(2, 0), "2026-11-01 07:00"),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03 15:30"),
        ("Africa/Cairo", date(2026, 4, 24), time(0, 30), "2026-04-23 22:00"),
        ("Antarctica/Troll", date(2026, 3, 29), time(1, 30), "2026-03-29 01:00"),
        ("Pacific/Apia", date(2011, 12, 30), time(9, 0), "2011-12-30 10:00"),
        ("Pacific/Kwajalein", date(1993, 8, 21), time(12, 0), "1993-08-21 12:00"),
    ],
    ids=[
        "ordinary day",
        "last minute before a gap",
        "first minute of a gap",
        "inside a gap: the first moment after it",
        "first minute after a gap",
        "in a fold: the first of the two",
        "after a fold",
        "a gap of half an hour",
        "a day that begins at one o'clock",
        "a gap of two hours",
        "a day that Samoa skipped",
        "a day that Kwajalein skipped",
    ],
)
def test_a_wall_time_becomes_a_moment(zone: str, day: date, wall: time, moment: str) -> None:
    assert resolve_local(day, wall, ZoneInfo(zone)) == utc(moment)


@given(
    name=st.sampled_from(ALL_ZONES),
    day=st.dates(date(1990, 1, 1), date(2037, 12, 31)),
    minutes=st.integers(0, 1439),
)
def test_wall_times_of_all_zones_agree_with_the_other_library(name: str, day: date, minutes: int) -> None:
    wall = time(*divmod(minutes, 60))
    assert resolve_local(day, wall, ZoneInfo(name)) == naive_clock.first_valid(day, wall, name)


def test_wall_times_agree_with_the_other_library_on_every_night_of_a_changing_clock() -> None:
    for change in clock_changes():
        zone = ZoneInfo(change.zone)
        around = change.moment.astimezone(zone).replace(tzinfo=None, minute=0)
        for quarter in range(-16, 17):
            wall = around + timedelta(minutes=15 * quarter)
            found = resolve_local(wall.date(), wall.time(), zone)
            assert found == naive_clock.first_valid(wall.date(), wall.time(), change.zone), (change, wall)


@pytest.mark.parametrize(
    ("wall", "opens"),
    [
        ("2026-06-17 08:59", "2026-06-17 09:00"),
        ("2026-06-17 09:00", "2026-06-17 09:00"),
        ("2026-06-17 12:34", "2026-06-17 12:34"),
        ("2026-06-17 18:59:00", "2026-06-17 18:59:00"),
        ("2026-06-17 18:59:01", "2026-06-18 09:00"),
        ("2026-06-17 19:00", "2026-06-18 09:00"),
        ("2026-06-17 23:59:59", "2026-06-18 09:00"),
        ("2026-03-07 20:00", "2026-03-08 09:00"),
        ("2026-10-31 20:00", "2026-11-01 09:00"),
    ],
    ids=[
        "before it opens",
        "as it opens",
        "while it is open",
        "a minute before it closes",
        "less than a minute before it closes: not sent any more",
        "as it closes",
        "at night",
        "over a short night",
        "over a long night",
    ],
)
def test_the_next_moment_to_send(wall: str, opens: str) -> None:
    assert next_opening(at(wall), CLINIC, ZONE) == at(opens)
    assert is_open(at(wall), CLINIC, ZONE) is (wall == opens)


@pytest.mark.parametrize(
    ("window", "opens"),
    [(Window(time(2), time(3)), "2026-03-09 02:00"), (Window(time(2), time(4)), "2026-03-08 03:00")],
    ids=["wholly inside a gap: not on that day", "half inside a gap: what is left of it"],
)
def test_a_window_in_a_gap(window: Window, opens: str) -> None:
    assert next_opening(at("2026-03-08 01:00"), window, ZONE) == at(opens)


def test_a_window_that_closes_in_a_fold_stays_closed_when_the_clock_shows_its_hours_again() -> None:
    window, first, second = Window(time(0), time(1, 30)), utc("2026-11-01 05:15"), utc("2026-11-01 06:15")
    assert window_end(first, window, ZONE) == utc("2026-11-01 05:30")
    assert window_end(second, window, ZONE) is None
    assert next_opening(second, window, ZONE) == at("2026-11-02 00:00")


def test_the_end_of_a_window() -> None:
    assert window_end(at("2026-06-17 09:00"), CLINIC, ZONE) == at("2026-06-17 19:00")
    assert window_end(at("2026-06-17 19:00"), CLINIC, ZONE) is None


@given(
    name=st.sampled_from(ALL_ZONES),
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis adds the zone
    window=st.tuples(st.integers(0, 1439), st.integers(0, 1439)).filter(lambda pair: pair[0] < pair[1]),
)
def test_the_next_opening_is_the_first_minute_that_is_open(
    name: str, moment: datetime, window: tuple[int, int]
) -> None:
    _same_opening(moment.replace(second=0, microsecond=0), Window(*(time(*divmod(m, 60)) for m in window)), name)


@pytest.mark.parametrize("change", different_clock_changes(), ids=str)
def test_the_next_opening_around_a_changing_clock(change: ClockChange) -> None:
    wall = change.moment.astimezone(ZoneInfo(change.zone)).time()
    narrow = Window(min(wall, time(22)), time(23, 59))
    for hours in range(-14, 15, 2):
        for window in (CLINIC, CARE, narrow):
            _same_opening(change.moment + timedelta(hours=hours, minutes=hours), window, change.zone)


def test_the_usual_windows_open_on_every_night_of_a_changing_clock_in_all_zones() -> None:
    for change in clock_changes():
        for window in (CLINIC, CARE):
            opening = next_opening(change.moment, window, ZoneInfo(change.zone))
            assert opening == naive_clock.next_open(change.moment, window.opens, window.closes, change.zone), change


def _same_opening(moment: datetime, window: Window, name: str) -> None:
    zone = ZoneInfo(name)
    opening = next_opening(moment, window, zone)
    assert opening == naive_clock.next_open(moment, window.opens, window.closes, name)
    end = window_end(opening, window, zone)
    assert end is not None
    assert end - opening >= MINUTE
    assert local_day(opening, zone) == local_day(end - MINUTE, zone)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ((8, 21), (9, 19), (9, 19)),
        ((10, 19), (9, 17), (10, 17)),
        ((9, 12), (12, 19), None),
        ((9, 11), (13, 19), None),
    ],
    ids=["one inside the other", "overlap", "they touch", "apart"],
)
def test_both_windows_must_be_open(one: tuple[int, int], other: tuple[int, int], both: tuple[int, int] | None) -> None:
    met = Window(time(one[0]), time(one[1])).meet(Window(time(other[0]), time(other[1])))
    assert met == (None if both is None else Window(time(both[0]), time(both[1])))


@pytest.mark.parametrize("zone", ["America/Chicago", "America/Argentina/Buenos_Aires", "UTC"])
def test_hours_in_words_are_read_as_they_were(zone: str) -> None:
    window = Window(time(8, 0), time(20, 45))
    assert in_words(window, ZoneInfo(zone)) == f"{zone} 08:00:00-20:45:00"
    assert from_words(in_words(window, ZoneInfo(zone))) == (window, ZoneInfo(zone))
