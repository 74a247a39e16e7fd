"""Texts from phones are kept before anything else, each once, and none is lost whatever breaks."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import InboundSms
from service.flows import inbox
from service.flows.inbox import poll_inbound, receive_inbound, understand_pending
from service.flows.understanding import StopReplies, understand
from service.store import inbox as store
from service.store.tables import Inbound, Installation, Message, Task
from tests.fakes.scripted_gateway import BrokenOffError, ScriptedGateway
from tests.flows.phones import PHONE, Phones, sms
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]


@pytest.fixture
def phones(sessions: Sessions) -> Phones:
    return Phones(sessions)


def poll(phones: Phones, gateway: ScriptedGateway) -> int:
    return poll_inbound(phones.sessions, gateway, phones.clock, stop_replies=phones.stop_replies)


def fetched_to(phones: Phones) -> datetime | None:
    return phones.rows(Installation)[0].inbound_polled_to


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError


# --- Kept first, understood at once ---------------------------------------------------------------------------------


def test_a_text_that_the_provider_repeats_changes_nothing(phones: Phones) -> None:
    phones.patient()
    text = sms("hello")
    assert receive_inbound(phones.sessions, text, phones.clock, via="webhook", stop_replies="own") is True
    assert receive_inbound(phones.sessions, text, phones.clock, via="poll", stop_replies="own") is False
    (inbound,) = phones.rows(Inbound)
    assert (inbound.via, inbound.state) == ("webhook", "understood")
    assert (phones.tasks(), phones.answers()) == (["reply"], ["unknown_reply"])


def test_a_text_is_kept_as_it_came(phones: Phones) -> None:
    phones.patient()
    phones.say("hello", fields={"Body": "hello", "NumMedia": "1", "NewField": "ü"}, messaging_service="MG7")
    (inbound,) = phones.rows(Inbound)
    assert inbound.fields == {"Body": "hello", "NumMedia": "1", "NewField": "ü"}
    assert (inbound.from_number, inbound.messaging_service, inbound.received_at) == (PHONE, "MG7", NOW)


def test_a_text_that_cannot_be_understood_now_is_understood_by_the_tick(
    phones: Phones, monkeypatch: pytest.MonkeyPatch
) -> None:
    phones.patient()
    with monkeypatch.context() as fault:
        fault.setattr(inbox, "understand", broken)
        phones.say("STOP")
    (inbound,) = phones.rows(Inbound)
    assert (inbound.state, inbound.failures, phones.ledger()) == ("new", 1, [])
    assert understand_pending(phones.sessions, phones.clock, stop_replies="own") == 1
    assert understand_pending(phones.sessions, phones.clock, stop_replies="own") == 0
    assert [kind for _, kind in phones.ledger()] == ["revoked"]


@pytest.mark.parametrize("number", [PHONE, "+12025550111"], ids=["a patient's", "nobody's"])
def test_what_fails_twice_is_a_red_task(phones: Phones, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    first = phones.clinic(sender_id=1)
    patient = phones.patient()
    monkeypatch.setattr(inbox, "understand", broken)
    inbound = phones.say("I cannot breathe", number=number)
    assert phones.tasks() == []
    assert [understand_pending(phones.sessions, phones.clock, stop_replies="own") for _ in range(3)] == [0, 0, 0]
    (task,) = phones.rows(Task)
    assert (task.level, task.kind, task.inbound_id) == ("red", "reply", inbound.id)
    assert task.clinic_id == (patient.clinic_id if number == PHONE else first.id)
    inbound = phones.one(inbound)
    assert (inbound.state, inbound.failures, inbound.body) == ("failed", 2, "I cannot breathe")


def test_without_any_clinic_there_is_nobody_to_tell(phones: Phones) -> None:
    phones.say("STOP")
    assert understand_pending(phones.sessions, phones.clock, stop_replies="own") == 0
    (inbound,) = phones.rows(Inbound)
    assert (inbound.state, inbound.clinic_id, phones.tasks()) == ("failed", None, [])


def test_one_text_that_fails_stops_no_other(phones: Phones, monkeypatch: pytest.MonkeyPatch) -> None:
    phones.patient()

    def choosy(db: Session, inbound: Inbound, *, now: datetime, stop_replies: StopReplies) -> None:
        if inbound.body == "bad":
            raise ZeroDivisionError
        understand(db, inbound, now=now, stop_replies=stop_replies)

    monkeypatch.setattr(inbox, "understand", choosy)
    with phones.sessions.begin() as db:
        for body in ("bad", "good"):
            factories.inbound(db, body=body, from_number=PHONE)
    assert understand_pending(phones.sessions, phones.clock, stop_replies="own") == 1
    assert [(row.body, row.state) for row in phones.rows(Inbound)] == [("bad", "new"), ("good", "understood")]


def test_a_text_that_another_worker_was_quicker_with_is_left(phones: Phones, monkeypatch: pytest.MonkeyPatch) -> None:
    phones.patient()
    with phones.sessions.begin() as db:
        factories.inbound(db, body="STOP", from_number=PHONE)
    find = inbox._pending

    def while_another_works(sessions: Sessions) -> set[int]:
        found = find(sessions)
        monkeypatch.setattr(inbox, "_pending", find)
        assert understand_pending(sessions, phones.clock, stop_replies="own") == len(found)
        return found

    monkeypatch.setattr(inbox, "_pending", while_another_works)
    understand_pending(phones.sessions, phones.clock, stop_replies="own")
    assert [kind for _, kind in phones.ledger()] == ["revoked"]


def test_a_fault_is_logged_without_the_text_or_the_number(
    phones: Phones, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def speaks(*_: object, **__: object) -> None:
        raise ValueError(f"{PHONE} said: my secret")

    monkeypatch.setattr(inbox, "understand", speaks)
    phones.say("my secret")
    logged = capsys.readouterr().out
    assert "understanding_failed" in logged
    assert "ValueError" in logged
    assert "inbox:" in logged
    assert "secret" not in logged
    assert PHONE not in logged


# --- Fetched where none are brought ---------------------------------------------------------------------------------


def test_the_first_look_reaches_back_a_day(phones: Phones) -> None:
    gateway = ScriptedGateway()
    assert poll(phones, gateway) == 0
    assert gateway.since == [NOW - timedelta(days=1, hours=3)]
    assert fetched_to(phones) == NOW


def test_each_look_begins_a_little_before_the_last_one(phones: Phones) -> None:
    gateway = ScriptedGateway()
    poll(phones, gateway)
    phones.later(minutes=5)
    poll(phones, gateway)
    assert gateway.since[1] == NOW - timedelta(hours=3)
    assert fetched_to(phones) == NOW + timedelta(minutes=5)


def test_what_is_listed_again_is_kept_once(phones: Phones) -> None:
    phones.patient()
    gateway = ScriptedGateway()
    text = sms("STOP")
    gateway.inbound = [text, sms("hello"), text]
    assert [poll(phones, gateway), poll(phones, gateway)] == [2, 0]
    assert [(row.body, row.via, row.state) for row in phones.rows(Inbound)] == [
        ("STOP", "poll", "understood"),
        ("hello", "poll", "understood"),
    ]


def test_a_list_that_breaks_off_loses_nothing(phones: Phones) -> None:
    """What came is kept and understood; the next look begins where this one did, whatever the list left out."""
    phones.patient()
    gateway = ScriptedGateway()
    gateway.inbound = [sms(f"text {n}", at=NOW + timedelta(seconds=n)) for n in range(5)]
    gateway.breaks_after = 3
    phones.later(hours=1)
    with pytest.raises(BrokenOffError):
        poll(phones, gateway)
    assert [row.state for row in phones.rows(Inbound)] == ["understood"] * 3
    assert fetched_to(phones) is None
    gateway.breaks_after = None
    assert poll(phones, gateway) == 2
    assert [row.body for row in phones.rows(Inbound)] == [f"text {n}" for n in range(5)]
    assert fetched_to(phones) == NOW + timedelta(hours=1)


@pytest.mark.parametrize("kill_at", ["kept", "understood", "listed"])
def test_a_look_that_is_killed_loses_nothing(phones: Phones, monkeypatch: pytest.MonkeyPatch, kill_at: str) -> None:
    phones.patient()
    gateway = ScriptedGateway()
    gateway.inbound = [sms(body) for body in ("one", "two", "three")]
    with monkeypatch.context() as killing:
        _kill(killing, gateway, kill_at)
        with pytest.raises(KeyboardInterrupt):
            poll(phones, gateway)
    assert fetched_to(phones) is None
    poll(phones, gateway)
    understand_pending(phones.sessions, phones.clock, stop_replies="own")
    assert [(row.body, row.state) for row in phones.rows(Inbound)] == [
        ("one", "understood"),
        ("two", "understood"),
        ("three", "understood"),
    ]
    assert phones.tasks() == ["reply"] * 3
    assert fetched_to(phones) == NOW


def _kill(killing: pytest.MonkeyPatch, gateway: ScriptedGateway, at: str) -> None:
    if at == "listed":
        texts = gateway.inbound

        def until_killed(since: datetime) -> Iterator[InboundSms]:
            yield texts[0]
            raise KeyboardInterrupt

        killing.setattr(gateway, "inbound_since", until_killed)
        return
    if at == "kept":
        killing.setattr(store, "add_raw", _second_time_killed(store.add_raw))
    else:
        killing.setattr(inbox, "understand", _second_time_killed(understand))


def _second_time_killed(act: Callable[..., object]) -> Callable[..., object]:
    turns = iter([True])

    def guarded(*args: object, **how: object) -> object:
        if next(turns, False):
            return act(*args, **how)
        raise KeyboardInterrupt

    return guarded


def test_five_thousand_texts_are_each_kept_and_understood_once(
    sqlite_sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    understood: Counter[str] = Counter()

    def understand(db: Session, inbound: Inbound, **_: object) -> None:
        understood[inbound.body] += 1
        inbound.state = "understood"

    monkeypatch.setattr("service.flows.inbox.understand", understand)
    phones = Phones(sqlite_sessions)
    gateway = ScriptedGateway()
    gateway.inbound = [sms(f"text {n}", at=NOW + timedelta(milliseconds=n)) for n in range(5_000)]
    gateway.breaks_after = 1_000
    with pytest.raises(BrokenOffError):
        poll(phones, gateway)
    gateway.breaks_after = None
    assert poll(phones, gateway) == 4_000
    assert [row.body for row in phones.rows(Inbound)] == [f"text {n}" for n in range(5_000)]
    assert (len(understood), set(understood.values())) == (5_000, {1})


def test_a_crowd_of_texts_gets_one_task_each_and_one_answer_a_number(phones: Phones) -> None:
    clinic = phones.clinic()
    for n in range(5):
        phones.patient(clinic, phone=f"+120255501{n:02}")
    gateway = ScriptedGateway()
    gateway.inbound = [sms(f"text {n}", number=f"+120255501{n % 10:02}") for n in range(60)]
    assert poll(phones, gateway) == 60
    assert sorted(task.inbound_id or 0 for task in phones.rows(Task)) == [row.id for row in phones.rows(Inbound)]
    assert len(phones.rows(Message)) == 10
