"""What a preview says will go out: the plan, with the conditions that are judged when a text leaves."""

from datetime import timedelta

import pytest

from service.domain.expansion import Entry, expand
from service.domain.forecast import forecast
from tests.domain.cases import (
    DAY,
    HOUR,
    START,
    Book,
    at,
    booked,
    case,
    changed,
    completed,
    on_both_plans,
    shipped,
    template,
    told,
)


def names_start(entry: Entry) -> bool:
    return bool(entry.step.template) and template(entry.step.template or "").names_start


def foreseen(*args: object, book: Book | None = None, **changes: object) -> dict[tuple[int | None, str], Entry]:
    """What will become of every step, by session and the shipped plan's keys."""
    about = case(*args, book=book, **changes)  # type: ignore[arg-type]  # passed on as given
    keys = {own: key for key, own in (book or shipped()).keys.items()}
    found = forecast(about, expand(about), names_start=names_start)
    return {(e.session.id if e.session else None, keys.get(e.step.key, e.step.key)): e for e in found}


@on_both_plans
def test_a_nudge_follows_its_question_after_two_days(book: Book) -> None:
    entries = foreseen(booked(), book=book)
    assert entries[1, "baseline_nudge"].due_at == book.clock("2026-06-07 11:00")


@on_both_plans
def test_no_nudge_right_after_a_question_that_went_out_late(book: Book) -> None:
    about = foreseen(booked(known=at("2026-06-07 10:00"), imported=True), book=book)
    assert about[1, "baseline"].due_at == book.clock("2026-06-07 11:00")
    assert about[1, "baseline_nudge"].skipped == "condition:not_answered"


def test_no_nudge_less_than_forty_hours_after_its_question() -> None:
    hurried = changed(shipped().document, "baseline_nudge", offset={"days": -11, "at": "17:00"})
    assert foreseen(booked(), plan=hurried)[1, "baseline_nudge"].skipped == "condition:not_answered"
    patient_enough = changed(shipped().document, "baseline_nudge", offset={"days": -10, "at": "10:00"})
    assert foreseen(booked(), plan=patient_enough)[1, "baseline_nudge"].due_at == at("2026-06-07 10:00")


def test_a_nudge_looks_at_the_question_of_its_own_session() -> None:
    """The question about the other session, a day before, is another question."""
    about = foreseen(booked(id=1), booked(START + DAY, id=2))
    assert about[1, "baseline"].due_at == at("2026-06-05 11:00")
    assert about[2, "baseline"].due_at == at("2026-06-06 11:00")
    assert about[1, "baseline_nudge"].due_at == at("2026-06-07 11:00")


@on_both_plans
def test_headache_days_are_counted_at_most_every_three_weeks(book: Book) -> None:
    done, follow_up = completed(), booked(START + 68 * DAY, id=2)
    about = foreseen(done, follow_up, book=book)
    assert about[1, "count_w8"].due_at == book.clock("2026-08-12 11:00")
    assert about[2, "count_before"].skipped == "condition:no_recent_count"
    assert about[2, "count_before_nudge"].skipped == "condition:not_answered"


@on_both_plans
@pytest.mark.parametrize(("days", "asked"), [(82, True), (81, False)], ids=["21 days after the last", "20 days after"])
def test_exactly_three_weeks_after_the_last_count_is_not_recent(days: int, asked: bool, book: Book) -> None:
    about = foreseen(completed(), booked(START + days * DAY, id=2), book=book)
    assert about[2, "count_before"].skipped == (None if asked else "condition:no_recent_count")


@on_both_plans
def test_a_skipped_count_does_not_hold_back_the_next(book: Book) -> None:
    about = foreseen(completed(), booked(START + 84 * DAY, id=2), book=book)
    assert about[1, "count_w12"].skipped == "condition:not_rebooked"
    assert about[2, "count_before"].due_at == book.clock("2026-09-04 11:00")


@on_both_plans
def test_the_eve_brings_no_reminder_of_what_was_said_that_very_day(book: Book) -> None:
    moved = booked(
        moves=1, moved_at=at("2026-06-15 20:00"), told=(told("2026-06-01 10:00", START - DAY),), known=START - 20 * DAY
    )
    about = foreseen(moved, book=book)
    assert about[1, "moved"].due_at == at("2026-06-16 09:00")
    assert about[1, "pre_1d"].skipped == "condition:not_just_told"


def test_a_text_about_another_start_is_no_reminder() -> None:
    about = foreseen(booked(id=1), booked(START + 5 * DAY + HOUR, id=2))
    assert about[2, "pre_7d"].due_at == at("2026-06-15 10:00")
    assert about[1, "pre_1d"].due_at == at("2026-06-16 10:00")


def test_what_is_skipped_already_stays_as_it_is() -> None:
    about = case(completed(known=START + timedelta(hours=9)))
    entries = expand(about)
    likely = forecast(about, entries, names_start=names_start)
    assert [entry.step.key for entry in likely] == [entry.step.key for entry in entries]
    assert {e.skipped for e, own in zip(likely, entries, strict=True) if own.skipped} == {
        own.skipped for own in entries if own.skipped
    }
