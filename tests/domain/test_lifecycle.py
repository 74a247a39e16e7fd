"""The states of a message: every fact about it, in every state, and that nothing ever moves it backwards."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.lifecycle import MOVES, OUT_OF_HOUSE, State, advance
from service.domain.sms import Accepted, Blame, Outcome, ReceiptState, Refused, Unknown


def refused(blame: Blame) -> Refused:
    return Refused(blame, "1", "reason", "action")


ACCEPTED, UNKNOWN = Accepted("SM1"), Unknown("the line was cut")
FACTS = st.one_of(
    st.sampled_from(ReceiptState),
    st.sampled_from([ACCEPTED, UNKNOWN]),
    st.sampled_from(Blame).map(refused),
)


def test_the_states_are_those_of_the_contract() -> None:
    assert {state.value for state in State} == {
        "planned",
        "sending",
        "sent",
        "delivered",
        "undelivered",
        "failed",
        "cancelled",
        "missed",
        "unconfirmed",
    }
    assert set(MOVES) == set(State)
    assert set(State) > OUT_OF_HOUSE


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (ACCEPTED, State.SENT),
        (UNKNOWN, State.UNCONFIRMED),
        (refused(Blame.RETRY), State.PLANNED),
        (refused(Blame.SENDER), State.PLANNED),
        (refused(Blame.ACCOUNT), State.PLANNED),
        (refused(Blame.RECIPIENT), State.FAILED),
        (refused(Blame.OPTED_OUT), State.FAILED),
        (refused(Blame.MESSAGE), State.FAILED),
    ],
    ids=lambda fact: fact.blame.value if isinstance(fact, Refused) else getattr(fact, "value", type(fact).__name__),
)
def test_after_the_provider_was_asked(outcome: Outcome, state: State) -> None:
    assert advance(State.SENDING, outcome) is state


@pytest.mark.parametrize(
    ("receipt", "state"),
    [
        (ReceiptState.ACCEPTED, State.SENT),
        (ReceiptState.QUEUED, State.SENT),
        (ReceiptState.SENDING, State.SENT),
        (ReceiptState.SENT, State.SENT),
        (ReceiptState.DELIVERED, State.DELIVERED),
        (ReceiptState.UNDELIVERED, State.UNDELIVERED),
        (ReceiptState.FAILED, State.FAILED),
        (ReceiptState.CANCELLED, State.FAILED),
        (ReceiptState.OTHER, State.SENT),
    ],
)
def test_after_a_receipt_for_a_text_that_was_sent(receipt: ReceiptState, state: State) -> None:
    assert advance(State.SENT, receipt) is state


@pytest.mark.parametrize("receipt", [r for r in ReceiptState if r is not ReceiptState.OTHER])
@pytest.mark.parametrize("state", [State.SENDING, State.UNCONFIRMED])
def test_a_receipt_settles_what_nobody_was_sure_of(state: State, receipt: ReceiptState) -> None:
    assert advance(state, receipt) is advance(State.SENT, receipt)


@pytest.mark.parametrize("state", [State.SENDING, State.UNCONFIRMED])
def test_a_word_nobody_knows_settles_nothing(state: State) -> None:
    assert advance(state, ReceiptState.OTHER) is state


@given(facts=st.lists(FACTS))
def test_delivered_is_final(facts: Iterable[Outcome | ReceiptState]) -> None:
    state = State.DELIVERED
    for fact in facts:
        state = advance(state, fact)
    assert state is State.DELIVERED


@pytest.mark.parametrize("late", [ReceiptState.QUEUED, ReceiptState.SENT, ReceiptState.ACCEPTED, ReceiptState.OTHER])
@pytest.mark.parametrize("state", [State.DELIVERED, State.UNDELIVERED, State.FAILED, State.CANCELLED, State.MISSED])
def test_a_late_receipt_never_pulls_a_text_back(state: State, late: ReceiptState) -> None:
    assert advance(state, late) is state


@pytest.mark.parametrize("state", [State.UNDELIVERED, State.FAILED, State.CANCELLED, State.MISSED])
@pytest.mark.parametrize("receipt", ReceiptState)
def test_no_receipt_sends_a_text_again(state: State, receipt: ReceiptState) -> None:
    assert advance(state, receipt) is state


def test_a_text_planned_once_more_is_not_sent_when_the_first_attempt_did_arrive() -> None:
    assert advance(State.PLANNED, ReceiptState.DELIVERED) is State.DELIVERED


@given(state=st.sampled_from(State), fact=FACTS)
def test_every_move_stands_in_the_table(state: State, fact: Outcome | ReceiptState) -> None:
    reached = advance(state, fact)
    assert reached is state or reached in MOVES[state]


def test_back_to_planned_lead_only_the_edges_that_are_listed() -> None:
    assert {state for state, reached in MOVES.items() if State.PLANNED in reached} == {
        State.SENDING,
        State.UNCONFIRMED,
        State.UNDELIVERED,
        State.FAILED,
        State.CANCELLED,
        State.MISSED,
    }


@pytest.mark.parametrize("state", sorted(OUT_OF_HOUSE - {State.SENDING, State.UNCONFIRMED}))
def test_an_unknown_outcome_makes_nothing_uncertain_that_was_certain(state: State) -> None:
    assert advance(state, UNKNOWN) is state
