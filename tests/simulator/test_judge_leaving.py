"""The judge on each text that left: silent where it was right, and loud by the name of the rule where it was not."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.chronicle import (
    DAY,
    GOOD_END,
    OTHER_NUMBER,
    OTHER_SENDER,
    UNTIL,
    Chronicle,
    a_good_session,
    facts,
    rules,
    shipped,
    written,
)


def test_a_session_to_which_all_went_right_shows_nothing() -> None:
    verdict = a_good_session().judged(GOOD_END)

    assert verdict.violations == []
    assert verdict.texts == 11
    assert verdict.texts_per_patient_week == pytest.approx(2.494)
    assert not verdict.missed


def _again(story: Chronicle, step: str, at: str, session: str | None = "p1.1", **about: Any) -> None:
    """The same text, but at another time or in other words."""
    story.without(step, session)
    story.took(at, step, session, **about)


WRONG: dict[str, tuple[Callable[[Chronicle], object], set[str]]] = {
    "the reminder leaves at ten UTC instead of ten in Chicago": (
        lambda s: _again(s, "pre_1d", "2026-03-17 10:00", **DAY),
        {"too_early", "outside_window"},
    ),
    "the reminder leaves at ten by the winter's clock": (
        lambda s: _again(s, "pre_1d", "2026-03-17 16:00", **DAY),
        {"late"},
    ),
    "a check-in leaves a day early": (
        lambda s: _again(s, "d3", "2026-03-20 16:00", n_days="2"),
        {"too_early"},
    ),
    "a check-in leaves when nobody can use the answer": (
        lambda s: _again(s, "d3", "2026-03-24 16:00", n_days="6"),
        {"sent_after_use", "wrong_validity", "late"},
    ),
    "aftercare goes out at night": (
        lambda s: _again(s, "evening", "2026-03-19 02:30"),
        {"sent_after_use", "outside_window", "wrong_validity", "late"},
    ),
    "the text goes to another number": (
        lambda s: _again(s, "pre_1d", "2026-03-17 15:00", number=OTHER_NUMBER, **DAY),
        {"wrong_number"},
    ),
    "the text comes from another clinic's sender": (
        lambda s: _again(s, "pre_1d", "2026-03-17 15:00", sender=OTHER_SENDER, **DAY),
        {"wrong_sender"},
    ),
    "another clinic's name": (
        lambda s: _again(s, "pre_1d", "2026-03-17 15:00", clinic="Harbour Clinic", **DAY),
        {"wrong_clinic"},
    ),
    "another clinic's phone": (
        lambda s: _again(s, "pre_1d", "2026-03-17 15:00", phone="+1 555-010-0102", **DAY),
        {"wrong_clinic"},
    ),
    "the time of the session in UTC": (
        lambda s: _again(s, "pre_1d", "2026-03-17 15:00", date="Wed 18 Mar", time="3:00 PM"),
        {"wrong_time"},
    ),
    "the time of the session by the winter's clock": (
        lambda s: _again(s, "pre_7d", "2026-03-11 15:00", date="Wed 18 Mar", time="9:00 AM"),
        {"wrong_time"},
    ),
    "rules that end an hour too soon": (
        lambda s: _again(s, "aftercare_1", "2026-03-18 15:40", until="Thu 9:30 AM"),
        {"wrong_words"},
    ),
    "an all-clear for a rule that has not ended": (
        lambda s: _again(s, "allclear", "2026-03-19 15:30", ended_rules="bending, exercise, aspirin on your own"),
        {"wrong_words"},
    ),
    "words that nobody approved": (
        lambda s: _again(s, "d3", "2026-03-21 16:00", body="Lakeside Clinic: how are you?"),
        {"wrong_words"},
    ),
    "a text that stays valid beyond its use": (
        lambda s: s.entries[_place(s, "evening")][1].update(valid_seconds=7200),
        {"wrong_validity"},
    ),
    "a step that the plan does not have on": (
        lambda s: s.took("2026-03-28 16:00", "d10", n_days="10"),
        {"not_wanted"},
    ),
    "a headache count for a first session": (
        lambda s: s.took("2026-03-13 16:00", "count_before"),
        {"condition_ignored"},
    ),
    "a nudge although answers are not understood": (
        lambda s: s.took("2026-03-08 16:00", "baseline_nudge"),
        {"condition_ignored"},
    ),
    "care tips for a session recorded late, which it was not": (
        lambda s: s.took("2026-03-18 15:50", "aftercare_late", **UNTIL),
        {"condition_ignored"},
    ),
}


def _place(story: Chronicle, step: str) -> int:
    own = (n for n, (_, e) in enumerate(story.entries) if e["kind"] == "took" and e["label"]["step"] == step)
    return next(own)


@pytest.mark.parametrize(("change", "broken"), WRONG.values(), ids=WRONG)
def test_a_text_that_was_wrong_shows(change: Callable[[Chronicle], object], broken: set[str]) -> None:
    story = a_good_session()

    change(story)

    assert rules(story.judged(GOOD_END)) == broken


def _session_changes(story: Chronicle, at: str, **changed: Any) -> None:
    """Whatever was to come after that moment did not; the texts that had left stay."""
    gone = [entry for moment, entry in story.entries if entry["at"] >= at.replace(" ", "T")]
    story.entries = [(moment, entry) for moment, entry in story.entries if entry not in gone]
    labels = [entry["label"] for _, entry in story.entries if entry["kind"] == "took"]
    story.rows = [row for row in story.rows if row["label"] in labels]
    story.tasks = []
    story.sessions["p1.1"] = [entry for _, entry in story.entries if entry["kind"] == "session"][-1]
    story.session(at, **changed)


def test_a_session_cancelled_in_time_is_told_and_nothing_more() -> None:
    story = a_good_session()
    _session_changes(story, "2026-03-16 18:00", status="cancelled")
    story.took("2026-03-16 18:05:03", "cancelled", n=1, **DAY)

    assert story.judged("2026-03-20 12:00").violations == []


def test_a_cancelled_session_that_is_still_reminded_shows() -> None:
    story = a_good_session()
    _session_changes(story, "2026-03-16 18:00", status="cancelled")
    story.took("2026-03-16 18:05:03", "cancelled", n=1, **DAY)
    story.took("2026-03-17 15:00", "pre_1d", **DAY)

    verdict = story.judged("2026-03-20 12:00")

    assert [(v.rule, v.session, v.step) for v in verdict.violations] == [("not_wanted", "p1.1", "pre_1d")]
    assert "cancelled" in verdict.violations[0].detail


def test_a_text_that_was_on_its_way_when_the_session_changed_is_right() -> None:
    """The last look was before; nobody can call back what has left."""
    story = a_good_session()
    _session_changes(story, "2026-03-17 14:59:59.9", status="cancelled")
    story.took("2026-03-17 15:00", "pre_1d", **DAY)
    story.took("2026-03-17 15:05:03", "cancelled", n=1, **DAY)

    assert story.judged("2026-03-18 12:00").violations == []


def test_a_text_looked_at_before_the_change_was_seen_shows() -> None:
    """Two seconds are long enough for a mark to be seen by the last look."""
    story = a_good_session()
    _session_changes(story, "2026-03-17 14:59:58", status="cancelled")
    story.took("2026-03-17 15:00", "pre_1d", **DAY)
    story.took("2026-03-17 15:05:03", "cancelled", n=1, **DAY)

    assert rules(story.judged("2026-03-18 12:00")) == {"not_wanted"}


MOVED = facts(date="Fri 20 Mar", time="1:00 PM")


def _moved() -> Chronicle:
    """On 13 March the session is moved from Wednesday to Friday."""
    story = a_good_session()
    _session_changes(story, "2026-03-13 18:00", start="2026-03-20 18:00", end="2026-03-20 18:20")
    story.took("2026-03-13 18:05:03", "moved", n=1, **MOVED)
    story.took("2026-03-19 15:00", "pre_1d", n=1, **MOVED)
    story.task("baseline_missing", "2026-03-19 21:00")
    return story


def test_a_moved_session_is_told_once_and_reminded_at_its_new_time() -> None:
    assert _moved().judged("2026-03-20 17:00").violations == []


def test_a_moved_session_that_keeps_its_old_time_shows() -> None:
    story = _moved()
    story.without("moved")
    story.without("pre_1d")
    story.took("2026-03-13 18:05:03", "moved", n=1, **DAY)
    story.took("2026-03-17 15:00", "pre_1d", n=0, **DAY)

    assert rules(story.judged("2026-03-20 17:00")) == {"wrong_time", "too_early"}


def test_the_week_before_is_not_told_again_after_a_move() -> None:
    story = _moved()
    story.took("2026-03-14 15:00", "pre_7d", n=1, **MOVED)

    assert rules(story.judged("2026-03-20 17:00")) == {"sent_twice"}


def test_an_imported_session_is_not_announced() -> None:
    story = a_good_session()
    for _, entry in story.entries:
        if entry["kind"] == "session":
            entry["imported"] = True

    assert rules(story.judged(GOOD_END)) == {"imported_announced"}


def test_what_lies_before_going_live_is_not_sent() -> None:
    story = a_good_session()
    for _, entry in story.entries:
        if entry["kind"] == "clinic":
            entry["live_from"] = "2026-03-10T00:00:00.000000Z"

    verdict = story.judged(GOOD_END)

    assert rules(verdict) == {"sent_before_go_live"}
    assert {v.step for v in verdict.violations} == {"welcome", "booked", "baseline"}


def test_a_booking_that_becomes_known_too_late_for_its_confirmation() -> None:
    story = Chronicle()
    story.clinic("2026-03-01 06:00")
    story.patient("2026-03-02 15:00")
    story.session("2026-03-02 15:00", start="2026-03-18 15:00", end="2026-03-18 15:20")
    story.consent("2026-03-04 15:00")
    story.took("2026-03-04 15:01", "welcome", None)
    assert story.judged("2026-03-05 12:00").violations == []

    story.took("2026-03-04 15:00:05", "booked", **DAY)

    assert rules(story.judged("2026-03-05 12:00")) == {"late_booking_ignored"}


def test_a_patient_abroad_is_texted_in_their_own_daytime() -> None:
    """Ten in Chicago is midnight in Tokyo: the reminder waits for nine in the morning there."""
    story = Chronicle()
    story.clinic("2026-03-01 06:00")
    story.consent("2026-03-12 01:00")
    story.patient("2026-03-12 01:00", zone="Asia/Tokyo")
    story.session("2026-03-12 01:00", start="2026-03-18 15:00", end="2026-03-18 15:20")
    story.took("2026-03-12 01:01", "welcome", None)
    story.took("2026-03-12 01:10", "booked", **DAY)
    story.took("2026-03-13 01:00", "baseline")
    story.took("2026-03-14 00:00", "pre_7d", **DAY)
    story.took("2026-03-18 00:00", "pre_1d", **DAY)
    story.task("baseline_missing", "2026-03-17 21:00")

    assert story.judged("2026-03-18 14:00").violations == []

    story.without("pre_1d")
    story.took("2026-03-17 15:00", "pre_1d", **DAY)

    assert rules(story.judged("2026-03-18 14:00")) == {"too_early", "outside_window"}


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("es", {"date": "mie 18 mar", "time": "10:00"}),
        ("es-MX", {"date": "mié 18 mar", "time": "10:00"}),
        ("tr", {"date": "18 Mar Car", "time": "10:00"}),
        ("fr", {"date": "Wed 18 Mar", "time": "10:00 AM"}),
    ],
    ids=["Spanish without its accents", "Mexican Spanish", "Turkish in plain letters", "a language without texts"],
)
def test_days_and_times_in_the_language_of_the_patient(language: str, told: dict[str, Any]) -> None:
    story = a_good_session()
    story.patient("2026-03-17 14:00", language=language)
    story.without("pre_1d")
    own = language[:2] if language[:2] in {"es", "tr"} else "en"
    story.took("2026-03-17 15:00", "pre_1d", body=written("pre_1d", own, **told))

    assert story.judged("2026-03-18 14:00").violations == []


def test_a_text_during_a_pause_shows() -> None:
    story = a_good_session()
    story.note("pause", "2026-03-17 14:00", what="all", who=None, reason="drill", by="staff")
    story.note("resume", "2026-03-17 16:00", what="all", who=None, reason=None, by="staff")

    assert rules(story.judged(GOOD_END)) == {"sent_while_paused"}


def test_a_text_after_the_pause_is_neither_late_nor_wrong() -> None:
    story = a_good_session()
    story.note("pause", "2026-03-17 14:00", what="clinic", who="c1", reason="drill", by="staff")
    story.note("resume", "2026-03-17 16:00", what="clinic", who="c1", reason=None, by="staff")
    _again(story, "pre_1d", "2026-03-17 16:14", **DAY)

    assert story.judged(GOOD_END).violations == []


def test_a_clinic_without_answers_asks_no_questions() -> None:
    story = a_good_session()
    for _, entry in story.entries:
        if entry["kind"] == "clinic":
            entry["answers_understood"] = False

    verdict = story.judged(GOOD_END)

    assert rules(verdict) == {"step_is_off"}
    assert {v.step for v in verdict.violations} == {"baseline", "d3", "onset"}


def test_another_plan_from_the_middle_on() -> None:
    """A step that is wanted only from now on is not owed for the time before."""
    story = a_good_session()
    document = shipped("care_plan.json")
    for step in document["steps"]:
        if step["key"] == "d10":
            step["plans"] = ["standard"]
    story.note("plan", "2026-03-29 12:00", clinic="c1", document=document)

    assert story.judged(GOOD_END).violations == []
