"""The judge on what did not leave, or left late: an excuse must be true, and no trouble may be blamed on the service."""

from collections.abc import Callable
from typing import Any

import pytest

from service.simulator.judge import judge
from tests.simulator.chronicle import (
    DAY,
    GOOD_END,
    NUMBER,
    Chronicle,
    a_good_session,
    facts,
    rules,
    utc,
)

STEPS = (
    *("welcome", "booked", "baseline", "pre_7d", "pre_1d", "aftercare_1", "aftercare_2", "evening", "allclear"),
    *("d3", "onset"),
)


@pytest.mark.parametrize("step", STEPS)
def test_a_text_that_never_left_shows(step: str) -> None:
    story = a_good_session()
    session = None if step == "welcome" else "p1.1"
    story.without(step, session)
    story.row(story.label(step, session), "missed", "expired")
    story.task("missed_text", "2026-03-20 12:00")

    verdict = story.judged(GOOD_END)

    assert ("missing", step) in {(v.rule, v.step) for v in verdict.violations}
    assert verdict.missed == {"expired": 1}


@pytest.mark.parametrize("step", STEPS)
def test_a_text_that_left_an_hour_late_shows(step: str) -> None:
    story = a_good_session()
    for place, (at, entry) in enumerate(story.entries):
        if entry["kind"] in {"took", "reported"} and entry["label"]["step"] == step:
            later = at + (utc("2026-01-01 01:00") - utc("2026-01-01 00:00"))
            entry["at"] = later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            story.entries[place] = (later, entry)

    assert ("late", step) in {(v.rule, v.step) for v in story.judged(GOOD_END).violations}


def _late(story: Chronicle, at: str) -> Chronicle:
    """The reminder of the day before leaves at another moment than ten in the morning (15:00 UTC)."""
    story.without("pre_1d")
    story.took(at, "pre_1d", **DAY)
    return story


def _trouble(what: str, start: str, end: str, at: str, **about: Any) -> Callable[[], Chronicle]:
    def story() -> Chronicle:
        told = _late(a_good_session(), at)
        told.trouble(what, start, end, **about)
        return told

    return story


def _busy() -> Chronicle:
    """Refused for now at ten, at eleven minutes past it went."""
    story = _late(a_good_session(), "2026-03-17 15:11")
    story.refused("2026-03-17 15:00", "pre_1d", "20429")
    return story


def _doubt() -> Chronicle:
    """The answer was lost, and five minutes later it is proven that the network has nothing."""
    story = _late(a_good_session(), "2026-03-17 15:05:30")
    story.broke("2026-03-17 15:00", "pre_1d")
    return story


def _paused(what: str, who: str | None) -> Callable[[], Chronicle]:
    def story() -> Chronicle:
        told = _late(a_good_session(), "2026-03-17 17:14")
        told.note("pause", "2026-03-17 14:00", what=what, who=who, reason="drill", by="staff")
        told.note("resume", "2026-03-17 17:00", what=what, who=who, reason=None, by="staff")
        return told

    return story


def _queue() -> Chronicle:
    """Everybody's texts are due at ten, and the sender manages one in ten seconds."""
    story = _late(a_good_session(), "2026-03-17 15:07:10")
    for second in range(0, 430, 10):
        label = {"patient": None, "session": None, "step": None, "n": None, "kind": "staff", "template": None}
        at = utc("2026-03-17 15:00") + second * (utc("2026-01-01 00:00:01") - utc("2026-01-01 00:00:00"))
        about = {"number": "+15552009999", "sender": "+15550100001", "body": "Hello", "attempt": 1, "valid_seconds": 60}
        story.note("took", at, **about, segments=1, label=label | {"n": second})
        story.row(label | {"n": second}, "sent")
    return story


