"""What a list of the provider proves about texts that may have left: found is found, and not found only sometimes says not sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.proof import (
    EARLIER,
    GIVE_UP,
    LATER,
    LONGEST,
    Attach,
    Doubt,
    Evidence,
    NotSent,
    TooEarly,
    ask_next,
    judge,
    shows,
)
from service.domain.sms import ListedSms, ReceiptState

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
WAIT = timedelta(seconds=90)
RIPE = START + 2 * WAIT
MOMENT = timedelta(microseconds=1)
HELLO, BYE = "Your visit is tomorrow.", "Please call us."


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def doubt(message_id: int = 1, *, body: str = HELLO, at: float = 0, open_to_all: bool = True) -> Doubt:
    """An attempt so many seconds after the start. ``open_to_all`` False: under way, or decided by a person."""
    started = START + seconds(at)
    return Doubt(message_id, body, started, started if open_to_all else None)


def listed(sid: str = "SM1", *, body: str | None = HELLO, at: float = 1) -> ListedSms:
    return ListedSms(sid, "+15551230001", body, START + seconds(at), ReceiptState.SENT)


def verdicts(
    doubts: Sequence[Doubt],
    texts: Sequence[ListedSms],
    *,
    ours: Sequence[str] = (),
    trusted: bool = True,
    now: datetime = RIPE,
) -> dict[int, str]:
    """Each message's verdict in one word; of an attached text its id."""
    found = judge(doubts, Evidence(texts, ours, trusted), now=now, wait=WAIT)
    return {message_id: _said(verdict) for message_id, verdict in found.items()}


def _said(verdict: object) -> str:
    if isinstance(verdict, Attach):
        return f"{verdict.listed.provider_sid}{' and more' * verdict.sent_twice}"
    return type(verdict).__name__


@pytest.mark.parametrize(
    ("age", "texts", "trusted", "verdict"),
    [
        pytest.param(90, [listed()], False, "SM1", id="found at the first look"),
        pytest.param(90, [listed()], True, "SM1", id="found, whatever the list is worth"),
        pytest.param(90, [], True, "TooEarly", id="not found at the first look: a callback may come, the list may lag"),
        pytest.param(179.9, [], True, "TooEarly", id="not found, just before twice the wait"),
        pytest.param(180, [], True, "NotSent", id="not found in a list that can be trusted, at twice the wait"),
        pytest.param(180, [], False, "NoProof", id="not found in a list that may hide it"),
        pytest.param(179.9, [], False, "TooEarly", id="nobody is troubled before twice the wait"),
        pytest.param(7200, [], True, "NotSent", id="the list was down for hours"),
        pytest.param(7200, [listed()], True, "SM1", id="found after hours"),
    ],
)
def test_one_text_in_doubt(age: float, texts: list[ListedSms], verdict: str, *, trusted: bool) -> None:
    assert verdicts([doubt()], texts, trusted=trusted, now=START + seconds(age)) == {1: verdict}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        pytest.param(listed(at=-60), "SM1", id="their clock is a minute behind"),
        pytest.param(listed(at=-61), "NoProof", id="before our attempt: not this one, and nobody knows whose"),
        pytest.param(listed(at=300), "SM1", id="the provider was slow"),
        pytest.param(listed(at=301), "NoProof", id="long after any request could be under way"),
        pytest.param(listed(body=f"  {HELLO}\r\n"), "SM1", id="blanks changed on the way"),
        pytest.param(listed(body=None), "NoProof", id="words are kept from us"),
        pytest.param(listed(body=BYE), "NoProof", id="a text that none of ours explains: ours with other words?"),
        pytest.param(listed(body=HELLO.upper()), "NoProof", id="other words"),
    ],
)
def test_what_counts_as_found(text: ListedSms, verdict: str) -> None:
    assert verdicts([doubt()], [text]) == {1: verdict}


def test_a_text_that_belongs_to_another_attempt_is_not_taken_for_this_one() -> None:
    assert verdicts([doubt()], [listed("SM0")], ours=["SM0"]) == {1: "NotSent"}
    assert verdicts([doubt()], [listed("SM0"), listed("SM1")], ours=["SM0"]) == {1: "SM1"}


