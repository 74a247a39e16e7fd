"""At most one planned text per patient and day of the clinic: who stays, who moves, and what does not count."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from service.domain.careplan import CarePlan, DaysAt
from service.domain.case import Case, SessionFacts
from service.domain.expansion import Entry, expand
from service.domain.plan_file import read_plan
from service.domain.windows import local_day
from service.store.content import shipped_plan
from tests.domain.cases import (
    ALL_ZONES,
    BOOKS,
    DAY,
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
from tests.domain.naive_clock import MINUTE, day_of, first_valid, next_open
from tests.domain.naive_plan import without_spacing

UNSPACED = {book.name: read_plan(without_spacing(book.document)) for book in BOOKS}


def d3_also_at(day: int) -> CarePlan:
    """The shipped plan with the two-week question moved onto another day."""
    return changed(shipped().document, "onset", offset={"days": day, "at": "15:00"})


def test_of_two_texts_on_one_day_the_later_in_the_plan_goes_on_the_next_day_at_its_own_clock_time() -> None:
    entries = wanted(case(completed(), plan=d3_also_at(3)))
    assert entries["d3"].due_at == at("2026-06-20 11:00")
    assert entries["onset"].due_at == at("2026-06-21 15:00")


def test_a_moved_text_takes_the_day_it_moves_to() -> None:
    steps = [
        step | {"offset": {"days": 3, "at": "11:00"}} if step["key"] in {"onset", "count_w4"} else step
        for step in shipped_plan()["steps"]
    ]
    entries = wanted(case(completed(), plan=read_plan({**shipped_plan(), "steps": steps})))
    assert [entries[key].due_at for key in ("d3", "onset", "count_w4")] == [
        at("2026-06-20 11:00"),
        at("2026-06-21 11:00"),
        at("2026-06-22 11:00"),
    ]


@on_both_plans
def test_the_next_session_booked_right_after_this_one_is_confirmed_when_the_aftercare_is_over(book: Book) -> None:
    follow_up = booked(START + 84 * DAY, known=at("2026-06-17 14:05"), id=2)
    entries = wanted(case(completed(), follow_up, book=book), book=book, of=2)
    assert entries["booked"].due_at == at("2026-06-19 09:00")


@on_both_plans
def test_the_day_before_a_session_and_its_aftercare_never_move(book: Book) -> None:
    next_day = booked(START + 2 * DAY, id=2)
    entries = wanted(case(completed(), next_day, book=book), book=book)
    assert entries["pre_1d"].due_at == book.clock("2026-06-18 10:00")
    assert entries["allclear"].due_at == book.after("2026-06-18 14:00")


@on_both_plans
def test_a_text_without_a_free_day_before_its_end_is_skipped_with_that_reason(book: Book) -> None:
    in_a_row = [booked(START + n * DAY, known=at("2026-06-01 12:00"), id=n) for n in range(2, 9)]
    question = wanted(case(completed(), *in_a_row, book=book), book=book)["d3"]
    assert (question.due_at, question.skipped) == (None, "spacing")


def test_texts_of_all_sessions_of_a_patient_share_the_days() -> None:
    other = booked(at("2026-06-27 14:00"), known=at("2026-05-20 12:00"), id=2)
    entries = {(e.session.id, e.step.key): e for e in expand(case(completed(), other)) if e.session}
    assert entries[2, "pre_7d"].due_at == at("2026-06-20 10:00")
    assert entries[1, "d3"].due_at == at("2026-06-21 11:00")


def test_the_welcome_and_staff_tasks_leave_the_day_to_others() -> None:
    agreed = patient(consented_at=at("2026-06-20 09:00"))
    assert wanted(case(completed(), patient=agreed))["d3"].due_at == at("2026-06-20 11:00")
    plan = changed(shipped().document, "payer", offset={"days": 3, "at": "09:00"}, condition=[])
    assert wanted(case(completed(), plan=plan))["d3"].due_at == at("2026-06-20 11:00")


def test_the_day_is_the_clinics_even_for_a_patient_far_away() -> None:
    """Both fall on the 21st of Auckland; in New York one is the 20th's and one, just past midnight, the 21st's."""
    away = patient(zone=ZoneInfo("Pacific/Auckland"))
    plan = changed(shipped().document, "onset", offset={"days": 4, "at": "00:30"})
    entries = wanted(case(completed(), plan=plan, patient=away))
    assert entries["d3"].due_at == at("2026-06-20 18:00")
    assert entries["onset"].due_at == at("2026-06-21 00:30")


# --- texts that have left


def test_a_text_that_left_keeps_its_day_and_what_comes_after_plans_around_it() -> None:
    out = {"plan:9:gone:0": at("2026-06-20 12:00")}
    assert wanted(case(completed()), out=out)["d3"].due_at == at("2026-06-21 11:00")


def test_a_text_that_left_needs_no_second_day_when_its_session_moves() -> None:
    """Sent for the old time, the week-before text is not sent again: the day it would have has room for another."""
    to = at("2026-06-27 14:00")
    moved = booked(to, id=2, moves=1, moved_at=at("2026-06-12 12:00"), told=(told("2026-06-10 10:00"),))
    left = {"plan:2:pre_7d:0": at("2026-06-10 10:00"), "plan:2:moved:1": at("2026-06-12 12:05")}
    entries = {(e.session.id, e.step.key): e for e in expand(case(completed(), moved), already_out=left) if e.session}
    assert entries[1, "d3"].due_at == at("2026-06-20 11:00")


def test_planning_again_when_some_have_left_changes_nothing_of_the_rest() -> None:
    about = case(completed(), booked(at("2026-06-27 14:00"), known=at("2026-05-20 12:00"), id=2))
    entries = [entry for entry in expand(about) if entry.due_at and entry.step.is_text]
    for n in range(len(entries)):
        in_time = sorted(entries, key=lambda entry: str(entry.due_at))
        left = {entry.identity: entry.due_at for entry in in_time[:n] if entry.due_at}
        again = {entry.identity: entry.due_at for entry in expand(about, already_out=left)}
        assert [again[entry.identity] for entry in in_time[n:]] == [entry.due_at for entry in in_time[n:]]


# --- properties


@st.composite
def series(draw: st.DrawFn) -> tuple[str, tuple[SessionFacts, ...], str | None]:
    """A patient with several sessions, some of them close together or booked on the day of another."""
    first = draw(st.datetimes(datetime(2026, 3, 1), datetime(2027, 3, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- hypothesis adds the zone
    first = first.replace(second=0, microsecond=0)
    sessions = [completed(first, id=1)]
    for n in range(draw(st.integers(1, 3))):
        start = first + draw(st.integers(1, 100)) * DAY + draw(st.integers(-300, 300)) * MINUTE
        known = first + draw(st.integers(-30 * 1440, 5 * 1440)) * MINUTE
        sessions.append(booked(start, known=min(known, start), id=n + 2))
    return draw(st.sampled_from(ALL_ZONES)), tuple(sessions), draw(st.none() | st.sampled_from(ALL_ZONES))


def in_zones(life: tuple[str, tuple[SessionFacts, ...], str | None], plan: CarePlan) -> Case:
    zone, sessions, away = life
    where, who = clinic(zone=ZoneInfo(zone)), patient(zone=ZoneInfo(away) if away else None)
    return case(*sessions, plan=plan, clinic=where, patient=who)


@on_both_plans
@given(life=series())
def test_no_patient_gets_two_texts_on_a_day_that_one_of_them_could_leave(
    book: Book, life: tuple[str, tuple[SessionFacts, ...], str | None]
) -> None:
    entries = [e for e in expand(in_zones(life, book.plan)) if e.due_at and e.step.counts_for_day]
    on_day = Counter(local_day(entry.due_at, ZoneInfo(life[0])) for entry in entries if entry.due_at)
    free = [entry for entry in entries if not entry.step.fixed]
    assert all(on_day[local_day(entry.due_at, ZoneInfo(life[0]))] == 1 for entry in free if entry.due_at)


@on_both_plans
@given(life=series())
def test_whoever_moves_moves_to_the_first_day_that_those_before_it_leave_free(
    book: Book, life: tuple[str, tuple[SessionFacts, ...], str | None]
) -> None:
    spaced, alone = (expand(in_zones(life, plan)) for plan in (book.plan, UNSPACED[book.name]))
    texts = [(entry, own) for entry, own in zip(spaced, alone, strict=True) if entry.step.counts_for_day]
    zone = life[0]
    taken = {day_of(own.due_at, zone) for entry, own in texts if entry.step.fixed and own.due_at}
    for entry, own in texts:
        if entry.step.fixed or own.due_at is None:
            assert (entry.due_at, entry.skipped) == (own.due_at, own.skipped)
            continue
        found = _first_free(own, own.due_at, taken, zone, away=life[2] or zone)
        assert (entry.due_at, entry.skipped) == (found, None if found else "spacing")
        taken |= {day_of(found, zone)} if found else set()


def _first_free(own: Entry, due: datetime, taken: set[date], zone: str, *, away: str) -> datetime | None:
    offset, window, day = own.step.offset, own.step.window, day_of(due, zone)
    clock = offset.at if isinstance(offset, DaysAt) else window.opens
    left = day
    while left in taken:
        day += timedelta(days=1)
        due = next_open(
            first_valid(day, clock, zone), max(window.opens, time(9)), min(window.closes, time(19)), away, every=15
        )
        left = day_of(due, zone)
        if own.expires_at is None or due > own.expires_at - MINUTE:
            return None
    return due
