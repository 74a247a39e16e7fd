"""Workers and people at the same moment: one of them wins, the other is told, and rates and caps hold for all together."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, text

from service.domain.rates import AHEAD, carriers_day
from service.flows.claiming import claim_and_compose, set_aside
from service.flows.dispatcher import dispatch_due
from service.flows.planner import plan_pending
from service.flows.staffing import TooLate, skip_message
from service.store.tables import Message, SendAttempt, Sender
from tests.domain.cases import DAY, HOUR
from tests.flows.clinic_life import ClinicLife, rate, ready
from tests.store.factories import NOW
from tests.store.test_marking_race import WAITING

SECOND = timedelta(seconds=1)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""SQLite has one writer at a time: nobody meets anybody half way."""


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Each in a thread of its own, all beginning at the same moment."""
    start = Barrier(len(acts))

    def begin(act: Callable[[], Any]) -> Any:
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(begin, acts))


def sent(life: ClinicLife) -> Counter[int]:
    return Counter(each.message_id for each in life.left())


# a person who skips a text, and a worker that sends it


def skip(life: ClinicLife, message: Message) -> bool:
    """Whether it was in time."""
    try:
        with life.sessions.begin() as db:
            skip_message(db, message.id, reason="phoned", by="nurse", now=life.now)
    except TooLate:
        return False
    return True


def test_skipping_and_sending_at_once_end_with_one_winner_who_is_told_so(life: ClinicLife) -> None:
    rate(life, 1000.0)
    for message in ready(life, 15):
        skipped, _ = at_once(partial(skip, life, message), life.dispatch)
        assert sent(life)[message.id] == (0 if skipped else 1)
        assert life.fresh(message).state == ("cancelled" if skipped else "sent")
        assert life.fresh(message).attempts == (0 if skipped else 1)


@ON_POSTGRESQL
def test_a_skip_that_is_half_way_keeps_the_worker_off(life: ClinicLife) -> None:
    (message,) = ready(life, 1)
    with life.sessions.begin() as db:
        skip_message(db, message.id, reason="phoned", by="nurse", now=life.now)
        life.dispatch()
        assert life.left() == []
    life.dispatch()
    assert (life.left(), life.fresh(message).state) == ([], "cancelled")


@ON_POSTGRESQL
def test_a_claim_that_is_half_way_makes_the_person_wait_and_then_says_that_it_leaves(life: ClinicLife) -> None:
    (message,) = ready(life, 1)

    def try_to_skip() -> str:
        with life.sessions.begin() as db, pytest.raises(TooLate) as late:
            skip_message(db, message.id, reason="phoned", by="nurse", now=life.now)
        return str(late.value)

    with ThreadPoolExecutor(1) as pool, life.sessions() as watcher:
        with life.sessions.begin() as worker:
            assert claim_and_compose(worker, 1, now=life.now, policy=life.policy).outgoing
            told = pool.submit(try_to_skip)
            while not watcher.scalar(WAITING):
                assert not told.done(), "the person did not wait"
                watcher.rollback()
        assert "it is leaving at this moment" in told.result()


# planning that withdraws, and a worker that sends


def test_withdrawing_and_sending_at_once_end_with_one_of_them(life: ClinicLife) -> None:
    rate(life, 1000.0)
    for _ in range(6):
        session = life.booked(NOW + 20 * DAY)
        life.plan()
        (message,) = life.messages(step=life.book.keys["booked"], session_id=session.id)
        life.change(message, due_at=life.now, attempt_at=life.now)

        def withdraw(session: Any = session) -> None:
            life.change(session, status="cancelled")
            plan_pending(life.sessions, life.clock, answers_understood=True)

        at_once(withdraw, life.dispatch)
        life.plan()
        life.now += 3 * SECOND
        life.tick()
        state = life.fresh(message).state
        assert (state, sent(life)[message.id]) in [("cancelled", 0), ("sent", 1)]


# rates and caps


@pytest.mark.parametrize("per_second", [0.4, 3.0], ids=["slow", "usual"])
def test_many_workers_keep_one_rate_whenever_they_come(life: ClinicLife, per_second: float) -> None:
    rate(life, per_second)
    texts = [*ready(life, 20), *ready(life, 10, text="Two parts. " * 20), *ready(life, 10, priority=0)]
    workers = [lambda: dispatch_due(life.sessions, life.gateway, life.clock, life.policy)] * 4
    for step in (0, 1, 0, 2, 7, 1, 1, 3, 0, 12, 1, 1):
        life.now += step * SECOND
        at_once(*workers)
    assert max(sent(life).values()) == 1
    segments = {message.id: message.segments or 0 for message in life.messages(kind="staff")}
    left = sorted((each.at, segments[each.message_id]) for each in life.left())
    assert 0 < len(left) <= len(texts)
    longest = 2
    for i, (start, _) in enumerate(left):
        for end, _ in left[i:]:
            carried = sum(n for moment, n in left if start <= moment <= end)
            assert carried <= per_second * ((end - start) + AHEAD).total_seconds() + longest
    assert sum(n for _, n in left) >= min(per_second * 29, sum(segments.values())), "and none of the rate is wasted"


def test_many_workers_keep_one_daily_cap(life: ClinicLife) -> None:
    rate(life, 1000.0, daily_segments=11)
    ready(life, 10)
    ready(life, 5, text="Two parts. " * 20)
    urgent = ready(life, 3, priority=0)
    at_once(*[lambda: dispatch_due(life.sessions, life.gateway, life.clock, life.policy)] * 6)
    life.dispatch()
    with life.sessions() as db:
        own = select(SendAttempt.segments, Message.priority).join(Message, Message.id == SendAttempt.message_id)
        handed_over = db.execute(own).all()
        sender = db.get_one(Sender, 1)
    assert sum(n for n, _ in handed_over) == 11
    assert sum(n for n, priority in handed_over if priority == 0) == len(urgent)
    assert (sender.day, sender.day_segments) == (carriers_day(NOW), 11)
    assert {(m.state, m.held_reason) for m in life.messages(kind="staff")} == {
        ("sent", None),
        ("planned", "daily_cap"),
    }


def test_urgent_texts_go_on_although_many_workers_have_used_up_the_day(life: ClinicLife) -> None:
    rate(life, 1000.0, daily_segments=2)
    ready(life, 5)
    at_once(*[lambda: dispatch_due(life.sessions, life.gateway, life.clock, life.policy)] * 4)
    urgent = ready(life, 6, priority=1, urgency="care")
    at_once(*[lambda: dispatch_due(life.sessions, life.gateway, life.clock, life.policy)] * 4)
    life.dispatch()
    assert {life.fresh(message).state for message in urgent} == {"sent"}


@ON_POSTGRESQL
def test_nothing_is_set_aside_of_a_sender_that_another_worker_is_at(life: ClinicLife) -> None:
    (message,) = ready(life, 1)
    with life.sessions() as other, life.sessions.begin() as db:
        claim_and_compose(other, 1, now=life.now, policy=life.policy)
        assert set_aside(db, 1, now=life.now, policy=life.policy).looked == 0
        other.rollback()
    assert life.fresh(message).state == "planned"


@ON_POSTGRESQL
def test_a_worker_that_is_frozen_in_its_claim_stops_nobody_else(life: ClinicLife) -> None:
    """Its sender waits until the database lets go of it; every other goes on."""
    with life.sessions.begin() as db:
        db.add(Sender(id=2, key="second", number="+13125550188"))
    (stuck,), (free,) = ready(life, 1), ready(life, 1, sender_id=2)
    with life.sessions() as frozen:
        frozen.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        claim_and_compose(frozen, 1, now=life.now, policy=life.policy)
        life.dispatch()
        assert life.fresh(free).state == "sent"
        frozen.rollback()
    life.now += HOUR
    life.dispatch()
    assert life.fresh(stuck).state == "sent"
