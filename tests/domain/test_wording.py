"""Days and times in the patient's language: the forms the plan promises, within the room it gives them."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.segments import odd_characters, transliterate
from service.domain.wording import by_time, clock_time, short_date, until_time


def local(text: str) -> datetime:
    """A moment on the clinic's wall clock."""
    return datetime.fromisoformat(text)


languages = st.sampled_from(["en", "es", "tr", "de", "es-MX", "tr_TR", "xx"])
moments = st.datetimes(local("2020-01-01"), local("2040-12-31"))


@pytest.mark.parametrize(
    ("day", "language", "written"),
    [
        (date(2026, 9, 30), "en", "Wed 30 Sep"),
        (date(2026, 9, 30), "es", "mié 30 sep"),
        (date(2028, 8, 30), "tr", "30 Ağu Çar"),
        (date(2027, 2, 6), "es-MX", "sáb 6 feb"),
        (date(2027, 2, 1), "tr_TR", "1 Şub Pzt"),
        (date(2026, 12, 7), "de", "Mon 7 Dec"),
        (date(2026, 12, 7), "", "Mon 7 Dec"),
    ],
    ids=[
        "English",
        "Spanish",
        "Turkish",
        "Spanish of Mexico",
        "Turkish of Turkey",
        "German falls back",
        "none falls back",
    ],
)
def test_short_dates(day: date, language: str, written: str) -> None:
    assert short_date(day, language) == written


@pytest.mark.parametrize(
    ("hour", "minute", "english", "elsewhere"),
    [
        (0, 5, "12:05 AM", "00:05"),
        (9, 0, "9:00 AM", "09:00"),
        (11, 59, "11:59 AM", "11:59"),
        (12, 0, "12:00 PM", "12:00"),
        (12, 45, "12:45 PM", "12:45"),
        (21, 30, "9:30 PM", "21:30"),
    ],
    ids=["after midnight", "morning", "before noon", "noon", "after noon", "evening"],
)
def test_clock_times(hour: int, minute: int, english: str, elsewhere: str) -> None:
    moment = local(f"2026-09-30 {hour:02}:{minute:02}:59")
    assert clock_time(moment, "en") == english
    assert clock_time(moment, "es") == clock_time(moment, "tr") == elsewhere


@pytest.mark.parametrize(
    ("language", "written"),
    [("en", "Wed 12:45 PM"), ("es", "mié 12:45"), ("tr", "30 Ağu 12:45")],
    ids=["en", "es", "tr"],
)
def test_the_end_of_the_limits(language: str, written: str) -> None:
    assert until_time(local("2028-08-30 12:45"), language) == written


FRIDAY = local("2026-09-25 08:30")


@pytest.mark.parametrize(
    ("deadline", "english", "spanish", "turkish"),
    [
        (local("2026-09-25 12:00"), "12:00 PM today", "hoy 12:00", "bugün 12:00"),
        (local("2026-09-26 10:00"), "10:00 AM Sat", "mañana 10:00", "yarın 10:00"),
        (local("2026-09-28 10:00"), "10:00 AM Mon", "lun 10:00", "Pzt 10:00"),
        (local("2026-10-01 17:00"), "5:00 PM Thu", "jue 17:00", "Per 17:00"),
        (local("2026-10-02 17:00"), "Fri 2 Oct", "vie 2 oct", "2 Eki Cum"),
    ],
    ids=["today", "tomorrow", "after the weekend", "six days ahead", "a week ahead the date is named"],
)
def test_promises_of_staff(deadline: datetime, english: str, spanish: str, turkish: str) -> None:
    assert by_time(deadline, FRIDAY, "en") == english
    assert by_time(deadline, FRIDAY, "es") == spanish
    assert by_time(deadline, FRIDAY, "tr") == turkish


@given(moments, languages)
def test_everything_fits_its_room_and_the_alphabet(moment: datetime, language: str) -> None:
    day, at, until = short_date(moment, language), clock_time(moment, language), until_time(moment, language)
    assert (len(day) <= 12, len(at) <= 10, len(until) <= 14) == (True, True, True)
    assert odd_characters(transliterate(day + at + until)) == []
    assert not set(".,") & set(day + at + until)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=30)), languages)
def test_promises_fit_their_room(now: datetime, ahead: timedelta, language: str) -> None:
    assert len(by_time(now + ahead, now, language)) <= 14
