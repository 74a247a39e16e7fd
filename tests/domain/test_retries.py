"""When to try again: soon, then ever later, never all at once, and after a failed delivery once more only."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.retries import AFTER_FAILURE, after_failed_delivery, next_attempt_at

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
