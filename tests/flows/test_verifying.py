"""What a service that keeps its promises may live through: proving it finds nothing, whatever was changed afterwards."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Receipt, ReceiptState
from service.flows.clinics import set_clinic
from service.flows.inbox import receive_inbound
from service.flows.receipts import poll_receipts, receive_receipt
from service.flows.recovery import STALE, recover
from service.flows.staffing import skip_message
from service.flows.verification.findings import Findings, Rule
from service.flows.verification.verifying import verify
from service.gateways.simulated_network import DEFAULT, Span
from service.store.tables import Clinic, Consent, Patient, TreatmentSession
from tests.domain.cases import renamed
from tests.flows.clinic_life import SENDER, ClinicLife, Watched, at
from tests.flows.phones import sms
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WAIT = timedelta(seconds=90)


def proven(life: ClinicLife) -> Findings:
    found = verify(life.sessions, life.clock)
    assert found.in_order() == []
    return found


def treated(life: ClinicLife) -> TreatmentSession:
    """A session with everything that goes before and comes in the days after it; it is Friday noon then."""
    session = life.booked("2026-03-16 14:00")
    life.until("2026-03-16 14:20")
    life.change(session, status="completed", completed_at=life.now)
    life.until("2026-03-20 12:00")
    return session


def heard(life: ClinicLife, body: str, patient: Patient) -> None:
    """A phone texts, and what follows leaves."""
    life.now += timedelta(seconds=1)
    said = sms(body, number=str(patient.phone), to=SENDER, at=life.now)
    receive_inbound(life.sessions, said, life.clock, via="webhook", stop_replies="own")
    life.now += timedelta(seconds=1)
    life.tick()


# what is changed afterwards


def set_zone(life: ClinicLife, zone: str) -> None:
    with life.sessions.begin() as db:
        clinic = db.get_one(Clinic, life.clinic.id)
        set_clinic(db, clinic, given={"time_zone": zone}, holidays=None, by="test", now=life.now)


AFTERWARDS: dict[str, Callable[[ClinicLife, TreatmentSession], None]] = {
    "the clinic closes earlier": lambda life, _: life.change(life.clinic, window_opens="12:00", window_closes="13:00"),
    "the clinic and the plan never meet": lambda life, _: life.change(
        life.clinic, window_opens="22:00", window_closes="23:00"
    ),
    "the clinic moves to Japan": lambda life, _: life.change(life.clinic, time_zone="Asia/Tokyo"),
    "the clinic moves to Japan by command": lambda life, _: set_zone(life, "Asia/Tokyo"),
    "the clinic's zone becomes nonsense": lambda life, _: life.change(life.clinic, time_zone="Mars/North"),
    "the patient moves to Japan": lambda life, session: life.sql("UPDATE patient SET time_zone = 'Asia/Tokyo'"),
    "the patient's zone becomes nonsense": lambda life, session: life.sql("UPDATE patient SET time_zone = 'Mars'"),
    "another number": lambda life, _: life.sql("UPDATE patient SET phone = '+12025550177'"),
    "no number any more": lambda life, _: life.sql("UPDATE patient SET phone = NULL, first_name = '', last_name = ''"),
    "the patient has died": lambda life, _: life.sql("UPDATE patient SET status = 'deceased'"),
    "another sender": lambda life, _: life.sql("UPDATE clinic SET sender_id = (SELECT max(id) FROM sender)"),
    "another plan": lambda life, _: life.follow(life.clinic, renamed()),
    "a plan that nobody can read": lambda life, _: life.sql(
        "UPDATE plan_version SET document = '{}' WHERE version > 1"
    ),
    "the lite plan": lambda life, _: life.change(life.clinic, plan="lite"),
    "the session is cancelled": lambda life, session: life.change(session, status="cancelled", completed_at=None),
    "the session was missed": lambda life, session: life.change(session, status="no_show", completed_at=None),
    "the session was an error": lambda life, session: life.change(
        session, status="entered_in_error", completed_at=None
    ),
    "nothing was done": lambda life, session: life.change(session, status="not_done", completed_at=None),
    "it is booked again": lambda life, session: life.change(
        session, status="booked", completed_at=None, scheduled_start=at("2026-03-30 14:00")
    ),
    "it ended earlier": lambda life, session: life.change(session, completed_at=at("2026-03-15 14:00")),
    "it ended at a time that nobody can read": lambda life, session: life.sql(
        "UPDATE treatment_session SET completed_at = '9999-12-31 00:00:00'"
    ),
    "the texts are retired": lambda life, _: life.sql("UPDATE template_version SET state = 'retired'"),
}


@pytest.mark.parametrize("planned_again", [False, True], ids=["at once", "after planning"])
@pytest.mark.parametrize("happens", AFTERWARDS.values(), ids=AFTERWARDS)
def test_what_is_changed_afterwards(
    sqlite_sessions: Sessions, happens: Callable[[ClinicLife, TreatmentSession], None], planned_again: bool
) -> None:
    life = ClinicLife(sqlite_sessions)
    with life.sessions.begin() as db:
        factories.sender(db)
    session = treated(life)
    life.now += MINUTE
    happens(life, session)
    if planned_again:
        life.wait(minutes=1)
    proven(life)


# texts on the way


class DeadError(RuntimeError):
    """The worker's process is gone."""