def test_one_text_without_words_anywhere_in_the_list_ends_all_proof() -> None:
    assert verdicts([doubt()], [listed("SM0", body=None)], ours=["SM0"]) == {1: "NoProof"}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param([], {1: "NotSent", 2: "NotSent"}, id="none left"),
        pytest.param([listed("SM7")], {1: "SM7", 2: "NotSent"}, id="one left: the phone is to get one more"),
        pytest.param(
            [listed("SM8", at=3), listed("SM7", at=1)], {1: "SM7", 2: "SM8"}, id="both left: the first is the first"
        ),
        pytest.param(
            [listed("SM7", at=1), listed("SM8", at=2), listed("SM9", at=3)],
            {1: "SM7 and more", 2: "SM8 and more"},
            id="more than two: something was sent twice",
        ),
    ],
)
def test_the_same_words_to_one_phone_at_once(texts: list[ListedSms], expected: dict[int, str]) -> None:
    """A family's phone, or a patient with two sessions."""
    assert verdicts([doubt(1), doubt(2, at=0.5)], texts, now=RIPE + seconds(1)) == expected


def test_of_the_same_words_none_is_sent_again_where_the_list_may_hide_one() -> None:
    assert verdicts([doubt(1), doubt(2)], [listed("SM7")], trusted=False) == {1: "NoProof", 2: "NoProof"}


def test_one_text_in_doubt_that_is_listed_twice_was_sent_twice() -> None:
    assert verdicts([doubt()], [listed("SM1"), listed("SM2")]) == {1: "SM1 and more"}


def test_of_two_alike_each_waits_for_its_own_time() -> None:
    of_two = [doubt(1), doubt(2, at=60)]
    assert verdicts(of_two, [listed(at=61)]) == {1: "TooEarly", 2: "TooEarly"}
    assert verdicts(of_two, [listed(at=61)], now=RIPE + seconds(60)) == {1: "SM1", 2: "NotSent"}
    assert verdicts([doubt(1), doubt(2, at=60)], []) == {1: "NotSent", 2: "TooEarly"}


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        pytest.param(
            LATER + EARLIER, {1: "SM1", 2: "NotSent"}, id="the text may be the one's or the other's: it is the first's"
        ),
        pytest.param(LATER + EARLIER + MOMENT, {1: "SM1", 2: "NotSent"}, id="too far apart to be mixed up"),
    ],
)
def test_the_same_words_at_another_time_are_told_apart(apart: timedelta, expected: dict[int, str]) -> None:
    second = replace(doubt(2), started_at=START + apart, since=START + apart)
    assert verdicts([doubt(1), second], [listed(at=1)], now=START + apart + 2 * WAIT) == expected


def test_other_words_are_told_apart_by_their_words() -> None:
    texts = [listed("SM2", body=BYE)]
    assert verdicts([doubt(1), doubt(2, body=BYE)], texts) == {1: "NotSent", 2: "SM2"}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param([], {1: "NotSent"}, id="nothing is listed: not this one either"),
        pytest.param([listed()], {1: "NoProof"}, id="this one, or the one that is under way"),
        pytest.param([listed("SM1"), listed("SM2")], {1: "NoProof"}, id="both, but which is which will be told soon"),
    ],
)
def test_while_the_same_words_are_under_way_nothing_is_attached(
    texts: list[ListedSms], expected: dict[int, str]
) -> None:
    assert verdicts([doubt(1), doubt(2, at=2, open_to_all=False)], texts) == expected


def test_nobody_judges_what_is_under_way() -> None:
    assert verdicts([doubt(open_to_all=False)], [listed()]) == {}


# --- Whatever happens: the truth is drawn, and no verdict contradicts it ------------------------------------------


@dataclass(frozen=True)
class World:
    """Attempts to one number, and which of them the provider took, under the id ``SM<message>``."""

    doubts: tuple[Doubt, ...]
    listed: tuple[ListedSms, ...]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    doubts, texts = [], []
    for message_id in range(1, draw(st.integers(1, 6)) + 1):
        body = draw(st.sampled_from([HELLO, BYE]))
        at = draw(st.one_of(st.integers(0, 120), st.integers(0, 3600)))
        doubts.append(doubt(message_id, body=body, at=at))
        if draw(st.booleans()):
            texts.append(listed(f"SM{message_id}", body=body, at=at + draw(st.integers(-60, 300))))
    return World(tuple(doubts), tuple(draw(st.permutations(texts))))


LONG_AFTER = START + timedelta(hours=3)


