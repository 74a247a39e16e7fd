"""What follows from a patient's sessions: the newest cycle, the due day, the next booking, the ends of the rules."""

from datetime import date, timedelta

import pytest

from service.domain.case import SessionFacts
from service.domain.consent import Standing
from tests.domain.cases import DAY, HOUR, START, ZONE, at, booked, case, clinic, completed, patient

FIRST, SECOND = at("2026-01-14 14:00"), at("2026-04-08 14:00")
OLDER = completed(FIRST, id=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"standing": Standing.NONE}, "no_consent"),
        ({"standing": Standing.REVOKED}, "opted_out"),
        ({"phone": None}, "no_number"),
        ({"status": "inactive", "phone": None}, "patient_inactive"),
        ({"status": "deceased", "standing": Standing.REVOKED}, "patient_deceased"),
    ],
    ids=["agreed", "never asked", "withdrawn", "no number", "inactive", "deceased"],
)
def test_why_a_patient_is_not_texted(changes: dict[str, object], reason: str | None) -> None:
    assert patient(**changes).blocked == reason


@pytest.mark.parametrize(
    ("of_patient", "of_clinic", "due"),
    [(None, 12, date(2026, 9, 9)), (None, 16, date(2026, 10, 7)), (13, 12, date(2026, 9, 16))],
    ids=["clinic's usual 12 weeks", "clinic with 16 weeks", "patient with 13 weeks"],
)
def test_the_next_session_is_due_after_the_patients_own_interval(
    of_patient: int | None, of_clinic: int, due: date
) -> None:
    about = case(completed(), patient=patient(interval_weeks=of_patient), clinic=clinic(interval_weeks=of_clinic))
    assert about.due_day(about.sessions[0]) == due


def test_the_due_day_counts_from_the_clinics_day_not_from_utc() -> None:
    late = completed(at("2026-06-17 23:30"))
    assert case(late).due_day(late) == date(2026, 9, 9)


def test_a_session_that_did_not_take_place_has_no_due_day() -> None:
    assert case(booked()).due_day(booked()) is None


@pytest.mark.parametrize("status", ["not_done", "entered_in_error", "cancelled", "no_show", "booked"])
def test_the_older_cycle_revives_when_the_newer_session_did_not_take_place_after_all(status: str) -> None:
    newer = completed(SECOND, id=2)
    assert not case(OLDER, newer).is_latest(OLDER)
    assert case(OLDER, newer).is_latest(newer)
    corrected = completed(SECOND, id=2, status=status)
    assert case(OLDER, corrected).is_latest(OLDER)


def test_a_session_marked_completed_without_a_time_does_not_count_yet() -> None:
    timeless = completed(SECOND, id=2, completed_at=None)
    assert case(OLDER, timeless).is_latest(OLDER)
    assert not case(timeless).is_latest(timeless)


@pytest.mark.parametrize(
    ("session", "before"),
    [
        (OLDER, 0),
        (completed(SECOND, id=2), 1),
        (booked(START, id=3), 2),
        (booked(at("2026-02-01 10:00"), id=3), 1),
    ],
    ids=["first", "second", "third, only booked", "booked between two"],
)
def test_how_many_sessions_took_place_before(session: SessionFacts, before: int) -> None:
    others = tuple(s for s in (OLDER, completed(SECOND, id=2)) if s.id != session.id)
    assert case(*others, session).completed_before(session) == before


@pytest.mark.parametrize(
    ("other", "rebooked"),
    [
        (booked(SECOND, id=2), True),
        (booked(FIRST - DAY, id=2), False),
        (booked(SECOND, id=2, status="cancelled"), False),
        (booked(SECOND, id=2, status="no_show"), False),
        (booked(FIRST + HOUR, id=1), False),
    ],
    ids=["booked later", "booked before", "cancelled", "missed", "itself"],
)
def test_a_patient_is_rebooked_while_a_later_session_stands_in_the_book(other: SessionFacts, rebooked: bool) -> None:
    assert case(OLDER, other).rebooked(OLDER) is rebooked