def die(life: ClinicLife, *, taken: bool) -> None:
    """A worker takes what is due and is gone, before its text was handed over, or after."""
    inner = life.gateway

    def stop(text: Any) -> None:
        if taken:
            list(inner.send_batch([text]))
        raise DeadError

    life.plan()
    life.gateway = Watched(inner, stop)
    with pytest.raises(DeadError):
        life.dispatch()
    life.gateway = inner


@pytest.mark.parametrize("taken", [False, True], ids=["not taken", "taken"])
def test_a_worker_dies_with_a_text_in_hand(sessions: Sessions, taken: bool) -> None:
    life = ClinicLife(sessions)
    text = life.message(life.patient())
    die(life, taken=taken)
    assert life.fresh(text).state == "sending"
    assert proven(life).checked[Rule.SENT_WITHOUT_CONSENT] == 1
    life.now += STALE + timedelta(seconds=1)
    recover(life.sessions, life.gateway, life.clock, wait=WAIT)
    assert life.fresh(text).state == "unconfirmed"
    proven(life)
    life.now += 2 * WAIT
    recover(life.sessions, life.gateway, life.clock, wait=WAIT)
    assert life.fresh(text).state == ("sent" if taken else "planned")
    proven(life)
    life.wait(minutes=30)
    assert life.fresh(text).state == "sent"
    assert len(life.left()) == 1
    assert proven(life).checked[Rule.SENT_TWICE] == 1


def test_a_report_of_failure_and_one_more_try(sessions: Sessions) -> None:
    life = ClinicLife(sessions, network=replace(DEFAULT, undelivered=1.0, undelivered_code="30022"))
    text = life.message(life.patient())
    life.tick()
    life.wait(minutes=1)
    poll_receipts(life.sessions, life.gateway, life.clock)
    assert (life.fresh(text).state, life.fresh(text).held_reason) == ("planned", "retry")
    proven(life)
    life.wait(hours=3)
    poll_receipts(life.sessions, life.gateway, life.clock)
    assert (life.fresh(text).state, life.fresh(text).attempts) == ("undelivered", 2)
    proven(life)


def test_a_text_planned_anew_between_two_tries(sessions: Sessions) -> None:
    """Until when it was of use at its first try nobody knows any more."""
    life = ClinicLife(sessions, network=replace(DEFAULT, undelivered=1.0, undelivered_code="30022"))
    session = life.completed("2026-03-02 08:00", completion_known_at=NOW)
    life.until("2026-03-03 08:10")
    life.now += timedelta(seconds=50)
    life.until("2026-03-03 09:01")
    poll_receipts(life.sessions, life.gateway, life.clock)
    life.change(session, completed_at=at("2026-03-01 08:00"))
    life.tick()
    proven(life)
    life.wait(days=2)
    proven(life)


def test_reports_that_come_before_their_time(sessions: Sessions) -> None:
    """The report overtakes the answer; a database that was set back knows nothing of the text at all."""
    life = ClinicLife(sessions)
    text = life.message(life.patient())
    for state in (ReceiptState.SENT, ReceiptState.DELIVERED):
        receive_receipt(life.sessions, Receipt("SM1", state, state.value, message_id=text.id), life.clock)
        proven(life)
    assert life.fresh(text).state == "delivered"