EXPLAINED: dict[str, Callable[[], Chronicle]] = {
    "the worker died": _trouble("died", "2026-03-17 14:59", "2026-03-17 15:40", "2026-03-17 15:45", who="worker"),
    "the worker was frozen": _trouble("frozen", "2026-03-17 14:59:59", "2026-03-17 15:20", "2026-03-17 15:25"),
    "the database was away": _trouble("database_down", "2026-03-17 14:00", "2026-03-17 16:00", "2026-03-17 16:15"),
    "the network was away": _trouble("network_down", "2026-03-17 14:00", "2026-03-17 18:00", "2026-03-17 18:15"),
    "the network was busy": _trouble("busy", "2026-03-17 14:59", "2026-03-17 15:10", "2026-03-17 15:25"),
    "the clock was an hour behind": _trouble(
        "clock_step", "2026-03-17 12:00", "2026-03-17 19:00", "2026-03-17 16:00", seconds=-3600
    ),
    "the clock was an hour ahead": _trouble(
        "clock_step", "2026-03-17 12:00", "2026-03-17 19:00", "2026-03-17 14:00", seconds=3600
    ),
    "the network had no room for it": _busy,
    "nobody knew whether it had left": _doubt,
    "everything was paused": _paused("all", None),
    "the sender was paused": _paused("sender", "+15550100001"),
    "the patient was to be left in peace": _paused("patient", "p1"),
    "the sender had a queue": _queue,
}


@pytest.mark.parametrize("story", EXPLAINED.values(), ids=EXPLAINED)
def test_a_text_that_left_late_for_a_good_reason(story: Callable[[], Chronicle]) -> None:
    assert story().judged(GOOD_END).violations == []


NOT_EXPLAINED: dict[str, Callable[[], Chronicle]] = {
    "only the web server died": _trouble("died", "2026-03-17 14:59", "2026-03-17 15:40", "2026-03-17 15:45", who="web"),
    "the worker was up again for an hour": _trouble(
        "died", "2026-03-17 14:00", "2026-03-17 14:40", "2026-03-17 15:45", who="worker"
    ),
    "the trouble came after": _trouble("network_down", "2026-03-17 15:10", "2026-03-17 16:00", "2026-03-17 15:08"),
    "only the network's list was away": _trouble(
        "list_down", "2026-03-17 14:00", "2026-03-17 16:00", "2026-03-17 15:10"
    ),
    "the clock was a minute behind": _trouble(
        "clock_step", "2026-03-17 12:00", "2026-03-17 14:00", "2026-03-17 16:00", seconds=-60
    ),
    "somebody else was to be left in peace": _paused("patient", "p2"),
    "another sender was paused": _paused("sender", "+15550100009"),
}


@pytest.mark.parametrize("story", NOT_EXPLAINED.values(), ids=NOT_EXPLAINED)
def test_a_text_that_left_late_without_a_reason(story: Callable[[], Chronicle]) -> None:
    assert rules(story().judged(GOOD_END)) == {"late"}


def test_an_outage_beyond_the_use_of_a_text_explains_that_it_was_missed() -> None:
    story = a_good_session()
    for step in ("aftercare_1", "aftercare_2", "evening"):
        story.without(step)
        story.row(story.label(step), "missed", "expired")
        story.task("missed_text", "2026-03-19 11:30")
    story.trouble("network_down", "2026-03-18 15:00", "2026-03-19 14:00")

    verdict = story.judged(GOOD_END)

    assert verdict.violations == []
    assert verdict.missed == {"expired": 3}


def test_staff_who_were_not_told_of_a_missed_text_show() -> None:
    story = a_good_session()
    story.without("aftercare_1")
    story.row(story.label("aftercare_1"), "missed", "expired")
    story.trouble("network_down", "2026-03-18 15:00", "2026-03-19 02:00")
    story.without("evening")
    story.without("aftercare_2")
    story.row(story.label("aftercare_2"), "missed", "expired")
    story.task("missed_text", "2026-03-19 11:30")

    assert rules(story.judged(GOOD_END)) == {"staff_not_told"}


NEVER_TRUE: dict[str, str] = {
    "nobody opted out": "opted_out",
    "there was no pause": "paused",
    "there was a number": "no_number",
    "the number took texts": "number_blocked",
    "there were few texts": "cap",
    "it said something new": "same_text",
    "there was no other session": "two_sessions",
    "the session was not moved": "moved",
    "the session was not cancelled": "session_cancelled",
    "it was not told within 20 hours": "condition:not_just_told",
    "nothing was booked after it": "condition:not_rebooked",
    "no such reason is known": "did not feel like it",
}


