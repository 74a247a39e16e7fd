"""Who knocks too often without a signature is sent away; who signs never is."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient
from structlog.typing import EventDict

from service.web import door
from service.web.door import Strangers
from tests.conftest import copy_of
from tests.fakes.apps import StoppedClock
from tests.web.test_webhooks import FORM, INBOUND, REPORT, STATUS, TEXT, post

A_FEW = 3


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """One engine is enough: hardly anybody gets as far as that."""
    return copy_of(sqlite_template, tmp_path)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BURST", A_FEW)


def knock(client: TestClient, *, signature: str | None = None) -> int:
    headers = {"Content-Type": FORM} | ({"X-Twilio-Signature": signature} if signature else {})
    return client.post(INBOUND, content=urlencode(TEXT), headers=headers).status_code


@pytest.mark.parametrize("signature", [None, "guessed"], ids=["no signature", "a wrong one"])
def test_after_a_burst_strangers_are_sent_away(client: TestClient, signature: str | None) -> None:
    assert [knock(client, signature=signature) for _ in range(A_FEW + 2)] == [403] * A_FEW + [429] * 2


def test_after_a_while_they_may_knock_again(client: TestClient, clock: StoppedClock) -> None:
    for _ in range(A_FEW + 1):
        knock(client)
    clock.move(timedelta(seconds=1))
    assert knock(client) == 403


def test_signed_calls_are_let_in_whatever_else_comes_from_their_address(client: TestClient) -> None:
    """Behind a proxy it is everybody's."""
    for _ in range(A_FEW + 5):
        knock(client)
    assert post(client, STATUS, REPORT).status_code == 204


def test_signed_calls_use_nothing_up(client: TestClient) -> None:
    nameless = {name: value for name, value in TEXT.items() if name != "MessageSid"}
    assert {post(client, INBOUND, nameless).status_code for _ in range(A_FEW + 5)} == {400}
    assert knock(client) == 403


def test_a_flood_is_counted_and_not_written_down(client: TestClient, logged: list[EventDict]) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("aftercare_webhooks_refused_total", {"why": "too_many"}) or 0

    before = counted()
    for _ in range(A_FEW + 20):
        knock(client)
    assert [event["event"] for event in logged] == ["webhook_refused"] * A_FEW
    assert counted() == before + 20


def test_each_address_has_its_own_measure_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_ADDRESSES", 2)
    strangers = Strangers(StoppedClock())
    for _ in range(A_FEW + 1):
        strangers.note("192.0.2.1")
    assert [strangers.is_tired_of(address) for address in ("192.0.2.1", "192.0.2.2")] == [True, False]
    strangers.note("192.0.2.2")
    strangers.note("192.0.2.3")
    assert not strangers.is_tired_of("192.0.2.1")


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    clock = StoppedClock()
    strangers = Strangers(clock)
    for _ in range(A_FEW + 1):
        strangers.note("192.0.2.1")
    clock.move(timedelta(hours=-1))
    assert not strangers.is_tired_of("192.0.2.1")
