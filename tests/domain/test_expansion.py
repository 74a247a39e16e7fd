"""What a plan wants of a patient: late bookings, moves, cancellations, cycles, go-live, zones. On both plans."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.domain.anchors import anchor_moment, expiry, known_at
from service.domain.careplan import Anchor, Minutes, UselessAfter
from service.domain.consent import Standing
from service.domain.expansion import Entry, expand
from service.domain.plan_file import window
from tests.domain.cases import (
    DAY,
    HOUR,
    START,
    Book,
    at,
    booked,
    case,
    changed,
    clinic,
    completed,
    on_both_plans,
    patient,
    shipped,
    told,
    wanted,
)

MINUTE = timedelta(minutes=1)
"""All examples turn on a session on Wednesday 17 June 2026 at 14:00 in New York unless they say otherwise."""


def due(entries: dict[str, Entry], *keys: str) -> list[datetime | None]:
    return [entries[key].due_at for key in keys]


def texts(entries: dict[str, Entry]) -> list[str]:
    """Keys of the texts that will be sent, in the order in which they leave."""
    sent = [(entry.due_at, key) for key, entry in entries.items() if entry.due_at and entry.step.is_text]
    return [key for _, key in sorted(sent)]


def reasons(entries: dict[str, Entry], *keys: str) -> list[str | None]:
    return [entries[key].skipped for key in keys]


@on_both_plans
def test_the_course_of_a_first_session(book: Book) -> None:
    before = wanted(case(booked(known=at("2026-05-20 15:00")), book=book), book=book)
    assert texts(before) == ["booked", "baseline", "baseline_nudge", "pre_7d", "pre_1d"]
    assert due(before, "booked") == [book.after("2026-05-20 15:10")]
    assert due(before, "baseline", "baseline_nudge", "pre_7d", "pre_1d") == [
        book.clock("2026-06-05 11:00"),
        book.clock("2026-06-07 11:00"),
        book.clock("2026-06-10 10:00"),
        book.clock("2026-06-16 10:00"),
    ]
    after = wanted(case(completed(), book=book), book=book)
    assert due(after, "aftercare_1", "aftercare_2", "allclear") == [
        book.after("2026-06-17 14:10"),
        book.after("2026-06-17 14:12"),
        book.after("2026-06-18 14:00"),
    ]
    assert due(after, "evening", "d3", "onset", "wearing_off", "repeat_due", "count_w12", "repeat_overdue") == [
        at("2026-06-17 20:00"),
        book.clock("2026-06-20 11:00"),
        book.clock("2026-07-01 11:00"),
        book.clock("2026-08-22 11:00"),
        book.clock("2026-08-26 10:30"),
        book.clock("2026-09-04 11:00"),
        book.clock("2026-09-16 10:30"),
    ]


@on_both_plans
def test_every_step_whose_event_is_known_is_answered_for_with_a_time_or_a_reason(book: Book) -> None:
    joined = patient(added_at=START - 50 * DAY, consented_at=START - 49 * DAY)
    series = (completed(), booked(START + 90 * DAY, id=2), booked(id=3, status="no_show", no_show_at=START - 2 * DAY))
    entries = expand(case(*series, book=book, patient=joined))
    assert all((entry.due_at is None) is (entry.skipped is not None) for entry in entries)
    assert len({entry.identity for entry in entries}) == len(entries)
    known = {step.key for step in book.plan.steps if step.anchor not in {Anchor.MOVED, Anchor.CANCELLED}}
    assert {entry.step.key for entry in entries} == known
    assert [entry.step.order for entry in entries] == sorted(entry.step.order for entry in entries)


# --- late bookings


@on_both_plans
def test_a_booking_for_tomorrow_does_not_bring_all_reminders_at_once(book: Book) -> None:
    late = wanted(case(booked(known=at("2026-06-16 15:00")), book=book), book=book)
    assert texts(late) == ["pre_1d"]
    assert due(late, "pre_1d") == [at("2026-06-16 15:00")]
    assert reasons(late, "booked", "baseline", "baseline_nudge", "pre_7d") == ["expired", "expired", "late", "expired"]


@on_both_plans
def test_a_reminder_for_a_week_ahead_never_comes_on_the_eve(book: Book) -> None:
    assert wanted(case(booked(known=at("2026-06-14 20:00")), book=book), book=book)["pre_7d"].skipped == "expired"
    assert wanted(case(booked(known=at("2026-06-16 13:00")), book=book), book=book)["pre_7d"].skipped == "expired"


@on_both_plans
@pytest.mark.parametrize(
    ("known", "goes"),
    [
        ("2026-06-12 09:00", "2026-06-12 10:00"),
        ("2026-06-12 12:00", "2026-06-13 10:00"),
        ("2026-06-12 22:00", "2026-06-13 10:00"),
        ("2026-06-13 22:00", "2026-06-14 10:00"),
    ],
    ids=["today, still to come", "over for today", "at night", "on the last day of use"],
)
def test_a_reminder_whose_day_has_passed_goes_at_its_own_clock_time_on_the_next_day(
    book: Book, known: str, goes: str
) -> None:
    earlier, late = completed(START - 84 * DAY, id=2), booked(known=at(known), imported=True)
    assert due(wanted(case(earlier, late, book=book), book=book, of=1), "pre_7d") == [book.clock(goes)]


@on_both_plans
def test_a_late_reminder_heard_of_on_its_very_minute_goes_at_once(book: Book) -> None:
    minute = book.clock("2026-06-12 10:00")
    earlier, late = completed(START - 84 * DAY, id=2), booked(known=minute, imported=True)
    assert due(wanted(case(earlier, late, book=book), book=book, of=1), "pre_7d") == [minute]


@on_both_plans
def test_a_completion_recorded_after_months_still_brings_the_repeat_and_only_what_is_of_use(book: Book) -> None:
    entries = wanted(case(completed(known=at("2026-08-30 15:00")), book=book), book=book)
    assert texts(entries) == ["repeat_due", "count_w12", "count_w12_nudge", "repeat_overdue"]
    assert due(entries, "repeat_due") == [book.clock("2026-08-31 10:30")]


@on_both_plans
def test_a_reminder_whose_day_has_passed_waits_for_a_free_day(book: Book) -> None:
    earlier, late = completed(START - 84 * DAY, id=2), booked(known=at("2026-06-12 09:00"))
    entries = wanted(case(earlier, late, book=book), book=book, of=1)
    assert texts(entries) == ["booked", "pre_7d", "count_before", "count_before_nudge", "pre_1d"]
    assert due(entries, "booked", "pre_7d", "count_before", "count_before_nudge", "pre_1d") == [
        book.after("2026-06-12 09:10"),
        book.clock("2026-06-13 10:00"),
        book.clock("2026-06-14 11:00"),
        book.clock("2026-06-15 11:00"),
        book.clock("2026-06-16 10:00"),
    ]


def test_a_late_step_without_a_clock_time_goes_at_the_start_of_its_window() -> None:
    plan = changed(shipped().document, "allclear", late_booking="next_window")
    recorded_late = completed(known=at("2026-06-18 15:00"))
    assert due(wanted(case(recorded_late, plan=plan)), "allclear") == [at("2026-06-19 09:00")]
    hours = clinic(window=window("10:00", "18:00"))
    assert due(wanted(case(recorded_late, plan=plan, clinic=hours)), "allclear") == [at("2026-06-19 10:00")]


@on_both_plans
def test_a_step_on_its_very_minute_is_not_late(book: Book) -> None:
    on_time = booked(known=book.clock("2026-06-07 11:00"))
    assert reasons(wanted(case(on_time, book=book), book=book), "baseline_nudge") == [None]
    late = booked(known=book.clock("2026-06-07 11:00") + MINUTE)
    assert reasons(wanted(case(late, book=book), book=book), "baseline_nudge") == ["late"]


@on_both_plans
def test_a_patient_who_agrees_late_gets_no_texts_for_old_dates(book: Book) -> None:
    agreed = patient(textable_since=at("2026-06-16 12:00"))
    entries = wanted(case(booked(), book=book, patient=agreed), book=book)
    assert texts(entries) == ["pre_1d"]
    assert due(entries, "pre_1d") == [at("2026-06-16 12:00")]
    assert reasons(entries, "booked", "baseline", "pre_7d") == ["late", "expired", "expired"]


def test_texts_after_a_break_count_as_late() -> None:
    step = shipped().step("pre_7d")
    back = patient(textable_since=START - DAY)
    assert known_at(step, booked(), case(booked(), patient=back)) == START - DAY
    assert known_at(step, booked(), case(booked())) == START - 40 * DAY
    assert known_at(shipped().step("optin"), None, case(patient=back)) is None


# --- at night, and on whose clock


@on_both_plans
def test_no_text_at_night(book: Book) -> None:
    at_night = wanted(case(booked(known=at("2026-05-20 23:30")), book=book), book=book)
    assert due(at_night, "booked") == [at("2026-05-21 09:00")]


@on_both_plans
def test_a_session_early_in_the_morning_is_still_reminded_of_the_day_before(book: Book) -> None:
    assert due(wanted(case(booked(at("2026-06-17 06:00")), book=book), book=book), "pre_1d") == [
        book.clock("2026-06-16 10:00")
    ]


@on_both_plans
@pytest.mark.parametrize(
    ("zone", "goes"),
    [(None, "2026-06-20 11:00"), ("America/Los_Angeles", "2026-06-20 13:00"), ("Europe/Istanbul", "2026-06-20 11:00")],
    ids=["at home", "eight in the morning out west", "evening in Istanbul"],
)
def test_texts_are_timed_by_the_clinics_clock_and_permitted_by_the_patients(
    book: Book, zone: str | None, goes: str
) -> None:
    away = patient(zone=ZoneInfo(zone) if zone else None)
    found = due(wanted(case(completed(), book=book, patient=away), book=book), "d3")[0]
    assert found == (at(goes) if zone == "America/Los_Angeles" else book.clock(goes))


@on_both_plans
def test_aftercare_keeps_the_clinics_clock_because_the_patient_was_there(book: Book) -> None:
    away = patient(zone=ZoneInfo("Asia/Tokyo"))
    entries = wanted(case(completed(), book=book, patient=away), book=book)
    assert due(entries, "aftercare_1") == [book.after("2026-06-17 14:10")]
    assert due(entries, "evening") == [at("2026-06-17 20:00")]


@on_both_plans
def test_the_same_hour_before_and_after_the_clock_changes(book: Book) -> None:
    spring = wanted(case(completed(at("2026-03-06 14:00")), book=book), book=book)
    assert due(spring, "d3") == [book.clock("2026-03-09 11:00")]
    autumn = wanted(case(booked(at("2026-11-02 14:00")), book=book), book=book)
    assert due(autumn, "pre_1d") == [book.clock("2026-11-01 10:00")]


def test_hours_are_real_hours_on_the_night_of_a_changing_clock() -> None:
    assert due(wanted(case(completed(at("2026-03-07 14:00")))), "allclear") == [at("2026-03-08 15:00")]
    assert due(wanted(case(completed(at("2026-10-31 14:00")))), "allclear") == [at("2026-11-01 13:00")]


@on_both_plans
def test_days_of_use_are_calendar_days_of_the_clinic(book: Book) -> None:
    done = at("2026-10-30 23:00")
    assert wanted(case(completed(done), book=book), book=book)["d3"].expires_at == at("2026-11-04 19:00")


def test_a_clinic_whose_hours_never_meet_the_steps_is_told_so() -> None:
    early = clinic(window=window("06:00", "10:00"))
    assert reasons(wanted(case(completed(), clinic=early)), "d3", "allclear") == ["expired", None]


# --- moved, cancelled, missed, corrected


def moved(to: datetime, when: str, *, book: Book, knew: datetime | None = START, **changes: Any) -> dict[str, Entry]:
    texts_before = (told("2026-05-20 10:00", knew),) if knew else ()
    session = booked(to, known=START - 40 * DAY, moves=1, moved_at=at(when), told=texts_before, **changes)
    return wanted(case(session, book=book), book=book)


@on_both_plans
def test_a_moved_session_is_told_and_reminded_of_again(book: Book) -> None:
    entries = moved(START + 14 * DAY, "2026-06-10 12:00", book=book)
    assert due(entries, "moved") == [book.after("2026-06-10 12:05")]
    assert due(entries, "pre_7d", "pre_1d") == [book.clock("2026-06-24 10:00"), book.clock("2026-06-30 10:00")]


@on_both_plans
def test_only_what_is_sent_again_has_a_new_identity_after_a_move(book: Book) -> None:
    entries = moved(START + 14 * DAY, "2026-06-10 12:00", book=book)
    again = {key for key, entry in entries.items() if entry.identity.endswith(":1")}
    assert again == {"moved", "pre_1d", "not_confirmed", "baseline_missing"}
    assert entries["pre_7d"].identity == f"plan:1:{book.keys['pre_7d']}:0"


@on_both_plans
def test_a_move_on_the_eve_is_told_as_a_move_before_any_reminder_names_the_new_time(book: Book) -> None:
    entries = moved(START + 2 * HOUR, "2026-06-16 12:00", book=book)
    assert due(entries, "moved") == [book.after("2026-06-16 12:05")]
    assert due(entries, "pre_1d") == [book.after("2026-06-16 12:07")]


@on_both_plans
def test_staff_hear_at_once_that_a_session_moved_on_its_eve_is_not_confirmed(book: Book) -> None:
    entries = moved(START + 2 * HOUR, "2026-06-16 23:00", book=book)
    assert due(entries, "not_confirmed") == [book.clock("2026-06-16 16:00")]


@on_both_plans
def test_a_move_at_night_is_told_in_the_morning_and_first(book: Book) -> None:
    entries = moved(START + 2 * HOUR, "2026-06-16 23:00", book=book)
    assert due(entries, "moved", "pre_1d") == [at("2026-06-17 09:00"), at("2026-06-17 09:02")]


@on_both_plans
def test_a_move_nobody_knew_a_time_of_is_no_news(book: Book) -> None:
    entries = moved(START + 2 * HOUR, "2026-06-16 12:00", book=book, knew=None)
    assert reasons(entries, "moved") == ["condition:time_changed"]
    assert due(entries, "pre_1d") == [at("2026-06-16 12:00")]


@on_both_plans
def test_a_session_moved_back_before_anybody_heard_of_it_is_no_news(book: Book) -> None:
    assert reasons(moved(START, "2026-06-10 12:00", book=book), "moved") == ["condition:time_changed"]


@on_both_plans
def test_a_cancellation_undone_is_corrected_by_a_text(book: Book) -> None:
    off = (told("2026-05-20 10:00"), told("2026-06-01 10:00", called_off=True))
    on_again = booked(
        cancels=1, cancelled_at=at("2026-06-01 09:55"), moves=1, moved_at=at("2026-06-02 12:00"), told=off
    )
    entries = wanted(case(on_again, book=book), book=book)
    assert due(entries, "moved") == [book.after("2026-06-02 12:05")]
    assert entries["pre_1d"].due_at == book.clock("2026-06-16 10:00")
    assert "cancelled" not in entries


@on_both_plans
def test_a_cancelled_session_is_called_off_and_nothing_else_of_it_goes_out(book: Book) -> None:
    off = booked(status="cancelled", cancels=2, cancelled_at=at("2026-06-10 12:00"), told=(told("2026-05-20 10:00"),))
    entries = wanted(case(off, book=book), book=book)
    assert texts(entries) == ["cancelled"]
    assert due(entries, "cancelled") == [book.after("2026-06-10 12:05")]
    assert entries["cancelled"].identity == f"plan:1:{book.keys['cancelled']}:2"


@on_both_plans
def test_a_cancellation_starts_no_text_to_people_who_never_heard_of_the_session(book: Book) -> None:
    off = booked(status="cancelled", cancels=1, cancelled_at=at("2026-06-10 12:00"))
    assert reasons(wanted(case(off, book=book), book=book), "cancelled") == ["condition:told"]


@on_both_plans
def test_a_session_first_seen_as_cancelled_brings_nothing(book: Book) -> None:
    assert wanted(case(booked(status="cancelled"), book=book), book=book) == {}


@on_both_plans
def test_cancelling_one_session_leaves_the_others_alone(book: Book) -> None:
    other = booked(START + 84 * DAY, id=2)
    alone = wanted(case(other, book=book), book=book, of=2)
    off = booked(status="cancelled", cancels=1, cancelled_at=at("2026-06-10 12:00"), told=(told("2026-05-20 10:00"),))
    beside = wanted(case(off, other, book=book), book=book, of=2)
    assert {key: e.due_at for key, e in beside.items()} == {key: e.due_at for key, e in alone.items()}


@on_both_plans
def test_a_missed_session_is_followed_up_unless_the_next_one_is_booked(book: Book) -> None:
    missed = booked(status="no_show", no_show_at=at("2026-06-17 14:30"))
    assert due(wanted(case(missed, book=book), book=book), "no_show") == [book.after("2026-06-17 16:30")]
    again = wanted(case(missed, booked(START + 7 * DAY, id=2), book=book), book=book, of=1)
    assert reasons(again, "no_show") == ["condition:not_rebooked"]


@on_both_plans
@pytest.mark.parametrize("status", ["not_done", "entered_in_error", "no_show", "cancelled"])
def test_a_session_that_did_not_happen_brings_no_aftercare_and_the_earlier_due_date_revives(
    book: Book, status: str
) -> None:
    first = completed(START - 84 * DAY, id=2)
    took_place = wanted(case(first, completed(), book=book), book=book, of=2)
    assert took_place == {}
    corrected = case(first, completed(status=status), book=book)
    assert not {"aftercare_1", "aftercare_2", "evening"} & set(wanted(corrected, book=book, of=1))
    revived = wanted(corrected, book=book, of=2)
    assert revived["repeat_overdue"].due_at == book.clock("2026-06-24 10:30")


@on_both_plans
def test_a_new_completion_closes_the_open_steps_of_the_older_cycle(book: Book) -> None:
    entries = expand(case(completed(START - 60 * DAY, id=2), completed(), book=book))
    assert {entry.session.id for entry in entries if entry.session} == {1}


@on_both_plans
def test_a_corrected_completion_time_moves_its_texts(book: Book) -> None:
    corrected = completed(at("2026-06-17 15:00"), known=at("2026-06-17 14:05"))
    entries = wanted(case(corrected, book=book), book=book)
    assert due(entries, "aftercare_1") == [book.after("2026-06-17 15:10")]
    assert entries["aftercare_1"].identity == f"plan:1:{book.keys['aftercare_1']}:0"


@on_both_plans
def test_each_session_of_a_series_has_reminders_of_its_own(book: Book) -> None:
    two = case(booked(id=1), booked(START + 84 * DAY, id=2), book=book)
    reminders = [entry for entry in expand(two) if entry.step.key == book.keys["pre_1d"]]
    assert [(entry.identity, entry.due_at) for entry in reminders] == [
        (f"plan:1:{book.keys['pre_1d']}:0", book.clock("2026-06-16 10:00")),
        (f"plan:2:{book.keys['pre_1d']}:0", book.clock("2026-09-08 10:00")),
    ]


@on_both_plans
def test_who_is_rebooked_is_not_asked_to_book(book: Book) -> None:
    entries = wanted(case(completed(), booked(START + 84 * DAY, id=2), book=book), book=book, of=1)
    assert (
        reasons(entries, "repeat_due", "repeat_overdue", "count_w12", "due_not_booked")
        == ["condition:not_rebooked"] * 4
    )


@on_both_plans
def test_a_repeat_reminder_wanted_again_after_a_cancellation_waits_for_a_day_of_its_own(book: Book) -> None:
    off = booked(
        START + 84 * DAY,
        id=2,
        status="cancelled",
        cancels=1,
        cancelled_at=at("2026-08-30 15:00"),
        told=(told("2026-06-20 10:00", START + 84 * DAY),),
    )
    entries = wanted(case(completed(), off, book=book), book=book)
    assert due(entries, "cancelled", "repeat_due") == [book.after("2026-08-30 15:05"), book.clock("2026-08-31 10:30")]


@on_both_plans
def test_the_patients_own_interval_moves_the_repeat_and_nothing_else(book: Book) -> None:
    usual = wanted(case(completed(), book=book), book=book)
    longer = wanted(case(completed(), book=book, patient=patient(interval_weeks=16)), book=book)
    assert due(longer, "repeat_due", "repeat_overdue") == [
        book.clock("2026-09-23 10:30"),
        book.clock("2026-10-14 10:30"),
    ]
    assert due(longer, "wearing_off", "onset") == due(usual, "wearing_off", "onset")


# --- who gets what


@on_both_plans
def test_a_repeat_session_is_counted_before_and_a_first_one_has_its_baseline(book: Book) -> None:
    repeat = wanted(case(completed(START - 84 * DAY, id=2), booked(), book=book), book=book, of=1)
    assert due(repeat, "count_before", "count_before_nudge") == [
        book.clock("2026-06-12 11:00"),
        book.clock("2026-06-14 11:00"),
    ]
    assert reasons(repeat, "baseline", "baseline_missing") == ["condition:first_session"] * 2
    first = wanted(case(booked(), book=book), book=book)
    assert reasons(first, "count_before", "baseline_missing") == ["condition:repeat_session", None]


@on_both_plans
def test_the_smaller_plan_sends_less_and_says_so(book: Book) -> None:
    lite = clinic(plan_name="lite")
    entries = wanted(case(completed(), book=book, clinic=lite), book=book)
    assert [key for key in texts(entries) if key != "one_more"] == [
        "aftercare_1",
        "aftercare_2",
        "evening",
        "onset",
        "repeat_due",
        "repeat_overdue",
    ]
    assert entries["d3"].skipped == "off"


@on_both_plans
def test_questions_wait_until_answers_are_understood(book: Book) -> None:
    entries = wanted(case(completed(), book=book, clinic=clinic(answers_understood=False)), book=book)
    off = {key for key, entry in entries.items() if entry.skipped == "off"} - {"one_more"}
    assert off == {key for key, entry in entries.items() if entry.step.asks_number} - {"one_more"} | {"d10"}
    assert entries["repeat_due"].due_at


@on_both_plans
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"standing": Standing.NONE}, "no_consent"),
        ({"standing": Standing.REVOKED}, "opted_out"),
        ({"phone": None}, "no_number"),
    ],
    ids=["without consent", "after STOP", "without a number"],
)
def test_who_may_not_be_texted_gets_no_text_and_staff_keep_their_tasks(
    book: Book, facts: dict[str, Any], reason: str
) -> None:
    entries = wanted(case(completed(), book=book, patient=patient(**facts)), book=book)
    assert {entry.skipped for entry in entries.values() if entry.step.is_text} == {reason, "off"}
    assert entries["due_not_booked"].due_at == book.clock("2026-09-09 09:00")


@on_both_plans
@pytest.mark.parametrize("status", ["inactive", "deceased"])
def test_nothing_at_all_about_a_patient_who_is_gone(book: Book, status: str) -> None:
    entries = wanted(case(completed(), book=book, patient=patient(status=status)), book=book)
    assert {entry.skipped for entry in entries.values()} == {f"patient_{status}", "off"}


@on_both_plans
def test_consent_is_asked_for_in_the_window_on_the_day_the_patient_is_entered(book: Book) -> None:
    unasked = {"standing": Standing.NONE, "may_ask": True, "added_at": at("2026-06-01 22:00")}
    entries = wanted(case(book=book, patient=patient(**unasked)), book=book)
    assert due(entries, "optin") == [at("2026-06-02 09:00")]
    assert entries["optin"].identity == f"patient:7:{book.keys['optin']}"
    assert entries["optin"].expires_at == at("2026-06-08 19:00")
    for facts, reason in (
        ({"imported": True}, "imported"),
        ({"phone": None}, "no_number"),
        ({"status": "inactive"}, "patient_inactive"),
        ({"may_ask": False}, "condition:no_consent"),
    ):
        assert reasons(wanted(case(book=book, patient=patient(**unasked | facts)), book=book), "optin") == [reason]


@on_both_plans
@pytest.mark.parametrize(
    ("by_text", "goes"), [(True, "2026-06-01 22:01"), (False, "2026-06-02 09:00")], ids=["by text", "at the desk"]
)
def test_a_consent_by_text_is_answered_at_once_and_one_at_the_desk_in_the_window(
    book: Book, by_text: bool, goes: str
) -> None:
    agreed = at("2026-06-01 22:00")
    who = patient(consented_at=agreed, textable_since=agreed, consented_by_text=by_text)
    found = wanted(case(book=book, patient=who), book=book)["welcome"].due_at
    assert found == (book.after(goes) if by_text else at(goes))


# --- going live


@on_both_plans
def test_the_first_import_confirms_no_booking_and_asks_nobody_added_long_ago(book: Book) -> None:
    entries = wanted(case(booked(known=at("2026-06-01 12:00"), imported=True), book=book), book=book)
    assert reasons(entries, "booked") == ["imported"]
    assert texts(entries) == ["baseline", "baseline_nudge", "pre_7d", "pre_1d"]


@on_both_plans
def test_steps_before_the_service_went_live_are_skipped_and_nothing_else_is(book: Book) -> None:
    live = clinic(live_from=at("2026-06-10 12:00"))
    entries = wanted(case(booked(), book=book, clinic=live), book=book)
    assert texts(entries) == ["pre_1d"]
    assert reasons(entries, "booked", "baseline", "baseline_nudge", "pre_7d") == ["past"] * 4
    assert entries["not_confirmed"].due_at == book.clock("2026-06-16 16:00")
    earlier = clinic(live_from=at("2026-06-01 12:00"))
    unmoved = wanted(case(booked(), book=book, clinic=earlier), book=book)
    usual = wanted(case(booked(), book=book), book=book)
    assert {k: e.due_at for k, e in unmoved.items() if k != "booked"} == {
        k: e.due_at for k, e in usual.items() if k != "booked"
    }


@on_both_plans
def test_a_step_at_the_very_moment_of_going_live_is_not_past(book: Book) -> None:
    live = clinic(live_from=book.clock("2026-06-10 10:00"))
    assert reasons(wanted(case(booked(), book=book, clinic=live), book=book), "pre_7d") == [None]


# --- rules of a clinic's own


@on_both_plans
@pytest.mark.parametrize(
    ("hours", "skipped"),
    [(24, None), (48, "condition:a_rule_ended")],
    ids=["over after a day", "not over when the text would go"],
)
def test_no_all_clear_before_a_rule_has_ended(book: Book, hours: int, skipped: str | None) -> None:
    rules = {rule.key: hours for rule in book.plan.rules if rule.in_allclear}
    entries = wanted(case(completed(), book=book, clinic=clinic(rule_hours=rules)), book=book)
    assert reasons(entries, "allclear") == [skipped]


@on_both_plans
def test_the_all_clear_is_judged_at_the_moment_it_goes_out(book: Book) -> None:
    rules = {rule.key: 30.0 for rule in book.plan.rules if rule.in_allclear}
    evening = completed(at("2026-06-17 19:30"))
    entries = wanted(case(evening, book=book, clinic=clinic(rule_hours=rules)), book=book)
    assert due(entries, "allclear") == [at("2026-06-19 09:00")]


# --- ends


@pytest.mark.parametrize(
    ("anchor", "moment"),
    [
        (Anchor.BOOKED, "2026-06-01 10:00"),
        (Anchor.MOVED, "2026-06-02 10:00"),
        (Anchor.CANCELLED, "2026-06-03 10:00"),
        (Anchor.NO_SHOW, "2026-06-04 10:00"),
        (Anchor.SESSION_START, "2026-06-17 14:00"),
        (Anchor.COMPLETED, "2026-06-17 14:00"),
        (Anchor.DUE, "2026-09-09 00:00"),
        (Anchor.PATIENT_ADDED, "2026-05-01 10:00"),
        (Anchor.CONSENTED, "2026-05-02 10:00"),
    ],
)
def test_a_text_ends_a_while_after_any_event(anchor: Anchor, moment: str) -> None:
    session = completed(
        start=START,
        booked_at=at("2026-06-01 10:00"),
        moved_at=at("2026-06-02 10:00"),
        cancelled_at=at("2026-06-03 10:00"),
        no_show_at=at("2026-06-04 10:00"),
    )
    who = patient(added_at=at("2026-05-01 10:00"), consented_at=at("2026-05-02 10:00"))
    useless = UselessAfter(anchor, Minutes(1440))
    assert expiry(useless, session, case(session, patient=who)) == at(moment) + DAY


def test_a_step_of_the_person_hangs_on_no_session() -> None:
    agreed = case(booked(), patient=patient(consented_at=START))
    assert anchor_moment(shipped().step("welcome"), None, agreed) == START
    assert anchor_moment(shipped().step("pre_1d"), None, agreed) is None


def test_a_text_without_an_end_stays_of_use() -> None:
    step = replace(shipped().step("d3"), useless_after=None)
    plan = replace(shipped().plan, steps=(step,))
    late = wanted(case(completed(known=START + 300 * DAY), plan=plan))
    assert due(late, "d3") == [at("2027-04-14 11:00")]


def test_a_task_has_no_end_and_a_person_has_no_session_to_end_with() -> None:
    assert expiry(None, booked(), case(booked())) is None
    assert expiry(UselessAfter(Anchor.DUE, Minutes(1440)), None, case()) is None