@pytest.mark.parametrize("reason", NEVER_TRUE.values(), ids=NEVER_TRUE)
def test_an_excuse_that_was_never_true_shows(reason: str) -> None:
    story = a_good_session()
    story.without("pre_1d")
    story.row(story.label("pre_1d"), "cancelled", reason)

    assert rules(story.judged(GOOD_END)) == {"missing", "untrue_reason"}


def test_a_number_that_takes_no_texts_excuses_what_came_after() -> None:
    story = a_good_session()
    story.without("pre_1d")
    story.refused("2026-03-17 15:00", "pre_1d", "21614")
    story.row(story.label("pre_1d"), "failed", "no mobile number")
    assert rules(story.judged(GOOD_END)) == {"sent_to_blocked_number"}

    story.entries = [one for one in story.entries if one[0] <= utc("2026-03-17 15:00") or one[1]["kind"] == "session"]
    assert story.judged(GOOD_END).violations == []


def test_a_reminder_that_the_patient_was_just_told_of() -> None:
    """Booked the afternoon before: the confirmation comes too late, the reminder goes at once; a move tells of the time itself."""
    moved = facts(date="Wed 18 Mar", time="11:00 AM")
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-17 14:00")]
    story.sessions["p1.1"] = [entry for _, entry in story.entries if entry["kind"] == "session"][-1]
    story.session("2026-03-17 14:50", start="2026-03-18 16:00", end="2026-03-18 16:20")
    story.took("2026-03-17 14:55:04", "moved", n=1, **moved)
    story.row(story.label("pre_1d", n=0), "cancelled", "moved")
    story.row(story.label("pre_1d", n=1), "cancelled", "condition:not_just_told")
    assert story.judged("2026-03-18 15:00").violations == []

    story.took("2026-03-17 15:00", "pre_1d", n=1, **moved)

    assert rules(story.judged("2026-03-18 15:00")) == {"condition_ignored"}


def test_a_session_recorded_the_next_morning_gets_the_late_care_tips() -> None:
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-18 15:31")]
    story.session("2026-03-19 02:10", status="completed", completed_at="2026-03-18 23:30")
    until = facts(until="Thu 6:30 PM")
    story.took("2026-03-19 13:00", "aftercare_late", **until)
    story.took("2026-03-19 13:02", "aftercare_2", **until)
    story.took(
        "2026-03-19 23:30",
        "allclear",
        valid=1700,
        ended_rules="bending, exercise, face moves, rubbing, heat, sun, alcohol",
    )
    assert story.judged("2026-03-20 12:00").violations == []

    story.took("2026-03-19 13:00:30", "aftercare_1", **until)

    assert rules(story.judged("2026-03-20 12:00")) == {"condition_ignored", "wrong_validity"}


def test_the_next_session_is_due_unless_it_is_booked() -> None:
    """Twelve weeks less fourteen days after 18 March, half past ten in Chicago."""
    story = a_good_session()
    due = facts(due_date="Wed 10 Jun")
    for at, step in (
        ("2026-04-15 16:00", "count_w4"),
        ("2026-05-13 16:00", "count_w8"),
        ("2026-05-23 16:00", "wearing_off"),
    ):
        story.took(at, step)
    assert rules(story.judged("2026-05-28 12:00")) == {"missing"}

    story.took("2026-05-27 15:30", "repeat_due", **due)
    assert story.judged("2026-05-28 12:00").violations == []

    story.session("2026-05-20 15:00", "p1.2", start="2026-06-12 15:00", end="2026-06-12 15:20")
    story.took("2026-05-20 15:10", "booked", "p1.2", date="Fri 12 Jun", time="10:00 AM")
    assert rules(story.judged("2026-05-28 12:00")) == {"condition_ignored"}


