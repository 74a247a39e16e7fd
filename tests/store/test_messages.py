"""Claiming, settling and moving messages: each one once, by one, and never where somebody else was first."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.lifecycle import MOVES, State
from service.store import messages, running
from service.store.tables import Installation, Message, Patient, PhoneNumber, Sender
from tests.store import factories
from tests.store.factories import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def db(sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sessions.begin() as db:
        yield db


@pytest.fixture
def patient(db: Session) -> Patient:
    return factories.patient(db, factories.clinic(db))


def claim(db: Session, **over: Any) -> list[Message]:
    wanted: dict[str, Any] = {"sender_id": 1, "priority": 2, "now": NOW, "limit": 10, "token": "mine"}
    return messages.claim_due(db, **wanted | over)


def fresh(db: Session, message: Message) -> Message:
    db.refresh(message)
    return message


# adding


def test_a_message_is_planned_once(db: Session, patient: Patient) -> None:
    row = {
        "clinic_id": patient.clinic_id,
        "patient_id": patient.id,
        "kind": "plan",
        "urgency": "routine",
        "priority": 2,
        "sender_id": 1,
        "state": "planned",
        "due_at": NOW,
    }
    messages.add_planned(db, [{**row, "identity": "plan:1:a:0"}, {**row, "identity": "plan:1:b:0"}])
    messages.add_planned(
        db, [{**row, "identity": "plan:1:b:0", "due_at": NOW + DAY}, {**row, "identity": "plan:1:c:0"}]
    )
    messages.add_planned(db, [])
    found = db.execute(select(Message.identity, Message.due_at).order_by(Message.id)).all()
    assert found == [("plan:1:a:0", NOW), ("plan:1:b:0", NOW), ("plan:1:c:0", NOW)]


# claiming


def test_a_claim_takes_the_longest_due_first_and_no_more_than_asked(db: Session, patient: Patient) -> None:
    ages = [MINUTE, 3 * MINUTE, 2 * MINUTE, 3 * MINUTE]
    late, oldest, middle, as_old = (factories.message(db, patient, due_at=NOW - age) for age in ages)
    assert [m.id for m in claim(db, limit=3)] == [oldest.id, as_old.id, middle.id]
    assert fresh(db, late).state == "planned"
    assert (middle.state, middle.claim_token, middle.claimed_at) == ("sending", "mine", NOW)


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        pytest.param({}, True, id="due at this moment"),
        pytest.param({"attempt_at": NOW + timedelta(microseconds=1)}, False, id="due a moment later"),
        pytest.param({"attempt_at": None}, False, id="without a time"),
        pytest.param({"state": "sending"}, False, id="claimed by another"),
        pytest.param({"state": "cancelled"}, False, id="cancelled"),
        pytest.param({"priority": 1}, False, id="of another priority"),
        pytest.param({"sender_id": 2}, False, id="of another sender"),
        pytest.param({"held_reason": "marked"}, True, id="held: looked at again at its next moment"),
    ],
)
def test_what_a_claim_takes(db: Session, patient: Patient, values: dict[str, Any], taken: bool) -> None:
    factories.sender(db)
    factories.message(db, patient, **values)
    assert bool(claim(db)) is taken


def test_two_hundred_due_messages_and_eight_workers(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        wanted = {factories.message(db, patient).id for _ in range(200)}

    def work(worker: int) -> list[tuple[int, str]]:
        taken: list[tuple[int, str]] = []
        while True:
            with sessions.begin() as db:
                batch = claim(db, token=f"worker-{worker}", limit=7)
            if not batch:
                return taken
            taken += [(message.id, str(message.claim_token)) for message in batch]

    with ThreadPoolExecutor(8) as pool:
        taken = [one for part in pool.map(work, range(8)) for one in part]
    assert sorted(message_id for message_id, _ in taken) == sorted(wanted)
    with sessions() as db:
        assert dict(db.execute(select(Message.id, Message.claim_token)).all()) == dict(taken)


# settling


def test_settling_writes_the_end_and_gives_the_claim_back(db: Session, patient: Patient) -> None:
    message = factories.message(db, patient)
    claim(db)
    assert messages.settle(
        db, message.id, token="mine", values={"state": "sent", "provider_sid": "SM1", "sent_at": NOW}
    )
    fresh(db, message)
    assert (message.state, message.provider_sid, message.sent_at) == ("sent", "SM1", NOW)
    assert message.claim_token is None


def test_settling_can_keep_the_claim(db: Session, patient: Patient) -> None:
    message = factories.message(db, patient)
    claim(db)
    assert messages.settle(db, message.id, token="mine", values={"state": "sending", "claim_token": "mine"})
    assert fresh(db, message).claim_token == "mine"


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param({"claim_token": "another"}, id="claimed by another"),
        pytest.param({"state": "unconfirmed", "claim_token": None}, id="rescued"),
        pytest.param({"state": "delivered"}, id="overtaken by a receipt"),
    ],
)
def test_settling_a_lost_claim_does_nothing(db: Session, patient: Patient, meanwhile: dict[str, Any]) -> None:
    message = factories.message(db, patient, **{"state": "sending", "claim_token": "mine"} | meanwhile)
    assert not messages.settle(db, message.id, token="mine", values={"state": "failed", "reason": "too late"})
    fresh(db, message)
    assert (message.state, message.reason) == (message.state, None)
    assert message.state == meanwhile.get("state", "sending")


# moving


@pytest.mark.parametrize("found", State)
def test_every_move_of_the_lifecycle_and_no_other(sqlite_sessions: sessionmaker[Session], found: State) -> None:
    with sqlite_sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        for to in State:
            message = factories.message(db, patient, state=found, reason="before")
            if to in MOVES[found]:
                assert messages.change_state(db, message, to, settled_at=NOW)
                end: tuple[Any, ...] = (to, None, NOW)
                assert (message.state, message.reason, message.settled_at) == end
            else:
                with pytest.raises(messages.ForbiddenMoveError, match=f"can not go from '{found}' to '{to}'"):
                    messages.change_state(db, message, to)
                end = (found, "before", None)
            fresh(db, message)
            assert (message.state, message.reason, message.settled_at) == end


def test_moving_a_message_that_somebody_else_moved_does_nothing(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        message = factories.message(db, factories.patient(db, factories.clinic(db)))
    with sessions.begin() as db:
        claim(db)
    with sessions.begin() as db:
        assert not messages.change_state(db, message, State.CANCELLED, reason="opted_out")
        assert message.state == "planned"
        assert db.get_one(Message, message.id).state == "sending"


def test_a_move_is_written_with_its_reason(db: Session, patient: Patient) -> None:
    message = factories.message(db, patient)
    assert messages.change_state(db, message, State.CANCELLED, reason="opted_out")
    assert fresh(db, message).reason == "opted_out"


# finding


def test_stale_claims_are_those_not_settled_for_long(db: Session, patient: Patient) -> None:
    ages = {"state": "sending", "claim_token": "gone"}
    young, old, older = (
        factories.message(db, patient, claimed_at=NOW - age, **ages) for age in (4 * MINUTE, 6 * MINUTE, 7 * MINUTE)
    )
    factories.message(db, patient, state="sent", claimed_at=NOW - DAY)
    before = NOW - 5 * MINUTE
    assert messages.stale_claims(db, before=before, limit=9) == [older, old]
    assert messages.stale_claims(db, before=before, limit=1) == [older]
    assert messages.stale_claims(db, before=NOW, limit=9) == [older, old, young]


def test_expired_are_planned_messages_whose_useful_time_has_passed(db: Session, patient: Patient) -> None:
    now_useless = factories.message(db, patient, expires_at=NOW)
    long_useless = factories.message(db, patient, expires_at=NOW - DAY)
    factories.message(db, patient, expires_at=NOW + timedelta(microseconds=1))
    factories.message(db, patient, expires_at=None)
    factories.message(db, patient, expires_at=NOW - DAY, state="sending")
    assert messages.expired(db, now=NOW, limit=9) == [long_useless, now_useless]
    assert messages.expired(db, now=NOW, limit=1) == [long_useless]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer: nobody looks meanwhile
@pytest.mark.parametrize("find", ["stale_claims", "expired"])
def test_what_another_worker_holds_is_left_to_it(sessions: sessionmaker[Session], find: str) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        for _ in range(2):
            state = "sending" if find == "stale_claims" else "planned"
            factories.message(db, patient, state=state, claimed_at=NOW - DAY, expires_at=NOW - DAY)

    def look(db: Session, limit: int) -> list[int]:
        if find == "expired":
            return [m.id for m in messages.expired(db, now=NOW, limit=limit)]
        return [m.id for m in messages.stale_claims(db, before=NOW, limit=limit)]

    with sessions.begin() as one, sessions.begin() as other:
        first, second = look(one, 1), look(other, 2)
        assert len(first) == len(second) == 1
        assert first != second


def test_what_was_read_before_is_read_again_once_it_is_held(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        message = factories.message(db, factories.patient(db, factories.clinic(db)), expires_at=NOW)
    with sessions() as db:
        read_before = db.get_one(Message, message.id)
        db.commit()
        with sessions.begin() as other:
            other.get_one(Message, message.id).held_reason = "paused"
        assert messages.expired(db, now=NOW, limit=1) == [read_before]
        assert read_before.held_reason == "paused"


@pytest.mark.parametrize(
    ("planned", "next_at"),
    [
        pytest.param([], None, id="nothing planned"),
        pytest.param([{"attempt_at": None}], None, id="without a time"),
        pytest.param([{"attempt_at": NOW - DAY, "state": "sent"}], None, id="not planned any more"),
        pytest.param([{"attempt_at": NOW + DAY}, {"attempt_at": NOW + HOUR}], NOW + HOUR, id="the earliest"),
        pytest.param([{"attempt_at": NOW - HOUR}, {"attempt_at": None}], NOW - HOUR, id="overdue"),
        pytest.param(
            [{"attempt_at": NOW + HOUR, "priority": 0}, {"attempt_at": NOW, "priority": 2}], NOW, id="of any priority"
        ),
        pytest.param([{"attempt_at": NOW + HOUR}, {"attempt_at": NOW, "sender_id": 2}], NOW, id="of any sender"),
    ],
)
def test_when_the_next_is_due(
    db: Session, patient: Patient, planned: list[dict[str, Any]], next_at: datetime | None
) -> None:
    factories.sender(db)
    for values in planned:
        factories.message(db, patient, **values)
    assert messages.next_due_at(db) == next_at


# senders


HELD: dict[str, Any] = {"held_reason": "provider_down", "attempt_at": NOW + 10 * MINUTE}


def stop(db: Session, *, all_: Any = None, one: Any = None, two: Any = None) -> None:
    """``all_``, and the senders one and two, as the cause says: "person", "refused", "down", or not at all."""
    for row, cause in ((running.installation(db), all_), (db.get_one(Sender, 1), one), (db.get_one(Sender, 2), two)):
        if cause is not None:
            row.paused_at = NOW - HOUR
            row.pause_cause, row.probe_at = (None, None) if cause == "person" else (cause, NOW)
    db.flush()


@pytest.mark.parametrize(
    ("stops", "planned", "due"),
    [
        pytest.param({}, [], [], id="nothing planned"),
        pytest.param({}, [{}], [1], id="one text due"),
        pytest.param({}, [{}, {"sender_id": 2, "priority": 0}], [1, 2], id="both senders, by id"),
        pytest.param({}, [{"attempt_at": NOW + MINUTE}], [], id="due in a minute"),
        pytest.param({}, [{"state": "sent"}], [], id="not planned any more"),
        pytest.param({"one": "person"}, [{}], [1], id="stopped by a person: due texts are held"),
        pytest.param({"one": "down"}, [HELD], [1], id="stopped, and time to try with a text that is held"),
        pytest.param({"one": "down"}, [], [], id="time to try, and nothing to try with"),
        pytest.param({"one": "down"}, [{"attempt_at": NOW + HOUR}], [], id="time to try, and nothing is due for long"),
        pytest.param({"one": "person"}, [HELD], [], id="a person's stop is not tried"),
        pytest.param({"all_": "down", "one": "down"}, [HELD], [1], id="both stopped: the wider stop is tried"),
        pytest.param({"all_": "person", "one": "down"}, [HELD], [], id="a person stopped everything: nothing is tried"),
        pytest.param(
            {"all_": "down"}, [{"priority": 1}, {"sender_id": 2, "priority": 0}], [2], id="all stopped: the most urgent"
        ),
        pytest.param(
            {"all_": "down"}, [HELD, {"sender_id": 2, "due_at": NOW - DAY, **HELD}], [2], id="then the longest due"
        ),
        pytest.param(
            {"all_": "down", "one": "refused"},
            [HELD | {"priority": 0}, HELD | {"sender_id": 2}],
            [2],
            id="a sender that is not stopped itself goes first",
        ),
        pytest.param(
            {"all_": "down", "one": "person"},
            [HELD | {"priority": 0}, HELD | {"sender_id": 2}],
            [2],
            id="never a person's",
        ),
        pytest.param(
            {"all_": "down"},
            [HELD | {"held_reason": "cap", "priority": 0}, HELD | {"sender_id": 2}],
            [2],
            id="what is held for its own sake is not tried with",
        ),
        pytest.param({"all_": "down", "one": "person"}, [{}], [1], id="nobody to try with: what is due is held"),
    ],
)
def test_which_senders_have_something_to_do(
    db: Session, patient: Patient, stops: dict[str, str], planned: list[dict[str, Any]], due: list[int]
) -> None:
    factories.sender(db, id=2)
    stop(db, **stops)
    for values in planned:
        factories.message(db, patient, **values)
    assert messages.senders_due(db, now=NOW) == due


TRY_AT = NOW + MINUTE


@pytest.mark.parametrize(
    ("stops", "planned", "next_at"),
    [
        pytest.param({}, HELD, NOW + 10 * MINUTE, id="nothing is stopped"),
        pytest.param({"one": "down"}, HELD, TRY_AT, id="stopped: when it is tried"),
        pytest.param({"one": "down"}, {}, NOW, id="stopped: what is due is held first"),
        pytest.param({"one": "down"}, {"attempt_at": NOW + HOUR}, NOW + HOUR, id="nothing to try with"),
        pytest.param({"one": "person"}, HELD, NOW + 10 * MINUTE, id="a person's stop is not tried"),
        pytest.param({"all_": "down"}, HELD, TRY_AT, id="everything stopped: when it is tried"),
        pytest.param(
            {"all_": "down", "one": "person"}, HELD, NOW + 10 * MINUTE, id="not with a sender a person stopped"
        ),
        pytest.param({"all_": "person", "one": "down"}, HELD, NOW + 10 * MINUTE, id="a person stopped everything"),
    ],
)
def test_when_the_next_is_due_while_something_is_stopped(
    db: Session, patient: Patient, stops: dict[str, str], planned: dict[str, Any], next_at: datetime
) -> None:
    factories.sender(db, id=2)
    stop(db, **stops)
    db.execute(update(Sender).where(Sender.probe_at.is_not(None)).values(probe_at=TRY_AT))
    db.execute(update(Installation).where(Installation.probe_at.is_not(None)).values(probe_at=TRY_AT))
    factories.message(db, patient, **planned)
    db.expire_all()
    assert messages.next_due_at(db) == next_at


def tried(db: Session, message: Message, ago: timedelta) -> Message:
    """It was handed over so long ago, and held again."""
    factories.attempt(db, message, started_at=NOW - ago, outcome="refused")
    return message


STOPPED: dict[str, Any] = {"sender_id": 1, "since": NOW - HOUR, "now": NOW, "token": "mine"}


def test_to_try_a_sender_the_most_urgent_are_taken_held_or_due(db: Session, patient: Patient) -> None:
    factories.sender(db, id=2)
    routine = factories.message(db, patient, **HELD | {"held_reason": "sender_paused"})
    early = factories.message(db, patient, due_at=NOW - DAY, **HELD | {"held_reason": "paused"})
    care = factories.message(db, patient, priority=1)
    for values in (
        {"attempt_at": NOW + MINUTE},
        HELD | {"held_reason": "cap"},
        HELD | {"attempt_at": NOW + 16 * MINUTE},
        HELD | {"sender_id": 2},
        HELD | {"state": "missed"},
    ):
        factories.message(db, patient, **values)
    taken = messages.claim_to_try(db, **STOPPED, limit=2)
    assert [m.id for m in taken] == [care.id, early.id]
    assert [(m.state, m.claim_token, m.claimed_at) for m in taken] == [("sending", "mine", NOW)] * 2
    assert [m.id for m in messages.claim_to_try(db, **STOPPED, limit=9)] == [routine.id]
    assert messages.claim_to_try(db, **STOPPED, limit=9) == []


def test_what_has_tried_in_vain_comes_after_all_others(db: Session, patient: Patient) -> None:
    again = tried(db, factories.message(db, patient, priority=0, **HELD), MINUTE)
    before_the_stop = tried(db, factories.message(db, patient, priority=1, **HELD), 2 * HOUR)
    routine = factories.message(db, patient, **HELD)
    assert [m.id for m in messages.claim_to_try(db, **STOPPED, limit=9)] == [before_the_stop.id, routine.id, again.id]


def test_to_risk_one_the_least_urgent_are_taken(db: Session, patient: Patient) -> None:
    care = factories.message(db, patient, priority=1)
    late = factories.message(db, patient, **HELD)
    early = factories.message(db, patient, due_at=NOW - DAY, **HELD)
    again = tried(db, factories.message(db, patient, **HELD), MINUTE)
    factories.message(db, patient, **HELD | {"held_reason": "cap"})
    assert [m.id for m in messages.claim_to_risk(db, **STOPPED, limit=2)] == [early.id, late.id]
    assert [m.id for m in messages.claim_to_risk(db, **STOPPED, limit=9)] == [care.id, again.id]


def test_the_sender_that_has_tried_in_vain_lets_another_try(db: Session, patient: Patient) -> None:
    factories.sender(db, id=2)
    stop(db, all_="refused")
    tried(db, factories.message(db, patient, priority=0, **HELD), MINUTE)
    assert messages.senders_due(db, now=NOW) == [1]
    factories.message(db, patient, sender_id=2, **HELD)
    assert messages.senders_due(db, now=NOW) == [2]


# counting


@pytest.mark.parametrize(
    ("values", "counted"),
    [
        pytest.param({"started_at": NOW}, (1, 1), id="just now"),
        pytest.param({"started_at": NOW - DAY + MINUTE}, (1, 1), id="less than a day ago"),
        pytest.param({"started_at": NOW - DAY}, (0, 1), id="a day ago to the second"),
        pytest.param({"started_at": NOW - 7 * DAY + MINUTE}, (0, 1), id="less than a week ago"),
        pytest.param({"started_at": NOW - 7 * DAY}, (0, 0), id="a week ago to the second"),
        pytest.param({"outcome": None}, (1, 1), id="under way"),
        pytest.param({"outcome": "unknown"}, (1, 1), id="perhaps sent"),
        pytest.param({"outcome": "refused"}, (0, 0), id="certainly not sent"),
        pytest.param({"counts": False}, (0, 0), id="a reply"),
    ],
)
def test_what_counts_for_the_caps(
    db: Session, patient: Patient, values: dict[str, Any], counted: tuple[int, int]
) -> None:
    factories.attempt(db, factories.message(db, patient), **values)
    neighbour = factories.patient(db, factories.clinic(db))
    found = messages.sent_counts(db, [patient.id, neighbour.id], now=NOW)
    assert found == {patient.id: counted, neighbour.id: (0, 0)}


def test_each_attempt_counts(db: Session, patient: Patient) -> None:
    message = factories.message(db, patient)
    for n, age in enumerate([MINUTE, HOUR, 2 * DAY], start=1):
        factories.attempt(db, message, n=n, started_at=NOW - age)
    assert messages.sent_counts(db, {patient.id}, now=NOW) == {patient.id: (2, 3)}


@pytest.mark.parametrize(
    ("values", "same"),
    [
        pytest.param({}, True, id="the same text"),
        pytest.param({"started_at": NOW - HOUR}, True, id="as long ago as is looked back"),
        pytest.param({"started_at": NOW - HOUR - MINUTE}, False, id="longer ago"),
        pytest.param({"body_hash": "b" * 64}, False, id="another text"),
        pytest.param({"number": "+12025550177"}, False, id="another number"),
        pytest.param({"outcome": None}, True, id="under way"),
        pytest.param({"outcome": "refused"}, False, id="certainly not sent"),
    ],
)
def test_the_same_text_again(db: Session, patient: Patient, values: dict[str, Any], same: bool) -> None:
    message = factories.message(db, patient)
    factories.attempt(db, message, **values)
    asked: dict[str, Any] = {"number": "+12025550100", "body_hash": "a" * 64, "since": NOW - HOUR}
    another = message.id + 1
    assert messages.same_text_since(db, patient_id=patient.id, **asked, other_than_message=another) is same
    assert not messages.same_text_since(db, patient_id=patient.id, **asked, other_than_message=message.id)
    assert not messages.same_text_since(db, patient_id=patient.id + 1, **asked, other_than_message=another)


# numbers


def test_numbers_are_noted_when_they_are_first_held(db: Session) -> None:
    db.add(PhoneNumber(number="+12025550101", blocked_at=NOW, blocked_code="30006", blocked_reason="landline"))
    held = messages.lock_numbers(db, ["+12025550102", "+12025550101", "+12025550102"])
    assert {number: row.blocked_code for number, row in held.items()} == {"+12025550101": "30006", "+12025550102": None}
    assert messages.lock_numbers(db, []) == {}


def test_many_that_need_the_same_numbers_get_them_in_turn(sessions: sessionmaker[Session]) -> None:
    numbers = [f"+120255501{n:02}" for n in range(6)]

    def hold(worker: int) -> int:
        turned = numbers[worker % 6 :] + numbers[: worker % 6]
        with sessions.begin() as db:
            return len(messages.lock_numbers(db, turned[: 2 + worker % 5]))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(hold, range(60))) == [2 + worker % 5 for worker in range(60)]
    with sessions() as db:
        assert sorted(db.scalars(select(PhoneNumber.number))) == numbers