@given(world=worlds())
def test_a_complete_list_settles_all_and_the_phone_gets_each_text_once(world: World) -> None:
    found = judge(world.doubts, Evidence(world.listed, (), trusted=True), now=LONG_AFTER, wait=WAIT)
    assert found.keys() == {each.message_id for each in world.doubts}
    assert {type(verdict) for verdict in found.values()} <= {Attach, NotSent}
    attached = [verdict for verdict in found.values() if isinstance(verdict, Attach)]
    assert sorted(each.listed.provider_sid for each in attached) == sorted(each.provider_sid for each in world.listed)
    assert not any(each.sent_twice for each in attached)


@given(world=worlds())
def test_no_text_is_attached_twice_and_only_to_its_own_words(world: World) -> None:
    found = judge(world.doubts, Evidence(world.listed, (), trusted=True), now=LONG_AFTER, wait=WAIT)
    bodies = {each.message_id: each.body for each in world.doubts}
    attached = [(verdict.listed, message_id) for message_id, verdict in found.items() if isinstance(verdict, Attach)]
    assert len({sms.provider_sid for sms, _ in attached}) == len(attached)
    assert all(sms.body == bodies[message_id] for sms, message_id in attached)


@given(world=worlds(), data=st.data())
def test_the_order_of_the_list_and_of_the_doubts_says_nothing(world: World, data: st.DataObject) -> None:
    doubts, texts = data.draw(st.permutations(world.doubts)), data.draw(st.permutations(world.listed))
    shuffled = World(tuple(doubts), tuple(texts))
    one, other = (
        judge(each.doubts, Evidence(each.listed, (), trusted=True), now=LONG_AFTER, wait=WAIT)
        for each in (world, shuffled)
    )
    assert one == other


@given(world=worlds(), hidden=st.integers(0, 5), trusted=st.booleans())
def test_a_list_that_hides_anything_proves_nothing_was_left_out(world: World, hidden: int, *, trusted: bool) -> None:
    shown = [replace(sms, body=None) if n == hidden else sms for n, sms in enumerate(world.listed)]
    evidence = Evidence(shown, (), trusted=trusted and hidden < len(shown))
    found = judge(world.doubts, evidence, now=LONG_AFTER, wait=WAIT)
    assert NotSent() not in found.values()


@given(world=worlds(), age=st.floats(0, 179))
def test_before_twice_the_wait_only_what_is_found_is_settled(world: World, age: float) -> None:
    young = tuple(replace(each, since=START) for each in world.doubts)
    found = judge(young, Evidence(world.listed, (), trusted=True), now=START + seconds(age), wait=WAIT)
    assert all(isinstance(verdict, Attach | TooEarly) for verdict in found.values())


# --- Is the list to be trusted, and when is it asked again --------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "trusted"),
    [
        pytest.param([listed()], True, id="there, with its words"),
        pytest.param([listed("SM0"), listed()], True, id="there, among others"),
        pytest.param([], False, id="not there: the list lags, or hides numbers"),
        pytest.param([listed("SM0")], False, id="another text of these words"),
        pytest.param([listed(body=None)], False, id="there, without words"),
        pytest.param([listed(body=BYE)], False, id="there, with other words"),
    ],
)
def test_a_list_is_tried_on_a_text_that_certainly_left(texts: list[ListedSms], *, trusted: bool) -> None:
    assert shows(texts, "SM1", body=HELLO) is trusted


@pytest.mark.parametrize(
    ("age", "next_age"),
    [
        pytest.param(90, 180, id="at the wait: again at twice the wait"),
        pytest.param(97, 180, id="a little late: still at twice the wait"),
        pytest.param(180, 270, id="then ever more rarely"),
        pytest.param(7200, 8100, id="at most a quarter of an hour later"),
        pytest.param(86400, 87300, id="even after a day"),
    ],
)
def test_when_the_provider_is_asked_again(age: float, next_age: float) -> None:
    assert ask_next(START, now=START + seconds(age), wait=WAIT) == START + seconds(next_age)


@given(wait=st.floats(0.1, 600))
def test_asking_goes_on_and_never_hammers(wait: float) -> None:
    now, asked = START + seconds(wait), 0
    while now - START < GIVE_UP:
        later = ask_next(START, now=now, wait=seconds(wait))
        assert seconds(wait) <= later - now <= LONGEST
        now, asked = later, asked + 1
    assert asked < 330
