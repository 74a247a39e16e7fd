"""Opting out stops everything for a number at once; opting in brings back what was agreed."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.consent import Standing, standing
from service.flows import consent as opting
from service.flows import understanding
from service.flows.inbox import understand_pending
from service.flows.planner import plan_pending
from service.store import consent, messages
from service.store.tables import Clinic, Consent, Inbound, JournalEntry, Message, Patient, PhoneNumber, Task
from tests.flows.phones import OUR_NUMBER, PHONE, Phones
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]


@pytest.fixture
def phones(sessions: Sessions) -> Phones:
    return Phones(sessions)


def stands(phones: Phones, patient: Patient) -> Standing:
    with phones.sessions() as db:
        sender_id = db.get_one(Clinic, patient.clinic_id).sender_id
        lines = consent.entries_for(db, [PHONE])[PHONE]
        return standing(lines, clinic_id=patient.clinic_id, sender_id=sender_id, now=phones.now)


# --- Opting out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["STOP", "stop.", " Stop! ", "STOPALL", "opt out", "Cancel", "END", "ALTO", "baja", "DUR", "iptal", "ÇIK"]
)
def test_an_opt_out_stops_all_that_waits_at_once(phones: Phones, word: str) -> None:
    patient = phones.agreed(phones.patient())
    waiting = [phones.planned(patient, identity=f"plan:1:{step}:0") for step in ("pre_1d", "aftercare_1")]
    inbound = phones.say(word)
    (_, line) = phones.rows(Consent)
    assert (line.kind, line.number, line.clinic_id) == ("revoked", PHONE, patient.clinic_id)
    assert (line.sender_id, line.method) == (phones.sender_id, "text")
    assert (line.at, line.evidence) == (NOW, f"inbound:{inbound.id}")
    for message in map(phones.one, waiting):
        assert (message.state, message.reason, message.settled_at) == ("cancelled", "opted_out", NOW)
    assert [entry.kind for entry in phones.rows(JournalEntry)] == ["withdrawn", "withdrawn"]
    assert stands(phones, patient) is Standing.REVOKED
    assert phones.one(patient).marked


@pytest.mark.parametrize(
    ("over", "state"),
    [
        pytest.param({}, "cancelled", id="waits for its time"),
        pytest.param({"attempts": 1}, "cancelled", id="waits for another try"),
        pytest.param({"held_reason": "paused"}, "cancelled", id="held"),
        pytest.param({"kind": "staff", "step": None, "text": "Call us"}, "cancelled", id="a free text by staff"),
        pytest.param({"kind": "reply", "template": "start_confirm"}, "cancelled", id="an answer of ours"),
        pytest.param({"kind": "reply", "urgency": "safety"}, "planned", id="a safety text still goes"),
        pytest.param({"kind": "reply", "template": "stop_confirm"}, "planned", id="the confirmation of an opt-out"),
        pytest.param({"kind": "page"}, "planned", id="a page to staff about the patient"),
        pytest.param({"state": "sending"}, "sending", id="leaving at this moment"),
        pytest.param({"state": "unconfirmed"}, "unconfirmed", id="may have left"),
        pytest.param({"state": "sent"}, "sent", id="has left"),
        pytest.param({"state": "missed"}, "missed", id="had ended before"),
    ],
)
def test_which_texts_an_opt_out_ends(phones: Phones, over: dict[str, Any], state: str) -> None:
    message = phones.planned(phones.patient(), **over)
    phones.say("STOP")
    assert phones.one(message).state == state


def test_an_opt_out_holds_for_every_patient_of_the_number_and_every_clinic_of_the_sender(phones: Phones) -> None:
    here, there = phones.clinic(), phones.clinic()
    elsewhere = phones.clinic(sender_id=1)
    family = [phones.agreed(phones.patient(clinic)) for clinic in (here, here, there)]
    other_sender = phones.agreed(phones.patient(elsewhere))
    neighbour = phones.agreed(phones.patient(here, phone="+12025550177"))
    waiting = {p.id: phones.planned(p) for p in (*family, other_sender, neighbour)}
    phones.say("STOP")
    states = [phones.one(waiting[p.id]).state for p in (*family, other_sender, neighbour)]
    assert states == ["cancelled", "cancelled", "cancelled", "planned", "planned"]
    assert [stands(phones, p) for p in (*family, other_sender)] == [Standing.REVOKED] * 3 + [Standing.GRANTED]
    assert sorted(phones.ledger()[-2:]) == [(here.id, "revoked"), (there.id, "revoked")]


def test_an_answer_to_nobody_s_number_that_waits_ends_too(phones: Phones) -> None:
    clinic = phones.clinic()
    with phones.sessions.begin() as db:
        waiting = Message(
            clinic_id=clinic.id, identity="reply:1:help", kind="reply", template="help", urgency="reply", priority=0,
            sender_id=phones.sender_id, state="planned", to_number=PHONE, attempt_at=NOW,
        )  # fmt: skip
        db.add(waiting)
    phones.say("STOP")
    assert phones.one(waiting).state == "cancelled"


def test_an_opt_out_from_nobody_s_number_enters_the_ledger(phones: Phones) -> None:
    clinic = phones.clinic()
    phones.say("STOP")
    assert phones.ledger() == [(clinic.id, "revoked")]
    assert (phones.answers(), phones.tasks()) == (["stop_confirm"], [])
    assert stands(phones, phones.patient(clinic)) is Standing.REVOKED


def test_an_opt_out_is_entered_for_every_clinic_that_texted_the_number(phones: Phones) -> None:
    """The number was that of patients who have another one by now."""
    clinics = [phones.clinic(), phones.clinic()]
    for clinic in clinics:
        phones.texted(phones.patient(clinic, phone="+12025550111"), "aftercare_1", to_number=PHONE)
    phones.say("STOP")
    assert phones.ledger() == [(clinic.id, "revoked") for clinic in clinics]


def test_an_opt_out_fails_whole_or_not_at_all(phones: Phones, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger, the waiting texts and the answer are one transaction; the text itself stays, and is understood later."""
    patient = phones.agreed(phones.patient())
    waiting = phones.planned(patient)
    with monkeypatch.context() as broken:
        broken.setattr(understanding, "ask_about_sessions", _fails)
        inbound = phones.say("STOP")
    assert (inbound.state, inbound.failures, inbound.body) == ("new", 1, "STOP")
    assert phones.ledger() == [(patient.clinic_id, "granted")]
    assert (phones.one(waiting).state, phones.answers()) == ("planned", [])
    assert understand_pending(phones.sessions, phones.clock, stop_replies="own") == 1
    assert (phones.one(waiting).state, phones.answers()) == ("cancelled", ["stop_confirm"])


