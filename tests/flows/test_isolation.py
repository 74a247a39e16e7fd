"""What is wrong with one text, one outcome or one moment of the database never costs anybody else a text."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Blame, Failure, Receipt, ReceiptState
from service.flows.consent import withdraw
from service.flows.dispatcher import dispatch_due
from service.flows.inbox import poll_inbound
from service.flows.policy import SendingPolicy
from service.flows.receipts import apply_pending, receive_receipt
from service.flows.refusals import draw_consequences
from service.flows.settling import QUICK_TRIES, WAITS
from service.flows.staffing import resume
from service.store import running
from service.store.tables import Message, Patient, RawReceipt
from tests.domain.cases import DAY, HOUR
from tests.flows.clinic_life import ClinicLife
from tests.store import factories
from tests.store.factories import NOW


@pytest.fixture
def life(sessions: sessionmaker[Session]) -> ClinicLife:
    found = ClinicLife(sessions)
    with sessions.begin() as db:
        db.execute(text("UPDATE sender SET segments_per_second = 1000"))
    return found


@pytest.fixture
def quick(sqlite_sessions: sessionmaker[Session]) -> ClinicLife:
    return ClinicLife(sqlite_sessions)


@dataclass(frozen=True, slots=True)
class BreaksOn(SendingPolicy):
    """A policy with a fault of its own: one number makes it raise what nobody foresaw."""

    number: str = ""

    def forbids(self, number: str, *, country: str, home: str) -> str | None:
        if number == self.number:
            raise RuntimeError("a fault nobody foresaw")
        return None


@contextmanager
def database_refuses(life: ClinicLife, beginning: str, *, times: int) -> Iterator[None]:
    """The first ``times`` statements that begin so fail, as when the database ends a deadlock or is out for a moment."""
    left = [times]

    def refuse(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(beginning) and left[0]:
            left[0] -= 1
            raise OperationalError(statement, None, Exception("not now"))

    engine = life.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", refuse)


def test_a_number_that_was_written_wrongly_by_another_program_stops_only_its_own_patient(life: ClinicLife) -> None:
    texts = [life.message(life.patient()) for _ in range(3)]
    life.plan()
    with life.sessions.begin() as db:
        db.execute(
            text("UPDATE patient SET phone = '2025550100', marked = :no WHERE id = :id"),
            {"no": False, "id": texts[0].patient_id},
        )
        db.execute(text("UPDATE patient SET marked = :no"), {"no": False})
    life.dispatch()
    found = [life.fresh(message) for message in texts]
    assert [message.state for message in found] == ["planned", "sent", "sent"]
    assert found[0].held_reason == "not_writable"


def test_a_fault_nobody_foresaw_holds_one_text_and_lets_all_others_leave(life: ClinicLife) -> None:
    patients = [life.patient() for _ in range(4)]
    texts = [life.message(patient) for patient in patients]
    life.plan()
    life.policy = BreaksOn(number=patients[1].phone or "")
    life.dispatch()
    life.dispatch()
    found = [life.fresh(message) for message in texts]
    assert [message.state for message in found] == ["sent", "planned", "sent", "sent"]
    assert found[1].held_reason == "not_writable"
    (task,) = life.tasks("not_writable")
    assert (task.message_id, "RuntimeError" in task.reason) == (texts[1].id, False)


def test_a_text_set_aside_leaves_once_the_fault_is_mended(quick: ClinicLife) -> None:
    patient = quick.patient()
    message = quick.message(patient)
    quick.plan()
    quick.policy = BreaksOn(number=patient.phone or "")
    quick.dispatch()
    quick.policy = SendingPolicy()
    quick.now += HOUR
    quick.dispatch()
    assert quick.fresh(message).state == "sent"


def test_nothing_is_set_aside_where_the_database_is_in_trouble(life: ClinicLife) -> None:
    message = life.message(life.patient())
    life.plan()
    with database_refuses(life, "INSERT INTO send_attempt", times=1), pytest.raises(OperationalError):
        life.dispatch()
    assert (life.fresh(message).state, life.fresh(message).held_reason) == ("planned", None)
    life.dispatch()
    assert life.fresh(message).state == "sent"


def test_an_outcome_is_written_although_the_database_gave_way_twice(life: ClinicLife) -> None:
    texts = [life.message(life.patient()) for _ in range(3)]
    life.plan()
    with database_refuses(life, "UPDATE send_attempt", times=2):
        life.dispatch()
    assert {life.fresh(message).state for message in texts} == {"sent"}
    assert len(life.left()) == 3


def test_one_outcome_that_can_not_be_written_costs_no_other(life: ClinicLife) -> None:
    texts = [life.message(life.patient()) for _ in range(3)]
    life.plan()
    tries = QUICK_TRIES + len(WAITS)
    with database_refuses(life, "UPDATE send_attempt", times=tries), pytest.raises(OperationalError):
        life.dispatch()
    assert sorted(life.fresh(message).state for message in texts) == ["sending", "sent", "sent"]
    assert len(life.left()) == 3


def test_a_worker_that_is_told_to_stop_claims_nothing_more(quick: ClinicLife) -> None:
    message = quick.message(quick.patient())
    quick.plan()
    dispatch_due(quick.sessions, quick.gateway, quick.clock, quick.policy, go_on=lambda: False)
    assert (quick.fresh(message).state, quick.left()) == ("planned", [])


def test_a_report_the_database_could_not_take_in_is_tried_again_and_not_given_up(life: ClinicLife) -> None:
    message = life.message(life.patient())
    life.plan()
    life.dispatch()
    sid = life.fresh(message).provider_sid or ""
    receipt = Receipt(
        sid, ReceiptState.DELIVERED, "delivered", fields={"MessageSid": sid, "MessageStatus": "delivered"}
    )
    with database_refuses(life, "INSERT INTO journal", times=1):
        receive_receipt(life.sessions, receipt, life.clock)
    with life.sessions() as db:
        assert [raw.failures for raw in db.query(RawReceipt)] == [0]
    apply_pending(life.sessions, life.gateway, life.clock)
    assert life.fresh(message).state == "delivered"


def test_a_failed_delivery_to_a_patient_with_unusable_facts_is_still_noted(life: ClinicLife) -> None:
    patient = life.patient()
    message = life.message(patient)
    life.plan()
    life.dispatch()
    life.change(patient, time_zone="Nowhere/Land")
    sid = life.fresh(message).provider_sid or ""
    failure = Failure(Blame.RECIPIENT, "30005", "The number is not in use.", "Phone the patient.")
    receive_receipt(life.sessions, Receipt(sid, ReceiptState.UNDELIVERED, "undelivered", failure=failure), life.clock)
    assert life.fresh(message).state == "undelivered"


def test_a_text_that_comes_back_has_its_patient_planned_first(life: ClinicLife) -> None:
    patient = life.patient()
    message = life.message(patient, expires_at=NOW + DAY)
    life.plan()
    life.dispatch()
    sid = life.fresh(message).provider_sid or ""
    failure = Failure(Blame.RETRY, "30003", "The phone was off.", "Nothing yet.", temporary=True)
    receive_receipt(life.sessions, Receipt(sid, ReceiptState.UNDELIVERED, "undelivered", failure=failure), life.clock)
    assert life.fresh(message).state == "planned"
    with life.sessions() as db:
        assert db.get_one(Patient, patient.id).marked


def test_texts_from_phones_are_seen_although_a_clock_ran_ahead_once(quick: ClinicLife) -> None:
    with quick.sessions.begin() as db:
        running.installation(db).inbound_polled_to = NOW + 300 * DAY
    quick.network.say("+12025550177", "+13125550199", body="hello", now=quick.now)
    quick.patient()
    assert poll_inbound(quick.sessions, quick.gateway, quick.clock, stop_replies="provider") == 1


def test_a_change_that_came_while_a_text_was_leaving_is_planned_when_it_comes_back(life: ClinicLife) -> None:
    patient = life.patient()
    session = life.booked(NOW + DAY, of=patient)
    life.plan()
    (message,) = (m for m in life.messages() if m.state == "planned" and m.due_at and m.due_at <= NOW + HOUR)
    life.change(message, state="sending", claimed_at=NOW, claim_token="a")
    life.change(session, scheduled_start=NOW + 20 * DAY)
    life.plan()
    with life.sessions() as db:
        assert db.get_one(Patient, patient.id).marked
    life.change(message, state="planned", claimed_at=None, claim_token=None)
    life.plan()
    assert life.fresh(message).state == "cancelled"
    with life.sessions() as db:
        assert not db.get_one(Patient, patient.id).marked


def test_news_of_a_session_booked_again_is_told_although_the_words_are_the_same(life: ClinicLife) -> None:
    patient = life.patient()
    session = life.booked(NOW + 20 * DAY, of=patient)
    life.until(NOW + HOUR)
    life.change(session, scheduled_start=NOW + 21 * DAY)
    life.until(NOW + 2 * HOUR)
    life.change(session, status="cancelled")
    life.until(NOW + 3 * HOUR)
    life.change(session, status="booked")
    life.until(NOW + 4 * HOUR)
    assert [left.step for left in life.left()][-3:] == ["moved", "cancelled", "moved"]


def test_nobody_is_asked_to_phone_a_patient_who_has_died(life: ClinicLife) -> None:
    patient = life.patient()
    life.booked(NOW + HOUR, of=patient)
    life.plan()
    assert life.tasks("missed_text")
    life.change(patient, status="deceased")
    life.plan()
    assert {task.state for task in life.tasks("missed_text")} == {"withdrawn"}


def test_a_report_under_an_id_that_no_request_got_is_shown_to_a_person(life: ClinicLife) -> None:
    message = life.message(life.patient())
    life.plan()
    life.dispatch()
    stray = Receipt("SM" + "f" * 32, ReceiptState.DELIVERED, "delivered", message_id=message.id)
    receive_receipt(life.sessions, stray, life.clock)
    (task,) = life.tasks("sent_twice")
    assert (task.level, task.message_id) == ("red", message.id)


def test_what_paused_everything_is_no_longer_a_task_once_a_person_resumes(life: ClinicLife) -> None:
    message = life.message(life.patient())
    life.plan()
    with life.sessions.begin() as db:
        refusal = Failure(Blame.ACCOUNT, "20003", "The credentials are wrong.", "Correct them.")
        draw_consequences(db, db.get_one(Message, message.id), refusal, now=NOW)
    with life.sessions.begin() as db:
        resume(db, by="ops", now=NOW + HOUR)
    (task,) = life.tasks("all_paused")
    assert (task.state, task.outcome) == ("closed", "Resumed by ops.")


def test_a_stop_holds_although_consent_was_written_by_a_clock_that_is_ahead(life: ClinicLife) -> None:
    patient = life.patient(agreed=False)
    with life.sessions.begin() as db:
        factories.grant(db, patient, at=NOW + HOUR)
        withdraw(db, number=patient.phone or "", sender_id=1, now=NOW, method="text", evidence=None)
    message = life.message(patient)
    life.now += 2 * HOUR
    life.plan()
    life.dispatch()
    assert (life.fresh(message).state, life.fresh(message).reason) == ("cancelled", "opted_out")
