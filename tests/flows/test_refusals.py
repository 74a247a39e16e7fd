"""What a refusal means beyond the one text: for the number, the sender, the account, the consent and the staff."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Blame, Failure, Refused
from service.flows.holding import release
from service.flows.refusals import draw_consequences
from service.gateways.simulated_network import DEFAULT
from service.store import running
from service.store.tables import Consent, Installation, Message, PhoneNumber, Sender
from tests.domain.cases import HOUR
from tests.flows.clinic_life import SENDER, ClinicLife
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
PHONE = "+12025550177"


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    return ClinicLife(sessions)


def refused(life: ClinicLife, code: str, *, n: int = 1, **over: Any) -> list[Message]:
    """Texts to one patient that the network refuses with this code."""
    patient = life.patient(phone=PHONE)
    life.plan()
    texts = [life.message(patient, text=f"Text {i}.", **over) for i in range(n)]
    life.network.config = replace(DEFAULT, refused_numbers={PHONE: code})
    with life.sessions.begin() as db:
        db.execute(update(Sender).values(segments_per_second=1000))
    life.dispatch()
    return [life.fresh(text) for text in texts]


def of_number(life: ClinicLife) -> PhoneNumber:
    with life.sessions() as db:
        return db.get_one(PhoneNumber, PHONE)


# the number


def test_a_number_that_takes_no_texts_gets_none_until_it_changes(life: ClinicLife) -> None:
    (text,) = refused(life, "21614")
    assert text.state == "failed"
    number = of_number(life)
    assert (number.blocked_at, number.blocked_code) == (NOW, "21614")
    (task,) = life.tasks("number_refused")
    assert (task.level, task.patient_id, task.message_id) == ("amber", text.patient_id, text.id)
    assert task.reason.endswith("(21614)")
    assert task.next_action

    patient = life.patient(phone=PHONE)
    life.plan()
    another = life.message(patient)
    life.dispatch()
    assert (life.fresh(another).state, life.fresh(another).reason) == ("cancelled", "number_blocked")
    assert life.tasks("number_blocked")[0].next_action.startswith("This number does not take texts.")


def test_the_first_refusal_of_a_number_stays_on_record(life: ClinicLife) -> None:
    refused(life, "21614", n=2)
    assert len(life.tasks("number_refused")) == 1
    life.now += HOUR
    message = life.messages()[0]
    with life.sessions.begin() as db:
        draw_consequences(db, message, Refused(Blame.RECIPIENT, "30006", "A landline.", "Ask."), now=life.now)
    assert (of_number(life).blocked_at, of_number(life).blocked_code) == (NOW, "21614")
    assert len(life.tasks("number_refused")) == 2


def test_refused_numbers_of_nobody_are_told_apart(life: ClinicLife) -> None:
    texts = [life.message(life.patient(), patient_id=None, to_number=PHONE) for _ in range(2)]
    for text in texts:
        with life.sessions.begin() as db:
            draw_consequences(db, text, Refused(Blame.RECIPIENT, "21211", "No number.", "Ask."), now=NOW)
    assert [task.message_id for task in life.tasks("number_refused")] == [text.id for text in texts]


# the person


def test_an_opt_out_that_only_the_provider_knew_goes_into_the_ledger_and_stops_the_rest(life: ClinicLife) -> None:
    patient = life.patient(phone=PHONE)
    waiting = life.message(patient, due_at=NOW + HOUR)
    (text,) = refused(life, "21610")
    assert text.state == "failed"
    with life.sessions() as db:
        line = db.scalars(select(Consent).where(Consent.kind == "revoked").limit(1)).one()
    assert (line.number, line.sender_id, line.method, line.evidence) == (PHONE, 1, "provider", f"message {text.id}")
    assert (life.fresh(waiting).state, life.fresh(waiting).reason) == ("cancelled", "opted_out")
    (task,) = life.tasks("opted_out_at_provider")
    assert (task.message_id, task.level) == (text.id, "amber")
    life.network.config = DEFAULT
    later = life.message(patient)
    life.tick()
    assert (life.fresh(later).state, life.fresh(later).reason) == ("cancelled", "opted_out")


def test_an_opt_out_without_a_number_on_the_row_changes_no_ledger(life: ClinicLife) -> None:
    text = life.message(life.patient())
    with life.sessions.begin() as db:
        draw_consequences(db, text, Refused(Blame.OPTED_OUT, "21610", "Opted out.", "Nothing."), now=NOW)
        assert db.scalars(select(Consent.kind)).all() == ["granted"]


# the sender and the account


def test_a_sender_the_network_refuses_stops_and_says_so_once(life: ClinicLife) -> None:
    life.network.config = replace(DEFAULT, refused_senders={SENDER: "21606"})
    with life.sessions.begin() as db:
        db.execute(update(Sender).values(segments_per_second=1000))
    people = [life.patient() for _ in range(5)]
    life.plan()
    texts = [life.message(patient) for patient in people]
    life.dispatch()
    with life.sessions() as db:
        sender = db.get_one(Sender, 1)
    assert sender.paused_at == NOW
    assert (sender.pause_reason or "").endswith("(21606)")
    assert {(life.fresh(t).state, life.fresh(t).held_reason) for t in texts} == {("planned", "sender_paused")}
    (task,) = life.tasks("sender_paused")
    assert (task.level, task.patient_id) == ("red", None)
    life.network.config = DEFAULT
    assert life.dispatch() == 0
    with life.sessions.begin() as db:
        running.resume_sender(db, 1)
        assert release(db, "sender_paused", now=life.now, sender_id=1) == 5
    life.dispatch()
    assert {life.fresh(t).state for t in texts} == {"sent"}


def test_trouble_with_the_account_stops_everything_and_says_so_once(life: ClinicLife) -> None:
    texts = refused(life, "20003", n=3)
    with life.sessions() as db:
        row = db.get_one(Installation, 1)
    assert row.paused_at == NOW
    assert (row.pause_reason or "").endswith("(20003)")
    assert {(t.state, t.held_reason) for t in texts} == {("planned", "paused")}
    (task,) = life.tasks("all_paused")
    assert (task.level, task.patient_id) == ("red", None)
    other = life.message(life.patient())
    life.tick()
    assert life.fresh(other).held_reason == "paused"


def test_a_second_stop_after_a_first_was_ended_is_news_again(life: ClinicLife) -> None:
    (text,) = refused(life, "20003")
    with life.sessions.begin() as db:
        running.resume_all(db)
        release(db, "paused", now=life.now)
    life.now += HOUR
    life.dispatch()
    assert len(life.tasks("all_paused")) == 2
    assert life.fresh(text).attempts == 2


# the text, and nothing


def test_a_text_that_can_not_be_sent_concerns_nobody_else(life: ClinicLife) -> None:
    (text,) = refused(life, "21617")
    assert of_number(life).blocked_at is None
    (task,) = life.tasks()
    assert (task.kind, task.level, task.message_id) == ("text_refused", "amber", text.id)


def test_a_refusal_for_now_has_no_consequences(life: ClinicLife) -> None:
    text = life.message(life.patient())
    with life.sessions.begin() as db:
        draw_consequences(db, text, Refused(Blame.RETRY, "20429", "Too many.", "Nothing."), now=NOW)
    assert life.tasks() == []


@pytest.mark.parametrize("kind", [Refused, Failure])
def test_a_refusal_that_comes_by_receipt_means_the_same(life: ClinicLife, kind: type[Refused | Failure]) -> None:
    (text,) = refused(life, "21617")
    with life.sessions.begin() as db:
        draw_consequences(db, text, kind(Blame.RECIPIENT, "30006", "A landline.", "Ask."), now=NOW)
    assert of_number(life).blocked_code == "30006"
