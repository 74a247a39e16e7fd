"""The pretend phone network: the same seed gives the same day, and its record is the truth."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.sms import Accepted, ReceiptState
from service.gateways.simulated import NetworkConfig, SimulatedGateway, SimulatedNetwork
from tests.gateways.conftest import VirtualClock, World, text, texts


def day(nonce: str, seed: int, *, backwards: bool = False) -> dict[int, str]:
    """What became of each of 200 texts in bad weather."""
    clock = VirtualClock()
    config = NetworkConfig(seed=seed, busy=0.1, fails_before=0.1, fails_after=0.1, undelivered=0.2)
    network = SimulatedNetwork(nonce, config)
    batch = texts(200)[::-1] if backwards else texts(200)
    outcomes = list(SimulatedGateway(network, clock).send_batch(batch))
    ends = {taken.text.message_id: taken.steps[-1][1].value for taken in network.accepted.values()}
    return {
        message.message_id: f"{type(outcome).__name__} {ends.get(message.message_id)}" for message, outcome in outcomes
    }


def test_the_same_seed_gives_the_same_day_in_any_order() -> None:
    assert day("a", 1) == day("b", 1) == day("a", 1, backwards=True)
    assert day("a", 1) != day("a", 2)


def test_what_befalls_a_text_does_not_depend_on_our_ids() -> None:
    """The same clinic run on another database, or replayed from a backup, meets the same weather."""

    def fates(first_id: int, attempt: int) -> list[str]:
        network = SimulatedNetwork("test", NetworkConfig(busy=0.2, fails_before=0.2, fails_after=0.2))
        batch = [replace(each, message_id=first_id + n, attempt=attempt) for n, each in enumerate(texts(100))]
        return [type(outcome).__name__ for _, outcome in SimulatedGateway(network, VirtualClock()).send_batch(batch)]

    assert fates(1, 1) == fates(5000, 3)


def test_trying_again_is_another_chance() -> None:
    network = SimulatedNetwork("test", NetworkConfig(busy=0.5))
    gateway = SimulatedGateway(network, VirtualClock())
    tries = [outcome for _, outcome in gateway.send_batch([text(attempt=n) for n in range(1, 40)])]
    assert {isinstance(outcome, Accepted) for outcome in tries} == {True, False}


def test_ids_are_unique_among_processes_and_look_like_the_providers() -> None:
    sids = {
        outcome.provider_sid
        for nonce in ("first process", "second process")
        for _, outcome in SimulatedGateway(SimulatedNetwork(nonce), VirtualClock()).send_batch(
            [*texts(100), *texts(100)]
        )
        if isinstance(outcome, Accepted)
    }
    assert len(sids) == 400
    assert all(re.fullmatch(r"SM[0-9a-f]{32}", sid) for sid in sids)


def test_a_text_of_another_process_was_delivered(simulated: World) -> None:
    [receipt] = simulated.gateway.receipts_for(["SM" + "0" * 32])
    assert (receipt.state, receipt.message_id) == (ReceiptState.DELIVERED, None)


def test_a_receipt_names_our_own_id(simulated: World) -> None:
    [(_, outcome)] = simulated.gateway.send_batch([text(42)])
    assert isinstance(outcome, Accepted)
    [receipt] = simulated.gateway.receipts_for([outcome.provider_sid])
    assert receipt.message_id == 42


def test_a_network_that_leaves_opt_outs_to_us(simulated: World) -> None:
    simulated.behave(stop_words=frozenset())
    simulated.network.say(text().to, str(text().sender.number), body="STOP", now=simulated.clock())
    [(_, outcome)] = simulated.gateway.send_batch([text()])
    assert isinstance(outcome, Accepted)


SENT, DELIVERED = ReceiptState.SENT, ReceiptState.DELIVERED


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, [SENT, DELIVERED]),
        ({"receipts_swapped": 1.0}, [DELIVERED, SENT]),
        ({"receipts_doubled": 1.0}, [SENT, SENT, DELIVERED, DELIVERED]),
        ({"receipts_lost": 1.0}, []),
        ({"undelivered": 1.0}, [SENT, ReceiptState.UNDELIVERED]),
    ],
    ids=["as they should be", "in the wrong order", "doubled", "lost", "bad news"],
)
def test_reports_the_network_sends_by_itself(
    simulated: World, how: dict[str, float], expected: list[ReceiptState]
) -> None:
    simulated.behave(**how)
    list(simulated.gateway.send_batch([text()]))
    assert simulated.network.reports_due(simulated.clock()) == []
    first = simulated.network.reports_due(simulated.clock.forward(seconds=1))
    assert len(first) == len(expected) / 2
    simulated.clock.forward(days=1)
    assert [state for _, state in first + simulated.network.reports_due(simulated.clock())] == expected
    assert simulated.network.reports_due(simulated.clock()) == []


def test_receipts_come_as_late_as_the_network_is_slow(simulated: World) -> None:
    simulated.behave(receipt_delay=timedelta(hours=2))
    [(_, outcome)] = simulated.gateway.send_batch([text()])
    assert isinstance(outcome, Accepted)
    for hours, state in ((0, ReceiptState.QUEUED), (1, SENT), (1, DELIVERED)):
        simulated.clock.forward(hours=hours)
        [receipt] = simulated.gateway.receipts_for([outcome.provider_sid])
        assert receipt.state is state