def test_an_opt_out_ends_everything_and_owes_nothing() -> None:
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-12 12:00")]
    no = story.says("2026-03-12 12:00", "Stop.", brought="2026-03-12 12:00:01")
    story.task("opted_out_before_session", "2026-03-12 12:00:02", answers=no)
    story.task("baseline_missing", "2026-03-17 21:00")
    assert story.judged("2026-03-18 14:00").violations == []

    story.took("2026-03-17 15:00", "pre_1d", **DAY)

    assert rules(story.judged("2026-03-18 14:00")) == {"sent_after_opt_out"}


def test_a_patient_who_died_is_left_in_peace() -> None:
    story = a_good_session()
    story.patient("2026-03-17 14:00", status="deceased")

    assert rules(story.judged(GOOD_END)) == {"sent_to_inactive"}


def test_a_consent_that_another_clinic_got_is_none() -> None:
    story = a_good_session()
    story.clinic("2026-02-23 06:00", "c2", sms_name="Harbour Clinic", sender="+15550100002")
    for _, entry in story.entries:
        if entry["kind"] == "consent":
            entry.update(clinic="c2", number=NUMBER)

    assert rules(story.judged(GOOD_END)) == {"sent_without_consent"}


def test_a_log_that_breaks_off_is_judged_as_far_as_it_goes() -> None:
    story = a_good_session()
    log = [entry for entry in story.log(GOOD_END) if entry["kind"] not in {"row", "task", "end"}]

    assert {v.rule for v in judge(log).violations} == {"unknown_text", "task_missing"}


def test_a_text_that_was_held_up_may_not_share_its_day() -> None:
    """Carried by an outage to the day of the reminder of the week before, the question waits for a day of its own."""
    story = a_good_session()
    story.without("baseline")
    story.trouble("network_down", "2026-03-06 14:00", "2026-03-11 14:00")
    story.took("2026-03-12 16:00", "baseline")
    assert story.judged(GOOD_END).violations == []

    story.without("baseline")
    story.took("2026-03-11 16:00", "baseline")

    assert rules(story.judged(GOOD_END)) == {"spacing_ignored"}


def test_a_doubt_lasts_until_the_networks_list_answers() -> None:
    story = _late(a_good_session(), "2026-03-17 19:04")
    story.broke("2026-03-17 15:00", "pre_1d")
    assert rules(story.judged(GOOD_END)) == {"late"}

    story.trouble("list_down", "2026-03-17 14:00", "2026-03-17 19:00")

    assert story.judged(GOOD_END).violations == []


def test_what_several_dead_processes_had_in_hand_is_in_doubt_each_time() -> None:
    story = a_good_session()
    story.without("pre_1d")
    story.trouble("died", "2026-03-17 15:00:01", "2026-03-17 15:00:30", who="worker")
    story.trouble("died", "2026-03-17 15:12", "2026-03-17 15:12:20", who="worker")
    story.took("2026-03-17 15:30", "pre_1d", attempt=3, **DAY)
    story.row(story.label("pre_1d"), "delivered", attempts=3, due_at="2026-03-17T15:00:00.000000Z")

    assert story.judged(GOOD_END).violations == []


def test_news_that_was_told_before_is_news_again_after_something_else_was_told() -> None:
    """Moved to eleven, back to ten, and to eleven once more: who is not told the third time believes in ten."""
    eleven = facts(date="Wed 18 Mar", time="11:00 AM")
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-12 12:00")]
    story.sessions["p1.1"] = [entry for _, entry in story.entries if entry["kind"] == "session"][-1]
    story.session("2026-03-12 14:00", start="2026-03-18 16:00", end="2026-03-18 16:20")
    story.took("2026-03-12 14:05:03", "moved", n=1, **eleven)
    story.session("2026-03-12 15:00", start="2026-03-18 15:00", end="2026-03-18 15:20")
    story.took("2026-03-12 15:05:03", "moved", n=2, **DAY)
    story.session("2026-03-12 16:00", start="2026-03-18 16:00", end="2026-03-18 16:20")
    story.row(story.label("moved", n=3), "cancelled", "same_text")
    assert rules(story.judged("2026-03-13 12:00")) == {"missing"}

    story.took("2026-03-12 16:05:03", "moved", n=3, **eleven)

    assert story.judged("2026-03-13 12:00").violations == []


