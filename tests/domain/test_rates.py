"""How much a sender may send now: its rate over time, five seconds' worth ahead, and the carriers' day."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.rates import AHEAD, carriers_day, day_is_full, opens_at, room, through_at

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("free_at", "segments"),
    [
        pytest.param(None, 15.0, id="nothing was sent yet: five seconds' worth"),
        pytest.param(NOW - 60 * SECOND, 15.0, id="long through: no more than five seconds' worth is saved up"),
        pytest.param(NOW, 15.0, id="through at this moment"),
        pytest.param(NOW + SECOND / 3, 14.0, id="one segment is still on its way"),
        pytest.param(NOW + 5 * SECOND, 0.0, id="five seconds ahead: no room"),
        pytest.param(NOW + 7 * SECOND, -6.0, id="further ahead after a long text: less than none"),
        pytest.param(NOW + 3600 * SECOND, 15.0, id="written by a clock that ran an hour ahead: not believed"),
    ],
)
def test_room_is_what_the_rate_allows_within_the_next_five_seconds(free_at: datetime | None, segments: float) -> None:
    assert room(now=NOW, free_at=free_at, per_second=3.0) == pytest.approx(segments, abs=1e-5)


@pytest.mark.parametrize(
    ("free_at", "through"),
    [
        (None, NOW + 2 * SECOND),
        (NOW - 60 * SECOND, NOW + 2 * SECOND),
        (NOW + SECOND, NOW + 3 * SECOND),
    ],
    ids=["the first text", "after a break", "behind what waits already"],
)
def test_a_text_takes_its_segments_time(free_at: datetime | None, through: datetime) -> None:
    assert through_at(6, now=NOW, free_at=free_at, per_second=3.0) == through


def test_a_sender_opens_again_when_it_has_room() -> None:
    free_at = NOW + 5 * SECOND
    assert room(now=opens_at(free_at), free_at=free_at, per_second=0.5) > 0
    assert room(now=free_at - AHEAD, free_at=free_at, per_second=0.5) == 0


@given(
    per_second=st.floats(0.1, 100),
    texts=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 8)), min_size=1, max_size=60),
)
def test_no_stretch_of_time_carries_more_than_its_rate_and_five_seconds_and_one_text(
    per_second: float, texts: list[tuple[float, int]]
) -> None:
    """Texts come when they come and leave when there is room: over any stretch the rate holds, and each text leaves."""
    now, free_at = NOW, None
    left: list[tuple[datetime, int]] = []
    for wait, segments in texts:
        now += wait * SECOND
        if free_at is not None and room(now=now, free_at=free_at, per_second=per_second) <= 0:
            now = opens_at(free_at)
        assert room(now=now, free_at=free_at, per_second=per_second) > 0
        free_at = through_at(segments, now=now, free_at=free_at, per_second=per_second)
        left.append((now, segments))
    for i, (start, _) in enumerate(left):
        for end, _ in left[i:]:
            carried = sum(segments for at, segments in left if start <= at <= end)
            most = per_second * ((end - start).total_seconds() + AHEAD.total_seconds()) + 8
            assert carried <= most + 1e-3


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 3, 2, 7, 59, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 3, 2, 8, 0, tzinfo=UTC), date(2026, 3, 2)),
        (datetime(2026, 7, 2, 6, 59, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 2, 7, 0, tzinfo=UTC), date(2026, 7, 2)),
    ],
    ids=["winter, before midnight", "winter, midnight", "summer, before midnight", "summer, midnight"],
)
def test_the_carriers_day_begins_at_midnight_pacific(moment: datetime, day: date) -> None:
    assert carriers_day(moment) == day


@pytest.mark.parametrize(
    ("day", "used", "allowed", "full"),
    [
        (date(2026, 3, 2), 99, 100, False),
        (date(2026, 3, 2), 100, 100, True),
        (date(2026, 3, 2), 104, 100, True),
        (date(2026, 3, 1), 100, 100, False),
        (None, 0, 100, False),
        (None, 0, 0, True),
        (date(2026, 3, 2), 10_000, None, False),
    ],
    ids=["room for one", "used up", "overshot", "used up yesterday", "never sent", "nothing is allowed", "no cap"],
)
def test_a_day_is_full_when_todays_segments_are_used_up(
    day: date | None, used: int, allowed: int | None, full: bool
) -> None:
    assert day_is_full(now=NOW, day=day, used=used, allowed=allowed) is full
