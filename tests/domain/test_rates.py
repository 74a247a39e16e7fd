"""How much a sender may send now: its rate over time, five seconds' worth ahead, the carriers' day; and whose turn it is."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.rates import (
    AHEAD,
    LARGEST,
    after_going_ahead,
    after_turn,
    carriers_day,
    day_is_full,
    is_turn,
    opens_at,
    room,
    through_at,
)

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


@pytest.mark.parametrize(
    ("used", "segments", "full"),
    [(98, 2, False), (99, 1, False), (99, 2, True), (90, 24, True)],
    ids=["fits to the last", "one fits", "a longer one does not", "the longest does not"],
)
def test_a_text_that_would_overshoot_the_day_finds_it_full(used: int, segments: int, full: bool) -> None:
    today = carriers_day(NOW)
    assert day_is_full(now=NOW, day=today, used=used, allowed=100, segments=segments) is full


lengths = st.integers(1, LARGEST)


def flood(urgent: list[int], routine: list[int], *, sent: int) -> list[tuple[str, int]]:
    """The first ``sent`` texts that leave where both kinds never end; the lists give their lengths, over and over."""
    ahead, left, given = 0, list[tuple[str, int]](), {"urgent": 0, "routine": 0}
    for _ in range(sent):
        kind = "routine" if is_turn(ahead) else "urgent"
        of_kind = routine if kind == "routine" else urgent
        segments = of_kind[given[kind] % len(of_kind)]
        given[kind] += 1
        left.append((kind, segments))
        ahead = after_turn(ahead, segments) if kind == "routine" else after_going_ahead(ahead, segments)
    return left


@given(urgent=st.lists(lengths, min_size=1), routine=st.lists(lengths, min_size=1))
def test_under_an_endless_flood_of_urgent_texts_routine_ones_flow_and_the_urgent_have_nine_segments_in_ten(
    urgent: list[int], routine: list[int]
) -> None:
    left = flood(urgent, routine, sent=600)
    totals = {kind: sum(n for each, n in left if each == kind) for kind in ("urgent", "routine")}
    assert totals["routine"] > 0
    assert totals["urgent"] >= 9 * (totals["routine"] - LARGEST)
    waited = longest_wait(left)
    assert waited <= 9 * LARGEST + LARGEST, "no routine text sees more than that go ahead of it"


def longest_wait(left: list[tuple[str, int]]) -> int:
    """The most urgent segments between two routine texts."""
    longest = now = 0
    for kind, segments in left:
        now = 0 if kind == "routine" else now + segments
        longest = max(longest, now)
    return longest


def test_texts_of_one_segment_take_turns_nine_to_one() -> None:
    kinds = [kind for kind, _ in flood([1], [1], sent=30)]
    assert [n for n, kind in enumerate(kinds, start=1) if kind == "routine"] == [10, 20, 30]


def test_a_long_text_in_its_turn_is_paid_for_by_a_longer_wait() -> None:
    kinds = [kind for kind, _ in flood([1], [3], sent=40)]
    assert [n for n, kind in enumerate(kinds, start=1) if kind == "routine"] == [10, 38]


def test_what_went_ahead_while_nobody_watched_is_not_saved_up() -> None:
    assert after_going_ahead(9, 24) == 9
