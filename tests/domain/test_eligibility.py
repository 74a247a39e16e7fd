"""The last look at a text before it leaves: one answer with one reason, whatever happened since it was planned."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.careplan import Urgency
from service.domain.case import Case
from service.domain.consent import Standing
from service.domain.eligibility import (
    HELD_FOR,
    LONGEST_VALIDITY,
    PART_FOR,
    REPLAN_FOR,
    Decision,
    Defer,
    DirectLook,
    Drop,
    Look,
    Miss,
    Send,
    decide,
    decide_direct,
    missed_because,
)
from service.domain.expansion import circumstances, expand
from service.domain.plan_file import window
from service.domain.windows import LEAST_USEFUL
from tests.domain.cases import DAY, HOUR, START, Book, at, booked, case, clinic, completed, on_both_plans, patient, told

SECOND = timedelta(seconds=1)


def look_at(key: str, about: Case, now: datetime, *, book: Book | None = None, **changes: Any) -> Look:
    """A text of the plan as the dispatcher would show it at ``now``."""
    wanted = book.keys[key] if book else key
    step = about.plan.step(wanted)
    assert step is not None
    entry = next((entry for entry in expand(about) if entry.step.key == wanted), None)
    session = entry.session if entry else (about.sessions or (None,))[0]
    look = Look(
        case=about,
        step=step,
        session=session,
        circumstances=circumstances(step, session, about, at=now),
        expires_at=entry.expires_at if entry else None,
    )
    return replace(look, **changes)


def decided(key: str, about: Case, now: str | datetime, **changes: Any) -> Decision:
    moment = at(now) if isinstance(now, str) else now
    return decide(look_at(key, about, moment, **changes), moment)


@on_both_plans
def test_a_wanted_text_leaves_and_is_good_until_its_window_ends(book: Book) -> None:
    about = case(booked(), book=book)
    assert decided("pre_1d", about, "2026-06-16 10:15", book=book) == Send(8 * 3600 + 45 * 60)


@pytest.mark.parametrize(
    ("key", "now", "seconds"),
    [
        ("pre_7d", "2026-06-14 18:00", 3600),
        ("pre_7d", "2026-06-10 09:00", 36_000),
        ("aftercare_1", "2026-06-17 20:00", 3600),
        ("aftercare_2", "2026-06-18 08:00", 2 * 3600),
        ("aftercare_1", "2026-06-17 20:59", 60),
    ],
    ids=["its usefulness ends", "a whole window", "the care window ends", "20 hours are over", "one minute left"],
)
def test_a_text_is_good_for_the_shortest_of_use_window_and_ten_hours(key: str, now: str, seconds: int) -> None:
    about = case(booked()) if key == "pre_7d" else case(completed(), clinic=clinic(window=window("09:00", "19:00")))
    if key == "aftercare_2":
        about = case(completed(START))
    assert decided(key, about, now) == Send(seconds)


@on_both_plans
@pytest.mark.parametrize("left", [timedelta(0), 59 * SECOND, -DAY], ids=["none left", "59 seconds left", "a day over"])
def test_a_text_is_not_sent_when_its_use_is_over_even_after_an_outage(left: timedelta, book: Book) -> None:
    about = case(booked(), book=book)
    ends = START - 3 * HOUR
    assert decided("pre_1d", about, ends - left, book=book) == Miss("expired")


def test_a_text_that_was_held_to_its_end_is_missed_for_that_reason() -> None:
    assert decided("d3", case(completed()), "2026-06-22 19:00", held_reason="cap") == Miss("cap")


@on_both_plans
@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-06-16 22:57", "2026-06-17 09:00"),
        ("2026-06-16 03:00", "2026-06-16 09:00"),
        ("2026-06-16 19:00", "2026-06-17 09:00"),
        ("2026-06-16 18:59:30", "2026-06-17 09:00"),
    ],
    ids=["a delayed queue at night", "at three in the morning", "as the window closes", "half a minute before"],
)
def test_hours_are_kept_at_the_moment_of_sending_not_only_when_planning(now: str, until: str, book: Book) -> None:
    about = case(booked(), book=book)
    assert decided("pre_1d", about, now, book=book) == Defer(at(until), "window")


@on_both_plans
def test_care_keeps_its_own_hours_on_the_clinics_clock(book: Book) -> None:
    about = case(completed(), book=book, patient=patient(zone=ZoneInfo("Asia/Tokyo")))
    assert decided("aftercare_1", about, "2026-06-17 20:30", book=book) == Send(1800)
    assert decided("aftercare_2", about, "2026-06-17 21:00", book=book) == Defer(at("2026-06-18 08:00"), "window")


def test_other_texts_keep_the_patients_clock() -> None:
    about = case(completed(), patient=patient(zone=ZoneInfo("America/Los_Angeles")))
    assert decided("d3", about, "2026-06-20 11:00") == Defer(at("2026-06-20 13:00"), "window")


def test_a_clinic_whose_hours_never_meet_the_steps_sends_nothing() -> None:
    about = case(completed(), clinic=clinic(window=window("06:00", "10:00")))
    assert decided("d3", about, "2026-06-20 11:00") == Drop("window")


@pytest.mark.parametrize("by_text", [True, False], ids=["agreed by text", "agreed at the desk"])
def test_the_answer_to_a_yes_leaves_at_any_hour(by_text: bool) -> None:
    agreed = patient(consented_at=at("2026-06-01 23:00"), consented_by_text=by_text)
    found = decided("welcome", case(patient=agreed), "2026-06-01 23:01")
    assert found == (Send(36_000) if by_text else Defer(at("2026-06-02 09:00"), "window"))


@on_both_plans
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"standing": Standing.REVOKED}, "opted_out"),
        ({"standing": Standing.NONE}, "no_consent"),
        ({"status": "deceased"}, "patient_deceased"),
        ({"status": "inactive"}, "patient_inactive"),
        ({"phone": None}, "no_number"),
    ],
    ids=["STOP", "never agreed", "deceased", "inactive", "number gone"],
)
def test_nobody_is_texted_who_may_not_be(facts: dict[str, Any], reason: str, book: Book) -> None:
    about = case(completed(), book=book, patient=patient(**facts))
    assert decided("aftercare_1", about, "2026-06-17 14:10", book=book) == Drop(reason)


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({}, Send(36_000)),
        ({"standing": Standing.REVOKED}, Drop("condition:no_consent")),
        ({"may_ask": False}, Drop("condition:no_consent")),
        ({"phone": None}, Drop("no_number")),
        ({"status": "inactive"}, Drop("patient_inactive")),
    ],
    ids=["never asked", "refused", "nobody said that they may be asked", "no number", "inactive"],
)
def test_consent_is_asked_for_without_consent(facts: dict[str, Any], found: Decision) -> None:
    unasked = {"standing": Standing.NONE, "may_ask": True, "added_at": at("2026-06-01 08:00")}
    assert decided("optin", case(patient=patient(**unasked | facts)), "2026-06-01 09:00") == found


def test_consent_is_asked_for_once() -> None:
    about = case(patient=patient(standing=Standing.NONE, may_ask=True, added_at=at("2026-06-01 08:00")))
    look = look_at("optin", about, at("2026-06-01 09:00"))
    assert look.circumstances is not None
    asked = replace(look, circumstances=replace(look.circumstances, asked_before=True))
    assert decide(asked, at("2026-06-01 09:00")) == Drop("condition:no_consent")


def test_a_number_that_takes_no_texts_gets_none() -> None:
    assert decided("d3", case(completed()), "2026-06-20 11:00", number_blocked=True) == Drop("number_blocked")


@on_both_plans
@pytest.mark.parametrize("status", ["cancelled", "no_show", "not_done", "entered_in_error", "completed"])
def test_a_reminder_does_not_leave_once_its_session_is_off(status: str, book: Book) -> None:
    about = case(booked(status=status), book=book)
    assert decided("pre_1d", about, "2026-06-16 10:15", book=book) == Drop(f"session_{status}")


@on_both_plans
def test_aftercare_does_not_leave_once_a_newer_session_took_place(book: Book) -> None:
    older = completed(START - DAY, id=2)
    step = book.step("d3")
    about = case(older, completed(), book=book)
    look = Look(about, step, older, circumstances(step, older, about, at=START), expires_at=None)
    assert decide(look, START) == Drop("session_completed")


def test_a_text_of_a_person_whose_event_is_gone_is_not_wanted() -> None:
    assert decided("welcome", case(), "2026-06-01 10:00") == Drop("no_longer_wanted")


@on_both_plans
def test_conditions_are_judged_again_when_a_text_leaves(book: Book) -> None:
    just_told = case(booked(told=(told("2026-06-16 09:30"),)), book=book)
    assert decided("pre_1d", just_told, "2026-06-16 10:15", book=book) == Drop("condition:not_just_told")
    rebooked = case(completed(), booked(START + 84 * DAY, id=2), book=book)
    assert decided("repeat_due", rebooked, "2026-08-26 10:30", book=book) == Drop("condition:not_rebooked")


@on_both_plans
def test_a_nudge_leaves_only_where_it_is_wanted(book: Book) -> None:
    about = case(booked(), book=book)
    now = book.clock("2026-06-07 11:00")
    look = look_at("baseline_nudge", about, now, book=book)
    assert decide(look, now) == Drop("condition:not_answered")
    assert look.circumstances is not None
    wanted = replace(look, circumstances=replace(look.circumstances, nudge_wanted=True))
    assert isinstance(decide(wanted, now), Send)


def test_a_patient_whose_facts_just_changed_is_planned_first_whatever_else_holds() -> None:
    about = case(completed(), patient=patient(standing=Standing.REVOKED))
    now = at("2026-06-30 03:00")
    assert decided("d3", about, now, marked=True, paused="paused") == Defer(now + REPLAN_FOR, "replanning")


@pytest.mark.parametrize(
    ("changes", "wait", "reason"),
    [
        ({"paused": "clinic_paused"}, HELD_FOR, "clinic_paused"),
        ({"waits_for_part": True}, PART_FOR, "after_step"),
        ({"sent_24h": 6}, HELD_FOR, "cap"),
        ({"sent_7d": 12}, HELD_FOR, "cap"),
    ],
    ids=["paused", "part one has not left", "six texts in a day", "twelve in a week"],
)
def test_a_text_that_may_not_leave_yet_is_held_with_a_reason(
    changes: dict[str, Any], wait: timedelta, reason: str
) -> None:
    now = at("2026-06-20 11:00")
    assert decided("d3", case(completed()), now, **changes) == Defer(now + wait, reason)


def test_one_text_below_the_cap_leaves() -> None:
    assert isinstance(decided("d3", case(completed()), "2026-06-20 11:00", sent_24h=5, sent_7d=11), Send)


@on_both_plans
def test_aftercare_is_never_held_by_a_cap(book: Book) -> None:
    about = case(completed(), book=book)
    assert decided("aftercare_1", about, "2026-06-17 14:13", book=book, sent_24h=9, sent_7d=99) == Send(24_420)


def test_of_a_session_entered_twice_only_the_first_is_told() -> None:
    twice = case(booked(id=1), booked(START + HOUR, id=2))
    now = at("2026-06-16 10:15")
    first, second = (replace(look_at("pre_1d", twice, now), session=session) for session in twice.sessions)
    assert isinstance(decide(first, now), Send)
    assert decide(second, now) == Defer(now + HELD_FOR, "two_sessions")


@pytest.mark.parametrize(
    ("changes", "now", "found"),
    [
        ({}, "2026-06-17 12:00", Send(7 * 3600)),
        ({}, "2026-06-17 03:00", Defer(at("2026-06-17 09:00"), "window")),
        ({"sent_24h": 6}, "2026-06-17 12:00", Defer(at("2026-06-17 12:15"), "cap")),
        ({"paused": "paused"}, "2026-06-17 12:00", Defer(at("2026-06-17 12:15"), "paused")),
        ({"case": case(patient=patient(standing=Standing.REVOKED))}, "2026-06-17 12:00", Drop("opted_out")),
        (
            {"case": case(patient=patient(zone=ZoneInfo("America/Los_Angeles")))},
            "2026-06-17 10:00",
            Defer(at("2026-06-17 12:00"), "window"),
        ),
    ],
    ids=["by day", "at night", "at the cap", "paused", "after STOP", "at seven in the morning out west"],
)
def test_what_staff_write_to_a_patient_keeps_hours_caps_and_consent(
    changes: dict[str, Any], now: str, found: Decision
) -> None:
    look = replace(Look(case(), None, None, None, expires_at=None), **changes)
    assert decide(look, at(now)) == found


NUMBER = "+15550100123"
REPLY = DirectLook("reply", "ack_fine", Urgency.REPLY, NUMBER, Standing.GRANTED, expires_at=None)


@pytest.mark.parametrize(
    ("expires", "found"),
    [(None, Send(36_000)), (DAY, Send(36_000)), (HOUR, Send(3600)), (59 * SECOND, Miss("expired"))],
    ids=["no end", "far end", "in an hour", "no time left"],
)
def test_an_answer_leaves_at_any_hour_while_it_is_of_use(expires: timedelta | None, found: Decision) -> None:
    night = at("2026-06-17 03:00")
    look = replace(REPLY, expires_at=None if expires is None else night + expires)
    assert decide_direct(look, night) == found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"standing": Standing.REVOKED}, Drop("opted_out")),
        ({"standing": Standing.NONE}, Drop("no_consent")),
        ({"standing": Standing.REVOKED, "template": "stop_confirm"}, Send(36_000)),
        ({"standing": Standing.REVOKED, "template": "help"}, Send(36_000)),
        ({"standing": Standing.NONE, "template": "unknown_reply"}, Send(36_000)),
        ({"standing": Standing.NONE, "template": "wrong_number"}, Send(36_000)),
        ({"standing": Standing.REVOKED, "template": "red_flag", "urgency": Urgency.SAFETY}, Send(36_000)),
        ({"number": None}, Drop("no_number")),
        ({"number_blocked": True}, Send(36_000)),
        ({"paused": "paused"}, Defer(START + HELD_FOR, "paused")),
        ({"kind": "page", "standing": Standing.NONE}, Send(36_000)),
        ({"kind": "page", "number_blocked": True}, Drop("number_blocked")),
    ],
    ids=[
        "after STOP",
        "never agreed",
        "the confirmation of STOP",
        "help after STOP",
        "an unreadable text from anybody",
        "a wrong number",
        "an alarming text from anybody",
        "no number",
        "a number that has just texted takes texts",
        "all sending paused",
        "a page to staff",
        "a page to a number that takes no texts",
    ],
)
def test_who_gets_an_answer(changes: dict[str, Any], found: Decision) -> None:
    assert decide_direct(replace(REPLY, **changes), START) == found


@pytest.mark.parametrize(
    ("held", "reason"),
    [(None, "expired"), ("window", "expired"), ("after_step", "expired"), ("cap", "cap"), ("paused", "paused")],
)
def test_why_a_text_was_missed(held: str | None, reason: str) -> None:
    assert missed_because(held) == reason
    assert decide_direct(replace(REPLY, expires_at=START, held_reason=held), START) == Miss(reason)


def test_a_look_without_circumstances_leaves_the_conditions_to_others() -> None:
    look = look_at("d3", case(completed()), at("2026-06-20 11:00"), circumstances=None)
    assert isinstance(decide(look, at("2026-06-20 11:00")), Send)


@on_both_plans
@given(minutes=st.integers(0, 90 * 1440))
def test_whatever_leaves_is_wanted_useful_and_in_its_hours(book: Book, minutes: int) -> None:
    now = START + timedelta(minutes=minutes)
    about = case(completed(), book=book)
    for entry in expand(about):
        if entry.due_at is None or not entry.step.is_text:
            continue
        seen = circumstances(entry.step, entry.session, about, at=now)
        decision = decide(Look(about, entry.step, entry.session, seen, entry.expires_at), now)
        if isinstance(decision, Send):
            good_for = timedelta(seconds=decision.validity_seconds)
            assert LEAST_USEFUL <= good_for <= LONGEST_VALIDITY
            assert entry.expires_at is not None
            assert now + good_for <= entry.expires_at
            local = now.astimezone(about.clinic.zone)
            assert entry.step.window.opens <= local.time() < entry.step.window.closes
        elif isinstance(decision, Defer):
            assert decision.until > now
