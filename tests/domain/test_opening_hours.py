"""Opening hours as clinics write them, and the times that staff promise by them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.opening_hours import HoursError, OpeningHours, Span, parse_hours

CHICAGO = ZoneInfo("America/Chicago")
WEEKDAYS = parse_hours("Mon-Thu 08:00-17:00, Fri 08:00-13:00")
LUNCH = parse_hours("Mon-Fri 08:00-12:00; Mon-Fri 13:00-17:00")
NONE: frozenset[date] = frozenset()

DAY, NIGHT = Span(480, 1020), Span(0, 1440)


@pytest.mark.parametrize(
    ("text", "week"),
    [
        ("Mon-Fri 08:00-17:00", [[DAY]] * 5 + [[], []]),
        ("Mon-Thu 08:00-17:00, Fri 08:00-13:00", [[DAY]] * 4 + [[Span(480, 780)], [], []]),
        ("tuesday 8:00 - 17:00; SAT 8:00–17:00\n", [[], [DAY], [], [], [], [DAY], []]),
        ("Mon 13:00-17:00, Mon 08:00-12:00", [[Span(480, 720), Span(780, 1020)], [], [], [], [], [], []]),
        ("Mon 08:00-12:00, Mon 12:00-17:00", [[Span(480, 720), Span(720, 1020)], [], [], [], [], [], []]),
        ("Mon-Sun 00:00-24:00", [[NIGHT]] * 7),
        ("Sat-Mon 08:00-17:00", [[DAY], [], [], [], [], [DAY], [DAY]]),
    ],
    ids=[
        "weekdays",
        "short Friday",
        "full names, spaces, dashes",
        "a lunch break",
        "parts that touch",
        "day and night",
        "over the weekend",
    ],
)
def test_hours_are_read(text: str, week: list[list[Span]]) -> None:
    assert parse_hours(text).week == tuple(map(tuple, week))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "The opening hours are empty"),
        (" , ;", "The opening hours are empty"),
        ("Mon-Fri", "'Mon-Fri' is not understood"),
        ("Mon-Fri 8-17", "'Mon-Fri 8-17' is not understood. Write hours like"),
        ("Mon-Fri 8:00 AM-5:00 PM", "is not understood"),
        ("Mon-Fry 08:00-17:00", "'Fry' in 'Mon-Fry 08:00-17:00' is no day"),
        ("Mon 08:00-25:00", "25:00 in 'Mon 08:00-25:00' is no time of day"),
        ("Mon 08:60-17:00", "08:60 in"),
        ("Mon 24:30-24:45", "24:30 in"),
        ("Mon 17:00-08:00", "closes before it opens"),
        ("Mon 08:00-08:00", "closes before it opens"),
        ("Mon-Fri 08:00-17:00, Wed 16:00-18:00", "'Wed 16:00-18:00' overlaps"),
    ],
    ids=[
        "empty",
        "only separators",
        "no times",
        "hours without minutes",
        "twelve-hour clock",
        "misspelt day",
        "hour too late",
        "minute too late",
        "after the last midnight",
        "past midnight",
        "no time at all",
        "overlap",
    ],
)
def test_hours_nobody_could_keep_are_refused(text: str, reason: str) -> None:
    with pytest.raises(HoursError, match=reason):
        parse_hours(text)


def local(text: str, zone: ZoneInfo = CHICAGO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


THURSDAY_OFF = frozenset({date(2026, 9, 24)})


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-09-25 07:59:59", False),
        ("2026-09-25 08:00", True),
        ("2026-09-25 12:59:59", True),
        ("2026-09-25 13:00", False),
        ("2026-09-26 10:00", False),
        ("2026-09-24 10:00", False),
        ("2026-09-23 10:00", True),
    ],
    ids=["before opening", "at opening", "last second", "at closing", "Saturday", "holiday", "day before the holiday"],
)
def test_when_the_clinic_is_staffed(moment: str, open_: bool) -> None:
    assert WEEKDAYS.is_open(local(moment), CHICAGO, holidays=THURSDAY_OFF) is open_


@pytest.mark.parametrize(
    ("now", "deadline"),
    [
        ("2026-09-25 08:30", "2026-09-25 10:30"),
        ("2026-09-25 05:00", "2026-09-25 10:00"),
        ("2026-09-25 11:00", "2026-09-25 13:00"),
        ("2026-09-25 12:30", "2026-09-28 09:30"),
        ("2026-09-25 13:00", "2026-09-28 10:00"),
        ("2026-09-26 23:00", "2026-09-28 10:00"),
        ("2026-09-23 16:00", "2026-09-25 09:00"),
    ],
    ids=[
        "while open",
        "before opening",
        "just fits before closing",
        "half an hour today, the rest on Monday",
        "at closing",
        "on the weekend",
        "a holiday does not count",
    ],
)
def test_a_call_is_promised_within_two_staffed_hours(now: str, deadline: str) -> None:
    assert WEEKDAYS.callback_by(local(now), CHICAGO, holidays=THURSDAY_OFF) == local(deadline)


@pytest.mark.parametrize(
    ("now", "deadline"),
    [
        ("2026-09-25 11:00", "2026-09-25 14:00"),
        ("2026-09-25 12:30", "2026-09-25 15:00"),
        ("2026-09-25 16:00", "2026-09-28 09:00"),
    ],
    ids=["across it", "from its middle", "after it"],
)
def test_a_lunch_break_is_no_staffed_time(now: str, deadline: str) -> None:
    assert LUNCH.callback_by(local(now), CHICAGO, holidays=NONE) == local(deadline)
    assert not LUNCH.is_open(local("2026-09-25 12:30"), CHICAGO, holidays=NONE)


@pytest.mark.parametrize(
    ("now", "deadline"),
    [
        ("2026-09-25 05:00", "2026-09-25 13:00"),
        ("2026-09-25 12:59", "2026-09-25 13:00"),
        ("2026-09-25 13:00", "2026-09-28 17:00"),
        ("2026-09-26 10:00", "2026-09-28 17:00"),
        ("2026-09-23 17:00", "2026-09-25 13:00"),
    ],
    ids=["before opening", "while open", "after closing", "on the weekend", "before a holiday"],
)
def test_unclear_texts_are_read_by_the_end_of_a_staffed_day(now: str, deadline: str) -> None:
    assert WEEKDAYS.read_by(local(now), CHICAGO, holidays=THURSDAY_OFF) == local(deadline)


def test_over_lunch_the_day_still_counts() -> None:
    assert LUNCH.read_by(local("2026-09-25 12:30"), CHICAGO, holidays=NONE) == local("2026-09-25 17:00")


NIGHTS = parse_hours("Sun 00:00-24:00")


def test_when_the_clock_jumps_two_staffed_hours_stay_two_hours() -> None:
    before, after = datetime(2027, 3, 14, 7, 30, tzinfo=UTC), datetime(2027, 3, 14, 9, 30, tzinfo=UTC)
    assert NIGHTS.callback_by(before, CHICAGO, holidays=NONE) == after
    assert after.astimezone(CHICAGO).hour == 4


def test_hours_that_fall_into_the_jump_open_at_its_end() -> None:
    hours = parse_hours("Sun 02:30-03:30")
    opening = datetime(2027, 3, 14, 8, 0, tzinfo=UTC)
    assert not hours.is_open(opening - timedelta(seconds=1), CHICAGO, holidays=NONE)
    assert hours.is_open(opening, CHICAGO, holidays=NONE)


def test_an_hour_shown_twice_counts_twice() -> None:
    now = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert NIGHTS.read_by(now, CHICAGO, holidays=NONE) == datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
    assert NIGHTS.callback_by(now, CHICAGO, holidays=NONE) == now + timedelta(hours=2)


def test_a_clinic_that_never_opens_can_promise_nothing() -> None:
    now = local("2026-09-25 08:00")
    closed = frozenset(date(2026, 9, 1) + timedelta(days=n) for n in range(500))
    with pytest.raises(HoursError, match="no staffed hour in the 400 days from 2026-09-25"):
        WEEKDAYS.callback_by(now, CHICAGO, holidays=closed)
    with pytest.raises(HoursError, match="no staffed hour"):
        WEEKDAYS.read_by(now, CHICAGO, holidays=closed)


@given(
    st.integers(0, 2 * 365 * 24 * 60).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from(
        [ZoneInfo(name) for name in ("America/Chicago", "Europe/Istanbul", "Australia/Lord_Howe", "Asia/Beirut")]
    ),
    st.sampled_from([WEEKDAYS, LUNCH, NIGHTS]),
)
def test_a_promise_ends_while_somebody_is_there(now: datetime, zone: ZoneInfo, hours: OpeningHours) -> None:
    called, read = hours.callback_by(now, zone, holidays=NONE), hours.read_by(now, zone, holidays=NONE)
    assert called >= now + timedelta(hours=2)
    assert read > now
    for deadline in (called, read):
        assert hours.is_open(deadline - timedelta(microseconds=1), zone, holidays=NONE)