def test_a_session_given_to_the_right_patient_brings_its_texts_along() -> None:
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-12 12:00")]
    story.sessions["p1.1"] = [entry for _, entry in story.entries if entry["kind"] == "session"][-1]
    story.patient("2026-03-05 15:00", "p2", number="+15552000002")
    story.consent("2026-03-05 15:00", number="+15552000002")
    story.took("2026-03-05 15:01:05", "welcome", None, patient="p2", number="+15552000002")
    story.session("2026-03-13 12:00", patient="p2")
    story.took("2026-03-17 15:00", "pre_1d", patient="p2", number="+15552000002", **DAY)
    story.task("baseline_missing", "2026-03-17 21:00", patient="p2")
    assert story.judged("2026-03-18 14:00").violations == []

    story.without("pre_1d")
    story.took("2026-03-17 15:00", "pre_1d", **DAY)

    assert rules(story.judged("2026-03-18 14:00")) == {"not_wanted", "wrong_time"}


def test_a_missed_session_is_told_two_hours_later() -> None:
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-18 15:31")]
    story.sessions["p1.1"] = [entry for _, entry in story.entries if entry["kind"] == "session"][-1]
    story.session("2026-03-18 16:00", status="no_show")
    story.took("2026-03-18 18:00:03", "no_show", date="Wed 18 Mar")
    assert story.judged("2026-03-20 12:00").violations == []

    story.without("no_show")

    assert rules(story.judged("2026-03-20 12:00")) == {"missing"}


def test_headache_days_are_not_asked_for_again_within_three_weeks() -> None:
    """Asked on 15 April, so that the question five days before the session of 1 May is not needed."""
    may = facts(date="Fri 1 May", time="11:00 AM")
    story = a_good_session()
    story.took("2026-04-15 16:00", "count_w4")
    story.session("2026-04-20 15:00", "p1.2", start="2026-05-01 16:00", end="2026-05-01 16:20")
    story.took("2026-04-20 15:10", "booked", "p1.2", **may)
    story.took("2026-04-24 15:00", "pre_7d", "p1.2", **may)
    story.row(story.label("count_before", "p1.2"), "cancelled", "condition:no_recent_count")
    assert story.judged("2026-04-28 12:00").violations == []

    story.took("2026-04-26 16:00", "count_before", "p1.2")

    assert rules(story.judged("2026-04-28 12:00")) == {"condition_ignored"}


def test_a_question_is_owed_again_when_the_last_one_is_three_weeks_old() -> None:
    late_may = facts(date="Mon 11 May", time="11:00 AM")
    story = a_good_session()
    story.took("2026-04-15 16:00", "count_w4")
    story.session("2026-04-20 15:00", "p1.2", start="2026-05-11 16:00", end="2026-05-11 16:20")
    story.took("2026-04-20 15:10", "booked", "p1.2", **late_may)
    story.took("2026-05-04 15:00", "pre_7d", "p1.2", **late_may)
    story.row(story.label("count_before", "p1.2"), "cancelled", "condition:no_recent_count")

    assert rules(story.judged("2026-05-08 12:00")) == {"missing", "untrue_reason"}


def test_another_interval_brings_another_due_date() -> None:
    """Ten weeks from 18 March are 27 May: its reminder is owed a fortnight before, on the 13th."""
    story = a_good_session()
    story.patient("2026-04-10 15:00", interval_weeks=10)
    story.took("2026-04-15 16:00", "count_w4")
    assert rules(story.judged("2026-05-13 20:00")) == {"missing"}

    story.took("2026-05-13 15:30", "repeat_due", due_date="Wed 27 May", interval_weeks="10")

    # The count of week eight, due that day as well, stands before it in the plan and keeps the day.
    assert rules(story.judged("2026-05-13 20:00")) == {"too_early"}


def test_a_kind_of_entry_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError, match="rumour"):
        judge([{"kind": "rumour", "at": "2026-03-01T00:00:00Z"}])
