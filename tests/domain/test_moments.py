"""Moments as they are written: what is one, what is none, and what the clock on the wall makes of it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from service.domain.moments import falls_into_gap, on_the_clock, read_day_or_moment, read_iso

CHICAGO = ZoneInfo("America/Chicago")
wall = datetime.fromisoformat


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("2026-12-07 15:00", wall("2026-12-07T15:00"), id="blank between"),
        pytest.param("2026-12-07T15:00:30", wall("2026-12-07T15:00:30"), id="seconds"),
        pytest.param("20261207T1500", wall("2026-12-07T15:00"), id="without signs between"),
        pytest.param("2026-12-07T15:00Z", datetime(2026, 12, 7, 15, 0, tzinfo=UTC), id="UTC"),
        pytest.param("2026-12-07", None, id="a day has no time"),
        pytest.param("20261207", None, id="digits alone could be anything"),
        pytest.param("2026-12-07x15:00", None, id="a letter between"),
        pytest.param("2026-02-30 15:00", None, id="no such day"),
        pytest.param("٢٠٢٦-12-07 15:00", None, id="other digits"),
        pytest.param("07.12.2026 15:00", None, id="day first"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_iso(written: str, read: datetime | None) -> None:
    assert read_iso(written) == read


@pytest.mark.parametrize(
    ("moment", "at", "gap"),
    [
        pytest.param(wall("2026-12-07T15:00"), datetime(2026, 12, 7, 21, 0, tzinfo=UTC), False, id="winter"),
        pytest.param(wall("2026-03-08T02:30"), datetime(2026, 3, 8, 8, 0, tzinfo=UTC), True, id="in the gap"),
        pytest.param(wall("2026-03-08T03:00"), datetime(2026, 3, 8, 8, 0, tzinfo=UTC), False, id="end of the gap"),
        pytest.param(wall("2026-11-01T01:30"), datetime(2026, 11, 1, 6, 30, tzinfo=UTC), False, id="first of two"),
        pytest.param(
            wall("2026-03-08T02:30-06:00"),
            datetime(2026, 3, 8, 8, 30, tzinfo=UTC),
            False,
            id="offset",
        ),
    ],
)
def test_on_the_wall_in_chicago(moment: datetime, at: datetime, gap: bool) -> None:
    assert on_the_clock(moment, CHICAGO) == at
    assert falls_into_gap(moment, CHICAGO) is gap


@pytest.mark.parametrize(
    ("written", "at"),
    [
        pytest.param("2026-12-07", datetime(2026, 12, 7, 6, 0, tzinfo=UTC), id="a day begins at midnight there"),
        pytest.param("2026-12-07T15:00", datetime(2026, 12, 7, 21, 0, tzinfo=UTC), id="a moment"),
        pytest.param("1900-01-01", None, id="a spreadsheet's zero"),
        pytest.param("2026-13-01", None, id="no such month"),
        pytest.param("tomorrow", None, id="a word"),
    ],
)
def test_a_day_or_a_moment(written: str, at: datetime | None) -> None:
    assert read_day_or_moment(written, CHICAGO) == at