def _fails(*_: object, **__: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_another_worker_holds_is_left_to_its_last_look(phones: Phones) -> None:
    """The claim has locked the row: the opt-out does not wait for it, and the ledger is there when it looks.

    SQLite has one writer at a time: there nobody else can hold a row.
    """
    patient = phones.agreed(phones.patient())
    held, free = phones.planned(patient, identity="plan:1:a:0"), phones.planned(patient, identity="plan:1:b:0")
    with phones.sessions.begin() as other:
        other.execute(select(Message.id).where(Message.id == held.id).with_for_update())
        phones.say("STOP")
    assert [phones.one(row).state for row in (held, free)] == ["planned", "cancelled"]
    assert stands(phones, patient) is Standing.REVOKED


@pytest.mark.parametrize(
    ("who", "answers"), [("own", ["stop_confirm"]), ("provider", [])], ids=["we confirm", "the provider confirms"]
)
def test_who_confirms_an_opt_out(phones: Phones, who: Any, answers: list[str]) -> None:
    phones.stop_replies = who
    phones.agreed(phones.patient())
    phones.say("STOP")
    assert phones.answers() == answers


def test_an_opt_out_said_again_is_recorded_and_confirmed_once(phones: Phones) -> None:
    phones.agreed(phones.patient())
    for _ in range(3):
        phones.say("STOP")
        phones.later(seconds=10)
    assert [kind for _, kind in phones.ledger()] == ["granted", "revoked", "revoked", "revoked"]
    assert phones.answers() == ["stop_confirm"]


@pytest.mark.parametrize(
    ("starts_in", "status", "asked"),
    [
        pytest.param(timedelta(hours=1), "booked", True, id="an hour before the session"),
        pytest.param(timedelta(days=8), "booked", True, id="eight days before"),
        pytest.param(timedelta(days=8, minutes=1), "booked", False, id="more than eight days before"),
        pytest.param(timedelta(0), "booked", False, id="it has begun"),
        pytest.param(timedelta(days=1), "cancelled", False, id="it is cancelled"),
    ],
)
def test_staff_ask_whether_the_session_was_meant(
    phones: Phones, starts_in: timedelta, status: str, *, asked: bool
) -> None:
    patient = phones.patient()
    session = phones.session(patient, scheduled_start=NOW + starts_in, status=status)
    phones.say("CANCEL")
    assert [(task.kind, task.session_id) for task in phones.rows(Task)] == (
        [("opted_out_before_session", session.id)] if asked else []
    )


def test_planning_wants_nothing_more_for_the_number(phones: Phones) -> None:
    patient = phones.agreed(phones.patient())
    phones.session(patient)
    plan_pending(phones.sessions, phones.clock, answers_understood=False)
    assert any(message.state == "planned" for message in phones.rows(Message))
    phones.say("STOP")
    plan_pending(phones.sessions, phones.clock, answers_understood=False)
    assert [m for m in phones.rows(Message) if m.state == "planned" and m.kind == "plan"] == []


def test_a_provider_s_own_block_counts_like_a_word(phones: Phones) -> None:
    patient = phones.agreed(phones.patient())
    waiting = phones.planned(patient)
    with phones.sessions.begin() as db:
        ended = opting.withdraw(
            db, number=PHONE, sender_id=phones.sender_id, now=NOW, method="provider", evidence="message 7"
        )
    assert (ended, phones.one(waiting).state) == (1, "cancelled")
    assert phones.rows(Consent)[-1].method == "provider"


# --- Opting in again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["START", "unstop", "Başla", "iniciar"])
def test_a_start_brings_back_what_was_agreed(phones: Phones, word: str) -> None:
    patient = phones.agreed(phones.patient())
    phones.say("STOP")
    phones.later(minutes=1)
    inbound = phones.say(word)
    assert stands(phones, patient) is Standing.GRANTED
    line = phones.rows(Consent)[-1]
    assert (line.kind, line.sender_id, line.method) == ("granted", phones.sender_id, "text")
    assert (line.evidence, line.wording_version) == (f"inbound:{inbound.id}", None)
    assert (phones.answers(), phones.tasks()) == (["stop_confirm", "start_confirm"], [])
    assert phones.one(patient).marked


def test_a_start_in_the_second_of_the_opt_out_comes_after_it(phones: Phones) -> None:
    patient = phones.agreed(phones.patient())
    phones.say("STOP")
    phones.say("START")
    assert stands(phones, patient) is Standing.GRANTED


def test_a_start_revives_the_plan(phones: Phones) -> None:
    patient = phones.agreed(phones.patient())
    phones.session(patient)
    plan_pending(phones.sessions, phones.clock, answers_understood=False)
    before = {m.identity for m in phones.rows(Message) if m.state == "planned"}
    for word in ("STOP", "START"):
        phones.say(word)
        plan_pending(phones.sessions, phones.clock, answers_understood=False)
        phones.later(minutes=1)
    assert before <= {m.identity for m in phones.rows(Message) if m.state == "planned"}


def test_the_provider_confirms_a_start_where_it_does(phones: Phones) -> None:
    phones.stop_replies = "provider"
    patient = phones.agreed(phones.patient())
    phones.say("STOP")
    phones.later(minutes=1)
    phones.say("START")
    assert (stands(phones, patient), phones.answers()) == (Standing.GRANTED, [])


def test_a_start_brings_no_clinic_that_had_no_consent(phones: Phones) -> None:
    agreed, never = phones.agreed(phones.patient()), phones.patient()
    phones.say("STOP")
    phones.later(minutes=1)
    phones.say("START")
    assert (stands(phones, agreed), stands(phones, never)) == (Standing.GRANTED, Standing.REVOKED)


def test_a_start_of_a_patient_who_was_never_asked_is_consent(phones: Phones) -> None:
    patient = phones.patient()
    phones.say("START")
    assert stands(phones, patient) is Standing.GRANTED


def test_a_start_from_nobody_s_number_that_had_opted_out_ends_that(phones: Phones) -> None:
    clinic = phones.clinic()
    phones.say("STOP")
    phones.later(minutes=1)
    phones.say("START")
    assert phones.ledger() == [(clinic.id, "revoked"), (clinic.id, "granted")]


def test_a_start_from_nobody_goes_to_a_person(phones: Phones) -> None:
    phones.clinic()
    phones.say("START")
    assert (phones.ledger(), phones.tasks(), phones.answers()) == ([], ["reply"], [])


def test_a_start_proves_that_the_number_takes_texts(phones: Phones) -> None:
    phones.agreed(phones.patient())
    with phones.sessions.begin() as db:
        messages.lock_numbers(db, [PHONE])
        db.execute(update(PhoneNumber).values(blocked_at=NOW, blocked_code="30006", blocked_reason="A landline."))
    phones.say("START")
    (number,) = phones.rows(PhoneNumber)
    assert (number.blocked_at, number.blocked_code, number.blocked_reason) == (None, None, None)


# --- Consent by text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["YES", "yes!", "Si", "Sí", "EVET", "START"])
def test_a_yes_to_the_request_is_consent_with_its_wording(phones: Phones, word: str) -> None:
    patient = phones.patient()
    phones.texted(patient, "optin", template="optin_request")
    inbound = phones.say(word)
    assert inbound.reading == "consent"
    (line,) = phones.rows(Consent)
    assert (line.kind, line.clinic_id, line.sender_id) == ("granted", patient.clinic_id, phones.sender_id)
    assert (line.method, line.wording_version) == ("text", "optin_request/en/1")
    assert line.evidence == f"inbound:{inbound.id}"
    assert (phones.answers(), phones.tasks()) == ([], [])


def test_consent_to_a_text_of_unknown_version_names_the_text(phones: Phones) -> None:
    phones.texted(phones.patient(), "optin", template="optin_request", template_version_id=None)
    phones.say("YES")
    assert phones.rows(Consent)[0].wording_version == "optin_request"


def test_a_yes_that_nobody_asked_for_is_no_consent(phones: Phones) -> None:
    phones.patient()
    assert phones.say("YES").reading == "other"
    assert phones.ledger() == []


def test_a_yes_days_later_goes_to_a_person(phones: Phones) -> None:
    phones.texted(phones.patient(), "optin", template="optin_request", at=NOW - timedelta(hours=73))
    phones.say("YES")
    assert (phones.ledger(), phones.tasks(), phones.answers()) == ([], ["reply_late"], [])


def test_a_start_days_after_the_request_is_consent_all_the_same(phones: Phones) -> None:
    patient = phones.patient()
    phones.texted(patient, "optin", template="optin_request", at=NOW - timedelta(hours=73))
    phones.say("START")
    assert stands(phones, patient) is Standing.GRANTED
    assert phones.rows(Consent)[0].wording_version is None


def test_a_yes_of_two_patients_who_were_both_asked_grants_nothing(phones: Phones) -> None:
    clinic = phones.clinic()
    for _ in range(2):
        phones.texted(phones.patient(clinic), "optin", template="optin_request")
    phones.say("YES")
    assert (phones.ledger(), phones.tasks()) == ([], ["reply_unclear"])
    phones.say("START")
    assert phones.ledger() == [(clinic.id, "granted")]


def test_a_refusal_of_the_request_is_an_opt_out(phones: Phones) -> None:
    patient = phones.patient()
    phones.texted(patient, "optin", template="optin_request")
    phones.say("STOP")
    assert stands(phones, patient) is Standing.REVOKED
    phones.later(minutes=1)
    phones.say("YES")
    assert stands(phones, patient) is Standing.GRANTED


# --- Words that reach us out of order -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "heard", "earlier", "stand"),
    [
        pytest.param("STOP", "START", 300, Standing.GRANTED, id="an opt-out, five minutes before the start"),
        pytest.param(
            "STOP", "START", 0, Standing.REVOKED, id="an opt-out, in the same second: in doubt nothing is texted"
        ),
        pytest.param(
            "STOP", "START", 30, Standing.REVOKED, id="an opt-out, half a minute before: in doubt nothing is texted"
        ),
        pytest.param("START", "STOP", 300, Standing.REVOKED, id="a start, five minutes before the opt-out"),
        pytest.param("START", "STOP", 0, Standing.REVOKED, id="a start, in the same second, but kept before"),
    ],
)
def test_what_was_said_last_counts(phones: Phones, late: str, heard: str, earlier: float, stand: Standing) -> None:
    """Where a webhook was lost, an older word is understood after a newer one."""
    patient = phones.agreed(phones.patient())
    said_at = NOW - timedelta(seconds=earlier)
    with phones.sessions.begin() as db:
        factories.inbound(db, from_number=PHONE, to_number=OUR_NUMBER, body=late, received_at=said_at)
    phones.say(heard)
    answers = phones.answers()
    phones.later(minutes=1)
    waiting = phones.planned(patient)
    assert understand_pending(phones.sessions, phones.clock, stop_replies="own") == 1
    assert stands(phones, patient) is stand
    if stand is Standing.GRANTED or late == "START":
        assert (phones.answers(), phones.one(waiting).state) == (answers, "planned")
    assert [kind for _, kind in phones.ledger()].count("revoked") == 1


