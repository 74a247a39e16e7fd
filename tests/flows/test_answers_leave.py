"""From a phone's word to the answer on the phone: everything between is the way that every text takes."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.flows.dispatcher import dispatch_due
from service.flows.inbox import poll_inbound
from service.flows.planner import plan_pending
from service.flows.policy import SendingPolicy
from service.flows.receipts import poll_receipts
from service.gateways.simulated import NetworkConfig, SimulatedGateway, SimulatedNetwork
from service.store.tables import Message
from tests.flows.phones import OUR_NUMBER, PHONE, Phones

Sessions = sessionmaker[Session]


class World:
    """Phones on a pretend network that leaves opt-outs to us, and the ticks that run here."""

    def __init__(self, sessions: Sessions) -> None:
        self.phones = Phones(sessions)
        self.network = SimulatedNetwork("test", NetworkConfig(stop_words=frozenset()))
        self.gateway = SimulatedGateway(self.network, self.phones.clock)

    def say(self, body: str) -> None:
        self.network.say(PHONE, OUR_NUMBER, body=body, now=self.phones.now)

    def tick(self) -> None:
        sessions, clock = self.phones.sessions, self.phones.clock
        poll_inbound(sessions, self.gateway, clock, stop_replies="own")
        plan_pending(sessions, clock, answers_understood=False)
        dispatch_due(sessions, self.gateway, clock, SendingPolicy(answers_understood=False))
        self.phones.later(seconds=30)
        poll_receipts(sessions, self.gateway, clock, after=timedelta(0))

    def arrived(self) -> list[str]:
        """The texts that the phone got."""
        return [taken.text.body for taken in self.network.accepted.values() if taken.text.to == PHONE]


@pytest.fixture
def world(sessions: Sessions) -> World:
    return World(sessions)


@pytest.mark.parametrize("known", [True, False], ids=["a patient", "nobody we know"])
@pytest.mark.parametrize(
    ("body", "language", "begins"),
    [
        pytest.param("HELP", "en", "Lakeside Clinic session texts.", id="help"),
        pytest.param("ayuda", "es", "SMS de Lakeside Clinic.", id="help, in Spanish"),
        pytest.param("STOP", "en", "Lakeside Clinic: you will get no more texts", id="opt-out"),
        pytest.param("dur", "tr", "Lakeside Clinic: artik mesaj almayacaksiniz.", id="opt-out, in Turkish"),
        pytest.param("what?", "en", "Lakeside Clinic: we could not read that.", id="nobody can read it"),
    ],
)
def test_the_answer_arrives(world: World, body: str, language: str, begins: str, *, known: bool) -> None:
    clinic = world.phones.clinic(languages=f"{language},en")
    if known:
        world.phones.agreed(world.phones.patient(clinic))
    world.say(body)
    world.tick()
    (text,) = world.arrived()
    assert text.startswith(begins)
    assert [message.state for message in world.phones.rows(Message) if message.kind == "reply"] == ["delivered"]


def test_a_reminder_is_confirmed_and_an_opt_out_ends_what_follows(world: World) -> None:
    patient = world.phones.agreed(world.phones.patient())
    session = world.phones.session(patient, scheduled_start=world.phones.now + timedelta(hours=28))
    world.phones.later(hours=2)
    world.tick()
    assert [text for text in world.arrived() if "Reply C" in text]
    world.say("C")
    world.tick()
    assert world.phones.one(session).confirmed_start == session.scheduled_start
    before = len(world.arrived())
    world.say("STOP")
    world.tick()
    assert [text.startswith("Lakeside Clinic: you will get no more") for text in world.arrived()[before:]] == [True]
    waiting = [m for m in world.phones.rows(Message) if m.state == "planned"]
    assert waiting == []
    world.phones.later(days=2)
    world.tick()
    assert len(world.arrived()) == before + 1


def test_a_yes_to_the_request_starts_the_texts(world: World) -> None:
    patient = world.phones.patient(may_ask=True, added_at=world.phones.now)
    world.phones.session(patient, scheduled_start=world.phones.now + timedelta(days=8))
    world.tick()
    (request,) = world.arrived()
    assert "YES" in request
    world.say("yes")
    world.tick()
    told: list[Any] = [(m.step, m.state) for m in world.phones.rows(Message) if m.step == "welcome"]
    assert [step for step, _ in told] == ["welcome"]
    world.phones.later(minutes=2)
    world.tick()
    assert len(world.arrived()) >= 2
