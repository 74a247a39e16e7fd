"""What makes the world go: processes that die, ticks that come by when there is work, mishaps at the worst moments."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.errors import AftercareError
from service.domain.sms import OutgoingSms, Sender
from service.flows.policy import SendingPolicy
from service.simulator.agenda import Act
from service.simulator.chaos import DiedError, Fate
from service.simulator.clockwork.chores import Chores
from service.simulator.clockwork.house import House
from service.simulator.clockwork.mishaps import Mishaps
from service.simulator.clockwork.ticks import PACES, Ticks
from service.simulator.clockwork.world import World
from service.store.tables import Message, Patient
from tests.simulator.stage import DAY, NOON, Stage

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def stage(sqlite_sessions: sessionmaker[Session]) -> Stage:
    return Stage(sqlite_sessions)


def raises(error: BaseException) -> Act:
    def act() -> None:
        raise error

    return act


def house(stage: Stage) -> House:
    return House(stage.clock, stage.log, stage.dice)


# processes


def test_a_worker_that_dies_is_started_again_later_and_the_web_server_goes_on(stage: Stage) -> None:
    found = house(stage)
    assert found.work(raises(DiedError("dispatcher.claim: after the commit"))) is None
    assert not found.works
    assert found.knock(lambda: None)
    (trouble,) = stage.noted("trouble")
    assert (trouble["what"], trouble["who"], trouble["where"]) == (
        "died",
        "worker",
        "dispatcher.claim: after the commit",
    )
    stage.clock.reach(found.worker_up_at)
    assert found.works


def test_a_web_server_that_dies_answers_nobody_for_a_while(stage: Stage) -> None:
    found = house(stage)
    assert not found.knock(raises(DiedError("a border")))
    assert not found.knock(lambda: None)
    stage.clock.reach(found.web_up_at)
    assert found.knock(lambda: None)


def test_trouble_with_the_database_or_the_network_kills_nobody(stage: Stage) -> None:
    found = house(stage)
    for error in (OperationalError("out", None, Exception()), AftercareError("the network is out")):
        assert found.work(raises(error)) is None
    assert not found.knock(raises(OperationalError("out", None, Exception())))
    assert (found.works, stage.noted("trouble")) == (True, [])


def test_a_fault_of_the_service_is_not_hidden(stage: Stage) -> None:
    with pytest.raises(ZeroDivisionError):
        house(stage).work(raises(ZeroDivisionError()))


# ticks


def ticks(stage: Stage, **chores: Callable[[], int]) -> Ticks:
    idle = dict.fromkeys(PACES, lambda: 0)
    return Ticks(
        {**idle, **chores},
        clock=stage.clock,
        peeping=stage.sessions,
        dice=stage.dice,
        unheard=lambda: stage.phones.unheard,
    )


def message(stage: Stage, **values: Any) -> None:
    """A text of a patient whom planning has seen; due in two hours unless said otherwise."""
    person = stage.person()
    stage.records.enter(person)
    due = NOON + timedelta(hours=2)
    row = {
        "clinic_id": stage.place.id,
        "patient_id": person.id,
        "identity": f"staff:{person.key}",
        "kind": "staff",
        "urgency": "routine",
        "priority": 2,
        "sender_id": 1,
        "state": "planned",
        "due_at": due,
        "attempt_at": due,
        "expires_at": NOON + DAY,
    }
    with stage.sessions.begin() as db:
        db.add(Message(**row | values))
        db.execute(update(Patient).values(marked=False))


def next_tick(stage: Stage) -> tuple[datetime, str] | None:
    found = ticks(stage)
    found.look()
    return found.first()


def test_a_world_without_work_has_no_ticks(stage: Stage) -> None:
    assert next_tick(stage) is None


def test_a_text_is_sent_when_it_is_due(stage: Stage) -> None:
    message(stage)
    assert next_tick(stage) == (NOON + timedelta(hours=2), "dispatch")


def test_a_text_is_given_up_when_it_is_no_longer_of_use(stage: Stage) -> None:
    message(stage, attempt_at=NOON + 2 * DAY)
    assert next_tick(stage) == (NOON + DAY - MINUTE, "dispatch")


def test_a_clock_that_is_ahead_brings_everything_forward(stage: Stage) -> None:
    message(stage)
    stage.clock.off_by = timedelta(minutes=30)
    assert next_tick(stage) == (NOON + timedelta(minutes=90), "dispatch")


def test_a_marked_patient_is_planned_within_seconds(stage: Stage) -> None:
    stage.records.enter(stage.person())
    found = next_tick(stage)
    assert found is not None
    assert (found[1], NOON <= found[0] <= NOON + 5 * SECOND) == ("plan", True)


@pytest.mark.parametrize(
    ("state", "tick", "after"),
    [
        ({"state": "sending", "claimed_at": NOON}, "recover", 45 * SECOND),
        ({"state": "unconfirmed", "sent_at": NOON}, "recover", 90 * SECOND),
        ({"state": "unconfirmed", "sent_at": NOON, "attempt_at": NOON + DAY / 2}, "recover", DAY / 2),
        ({"state": "sent", "sent_at": NOON, "provider_sid": "SM1"}, "receipts", 6 * MINUTE),
    ],
    ids=["a claim that nobody settles", "a doubt", "a doubt whose turn is later", "a text without a report"],
)
def test_what_hangs_is_looked_after(stage: Stage, state: dict[str, Any], tick: str, after: timedelta) -> None:
    message(stage, **{"attempt_at": NOON - MINUTE} | state)
    assert next_tick(stage) == (NOON + after, tick)


def test_what_a_phone_said_and_nobody_brought_is_fetched_within_minutes(stage: Stage) -> None:
    stage.phones.say("+15552000001", "+15550100001", "C")
    found = next_tick(stage)
    assert found is not None
    assert (found[1], found[0] <= NOON + 5 * MINUTE) == ("fetch", True)


def test_a_tick_that_finds_nothing_to_do_comes_by_more_and_more_rarely_until_something_happens(stage: Stage) -> None:
    stage.records.enter(stage.person())
    found, gaps = ticks(stage), []
    for _ in range(12):
        found.look()
        first = found.first()
        assert first is not None
        gaps.append(first[0] - stage.clock.now)
        stage.clock.reach(first[0])
        found.run("plan")
    assert gaps[-1] > gaps[3] > gaps[1]
    assert max(gaps) <= PACES["plan"].rarest
    found.stir()
    first = found.first()
    assert first is not None
    assert first[0] <= stage.clock.now + 5 * SECOND


def test_a_backlog_is_worked_off_at_once(stage: Stage) -> None:
    message(stage, attempt_at=NOON - DAY)
    found = ticks(stage, dispatch=lambda: 1)
    found.look()
    found.run("dispatch")
    found.look()
    first = found.first()
    assert first is not None
    assert first[0] <= stage.clock.now + SECOND


def test_old_texts_without_a_report_are_asked_about_ever_more_rarely(stage: Stage) -> None:
    message(stage, state="sent", sent_at=NOON, provider_sid="SM1")
    found, asked = ticks(stage), list[datetime]()
    while stage.clock.now < NOON + 2 * DAY:
        found.look()
        first = found.first()
        assert first is not None
        stage.clock.reach(first[0])
        found.run("receipts")
        asked.append(first[0])
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert len(asked) < 40


def chores(stage: Stage) -> Chores:
    policy = SendingPolicy(allowed_countries=frozenset({"US"}))
    return Chores(stage.sessions, stage.gateway, stage.clock, policy, "own", stage.phones.fetched)


def test_a_worker_does_all_its_chores(stage: Stage) -> None:
    person = stage.person()
    stage.records.enter(person)
    stage.offices.say_consent(stage.place, person.number or "", granted=True)
    stage.records.tell(stage.visit(person, NOON + DAY), by="sql")
    by_name = chores(stage).by_name()
    assert by_name.keys() == PACES.keys()
    assert by_name["plan"]() >= 1
    stage.clock.go_on(timedelta(minutes=2))
    assert by_name["dispatch"]() >= 1
    stage.phones.say(person.number or "", stage.place.line.number, "C")
    assert by_name["fetch"]() == 1
    stage.clock.go_on(timedelta(minutes=2))
    assert by_name["receipts"]() >= 1
    assert by_name["understand"]() == by_name["recover"]() == 0


def test_a_worker_waits_in_virtual_time_before_it_tries_the_database_again(stage: Stage) -> None:
    assert chores(stage).rest(2.5) is False
    assert stage.clock.now == NOON + timedelta(seconds=2.5)


# the world


def world(stage: Stage, **done: Callable[[], int]) -> World:
    return World(stage.agenda, stage.clock, ticks=ticks(stage, **done), house=house(stage))


def test_events_and_ticks_happen_in_the_order_of_time(stage: Stage) -> None:
    message(stage)
    happened = list[tuple[str, datetime]]()

    def dispatch() -> int:
        happened.append(("dispatch", stage.clock.now))
        with stage.sessions.begin() as db:
            db.execute(text("UPDATE message SET state = 'missed'"))
        return 1

    found = world(stage, dispatch=dispatch)
    for hours in (1, 3):
        stage.agenda.put(NOON + timedelta(hours=hours), lambda: happened.append(("event", stage.clock.now)))
    stage.agenda.put(NOON + 2 * DAY, lambda: happened.append(("too late", stage.clock.now)))
    found.live(NOON + DAY)
    assert happened == [(name, NOON + timedelta(hours=h)) for name, h in (("event", 1), ("dispatch", 2), ("event", 3))]
    assert (stage.clock.now, found.steps) == (NOON + DAY, 3)


def test_a_dead_worker_does_nothing_until_it_is_back(stage: Stage) -> None:
    message(stage, attempt_at=NOON)
    died = list[datetime]()

    def dispatch() -> int:
        died.append(stage.clock.now)
        raise DiedError("a border")

    world(stage, dispatch=dispatch).live(NOON + DAY / 2)
    ends = [entry["end"] for entry in stage.noted("trouble")]
    starts = [entry["start"] for entry in stage.noted("trouble")]
    assert len(died) > 1
    assert all(later >= end for end, later in zip(ends, starts[1:], strict=False))


# mishaps


class Silent(Fate):
    """No border is ever hit."""

    def reach(self, border: str, *, drops: bool = True) -> None:
        self.passed[border] += 1


@pytest.fixture
def mishaps(stage: Stage) -> Mishaps:
    fate = Silent(stage.dice, stage.clock, stage.log, chaos=True)
    return Mishaps(
        stage.dice,
        stage.clock,
        stage.log,
        fate,
        live=stage.clock.reach,
        meddle=lambda _: stage.hand.note("meddled"),
        touch=lambda: stage.hand.note("touched"),
        chaos=True,
    )


def a_text(n: int) -> OutgoingSms:
    return OutgoingSms(n, 1, "+15552000001", "Please call us.", Sender("+15550100001"), 600, NOON + DAY)


def test_texts_are_meddled_with_and_workers_freeze_now_and_then(stage: Stage, mishaps: Mishaps) -> None:
    for n in range(1500):
        mishaps.before(a_text(n))
        mishaps.after(a_text(n))
    frozen = [entry for entry in stage.noted("trouble") if entry["what"] == "frozen"]
    assert 1 <= len(frozen) < 20
    assert 5 < len(stage.noted("meddled")) < 40
    assert stage.clock.now >= NOON + len(frozen) * 5 * SECOND


def test_without_chaos_there_is_meddling_and_nothing_else(stage: Stage, mishaps: Mishaps) -> None:
    mishaps.chaos = False
    for n in range(1500):
        mishaps.before(a_text(n))
        mishaps.after(a_text(n))
    mishaps.set_clocks(stage.agenda, until=NOON + 100 * DAY)
    assert (stage.noted("trouble"), stage.agenda.next_at, mishaps.fate.passed.total()) == ([], None, 0)
    assert stage.noted("meddled")


def test_the_service_s_clock_jumps_and_is_set_right_again(stage: Stage, mishaps: Mishaps) -> None:
    mishaps.set_clocks(stage.agenda, until=NOON + 100 * DAY)
    stage.happen()
    steps = [entry for entry in stage.noted("trouble") if entry["what"] == "clock_step"]
    assert 4 < len(steps) < 30
    assert {entry["seconds"] > 0 for entry in steps} == {True, False}
    assert (stage.clock.off_by, len(stage.noted("touched"))) == (timedelta(), 2 * len(steps))


def test_no_clock_jumps_while_it_is_off_already_and_no_worker_freezes_then(stage: Stage, mishaps: Mishaps) -> None:
    stage.clock.off_by = MINUTE
    mishaps.set_clocks(stage.agenda, until=NOON + 20 * DAY)
    stage.happen(NOON + 20 * DAY)
    for n in range(1500):
        mishaps.before(a_text(n))
    assert stage.noted("trouble") == []
