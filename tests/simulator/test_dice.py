"""Chance that can be repeated."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.simulator.dice import Dice

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def test_the_same_question_gets_the_same_answer_whatever_was_asked_before() -> None:
    first, second = Dice(7), Dice(7)
    second.share("something else")
    assert first.share("p1", "moves", 3) == second.share("p1", "moves", 3)


@pytest.mark.parametrize("other", [("p1", "moves", 4), ("p2", "moves", 3), ("p1", "moves")], ids=str)
def test_another_question_gets_another_answer(other: tuple[object, ...]) -> None:
    assert Dice(7).share(*other) != Dice(7).share("p1", "moves", 3)


def test_another_seed_is_another_world() -> None:
    assert Dice(7).share("p1") != Dice(8).share("p1")


def test_what_is_drawn_does_not_change_from_one_version_to_the_next() -> None:
    """A seed that once failed must be the same world for whoever repeats it."""
    assert Dice(1).whole(0, 10**6, "anything") == Dice("1").whole(0, 10**6, "anything") == 822_249


@given(st.integers(), st.integers(-50, 50), st.integers(0, 50))
def test_numbers_lie_within_their_bounds(seed: int, low: int, more: int) -> None:
    assert low <= Dice(seed).whole(low, low + more, "n") <= low + more


@given(st.integers())
def test_times_lie_within_their_bounds(seed: int) -> None:
    dice = Dice(seed)
    for found in (dice.span(SECOND, HOUR, "a"), dice.often_short(SECOND, HOUR, "b"), dice.any_scale(SECOND, HOUR, "c")):
        assert SECOND <= found <= HOUR


def test_one_of_several_is_picked_about_as_often_as_its_weight_says() -> None:
    weights = {"often": 0.9, "seldom": 0.1, "never": 0.0}
    found = [Dice(1).weighed(weights, n) for n in range(2000)]
    assert 1700 < found.count("often") < 1900
    assert "never" not in found


def test_something_certain_always_falls_and_something_impossible_never() -> None:
    assert all(Dice(1).falls(1.0, n) for n in range(50))
    assert not any(Dice(1).falls(0.0, n) for n in range(50))


def test_every_choice_is_picked_some_time() -> None:
    assert {Dice(1).pick("abc", n) for n in range(50)} == set("abc")


def test_short_times_are_the_rule_where_they_are_wanted() -> None:
    times = sorted(Dice(1).often_short(SECOND, HOUR, n) for n in range(500))
    assert times[250] < HOUR / 6
    scales = sorted(Dice(1).any_scale(SECOND, HOUR, n) for n in range(500))
    assert timedelta(seconds=40) < scales[250] < timedelta(seconds=90)
