"""The right to be forgotten: a whole life with planted names, numbers and words, and nothing of it left anywhere."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from structlog.testing import capture_logs

from service.domain.consent import Standing, standing
from service.domain.sms import Forgotten, GatewayClosedError
from service.flows.erasing import NotNow, erase, look_before_erasing
from service.flows.forgetting import forget_due
from service.flows.inbox import poll_inbound
from service.flows.patient_pauses import NoSuchPatient, pause_patient
from service.flows.receipts import poll_receipts
from service.flows.staffing import close_task, skip_message
from service.flows.verification.verifying import verify
from service.store import consent, tasks
from service.store.columns import Table
from service.store.inbox import add_receipt
from service.store.seals import NoKeyError, OtherKeyError, Sealer, is_own_key, seal_with
from service.store.tables import (
    Consent,
    Inbound,
    JournalEntry,
    Message,
    Patient,
    PhoneNumber,
    ProviderCopy,
    SendAttempt,
    Task,
)
from tests.flows.clinic_life import SENDER, ClinicLife, Watched
from tests.store import factories

Sessions = sessionmaker[Session]
KEY = "a key that lasts"


def a_number() -> str:
    return f"+1415555{uuid4().int % 10_000:04}"


@dataclass
class Planted:
    """What must not be found. Every life plants other words."""

    first: str = field(default_factory=lambda: f"Fi{uuid4().hex[:10]}")
    last: str = field(default_factory=lambda: f"La{uuid4().hex[:10]}")
    record: str = field(default_factory=lambda: f"MRN{uuid4().hex[:10]}")
    words: str = field(default_factory=lambda: f"wo{uuid4().hex[:10]}")
    number: str = field(default_factory=a_number)

    def found_in(self, text: str) -> list[str]:
        """Which of it stands in a text; of the number its last nine digits tell enough."""
        looked_for = {"first": self.first, "last": self.last, "record": self.record, "words": self.words}
        return [name for name, word in (looked_for | {"number": self.number[2:]}).items() if word in text]


@pytest.fixture
def sealed(sessions: Sessions) -> Sessions:
    seal_with(sessions, KEY)
    return sessions


@pytest.fixture
def life(sealed: Sessions) -> ClinicLife:
    return ClinicLife(sealed)


def person(life: ClinicLife, planted: Planted, **over: Any) -> Patient:
    names = {"first_name": planted.first, "last_name": planted.last, "external_id": planted.record}
    return life.patient(**names | {"phone": planted.number} | over)


def everything(sessions: Sessions) -> str:
    """Every column of every row of every table."""
    with sessions() as db:
        return "\n".join(
            f"{table.name}: {json.dumps([str(value) for value in row], ensure_ascii=False)}"
            for table in Table.metadata.sorted_tables
            for row in db.execute(select(table))
        )


def at_provider(life: ClinicLife) -> str:
    return repr((life.network.accepted, life.network.heard))


def receive(life: ClinicLife, planted: Planted, body: str) -> None:
    life.network.say(planted.number, SENDER, body=body, now=life.now)
    poll_inbound(life.sessions, life.gateway, life.clock, stop_replies="own")


def live_on(life: ClinicLife, planted: Planted) -> Patient:
    """Booked, reminded, treated, cared for; a fear told, a pause, a task closed, texts by staff, and in the end a STOP."""
    patient = person(life, planted)
    session = life.booked("2026-03-16 14:00", of=patient, external_id=f"visit {planted.record}")
    life.until("2026-03-16 14:20")
    life.change(session, status="completed", completed_at=life.now)
    life.until("2026-03-17 15:00")
    life.message(patient, template=None, text=f"Dear {planted.first}, {planted.words}")
    life.tick()
    receive(life, planted, f"This is {planted.first} {planted.last}, I have neck pain {planted.words}")
    life.tick()
    with life.sessions.begin() as db:
        waiting = db.scalars(select(Message).where(Message.state == "planned", Message.patient_id == patient.id)).all()
        skip_message(db, waiting[0].id, reason=f"{planted.last} rang", by="nurse", now=life.now)
        told = f"{planted.first} rang from {planted.number}"
        tasks.open_task(
            db, identity=f"number_changed:{patient.id}:{planted.words}", kind="number_changed", patient_id=patient.id,
            clinic_id=patient.clinic_id, now=life.now, reason=told, next_action=told,
        )  # fmt: skip
        for task in db.scalars(select(Task).where(Task.state == "open")).all():
            close_task(db, task.id, outcome=f"{planted.last} is well", by="nurse", now=life.now)
        pause_patient(db, patient.id, until="2026-12-24", reason=f"{planted.words}", by="nurse", now=life.now)
        factories.grant(db, patient, evidence=f"form signed by {planted.first} {planted.last}", at=life.now)
    receive(life, planted, "STOP")
    life.wait(minutes=5)
    poll_receipts(life.sessions, life.gateway, life.clock)
    return patient


def let_go(life: ClinicLife, patient: Patient) -> None:
    with life.sessions.begin() as db:
        erase(db, patient.id, reason="asked for it", by="officer", now=life.now)


def test_nothing_is_left_of_a_whole_life(life: ClinicLife, capsys: pytest.CaptureFixture[str]) -> None:
    planted = Planted()
    with capture_logs() as logs:
        patient = live_on(life, planted)
        assert set(planted.found_in(everything(life.sessions))) == {"first", "last", "record", "words", "number"}
        assert set(planted.found_in(at_provider(life))) == {"first", "last", "words", "number"}
        assert verify(life.sessions, life.clock).in_order() == []
        before = len(life.messages()), len(life.left())
        let_go(life, patient)
        life.wait(minutes=1)
        forget_due(life.sessions, life.gateway, life.clock)
        assert verify(life.sessions, life.clock).in_order() == []
    assert planted.found_in(everything(life.sessions)) == []
    assert planted.found_in(at_provider(life)) == []
    assert planted.found_in(repr(logs) + repr(capsys.readouterr())) == []
    assert before[0] == len(life.messages()), "the rows themselves stay, to be counted"
    assert before[1] > 5


def test_what_is_counted_stays(life: ClinicLife) -> None:
    planted = Planted()
    patient = live_on(life, planted)
    told = ("state", "template", "sent_at", "segments")
    before = [[getattr(message, name) for name in told] for message in life.messages() if message.state != "planned"]
    let_go(life, patient)
    after = [[getattr(message, name) for name in told] for message in life.messages() if message.reason != "erased"]
    assert after == before
    erased = life.fresh(patient)
    assert (erased.first_name, erased.phone, erased.status, erased.erased_at) == ("", None, "inactive", life.now)


def test_an_opt_out_still_counts_when_the_number_comes_again(life: ClinicLife) -> None:
    planted = Planted()
    let_go(life, live_on(life, planted))
    with life.sessions() as db:
        entries = consent.entries_for(db, [planted.number, "+12025550100"])
        held = standing(entries[planted.number], clinic_id=life.clinic.id, sender_id=1, now=life.now)
        assert (held, entries["+12025550100"]) == (Standing.REVOKED, [])
        assert is_own_key(db) is True
    again = person(life, planted, agreed=False)
    life.message(again)
    life.tick()
    assert life.left(again) == []


def test_a_consent_does_not_come_back_with_the_number(life: ClinicLife) -> None:
    """Nor does an opt-out that the person themselves had ended."""
    planted = Planted()
    patient = person(life, planted)
    for body in ("STOP", "START"):
        receive(life, planted, body)
        life.wait(minutes=1)
    let_go(life, patient)
    with life.sessions() as db:
        assert consent.entries_for(db, [planted.number]) == {planted.number: []}
    with life.sessions() as db:
        factories.grant(db, patient, number=planted.number, at=life.now)
        (line,) = consent.entries_for(db, [planted.number])[planted.number]
        assert line.granted


def test_a_shared_phone_keeps_its_consent(life: ClinicLife) -> None:
    planted = Planted()
    patient, child = person(life, planted), life.patient(phone=planted.number, agreed=False)
    life.message(patient)
    life.tick()
    life.wait(minutes=1)
    with life.sessions() as db:
        assert look_before_erasing(db, patient.id).shared_numbers == 1
    let_go(life, patient)
    assert set(planted.found_in(everything(life.sessions))) == {"number"}
    life.message(child)
    life.tick()
    assert [text.to for text in life.left(child)] == [planted.number]
    life.wait(minutes=1)
    let_go(life, child)
    forget_due(life.sessions, life.gateway, life.clock)
    assert planted.found_in(everything(life.sessions) + at_provider(life)) == []
    assert verify(life.sessions, life.clock).in_order() == []


def test_another_clinics_patient_with_the_number_is_left_alone(life: ClinicLife) -> None:
    planted = Planted()
    patient, theirs = person(life, planted), life.patient(of=life.another_clinic(), phone=planted.number)
    let_go(life, patient)
    with life.sessions() as db:
        ledger = db.scalars(select(Consent).order_by(Consent.id)).all()
        assert [line.number == planted.number for line in ledger] == [False, True]
        assert db.get(PhoneNumber, planted.number) is not None
    life.message(theirs)
    life.tick()
    assert len(life.left(theirs)) == 1


def test_texts_that_wait_never_leave(life: ClinicLife) -> None:
    patient = life.patient()
    message = life.message(patient)
    let_go(life, patient)
    life.wait(hours=10)
    assert life.left(patient) == []
    assert (life.fresh(message).state, life.story(message)) == ("cancelled", [("withdrawn", "erased")])


@pytest.mark.parametrize(
    ("state", "told"),
    [("sending", "leaving at this moment"), ("unconfirmed", "Nobody knows yet")],
    ids=["leaving", "in doubt"],
)
def test_a_text_in_the_providers_hands_is_waited_for(life: ClinicLife, state: str, told: str) -> None:
    patient = life.patient()
    life.message(patient, state=state, claimed_at=life.now, sent_at=life.now)
    before = everything(life.sessions)
    with pytest.raises(NotNow, match=f"{told}.*othing was erased"):
        let_go(life, patient)
    assert everything(life.sessions) == before


def test_a_text_that_nobody_has_read_is_read_first(life: ClinicLife) -> None:
    planted = Planted()
    patient = person(life, planted)
    with life.sessions.begin() as db:
        factories.inbound(db, from_number=planted.number)
    with pytest.raises(NotNow, match="cry for help"):
        let_go(life, patient)


def test_a_message_that_another_worker_holds_is_waited_for(life: ClinicLife) -> None:
    if life.sessions.kw["bind"].dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    patient = life.patient()
    message = life.message(patient)
    with life.sessions.begin() as other:
        other.get(Message, message.id, with_for_update=True)
        with pytest.raises(NotNow):
            let_go(life, patient)


def test_nobody_is_erased_without_a_lasting_key(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    patient = life.patient()
    sessions.configure(info={})
    with pytest.raises(NoKeyError):
        let_go(life, patient)


def test_nobody_is_erased_under_another_key(life: ClinicLife) -> None:
    one, two = life.patient(), life.patient()
    with life.sessions() as db:
        assert is_own_key(db) is None
    let_go(life, one)
    seal_with(life.sessions, "another key")
    with life.sessions() as db:
        assert is_own_key(db) is False
    with pytest.raises(OtherKeyError, match="Nothing was changed"):
        let_go(life, two)


def test_who_is_not_there(life: ClinicLife) -> None:
    with life.sessions() as db:
        with pytest.raises(NoSuchPatient):
            look_before_erasing(db, 4711)
        with pytest.raises(NoSuchPatient):
            erase(db, 4711, reason="asked for it", by="officer", now=life.now)


def test_twice_is_as_good_as_once(life: ClinicLife) -> None:
    patient = live_on(life, Planted())
    let_go(life, patient)
    let_go(life, patient)
    with life.sessions() as db:
        why = db.scalars(select(JournalEntry.reason).where(JournalEntry.kind == "patient_erased")).all()
    assert why == ["asked for it"] * 2
    assert verify(life.sessions, life.clock).in_order() == []


def test_a_report_that_waits_keeps_what_is_needed_to_read_it(life: ClinicLife) -> None:
    planted = Planted()
    patient = person(life, planted)
    life.message(patient)
    life.tick()
    (sid,) = life.network.accepted
    fields = {"MessageSid": sid, "MessageStatus": "delivered", "To": planted.number}
    with life.sessions.begin() as db:
        add_receipt(db, life.gateway.read_receipt(fields), now=life.now)
    let_go(life, patient)
    life.wait(minutes=1)
    poll_receipts(life.sessions, life.gateway, life.clock)
    assert life.fresh(life.messages()[0]).state == "delivered"
    assert planted.found_in(everything(life.sessions)) == []


def test_seals_tell_numbers_and_keys_apart() -> None:
    one, other = Sealer("a"), Sealer("b")
    seals = {one.seal("+12025550101"), one.seal("+12025550102"), other.seal("+12025550101"), one.check, other.check}
    assert len(seals) == 5
    assert {(seal[0], len(seal)) for seal in seals} == {("#", 20)}


def test_rows_of_a_number_that_is_nobodys_go_with_it(life: ClinicLife) -> None:
    """An answer to the phone before anybody knew whose it was."""
    planted, _ = Planted(), life.clinic
    receive(life, planted, f"HELP {planted.words}")
    life.wait(minutes=1)
    patient = person(life, planted)
    let_go(life, patient)
    assert planted.found_in(everything(life.sessions)) == []
    with life.sessions() as db:
        assert {attempt.text for attempt in db.scalars(select(SendAttempt))} <= {""}
        assert [inbound.body for inbound in db.scalars(select(Inbound))] == [""]


def test_what_the_provider_does_not_let_go_of_is_asked_for_again(life: ClinicLife) -> None:
    patient = life.patient()
    life.message(patient)
    life.tick()
    let_go(life, patient)
    assert forget_due(life.sessions, life.gateway, life.clock) == 0, "it is on its way"
    life.now += timedelta(seconds=59)
    assert forget_due(life.sessions, life.gateway, life.clock) == 0, "it is not time yet"
    life.now += timedelta(seconds=1)
    assert forget_due(life.sessions, life.gateway, life.clock) == 1
    assert forget_due(life.sessions, life.gateway, life.clock) == 0
    assert life.network.accepted == {}


class Closing(Watched):
    """A gateway that is being closed."""

    def forget(self, provider_sid: str) -> Forgotten:
        raise GatewayClosedError(provider_sid)


def test_a_service_that_stops_asks_for_nothing_more(life: ClinicLife) -> None:
    patient = life.patient()
    life.message(patient)
    life.tick()
    let_go(life, patient)
    assert forget_due(life.sessions, Closing(life.gateway, lambda _: None), life.clock) == 0
    with life.sessions() as db:
        assert [copy.attempts for copy in db.scalars(select(ProviderCopy))] == [0]
