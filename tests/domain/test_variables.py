"""The values that texts are filled with: computed when a text leaves, in the patient's words, never longer than promised."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.case import SessionFacts
from service.domain.opening_hours import parse_hours
from service.domain.variables import VALUES, Writing, values_for
from service.store.content import shipped_plan, shipped_templates
from tests.domain.cases import DAY, HOUR, START, ZONE, at, booked, case, clinic, completed, patient

MINUTE = timedelta(minutes=1)


def value(
    name: str, session: SessionFacts | None, now: datetime = START, *, language: str = "en", **changes: Any
) -> str:
    rules = changes.pop("rules", ())
    about = case(*([session] if session else []), **changes)
    return values_for([name], Writing(about, session, now, language, rules=rules))[name]


def test_every_variable_of_the_plan_has_a_value_but_the_one_that_a_reply_brings() -> None:
    assert {variable["name"] for variable in shipped_plan()["variables"]} - set(VALUES) == {"count"}


def test_no_variable_is_computed_that_the_plan_does_not_declare() -> None:
    assert set(VALUES) <= {variable["name"] for variable in shipped_plan()["variables"]}


def test_a_name_that_nobody_can_fill_is_empty_and_so_stops_the_text() -> None:
    assert value("count", booked()) == ""
    assert value("nonsense", booked()) == ""


@pytest.mark.parametrize("name", ["date", "time", "minutes", "until", "n_days", "ended_rules", "due_date"])
def test_what_is_about_a_session_is_empty_without_one(name: str) -> None:
    assert value(name, None, rules=("bend",)) == ""


@pytest.mark.parametrize("name", ["until", "n_days", "ended_rules", "due_date"])
def test_what_is_about_the_injections_is_empty_before_them(name: str) -> None:
    assert value(name, booked(), rules=("bend",)) == ""


@pytest.mark.parametrize(
    ("name", "language", "written"),
    [
        ("date", "en", "Wed 17 Jun"),
        ("date", "es", "mié 17 jun"),
        ("date", "tr", "17 Haz Çar"),
        ("time", "en", "2:00 PM"),
        ("time", "es", "14:00"),
        ("time", "tr", "14:00"),
    ],
)
def test_a_start_is_named_on_the_clinics_clock_in_the_patients_language(name: str, language: str, written: str) -> None:
    away = patient(zone=ZoneInfo("Asia/Tokyo"))
    assert value(name, booked(), language=language, patient=away) == written


@pytest.mark.parametrize(
    ("start", "time"),
    [("2026-03-07 14:00", "2:00 PM"), ("2026-03-08 14:00", "2:00 PM"), ("2026-11-01 14:00", "2:00 PM")],
    ids=["the day before the clock changes", "on a short day", "on a long day"],
)
def test_nobody_comes_an_hour_early(start: str, time: str) -> None:
    assert value("time", booked(at(start))) == time


@pytest.mark.parametrize(
    ("length", "minutes"),
    [(None, "20"), (45 * MINUTE, "45"), (timedelta(0), "20"), (-HOUR, "20"), (90 * timedelta(seconds=1), "1")],
    ids=["nobody said", "three quarters of an hour", "no length", "ends before it starts", "a minute and a half"],
)
def test_how_long_a_session_takes(length: timedelta | None, minutes: str) -> None:
    assert value("minutes", booked(end=None if length is None else START + length)) == minutes


@pytest.mark.parametrize(
    ("now", "after_hours", "phone"),
    [
        ("2026-06-17 14:00", "+15550100142", "+1 555-010-0199"),
        ("2026-06-17 17:00", "+15550100142", "+1 555-010-0142"),
        ("2026-06-20 12:00", "+15550100142", "+1 555-010-0142"),
        ("2026-06-19 12:00", "+15550100142", "+1 555-010-0142"),
        ("2026-06-20 12:00", "", "+1 555-010-0199"),
    ],
    ids=["open", "closed", "weekend", "holiday", "closed, without a line for it"],
)
def test_the_phone_that_somebody_answers_now(now: str, after_hours: str, phone: str) -> None:
    where = clinic(after_hours=after_hours, holidays=frozenset({date(2026, 6, 19)}))
    assert value("urgent_phone", booked(), at(now), clinic=where) == phone
    assert value("phone", booked(), at(now), clinic=where) == "+1 555-010-0199"


@pytest.mark.parametrize(("line", "found"), [("988", "988"), (None, "911"), ("", "911")])
def test_a_crisis_line_where_there_is_one_else_the_emergency_number(line: str | None, found: str) -> None:
    assert value("crisis_line", None, clinic=clinic(crisis_line=line)) == found


@pytest.mark.parametrize(
    ("rules", "rule_hours", "until"),
    [
        (("bend", "heat"), {}, "Thu 2:00 PM"),
        (("alcohol", "aspirin"), {"alcohol": 48}, "Fri 2:00 PM"),
        (("bend", "head_up"), {"bend": 6}, "Wed 8:00 PM"),
        (("head_up",), {}, ""),
        ((), {}, ""),
    ],
    ids=["a day", "the longest of them", "a clinic's own", "the first night has no clock time", "no rules"],
)
def test_until_is_the_latest_end_of_the_rules_that_a_text_carries(
    rules: tuple[str, ...], rule_hours: dict[str, float], until: str
) -> None:
    assert value("until", completed(), rules=rules, clinic=clinic(rule_hours=rule_hours)) == until


def test_until_is_a_day_later_in_real_hours_when_the_clock_changes() -> None:
    assert value("until", completed(at("2026-03-07 14:00")), rules=("bend",)) == "Sun 3:00 PM"
    assert value("until", completed(at("2026-10-31 14:00")), rules=("bend",)) == "Sun 1:00 PM"


@pytest.mark.parametrize(
    ("now", "days"),
    [("2026-06-17 23:59", "0"), ("2026-06-18 00:01", "1"), ("2026-06-20 11:00", "3"), ("2026-07-01 18:00", "14")],
)
def test_days_since_the_session_are_calendar_days_of_the_clinic(now: str, days: str) -> None:
    assert value("n_days", completed(at("2026-06-17 22:30")), at(now)) == days


@pytest.mark.parametrize(
    ("language", "ended"),
    [
        ("en", "bending, exercise, face moves, rubbing, heat, sun"),
        ("es", "agachar la cabeza, ejercicio, gestos, frotar, calor, sol"),
        ("tr", "öne eğilme, spor, mimik, ovma, ısı, güneş"),
        ("fr", "bending, exercise, face moves, rubbing, heat, sun"),
    ],
)
def test_only_rules_that_have_ended_are_said_to_have_ended(language: str, ended: str) -> None:
    strict = clinic(rule_hours={"alcohol": 48})
    assert value("ended_rules", completed(), START + DAY, language=language, clinic=strict) == ended


def test_the_next_session_and_the_interval_that_leads_to_it() -> None:
    assert value("due_date", completed()) == "Wed 9 Sep"
    assert value("interval_weeks", completed()) == "12"
    own = patient(interval_weeks=13)
    assert (value("due_date", completed(), patient=own), value("interval_weeks", completed(), patient=own)) == (
        "Wed 16 Sep",
        "13",
    )


@pytest.mark.parametrize(
    ("now", "callback", "read"),
    [
        ("2026-06-17 10:30", "12:30 PM today", "5:00 PM today"),
        ("2026-06-17 16:00", "9:00 AM Thu", "5:00 PM today"),
        ("2026-06-19 18:00", "10:00 AM Mon", "5:00 PM Mon"),
    ],
    ids=["in the morning", "in the afternoon", "Friday evening"],
)
def test_promises_are_kept_in_staffed_hours(now: str, callback: str, read: str) -> None:
    assert value("callback_by", None, at(now)) == callback
    assert value("read_by", None, at(now)) == read


def test_the_rest() -> None:
    assert value("clinic", None) == "Lakeside Clinic"
    assert value("emergency", None) == "911"
    assert value("onset_window", None) == "10-14"
    assert value("n_msgs", None) == "14"
    assert value("n_msgs", None, clinic=clinic(plan_name="lite")) == "6"


LONGEST = {variable["name"]: variable["max_length"] for variable in shipped_plan()["variables"]}


@given(
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis adds the zone
    after=st.integers(0, 20 * 1440).map(lambda m: m * MINUTE),
    language=st.sampled_from(["en", "es", "tr"]),
    hours=st.sampled_from(["Mon-Fri 08:00-17:00", "Mon 10:00-12:30", "Sat-Sun 10:15-22:45"]),
)
def test_no_value_is_longer_than_the_room_that_the_texts_leave_it(
    moment: datetime, after: timedelta, language: str, hours: str
) -> None:
    session = completed(moment, end=moment + 30 * MINUTE)
    about = case(session, clinic=clinic(zone=ZONE, hours=parse_hours(hours)))
    rules = tuple(rule["key"] for rule in shipped_plan()["rules"])
    values = values_for(VALUES, Writing(about, session, moment + after, language, rules=rules))
    assert {name: text for name, text in values.items() if len(text) > LONGEST[name]} == {}


def test_the_texts_use_no_other_names() -> None:
    used = {name for template in shipped_templates()["templates"] for name in template["variables"]}
    assert used <= set(VALUES) | {"count"}
