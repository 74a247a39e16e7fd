"""Every condition that a plan may put on a step, true and false, and what follows when answers are not understood."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from service.domain.case import Case, SessionFacts
from service.domain.conditions import CONDITIONS, KNOWN_WHEN_PLANNED, OF_THE_PATIENT, Circumstances, holds
from service.domain.consent import Standing
from service.store.content import shipped_plan
from tests.domain.cases import DAY, HOUR, START, at, booked, case, clinic, completed, patient, told

FIRST = completed(START - 84 * DAY, id=9)
MONDAY = at("2026-06-15 10:00")


def circumstances(about: Case, session: SessionFacts | None, at: datetime = MONDAY, **changes: Any) -> Circumstances:
    return Circumstances(case=about, session=session, at=at, day=at.date(), **changes)


def judge(name: str, *sessions: SessionFacts, now: datetime = MONDAY, **changes: Any) -> bool:
    """The condition for the last of the sessions."""
    facts = {field: changes.pop(field) for field in ("clinic", "patient") if field in changes}
    return holds(name, circumstances(case(*sessions, **facts), sessions[-1] if sessions else None, now, **changes))


def test_the_plan_knows_the_very_conditions_that_there_are() -> None:
    assert set(CONDITIONS) == set(shipped_plan()["conditions"])
    assert set(CONDITIONS) >= KNOWN_WHEN_PLANNED | OF_THE_PATIENT


@pytest.mark.parametrize("name", sorted(set(CONDITIONS) - {"day_missed", "not_answered"} - OF_THE_PATIENT - {"told"}))
def test_a_condition_about_a_session_says_so_where_there_is_none(name: str) -> None:
    now = circumstances(case(), None, told=(told("2026-06-15 09:00"),))
    if name == "day_not_missed":
        assert holds(name, now)
    else:
        with pytest.raises(ValueError, match="needs a session"):
            holds(name, now)


@pytest.mark.parametrize("name", sorted(OF_THE_PATIENT))
def test_a_condition_about_the_patient_needs_no_session(name: str) -> None:
    assert holds(name, circumstances(case(), None)) in {True, False}


@pytest.mark.parametrize(
    ("facts", "asked_before", "ask"),
    [
        ({"standing": Standing.NONE, "may_ask": True}, False, True),
        ({"standing": Standing.NONE, "may_ask": True}, True, False),
        ({"standing": Standing.NONE, "may_ask": False}, False, False),
        ({"standing": Standing.REVOKED, "may_ask": True}, False, False),
        ({"standing": Standing.GRANTED, "may_ask": True}, False, False),
    ],
    ids=["may be asked", "asked before on this number", "staff did not record that they may ask", "refused", "agreed"],
)
def test_consent_is_asked_for_once(facts: dict[str, Any], asked_before: bool, ask: bool) -> None:
    assert judge("no_consent", patient=patient(**facts), asked_before=asked_before) is ask


def test_a_session_is_the_first_until_another_took_place_before_it() -> None:
    assert judge("first_session", booked())
    assert not judge("repeat_session", booked())
    assert judge("repeat_session", FIRST, booked())
    assert not judge("first_session", FIRST, booked())
    assert judge("first_session", replace(FIRST, status="not_done"), booked())


@pytest.mark.parametrize(
    ("days", "recent"), [(20, True), (21, False), (22, False)], ids=["20 days", "exactly 21 days", "22 days"]
)
def test_no_count_is_asked_for_within_three_weeks_of_another(days: int, recent: bool) -> None:
    last = MONDAY.date() - timedelta(days=days)
    assert judge("no_recent_count", booked(), last_count_day=last) is not recent


def test_the_first_count_is_asked_for() -> None:
    assert judge("no_recent_count", booked())


def test_a_session_is_confirmed_for_its_present_start_only() -> None:
    assert judge("not_confirmed", booked())
    assert not judge("not_confirmed", booked(confirmed_start=START))
    assert judge("not_confirmed", booked(START + HOUR, confirmed_start=START))


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ((), True),
        ((told(MONDAY - 20 * HOUR),), True),
        ((told(MONDAY - 19 * HOUR),), False),
        ((told(MONDAY - HOUR, START + DAY),), True),
        ((told(MONDAY - HOUR, called_off=True),), True),
    ],
    ids=["never told", "20 hours ago", "19 hours ago", "told of another time", "told that it is off"],
)
def test_nobody_is_reminded_of_what_they_were_just_told(texts: tuple[Any, ...], wanted: bool) -> None:
    assert judge("not_just_told", booked(), told=texts) is wanted


def test_a_session_is_called_off_only_to_those_who_knew_of_it() -> None:
    assert not judge("told", booked())
    assert judge("told", booked(), told=(told("2026-06-01 10:00"),))
    assert not judge("told", booked(), told=(told("2026-06-01 10:00", called_off=True),))


@pytest.mark.parametrize(
    ("texts", "changed"),
    [
        ((), False),
        ((told("2026-06-01 10:00"),), False),
        ((told("2026-06-01 10:00", START - DAY),), True),
        ((told("2026-06-01 10:00", START - DAY), told("2026-06-02 10:00")), False),
        ((told("2026-06-02 10:00"), told("2026-06-01 10:00", START - DAY)), False),
        ((told("2026-06-01 10:00"), told("2026-06-02 10:00", called_off=True)), True),
        ((told("2026-06-02 10:00", called_off=True),), False),
    ],
    ids=[
        "never told",
        "told the right time",
        "told another time",
        "told the right time since",
        "whatever the order of the records",
        "told that it is off, and it is on again",
        "never told a time",
    ],
)
def test_a_new_time_is_told_to_those_who_know_another(texts: tuple[Any, ...], changed: bool) -> None:
    assert judge("time_changed", booked(), told=texts) is changed


def test_the_day_of_the_aftercare_is_missed_or_not() -> None:
    assert judge("day_missed", completed(), day_missed=True)
    assert not judge("day_not_missed", completed(), day_missed=True)
    assert judge("day_not_missed", completed())
    assert not judge("day_missed", completed())


def test_an_all_clear_needs_a_rule_that_has_ended() -> None:
    strict = clinic(rule_hours=dict.fromkeys(("bend", "exercise", "face", "rub", "heat", "sun", "alcohol"), 48))
    assert judge("a_rule_ended", completed(), now=START + DAY)
    assert not judge("a_rule_ended", completed(), now=START + 23 * HOUR)
    assert not judge("a_rule_ended", completed(), now=START + DAY, clinic=strict)


def test_a_repeat_is_due_while_none_stands_in_the_book() -> None:
    assert judge("not_rebooked", FIRST)
    assert not judge("not_rebooked", booked(), FIRST)


@pytest.mark.parametrize(
    ("ends", "warn"),
    [(None, False), (date(2026, 9, 22), True), (date(2026, 9, 23), False)],
    ids=["none on record", "13 days after the due date", "14 days after the due date"],
)
def test_staff_hear_of_an_authorisation_that_runs_out(ends: date | None, warn: bool) -> None:
    assert judge("authorisation_ends", completed(), patient=patient(authorisation_ends=ends)) is warn


def test_a_session_that_did_not_take_place_needs_no_authorisation() -> None:
    assert not judge("authorisation_ends", booked(), patient=patient(authorisation_ends=date(2026, 1, 1)))


@pytest.mark.parametrize(
    ("sessions", "days", "due"),
    [(1, 70, False), (2, 70, True), (3, 70, True), (4, 70, False), (4, 457, True), (1, 457, True), (1, 456, False)],
    ids=["first", "second", "third", "fourth", "fourth, 15 months on", "first, 15 months on", "a day less"],
)
def test_the_doctor_reviews_after_two_and_three_sessions_and_after_fifteen_months(
    sessions: int, days: int, due: bool
) -> None:
    series = [completed(START + 84 * n * DAY, id=n + 1) for n in range(sessions)]
    after = START + days * DAY if days > 70 else series[-1].start + 70 * DAY
    assert judge("review_due", *series, now=after) is due


def test_nothing_is_reviewed_before_anything_took_place() -> None:
    assert not judge("review_due", booked())


@pytest.mark.parametrize("name", ["no_open_case", "not_declined", "no_baseline"])
def test_until_answers_are_understood_nobody_has_complained_declined_or_answered(name: str) -> None:
    assert judge(name, booked())


def test_a_nudge_goes_out_where_it_is_wanted() -> None:
    assert not judge("not_answered", booked())
    assert judge("not_answered", booked(), nudge_wanted=True)


def test_more_texts_join_what_was_told() -> None:
    before = circumstances(case(booked()), booked(), told=(told("2026-06-01 10:00"),), last_count_day=date(2026, 6, 1))
    after = before.after(told=[told("2026-06-02 10:00")])
    assert [text.at for text in after.told] == [at("2026-06-01 10:00"), at("2026-06-02 10:00")]
    assert after.last_count_day == date(2026, 6, 1)
    assert before.after(last_count_day=date(2026, 6, 3)).last_count_day == date(2026, 6, 3)
