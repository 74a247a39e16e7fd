"""Each sender goes its own way: what one of them waits for, or breaks on, keeps no other waiting."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Outcome, OutgoingSms
from service.flows.dispatcher import Sending, dispatch_due
from service.flows.lanes import Lanes
from service.store.tables import Message, Sender
from tests.flows.clinic_life import SENDER, ClinicLife, Watched
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
SECOND = timedelta(seconds=1)
OTHER = "+13125550188"
LONG = 30.0
"""Only a test that fails waits this long."""


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    life = ClinicLife(sessions)
    with sessions.begin() as db:
        db.add(Sender(id=2, key="second", number=OTHER))
    return life


def ready(life: ClinicLife, n: int = 1, **over: Any) -> list[Message]:
    people = [life.patient() for _ in range(n)]
    life.plan()
    return [life.message(patient, **over) for patient in people]


class Slow(Watched):
    """A provider that answers one sender only when it is let go, and tells what it began to send."""

    def __init__(self, life: ClinicLife) -> None:
        super().__init__(life.gateway, lambda _: None)
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.batches: list[str | None] = []

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        if messages:
            self.batches.append(messages[0].sender.number)
        for message in messages:
            if message.sender.number == SENDER:
                self.begun.set()
                assert self.let_go.wait(LONG)
            yield from self._gateway.send_batch([message])


def sending(life: ClinicLife, *, go_on: Callable[[], bool] = lambda: True) -> Sending:
    return Sending(life.sessions, life.gateway, life.clock, life.policy, go_on)


def finish(lanes: Lanes, sender_id: int) -> None:
    """Wait until a sender's lane has ended; it is told of at the next tick."""
    futures.wait([lanes._under_way[sender_id]], LONG)


def state(life: ClinicLife, text: Message) -> str:
    return str(life.fresh(text).state)


def test_a_sender_whose_provider_hangs_keeps_no_other_waiting(life: ClinicLife) -> None:
    slow = life.gateway = Slow(life)
    (hanging,), (first,) = ready(life), ready(life, sender_id=2)
    lanes = Lanes(sending(life))
    try:
        lanes()
        assert slow.begun.wait(LONG)
        finish(lanes, 2)
        assert (state(life, hanging), state(life, first)) == ("sending", "sent")

        (late,), (next_one,) = ready(life), ready(life, sender_id=2)
        assert lanes() == 1, "what has ended since the last tick: the other sender's text"
        finish(lanes, 2)
        assert (state(life, late), state(life, next_one)) == ("planned", "sent")
        assert slow.batches.count(SENDER) == 1, "a lane that is under way is left alone"
    finally:
        slow.let_go.set()
        lanes.close()
    assert (state(life, hanging), state(life, late)) == ("sent", "sent")


def test_a_lane_goes_on_until_the_sender_has_nothing_more_to_send_now(life: ClinicLife) -> None:
    texts = ready(life, 3)
    held = ready(life, 2)
    life.sql("UPDATE sender SET daily_segments = 3 WHERE id = 1")
    lanes = Lanes(sending(life))
    assert lanes() == 0
    finish(lanes, 1)
    assert lanes() == 5
    lanes.close()
    assert {state(life, text) for text in texts} == {"sent"}
    assert {life.fresh(text).held_reason for text in held} == {"daily_cap"}


def test_what_breaks_one_lane_is_told_at_the_next_tick_and_costs_no_other(life: ClinicLife) -> None:
    broken = OperationalError("SELECT 1", None, Exception("not now"))

    def breaks(sms: OutgoingSms) -> None:
        if sms.sender.number == SENDER:
            raise broken

    inner = life.gateway
    life.gateway = Watched(inner, breaks)
    ready(life)
    (other,) = ready(life, sender_id=2)
    lanes = Lanes(sending(life))
    lanes()
    finish(lanes, 1)
    finish(lanes, 2)
    (again,) = ready(life, sender_id=2)
    with pytest.raises(OperationalError):
        lanes()
    finish(lanes, 2)
    assert (state(life, other), state(life, again)) == ("sent", "sent")
    assert lanes() == 1
    lanes.close()


def test_once_the_service_stops_no_lane_begins(life: ClinicLife) -> None:
    (text,) = ready(life)
    lanes = Lanes(sending(life, go_on=lambda: False))
    lanes()
    lanes.close()
    assert state(life, text) == "planned"


def test_closing_waits_for_what_is_under_way(life: ClinicLife) -> None:
    slow = life.gateway = Slow(life)
    (hanging,) = ready(life)
    lanes = Lanes(sending(life))
    lanes()
    assert slow.begun.wait(LONG)
    closing = threading.Thread(target=lanes.close)
    closing.start()
    slow.let_go.set()
    closing.join(LONG)
    assert not closing.is_alive()
    assert state(life, hanging) == "sent"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_sender_that_another_worker_is_at_is_not_waited_for(life: ClinicLife) -> None:
    (mine,), (theirs,) = ready(life, sender_id=2), ready(life)
    with life.sessions.begin() as other:
        other.scalars(select(Sender).where(Sender.id == 1).with_for_update(key_share=True)).one()
        assert dispatch_due(life.sessions, life.gateway, life.clock, life.policy) == 1
        assert (state(life, mine), state(life, theirs)) == ("sent", "planned")
    life.dispatch()
    assert state(life, theirs) == "sent"


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param("UPDATE sender SET paused_at = :now WHERE id = 1", id="paused"),
        pytest.param("UPDATE sender SET daily_segments = 0 WHERE id = 1", id="its day is full"),
        pytest.param("UPDATE sender SET segments_per_second = 0.01 WHERE id = 1", id="slow"),
    ],
)
def test_one_senders_trouble_costs_another_nothing(life: ClinicLife, trouble: str) -> None:
    theirs, ours = ready(life, 20), ready(life, 10, sender_id=2)
    life.sql(trouble, **({"now": NOW} if ":now" in trouble else {}))
    life.dispatch()
    assert {state(life, text) for text in ours} == {"sent"}
    assert sum(state(life, text) == "sent" for text in theirs) <= 1