def test_an_opt_out_counts_from_when_we_learn_of_it(phones: Phones) -> None:
    """An import that came between the word and our hearing of it does not undo the word."""
    patient = phones.patient()
    phones.agreed(patient, at=NOW - timedelta(minutes=1))
    phones.say("STOP", at=NOW - timedelta(minutes=5))
    assert stands(phones, patient) is Standing.REVOKED


def test_a_clock_of_the_provider_that_is_ahead_delays_no_opt_out(phones: Phones) -> None:
    patient = phones.agreed(phones.patient())
    phones.say("STOP", at=NOW + timedelta(hours=1))
    assert stands(phones, patient) is Standing.REVOKED
    (answer,) = phones.rows(Message)
    assert answer.expires_at == NOW + timedelta(minutes=5)
    assert phones.rows(Inbound)[0].received_at == NOW + timedelta(hours=1)


def test_who_comes_back_after_a_clock_that_ran_ahead_is_heard_once_that_time_is_reached(phones: Phones) -> None:
    """A text was handed over by a clock an hour ahead, so the opt-out stands an hour ahead: what follows comes after it."""
    patient = phones.agreed(phones.patient())
    ahead = NOW + timedelta(hours=1)
    with phones.sessions.begin() as db:
        message = factories.message(db, patient, to_number=patient.phone, attempts=1, state="sent", sent_at=ahead)
        factories.attempt(db, message, number=PHONE, started_at=ahead)
    phones.say("STOP")
    assert stands(phones, patient) is Standing.REVOKED
    assert max(row.at for row in phones.rows(Consent)) == ahead
    phones.say("START")
    phones.later(minutes=61)
    assert stands(phones, patient) is Standing.GRANTED
