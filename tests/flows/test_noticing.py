"""What a session's row tells about what happened since it was last planned, whoever wrote it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.flows.noticing import notice
from service.store.tables import TreatmentSession
from tests.store.factories import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = NOW + 14 * DAY
BEFORE = NOW - DAY
"""When the service last saw the session."""


def session(**columns: Any) -> TreatmentSession:
    """A session that was never seen before, as another program writes it."""
    values = {"scheduled_start": START, "status": "booked", "moves": 0, "cancels": 0, "completed_assumed": False}
    return TreatmentSession(**values | columns)


def seen(**columns: Any) -> TreatmentSession:
    """A session that was seen booked a day ago; ``columns`` are what has changed since."""
    values = {"planned_start": START, "planned_status": "booked", "booked_at": BEFORE}
    return session(**values | columns)


NOTED = ("booked_at", "moved_at", "moves", "cancelled_at", "cancels", "no_show_at", "completion_known_at")


def noted(row: TreatmentSession) -> dict[str, Any]:
    """What notice wrote about what happened, without what never did."""
    return {name: value for name in NOTED if (value := getattr(row, name))}


@pytest.mark.parametrize(
    ("columns", "news"),
    [
        pytest.param({}, {"booked_at": NOW}, id="booked"),
        pytest.param({"booked_at": BEFORE}, {"booked_at": BEFORE}, id="booked, and the feed said when"),
        pytest.param({"status": "cancelled"}, {}, id="cancelled: there was never anything to call off"),
        pytest.param(
            {"status": "no_show", "scheduled_start": NOW - 48 * HOUR}, {"no_show_at": NOW}, id="missed two days ago"
        ),
        pytest.param({"status": "no_show", "scheduled_start": NOW - 49 * HOUR}, {}, id="missed long ago: no news"),
        pytest.param(
            {"status": "completed", "completed_at": BEFORE}, {"completion_known_at": NOW}, id="completed yesterday"
        ),
        pytest.param({"status": "not_done"}, {}, id="not done"),
        pytest.param({"status": "entered_in_error"}, {}, id="entered in error"),
    ],
)
def test_a_session_seen_for_the_first_time(columns: dict[str, Any], news: dict[str, Any]) -> None:
    row = session(**columns)
    notice(row, NOW)
    assert noted(row) == news
    assert (row.planned_start, row.planned_status) == (row.scheduled_start, row.status)


@pytest.mark.parametrize(
    ("columns", "news"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"scheduled_start": START + HOUR}, {"moves": 1, "moved_at": NOW}, id="moved"),
        pytest.param({"status": "cancelled"}, {"cancels": 1, "cancelled_at": NOW}, id="cancelled"),
        pytest.param(
            {"status": "cancelled", "scheduled_start": START + HOUR},
            {"cancels": 1, "cancelled_at": NOW},
            id="cancelled, and moved: that is no move",
        ),
        pytest.param({"status": "no_show"}, {"no_show_at": NOW}, id="the patient did not come"),
        pytest.param(
            {"status": "completed", "completed_at": NOW - HOUR}, {"completion_known_at": NOW}, id="took place"
        ),
        pytest.param({"status": "not_done"}, {}, id="did not take place"),
        pytest.param({"status": "entered_in_error"}, {}, id="was never meant"),
    ],
)
def test_what_changed_about_a_booked_session(columns: dict[str, Any], news: dict[str, Any]) -> None:
    row = seen(**columns)
    notice(row, NOW)
    assert noted(row) == {"booked_at": BEFORE} | news


@pytest.mark.parametrize("status", ["cancelled", "no_show", "not_done", "entered_in_error", "completed"])
def test_a_session_that_is_on_again_is_told_like_a_move(status: str) -> None:
    row = seen(planned_status=status, moves=2)
    notice(row, NOW)
    assert (row.moves, row.moved_at, row.booked_at) == (3, NOW, BEFORE)


def test_a_session_first_seen_cancelled_and_then_booked_is_newly_booked() -> None:
    row = session(planned_status="cancelled", planned_start=START)
    notice(row, NOW)
    assert noted(row) == {"booked_at": NOW}


def test_a_session_booked_again_at_another_time_moved_once() -> None:
    row = seen(planned_status="cancelled", scheduled_start=START + HOUR)
    notice(row, NOW)
    assert row.moves == 1


def test_what_was_noticed_is_no_news_the_next_time() -> None:
    row = seen(scheduled_start=START + HOUR)
    notice(row, NOW)
    notice(row, NOW + HOUR)
    assert (row.moves, row.moved_at) == (1, NOW)


def test_a_completed_session_whose_booking_is_corrected_did_not_move() -> None:
    row = seen(status="completed", planned_status="completed", completed_at=NOW, scheduled_start=START + HOUR)
    notice(row, NOW)
    assert (row.moves, row.planned_start) == (0, START + HOUR)


# when it ended


@dataclass(frozen=True, slots=True)
class Ends:
    end: datetime | None
    assumed: datetime


@pytest.mark.parametrize(
    "ends",
    [Ends(START + HOUR, START + HOUR), Ends(None, START + timedelta(minutes=20))],
    ids=["the planned end", "twenty minutes, where no end was planned"],
)
def test_a_completion_without_a_time_is_assumed_at_the_planned_end(ends: Ends) -> None:
    row = seen(status="completed", scheduled_end=ends.end)
    notice(row, NOW)
    assert (row.completed_at, row.completed_assumed) == (ends.assumed, True)


def test_a_completion_with_its_time_is_left_as_it_is() -> None:
    row = seen(status="completed", completed_at=NOW - HOUR)
    notice(row, NOW)
    assert (row.completed_at, row.completed_assumed) == (NOW - HOUR, False)


def test_what_was_assumed_of_a_session_is_forgotten_when_it_did_not_take_place_after_all() -> None:
    """Else the aftercare of the real session would count from an hour before it."""
    row = seen(status="completed")
    notice(row, NOW)
    row.status, row.scheduled_start = "booked", START + 7 * DAY
    notice(row, NOW + HOUR)
    assert (row.completed_at, row.completed_assumed, row.completion_known_at) == (None, False, None)
    row.status = "completed"
    notice(row, NOW + 2 * HOUR)
    assert row.completed_at == START + 7 * DAY + timedelta(minutes=20)
    assert row.completion_known_at == NOW + 2 * HOUR


def test_a_noted_time_outlives_a_correction_of_the_status() -> None:
    row = seen(status="completed", completed_at=NOW - HOUR)
    notice(row, NOW)
    row.status = "not_done"
    notice(row, NOW)
    assert (row.completed_at, row.completion_known_at) == (NOW - HOUR, None)
