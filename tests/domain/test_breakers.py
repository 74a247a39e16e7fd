"""When sending stops for the provider's sake, what shows that it may go on, and how often that is tried."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.breakers import (
    CLOSING,
    IN_A_ROW,
    LONGEST_WAIT,
    UNREACHABLE,
    Cause,
    Reach,
    Sign,
    asks_first,
    ends,
    is_due,
    shown_as,
    sign_of,
    tried_after,
    who_is_cut_off,
)
from service.domain.sms import TOO_LATE, Accepted, Blame, Outcome, Refused, Unknown

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def refusal(code: str, blame: Blame = Blame.RETRY) -> Refused:
    return Refused(blame, code, "Why.", "What to do.")


@pytest.mark.parametrize(
    ("outcome", "sign"),
    [
        pytest.param(Accepted("SM1"), Sign.ACCEPTED, id="taken"),
        pytest.param(Unknown("No answer."), Sign.SILENT, id="no answer"),
        pytest.param(refusal(UNREACHABLE), Sign.SILENT, id="no connection"),
        pytest.param(refusal("20429"), Sign.ANSWERED, id="busy"),
        pytest.param(refusal("21614", Blame.RECIPIENT), Sign.ANSWERED, id="a landline"),
        pytest.param(refusal("21606", Blame.SENDER), Sign.ANSWERED, id="not our number"),
        pytest.param(TOO_LATE, Sign.NOTHING, id="the worker was frozen"),
        pytest.param(refusal(CLOSING), Sign.NOTHING, id="the service was stopping"),
    ],
)
def test_what_an_outcome_says_of_the_provider(outcome: Outcome, sign: Sign) -> None:
    assert sign_of(outcome) is sign


@pytest.mark.parametrize(
    ("of_sender", "of_all", "stops"),
    [
        pytest.param(1, 1, None, id="one text"),
        pytest.param(4, 4, None, id="four in a row"),
        pytest.param(5, 5, Reach.SENDER, id="five in a row, all of one sender: it may be its own trouble"),
        pytest.param(9, 9, Reach.SENDER, id="however many of one sender"),
        pytest.param(5, 0, Reach.SENDER, id="five of one sender, and others get through"),
        pytest.param(1, 5, Reach.ALL, id="five of several senders, and nobody gets through"),
        pytest.param(1, 6, Reach.ALL, id="one more sender joins one that is cut off"),
        pytest.param(1, 4, None, id="four of several senders"),
        pytest.param(5, 2, Reach.SENDER, id="one sender's fifth, others got through in between"),
    ],
)
def test_who_stops_after_so_many_texts_without_an_answer(of_sender: int, of_all: int, stops: Reach | None) -> None:
    assert who_is_cut_off(of_sender=of_sender, of_all=of_all) is stops


def test_one_sender_alone_never_stops_the_others() -> None:
    assert all(who_is_cut_off(of_sender=n, of_all=n) is not Reach.ALL for n in range(1000))


@pytest.mark.parametrize(
    ("cause", "sign", "over"),
    [
        (Cause.REFUSED, Sign.ACCEPTED, True),
        (Cause.REFUSED, Sign.ANSWERED, False),
        (Cause.REFUSED, Sign.SILENT, False),
        (Cause.DOWN, Sign.ACCEPTED, True),
        (Cause.DOWN, Sign.ANSWERED, True),
        (Cause.DOWN, Sign.SILENT, False),
        (Cause.DOWN, Sign.NOTHING, False),
    ],
)
def test_what_ends_a_stop(cause: Cause, sign: Sign, over: bool) -> None:
    assert ends(cause, sign) is over


@pytest.mark.parametrize(
    ("cause", "minutes"),
    [(Cause.REFUSED, [1, 2, 4, 8, 15, 15, 15]), (Cause.DOWN, [0.5, 1, 2, 2, 2])],
    ids=["turned away", "no answer"],
)
def test_how_often_it_is_tried(cause: Cause, minutes: list[float]) -> None:
    assert [tried_after(cause, n) / timedelta(minutes=1) for n in range(len(minutes))] == minutes


@given(cause=st.sampled_from(Cause), tries=st.integers(0, 10**9))
def test_it_is_never_given_up(cause: Cause, tries: int) -> None:
    assert timedelta() < tried_after(cause, tries) <= tried_after(cause, tries + 1) <= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("ahead", "due"),
    [
        pytest.param(-timedelta(days=2), True, id="two days ago: nobody was there"),
        pytest.param(-MOMENT, True, id="a moment ago"),
        pytest.param(timedelta(), True, id="now"),
        pytest.param(MOMENT, False, id="in a moment"),
        pytest.param(LONGEST_WAIT, False, id="after the longest wait there is"),
        pytest.param(LONGEST_WAIT + MOMENT, True, id="after more than that: a clock ran ahead"),
        pytest.param(timedelta(days=400), True, id="next year: a clock ran ahead"),
    ],
)
def test_when_it_is_time_to_try(ahead: timedelta, due: bool) -> None:
    assert is_due(NOW + ahead, NOW) is due


@given(cause=st.sampled_from(Cause), tries=st.integers(0, 10**9))
def test_what_a_right_clock_noted_is_waited_for_to_the_moment(cause: Cause, tries: int) -> None:
    at = NOW + tried_after(cause, tries)
    assert not is_due(at, NOW)
    assert not is_due(at, at - MOMENT)
    assert is_due(at, at)


def test_while_nobody_answers_questions_are_asked_and_now_and_then_a_text_is_risked() -> None:
    assert [n for n in range(1, 50) if not asks_first(n)] == [15, 30, 45]


@pytest.mark.parametrize(
    ("cause", "shown"),
    [(None, "paused"), ("refused", "paused"), ("down", "provider_down")],
    ids=["a person's pause", "our account was turned away", "no answer"],
)
def test_what_held_texts_show(cause: str | None, shown: str) -> None:
    assert shown_as(cause, "paused") == shown


def test_it_takes_more_than_chance() -> None:
    """Where one text in a hundred gets no answer, a working provider is taken for a dead one once in ten thousand million texts."""
    assert 0.01**IN_A_ROW < 1e-9
