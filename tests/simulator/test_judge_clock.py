"""The judge's own clocks, calendar and letters, which it shares with nobody."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.simulator.judge.calm import Calm, ServiceClock, bare, calm_of
from service.simulator.judge.facts import Trouble
from service.simulator.judge.history import History
from service.simulator.judge.walls import closing, day_of, moment_of, opening
from service.simulator.judge.words import clock_time, digits, folded, is_one_of, short_day, weekday_time
from tests.simulator.chronicle import MINUTE, utc

CHICAGO, ISTANBUL, AUCKLAND = ZoneInfo("America/Chicago"), ZoneInfo("Europe/Istanbul"), ZoneInfo("Pacific/Auckland")
DAYTIME = time(9), time(19)


@pytest.mark.parametrize(
    ("day", "at", "zone", "moment"),
    [
        (date(2026, 3, 7), time(10), CHICAGO, "2026-03-07 16:00"),
        (date(2026, 3, 8), time(10), CHICAGO, "2026-03-08 15:00"),
        (date(2026, 3, 8), time(2, 30), CHICAGO, "2026-03-08 08:00"),
        (date(2026, 11, 1), time(1, 30), CHICAGO, "2026-11-01 06:30"),
        (date(2026, 3, 29), time(10), ISTANBUL, "2026-03-29 07:00"),
        (date(2026, 9, 27), time(2, 15), AUCKLAND, "2026-09-26 14:00"),
    ],
    ids=[
        "winter",
        "summer",
        "a time that is skipped",
        "a time that comes twice",
        "no summer time",
        "skipped far south",
    ],
)
def test_when_the_wall_shows_a_time(day: date, at: time, zone: ZoneInfo, moment: str) -> None:
    assert moment_of(day, at, zone) == utc(moment)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-03-17 13:59", "2026-03-17 14:00"),
        ("2026-03-17 14:00", "2026-03-17 14:00"),
        ("2026-03-17 23:58", "2026-03-17 23:58"),
        ("2026-03-17 23:59:30", "2026-03-18 14:00"),
        ("2026-03-18 00:00", "2026-03-18 14:00"),
        ("2026-03-08 01:00", "2026-03-08 14:00"),
    ],
    ids=["a minute before", "at the opening", "near the end", "too near the end", "closed", "the night of the change"],
)
def test_when_a_text_may_leave(moment: str, opens: str) -> None:
    assert opening(utc(moment), DAYTIME, CHICAGO) == utc(opens)


def test_hours_are_half_open() -> None:
    assert closing(utc("2026-03-17 14:00"), DAYTIME, CHICAGO) == utc("2026-03-18 00:00")
    assert closing(utc("2026-03-17 13:59:59"), DAYTIME, CHICAGO) is None
    assert closing(utc("2026-03-18 00:00"), DAYTIME, CHICAGO) is None


@given(st.integers(0, 3 * 365 * 24 * 3600), st.sampled_from([CHICAGO, ISTANBUL, AUCKLAND]))
def test_whatever_the_moment_the_next_opening_is_near_and_open(seconds: int, zone: ZoneInfo) -> None:
    moment = utc("2025-01-01 00:00") + timedelta(seconds=seconds)
    opens = opening(moment, DAYTIME, zone)

    assert moment <= opens <= moment + timedelta(hours=15)
    assert closing(opens, DAYTIME, zone) is not None
    assert day_of(opens, zone) - day_of(moment, zone) <= timedelta(days=1)


def _trouble(what: str, start: str, end: str, *, seconds: float = 0, who: str | None = None) -> Trouble:
    return Trouble(what, who, utc(start), utc(end), timedelta(seconds=seconds))


def test_only_untroubled_time_counts() -> None:
    spans = [("10:00", "10:10"), ("10:12", "10:20"), ("10:15", "10:30")]
    calm = Calm((utc(f"2026-03-01 {start}"), utc(f"2026-03-01 {end}")) for start, end in spans)

    assert calm.after(utc("2026-03-01 09:00"), 3 * MINUTE) == utc("2026-03-01 09:03")
    assert calm.after(utc("2026-03-01 09:58"), 3 * MINUTE) == utc("2026-03-01 10:11")
    assert calm.after(utc("2026-03-01 10:05"), 3 * MINUTE) == utc("2026-03-01 10:31")
    assert calm.after(utc("2026-03-01 10:25"), 3 * MINUTE) == utc("2026-03-01 10:33")
    assert calm.troubled(utc("2026-03-01 10:10"), utc("2026-03-01 10:11"))
    assert not calm.troubled(utc("2026-03-01 10:10:30"), utc("2026-03-01 10:11"))
    assert calm.began(utc("2026-03-01 10:25")) == utc("2026-03-01 10:12")
    assert calm.began(utc("2026-03-01 11:00")) == utc("2026-03-01 11:00")


def test_trouble_needs_time_to_clear_up_but_not_a_web_servers() -> None:
    troubles = [
        _trouble("died", "2026-03-01 10:00", "2026-03-01 10:10", who="worker"),
        _trouble("died", "2026-03-01 11:00", "2026-03-01 11:10", who="web"),
        _trouble("list_down", "2026-03-01 12:00", "2026-03-01 12:10"),
    ]

    assert calm_of(troubles).after(utc("2026-03-01 10:05"), MINUTE) == utc("2026-03-01 10:17")
    assert calm_of(troubles).after(utc("2026-03-01 11:05"), MINUTE) == utc("2026-03-01 11:06")
    assert calm_of(troubles).after(utc("2026-03-01 12:05"), MINUTE) == utc("2026-03-01 12:06")
    assert bare(troubles).troubled(utc("2026-03-01 11:05"), utc("2026-03-01 11:06"))


def test_what_a_wrong_clock_showed() -> None:
    clock = ServiceClock([_trouble("clock_step", "2026-03-01 10:00", "2026-03-01 11:00", seconds=600)])

    assert clock.shown(utc("2026-03-01 09:00")) == [utc("2026-03-01 09:00")]
    assert clock.shown(utc("2026-03-01 10:30")) == [utc("2026-03-01 10:40")]
    assert clock.shown(utc("2026-03-01 11:00:10")) == [utc("2026-03-01 11:00:10"), utc("2026-03-01 11:10:10")]
    assert clock.off(utc("2026-03-01 09:00"), utc("2026-03-01 10:00")) == (timedelta(), timedelta(minutes=10))


def test_what_was_so_when() -> None:
    history = History([(utc("2026-03-01 10:00"), "a"), (utc("2026-03-01 11:00"), "b"), (utc("2026-03-01 11:00"), "c")])

    assert history.at(utc("2026-03-01 09:59")) is None
    assert history.at(utc("2026-03-01 10:59")) == "a"
    assert history.at(utc("2026-03-01 11:00")) == "c"
    assert history.during(utc("2026-03-01 10:30"), utc("2026-03-01 11:30")) == ["c", "b", "a"]
    assert history.last == "c"
    assert History[str]().last is None


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("mié 30 sep", "Mie 30 Sep"),
        ("30 Ağu Çar", "30 Agu Car"),
        ("Göl Kliniği", "gol klinigi"),
        ("don’t – wait…", "don't - wait..."),
        ("a\u00a0b", "a b"),
    ],
)
def test_letters_are_the_same_however_a_network_spells_them(written: str, same: str) -> None:
    assert folded(written) == folded(same)


@pytest.mark.parametrize(
    ("said", "is_stop"),
    [("STOP", True), (" stop! ", True), ("Çık", True), ("“İPTAL”", True), ("please stop it", False), ("🙏", False)],
)
def test_a_keyword_is_the_whole_text(said: str, is_stop: bool) -> None:
    assert is_one_of(said, ["stop", "cik", "iptal"]) is is_stop


@pytest.mark.parametrize(
    ("language", "day", "at", "both"),
    [
        ("en", "Wed 30 Sep", "12:45 PM", "Wed 12:45 PM"),
        ("es", "mié 30 sep", "12:45", "mié 12:45"),
        ("tr", "30 Eyl Çar", "12:45", "30 Eyl 12:45"),
    ],
)
def test_days_and_times_as_each_language_writes_them(language: str, day: str, at: str, both: str) -> None:
    wall = datetime(2026, 9, 30, 12, 45, tzinfo=CHICAGO)

    assert short_day(wall.date(), language) == day
    assert clock_time(wall, language) == at
    assert weekday_time(wall, language) == both


@pytest.mark.parametrize(("hour", "shown"), [(0, "12:05 AM"), (11, "11:05 AM"), (12, "12:05 PM"), (13, "1:05 PM")])
def test_noon_and_midnight_in_english(hour: int, shown: str) -> None:
    assert clock_time(datetime(2026, 9, 30, hour, 5, tzinfo=UTC), "en") == shown


def test_a_number_is_its_digits() -> None:
    assert digits("+1 555-010-0101") == digits("+15550100101") == "15550100101"