def test_when_later_sessions_left_the_book() -> None:
    cancelled = booked(SECOND, id=2, status="cancelled", cancelled_at=SECOND - DAY)
    missed = booked(SECOND + DAY, id=3, status="no_show", no_show_at=SECOND + DAY + HOUR)
    earlier = booked(FIRST - DAY, id=4, status="cancelled", cancelled_at=FIRST - 2 * DAY)
    unknown = booked(SECOND, id=5, status="cancelled")
    about = case(OLDER, cancelled, missed, earlier, unknown, booked(START, id=6))
    assert about.let_go_at(OLDER) == [SECOND - DAY, SECOND + DAY + HOUR]


@pytest.mark.parametrize(
    ("hours", "held"),
    [(19.99, True), (20, False), (0, True)],
    ids=["less than 20 hours apart", "20 hours apart", "at the same time"],
)
def test_a_session_entered_twice_is_held(hours: float, held: bool) -> None:
    twice = case(booked(START, id=1), booked(START + timedelta(hours=hours), id=2))
    assert twice.held_sessions() == (frozenset({2}) if held else frozenset())


def test_only_the_second_of_two_is_held_and_only_among_live_ones() -> None:
    three = (booked(START, id=1), booked(START + 15 * HOUR, id=2), booked(START + 30 * HOUR, id=3))
    assert case(*three).held_sessions() == {2}
    assert case(booked(status="cancelled", id=1), booked(START + HOUR, id=2)).held_sessions() == frozenset()
    assert case(completed(START, id=1), booked(START + HOUR, id=2)).held_sessions() == {2}


def test_every_timed_rule_ends_a_day_after_the_injections_and_the_first_night_has_no_clock_time() -> None:
    ends = case(completed()).rule_ends(completed())
    assert set(ends) == {"bend", "exercise", "face", "rub", "heat", "sun", "alcohol", "aspirin"}
    assert set(ends.values()) == {START + DAY}


def test_the_hours_of_a_rule_are_real_hours_on_a_short_night_too() -> None:
    done = at("2026-03-07 14:00")
    assert case().rule_ends(completed(done))["bend"].astimezone(ZONE).hour == 15


def test_a_clinics_own_duration_of_a_rule_goes_before_the_plans() -> None:
    strict = case(completed(), clinic=clinic(rule_hours={"alcohol": 48, "sun": 12.5}))
    ends = strict.rule_ends(completed())
    assert (ends["alcohol"], ends["sun"], ends["bend"]) == (START + 2 * DAY, START + 12.5 * HOUR, START + DAY)


def test_a_clinic_can_give_the_first_night_an_end() -> None:
    assert case(clinic=clinic(rule_hours={"head_up": 18})).rule_ends(completed())["head_up"] == START + 18 * HOUR


def test_no_session_no_ends() -> None:
    assert case().rule_ends(booked()) == {}


@pytest.mark.parametrize(
    ("rule_hours", "after", "ended"),
    [
        ({}, DAY - timedelta(seconds=1), []),
        ({}, DAY, ["bend", "exercise", "face", "rub", "heat", "sun", "alcohol"]),
        ({"alcohol": 48}, DAY, ["bend", "exercise", "face", "rub", "heat", "sun"]),
        ({"alcohol": 48}, 2 * DAY, ["bend", "exercise", "face", "rub", "heat", "sun", "alcohol"]),
        ({"head_up": 1, "aspirin": 1, "sun": 2}, 2 * HOUR, ["sun"]),
    ],
    ids=["a second early", "after a day", "alcohol two days", "both over", "aspirin and the first night never"],
)
def test_the_rules_that_an_all_clear_may_name(rule_hours: dict[str, float], after: timedelta, ended: list[str]) -> None:
    assert case(clinic=clinic(rule_hours=rule_hours)).ended_rules(completed(), START + after) == ended
