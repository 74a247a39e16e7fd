"""When to try again: soon, then ever later, never all at once, and after a failed delivery once more only."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.retries import AFTER_FAILURE, ASKED_AT, after_failed_delivery, asked_again, next_attempt_at

NOW = datetime(2026, 6, 17, 18, tzinfo=UTC)
attempts = st.integers(1, 10_000)
ids = st.integers(1, 2**40)


def wait(message_id: int, tried: int, told: float | None = None) -> timedelta:
    return next_attempt_at(NOW, message_id=message_id, attempts=tried, retry_after_seconds=told) - NOW


@pytest.mark.parametrize(
    ("tried", "seconds"),
    [(1, 2), (2, 4), (3, 8), (9, 512), (10, 600), (14, 600), (1000, 600)],
    ids=["first", "second", "third", "ninth", "tenth", "fourteenth", "thousandth"],
)
@given(message_id=ids)
def test_each_wait_is_twice_the_last_up_to_ten_minutes_and_a_quarter_more(
    tried: int, seconds: int, message_id: int
) -> None:
    assert timedelta(seconds=seconds) <= wait(message_id, tried) <= timedelta(seconds=seconds * 1.25)


@given(message_id=ids, tried=attempts, told=st.floats(0, 86_400))
def test_the_provider_is_never_asked_before_it_wants_to_be(message_id: int, tried: int, told: float) -> None:
    assert wait(message_id, tried, told) >= max(wait(message_id, tried), timedelta(seconds=told))


@given(message_id=ids, tried=attempts)
def test_a_restart_finds_the_same_time(message_id: int, tried: int) -> None:
    assert wait(message_id, tried) == wait(message_id, tried)


def test_texts_held_together_do_not_all_come_back_at_once() -> None:
    moments = {wait(message_id, 10) for message_id in range(1000)}
    assert len(moments) > 990
    assert max(moments) - min(moments) > timedelta(minutes=2)


@given(message_id=ids)
def test_a_phone_that_was_off_is_tried_once_more_after_two_hours(message_id: int) -> None:
    again = after_failed_delivery(NOW, message_id=message_id, attempts=1)
    assert again is not None
    assert AFTER_FAILURE <= again - NOW <= AFTER_FAILURE * 1.25
    assert after_failed_delivery(NOW, message_id=message_id, attempts=2) is None


LEFT = NOW
"""When the text that is asked about left."""


def asked(ages: Iterable[float], *, every: float) -> list[float]:
    """The ages, in seconds, at which a text is asked about by looks at ``ages`` that were ``every`` seconds apart."""
    return [
        age
        for age in ages
        if any(
            after < LEFT <= until
            for after, until in asked_again(LEFT + timedelta(seconds=age - every), LEFT + timedelta(seconds=age))
        )
    ]


def test_a_text_is_asked_about_more_rarely_the_older_it_is() -> None:
    first = [5, 15, 30, 60, 120, 300, 900, 3600, 7200, 10800]
    assert asked(range(0, 12000, 5), every=5) == first
    assert asked(range(2, 12000, 5), every=5) == [age + 2 for age in first]
    assert asked(range(0, 4000, 300), every=300) == [300, 900, 3600]
    assert asked(range(71 * 3600, 80 * 3600, 5), every=5) == [71 * 3600]


@pytest.mark.parametrize("gap", [timedelta(0), timedelta(hours=-1)], ids=["no time has passed", "the clock went back"])
def test_nothing_is_asked_twice_of_one_moment(gap: timedelta) -> None:
    assert asked_again(LEFT, LEFT + gap) == ()


@given(ago=st.integers(0, 300_000), gap=st.integers(1, 100_000))
def test_what_reached_an_age_since_the_last_time_is_asked_about_once(ago: int, gap: int) -> None:
    now, last = LEFT + timedelta(seconds=ago), LEFT + timedelta(seconds=ago - gap)
    reached = any(last < LEFT + age <= now for age in ASKED_AT)
    spans = asked_again(last, now)
    assert sum(after < LEFT <= until for after, until in spans) == reached
    assert all(first[1] < second[0] for first, second in pairwise(spans))