def test_refused_and_busy(sessions: Sessions) -> None:
    life = ClinicLife(sessions, network=replace(DEFAULT, bursts=[Span(NOW, NOW + MINUTE)]))
    life.message(life.patient())
    life.message(life.patient(phone="+15005550009"))
    life.tick()
    proven(life)
    life.wait(minutes=5)
    assert {message.state for message in life.messages(kind="staff")} == {"sent", "failed"}
    assert proven(life).checked[Rule.SENT_OUTSIDE_WINDOW] == 1


# consent


def test_no_more_texts_and_texts_again(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    patient = life.patient()
    life.booked("2026-03-16 14:00", of=patient)
    life.until("2026-03-09 12:00")
    heard(life, "STOP", patient)
    life.wait(days=1)
    proven(life)
    heard(life, "START", patient)
    life.until("2026-03-16 10:00")
    assert "pre_1d" in life.steps_left(patient)
    assert proven(life).checked[Rule.SENT_AFTER_OPT_OUT] > 3


def test_a_request_for_consent_and_the_welcome_at_any_hour(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    patient = life.patient(agreed=False, may_ask=True, added_at=NOW)
    life.until("2026-03-03 02:00")
    assert life.steps_left(patient) == ["optin"]
    heard(life, "YES", patient)
    life.wait(minutes=5)
    assert life.steps_left(patient) == ["optin", "welcome"]
    found = proven(life)
    assert (found.checked[Rule.SENT_WITHOUT_CONSENT], found.checked[Rule.SENT_OUTSIDE_WINDOW]) == (1, 1)


def test_an_opt_out_that_reached_us_late(sessions: Sessions) -> None:
    """It was said before a text left, and known only when the phone had said the opposite again."""
    life = ClinicLife(sessions)
    patient = life.patient()
    life.now += HOUR
    life.message(patient)
    life.tick()
    heard(life, "START", patient)
    said = sms("STOP", number=str(patient.phone), to=SENDER, at=NOW + MINUTE)
    receive_inbound(life.sessions, said, life.clock, via="poll", stop_replies="own")
    with life.sessions() as db:
        assert [line.kind for line in db.scalars(select(Consent).where(Consent.at < NOW + HOUR))] == [
            "granted",
            "revoked",
        ]
    proven(life)


def test_clinics_that_share_a_sender(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    here, there = life.patient(phone="+12025550144"), life.patient(of=life.another_clinic(), phone="+12025550144")
    for patient in (here, there):
        life.message(patient, text=f"To {patient.id}.")
    life.tick()
    heard(life, "STOP", here)
    life.message(there, text="Once more.")
    life.wait(minutes=1)
    assert len(life.left(there)) == 1
    assert proven(life).checked[Rule.SENT_AFTER_OPT_OUT] == 2


def test_a_line_of_the_ledger_that_nobody_can_read(sqlite_sessions: Sessions) -> None:
    life = ClinicLife(sqlite_sessions)
    patient = life.patient()
    life.message(patient)
    life.tick()
    life.sql(
        "INSERT INTO consent (clinic_id, number, kind, at, evidence) VALUES (:clinic, :number, 'revoked', '2026-13-01', 'inbound:x')",
        clinic=patient.clinic_id,
        number=patient.phone,
    )
    proven(life)


# staff, answers, plans


def test_texts_to_staff_keep_no_hours_and_need_no_consent(sessions: Sessions) -> None:
    life = ClinicLife(sessions, now=at("2026-03-03 02:00"))
    for kind in ("page", "staff"):
        of_nobody = {"patient_id": None, "kind": kind, "to_number": "+12025550155", "identity": f"{kind}:1"}
        life.message(life.patient(), urgency="safety", priority=0, **of_nobody)
    life.tick()
    assert len(life.left()) == 2
    found = proven(life)
    assert found.checked[Rule.SENT_TWICE] == 2
    assert found.checked[Rule.SENT_WITHOUT_CONSENT] == found.checked[Rule.SENT_OUTSIDE_WINDOW] == 0


def test_answers_at_night(sessions: Sessions) -> None:
    life = ClinicLife(sessions, now=at("2026-03-03 02:00"))
    stranger, patient = life.patient(agreed=False), life.patient()
    heard(life, "HELP", stranger)
    heard(life, "what is this", patient)
    assert len(life.left()) == 2
    assert proven(life).checked[Rule.TWO_REPLIES_TO_ONE_TEXT] == 2


def test_what_staff_skip(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    text = life.message(life.patient())
    with life.sessions.begin() as db:
        skip_message(db, text.id, reason="phoned", by="staff", now=life.now)
    proven(life)


def test_withdrawn_and_brought_back(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    session = life.booked("2026-03-16 14:00")
    life.until("2026-03-05 12:00")
    for status in ("cancelled", "booked", "not_done", "booked", "entered_in_error", "booked"):
        life.change(session, status=status)
        life.wait(hours=1)
        proven(life)
    life.change(session, scheduled_start=at("2026-03-17 16:00"))
    life.until("2026-03-17 16:30")
    assert "pre_1d" in life.steps_left()
    proven(life)


def test_a_change_that_planning_has_not_seen_yet(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    session = treated(life)
    for status in ("cancelled", "booked", "completed", "no_show", "not_done"):
        life.now += MINUTE
        life.change(session, status=status)
        proven(life)


# aftercare


AFTERCARE: dict[str, Callable[[ClinicLife], object]] = {
    "recorded the next morning": lambda life: life.completed(life.now - 16 * HOUR),
    "recorded a week later": lambda life: life.completed(life.now - 7 * DAY),
    "in the night": lambda life: life.completed("2026-03-02 23:30"),
    "without consent": lambda life: life.completed(life.now, of=life.patient(agreed=False)),
    "without a number": lambda life: life.completed(life.now, of=life.patient(phone=None)),
    "of somebody who has died": lambda life: life.completed(life.now, of=life.patient(status="deceased")),
    "of a number that takes no texts": lambda life: life.completed(life.now, of=life.patient(phone="+15005550009")),
    "before the clinic went live": lambda life: life.completed(
        life.now, of=life.patient(of=life.another_clinic(live_from=life.now + 5 * DAY))
    ),
    "of a clinic that is paused": lambda life: life.completed(
        life.now, of=life.patient(of=life.another_clinic(paused_at=life.now))
    ),
    "at a clinic with another plan": lambda life: life.completed(
        life.now, of=life.patient(of=life.another_clinic(plan="lite"))
    ),
    "at a clinic in nowhere": lambda life: life.completed(
        life.now, of=life.patient(of=life.another_clinic(time_zone="Mars/North"))
    ),
    "without a time": lambda life: life.completed(life.now, completed_at=None),
    "twice on one day": lambda life: [life.completed(life.now - n * HOUR, of=life.patient()) for n in (1, 3)],
    "five of one patient at once": lambda life: several(life, [84 * n for n in range(5)]),
    "an older one comes after": lambda life: several(life, [0, 84], later=True),
}


def several(life: ClinicLife, ago: list[int], *, later: bool = False) -> None:
    patient = life.patient()
    for days in ago:
        life.completed(life.now - days * DAY, of=patient)
        if later:
            life.wait(hours=30)


@pytest.mark.parametrize("happens", AFTERCARE.values(), ids=AFTERCARE)
def test_aftercare_that_was_sent_or_is_explained(
    sqlite_sessions: Sessions, happens: Callable[[ClinicLife], object]
) -> None:
    life = ClinicLife(sqlite_sessions)
    happens(life)
    proven(life)
    life.wait(days=2)
    proven(life)


def test_sessions_that_nobody_has_planned_yet(sessions: Sessions) -> None:
    """A clinic's old data have just been written."""
    life = ClinicLife(sessions)
    for days in range(1, 400, 40):
        life.completed(life.now - days * DAY)
    assert proven(life).checked[Rule.AFTERCARE_MISSING] == 0
    life.plan()
    assert proven(life).checked[Rule.AFTERCARE_MISSING] == 10


def test_the_next_session_ends_the_texts_of_the_last(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    session = treated(life)
    with life.sessions() as db:
        patient = db.get_one(Patient, session.patient_id)
    life.completed(life.now, of=patient)
    life.wait(days=3)
    assert proven(life).checked[Rule.AFTERCARE_MISSING] == 2


def test_nothing_at_all(sessions: Sessions) -> None:
    found = verify(sessions, lambda: NOW)
    assert found.ok
    assert found.checked == dict.fromkeys(Rule, 0)
