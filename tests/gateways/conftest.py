"""Each gateway with the pretend network behind it, on a clock that only the test moves."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.domain.sms import OutgoingSms, Sender, SmsGateway
from service.gateways.simulated import SimulatedGateway, SimulatedNetwork
from service.gateways.twilio import TwilioConfig, TwilioGateway
from tests.fakes.twilio_server import ACCOUNT_SID, KEY_SECRET, KEY_SID, OUR_NUMBER, FakeTwilio

PATIENT = "+15551230001"
OURS = Sender(number=OUR_NUMBER)
FAR = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class VirtualClock:
    now: datetime = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **how_far: float) -> datetime:
        self.now += timedelta(**how_far)
        return self.now


@dataclass
class World:
    """A network, and one way to it."""

    gateway: SmsGateway
    clock: VirtualClock
    network: SimulatedNetwork

    def behave(self, **how: Any) -> None:
        """Change some of the network's :class:`NetworkConfig`."""
        self.network.config = replace(self.network.config, **how)


@dataclass
class TwilioWorld(World):
    gateway: TwilioGateway
    server: FakeTwilio = field(kw_only=True)


def text(
    message_id: int = 1,
    *,
    attempt: int = 1,
    to: str = PATIENT,
    body: str = "Your visit is tomorrow at 2 pm.",
    sender: Sender = OURS,
    leave_by: datetime = FAR,
) -> OutgoingSms:
    """It may leave for as long as it is of use, unless a test says otherwise."""
    return OutgoingSms(message_id, attempt, to, body, sender, validity_seconds=3600, leave_by=leave_by)


def texts(how_many: int) -> list[OutgoingSms]:
    """Each to a number of its own, with words of its own."""
    return [text(n, to=f"+1555{n:07}", body=f"Text number {n}.") for n in range(1, how_many + 1)]


def twilio_config(server: FakeTwilio) -> TwilioConfig:
    """With patience: a machine that is busy with other tests is no provider that hangs."""
    return TwilioConfig(
        ACCOUNT_SID,
        KEY_SID,
        KEY_SECRET,
        base_url=server.url,
        public_base_url="https://texts.example.org",
        timeout_seconds=60.0,
        connect_seconds=60.0,
    )


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork("test")


@pytest.fixture
def server(network: SimulatedNetwork, clock: VirtualClock) -> Iterator[FakeTwilio]:
    with FakeTwilio(network, clock).running() as server:
        yield server


@pytest.fixture
def twilio(server: FakeTwilio, network: SimulatedNetwork, clock: VirtualClock) -> Iterator[TwilioWorld]:
    gateway = TwilioGateway(twilio_config(server), clock)
    yield TwilioWorld(gateway, clock, network, server=server)
    gateway.close()


@pytest.fixture
def simulated(network: SimulatedNetwork, clock: VirtualClock) -> World:
    return World(SimulatedGateway(network, clock), clock, network)


@pytest.fixture(params=["simulated", "twilio"])
def world(request: pytest.FixtureRequest) -> World:
    """Every gateway in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, World)
    return found
