"""What texts from phones are taken for, and what follows from each."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.store.tables import Clinic, Consent, Inbound, Message, PlanVersion, Task, TreatmentSession
from tests.flows.phones import PHONE, Phones
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]


@pytest.fixture
def phones(sessions: Sessions) -> Phones:
    return Phones(sessions)


# --- Help, and what nobody can read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["HELP", "Info!", "ayuda", "YARDIM"])
def test_who_asks_for_help_is_phoned_and_gets_the_help_text(phones: Phones, word: str) -> None:
    patient = phones.patient(language="es")
    inbound = phones.say(word)
    assert (inbound.reading, inbound.patient_id, inbound.clinic_id) == ("help", patient.id, patient.clinic_id)
    (task,) = phones.rows(Task)
    assert (task.kind, task.level, task.inbound_id, task.patient_id) == ("reply_help", "amber", inbound.id, patient.id)
    (answer,) = phones.rows(Message)
    assert (answer.identity, answer.template, answer.language) == (f"reply:{inbound.id}:help", "help", "es")


def test_the_provider_answers_a_call_for_help_where_it_does(phones: Phones) -> None:
    phones.stop_replies = "provider"
    phones.patient()
    phones.say("HELP")
    assert (phones.answers(), phones.tasks()) == ([], ["reply_help"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing at all"),
        pytest.param("🙏🏽👨‍👩‍👧", id="emoji alone"),
        pytest.param("The bleeding won't stop", id="stop within a sentence"),
        pytest.param("Please stop texting me", id="a sentence that opts out"),
        pytest.param("should I stop the pills?", id="a question about pills"),
        pytest.param("C", id="an answer that nobody asked for"),
        pytest.param("7", id="a number"),
        pytest.param("x" * 5000, id="five thousand characters"),
        pytest.param("one\0two", id="a NUL within"),
        pytest.param("\ud83d half an emoji", id="half an emoji"),
        pytest.param("هل يمكنك الاتصال بي", id="another script"),
    ],
)
def test_what_nobody_can_read_goes_to_a_person(phones: Phones, body: str) -> None:
    phones.patient()
    inbound = phones.say(body)
    assert (inbound.state, inbound.reading, inbound.failures) == ("understood", "other", 0)
    (task,) = phones.rows(Task)
    assert (task.kind, task.level, task.inbound_id) == ("reply", "amber", inbound.id)
    assert phones.answers() == ["unknown_reply"]
    assert len(inbound.body) == len(body)


def test_a_clinic_s_own_words_count(phones: Phones) -> None:
    """The plan holds the only lists of keywords; a clinic may add to its own."""
    patient = phones.patient()
    with phones.sessions.begin() as db:
        version = db.query(PlanVersion).one()
        words = version.document["keywords"] | {"stop": [*version.document["keywords"]["stop"], "genug"]}
        db.execute(update(PlanVersion).values(document=version.document | {"keywords": words}))
    phones.say("Genug!")
    assert phones.ledger() == [(patient.clinic_id, "revoked")]


def test_a_clinic_without_a_plan_understands_the_shipped_words(phones: Phones) -> None:
    patient = phones.patient()
    with phones.sessions.begin() as db:
        db.query(PlanVersion).delete()
    assert phones.say("stop").reading == "stop"
    phones.texted(patient, "optin", template="optin_request")
    assert phones.say("yes").reading == "consent"


# --- Confirming -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["C", "c.", " T ", "yes", "Ok", "SI", "Evet", "TAMAM", "confirm"])
def test_a_confirmation_is_noted_with_the_start_that_was_told(phones: Phones, word: str) -> None:
    session = phones.reminded(phones.patient())
    inbound = phones.say(word)
    assert (inbound.reading, inbound.patient_id) == ("confirm", session.patient_id)
    assert phones.one(session).confirmed_start == session.scheduled_start
    assert (phones.answers(), phones.tasks()) == ([], [])


def test_a_confirmation_is_of_the_start_that_was_told_even_if_it_moved_since(phones: Phones) -> None:
    told = NOW + timedelta(days=2)
    session = phones.reminded(phones.patient(), told_start=told)
    phones.say("C")
    assert phones.one(session).confirmed_start == told != session.scheduled_start


@pytest.mark.parametrize(
    ("hours", "over", "status", "confirmed", "tasks"),
    [
        pytest.param(72, {}, "booked", True, [], id="three days after the question"),
        pytest.param(72.1, {}, "booked", False, ["reply_late"], id="later than that: a person decides"),
        pytest.param(1, {}, "cancelled", False, ["reply_late"], id="cancelled, but the patient thinks it is on"),
        pytest.param(1, {"told_start": None}, "booked", False, ["reply"], id="no start was told"),
        pytest.param(1, {"session_id": None}, "booked", False, ["reply"], id="a text about no session"),
        pytest.param(1, {"told_start": NOW}, "booked", False, [], id="the session has begun: noted only"),
        pytest.param(99, {"told_start": NOW}, "completed", False, [], id="long over: noted only"),
    ],
)
def test_when_a_confirmation_counts(
    phones: Phones, hours: float, over: dict[str, Any], status: str, *, confirmed: bool, tasks: list[str]
) -> None:
    session = phones.reminded(phones.patient(), **{"at": NOW - timedelta(hours=hours), **over})
    with phones.sessions.begin() as db:
        db.execute(update(TreatmentSession).values(status=status))
    assert phones.say("C").reading == "confirm"
    assert (phones.one(session).confirmed_start is not None) is confirmed
    assert (phones.tasks(), phones.answers()) == (tasks, [])


# --- Changing, booking, declining -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "word", "kind"),
    [
        pytest.param("pre_1d", "R", "reply_change", id="R"),
        pytest.param("pre_7d", "D", "reply_change", id="D, in Turkish"),
        pytest.param("booked", "cambiar", "reply_change", id="the whole word, in Spanish"),
        pytest.param("repeat_due", "BOOK", "reply_book", id="BOOK"),
        pytest.param("no_show", "cita", "reply_book", id="CITA"),
        pytest.param("cancelled", "Randevu", "reply_book", id="RANDEVU"),
        pytest.param("repeat_overdue", "book", "reply_book", id="BOOK, where NO was possible"),
        pytest.param("repeat_overdue", "NO", "reply_decline", id="NO"),
        pytest.param("repeat_overdue", "hayır", "reply_decline", id="HAYIR"),
    ],
)
def test_what_the_service_cannot_do_itself_is_a_task(phones: Phones, step: str, word: str, kind: str) -> None:
    patient = phones.patient()
    asked = phones.texted(patient, step)
    inbound = phones.say(word)
    (task,) = phones.rows(Task)
    assert (task.kind, task.patient_id, task.message_id, task.inbound_id) == (kind, patient.id, asked.id, inbound.id)
    assert phones.answers() == []


@pytest.mark.parametrize(
    ("step", "word"),
    [
        pytest.param("repeat_due", "NO", id="nobody asked for a no"),
        pytest.param("repeat_due", "C", id="nothing to confirm"),
        pytest.param("pre_1d", "BOOK", id="nothing to book"),
        pytest.param("count_w4", "12", id="numbers are read later"),
        pytest.param("aftercare_1", "C", id="aftercare asks for nothing"),
        pytest.param("no_such_step", "C", id="a step that its plan does not have"),
    ],
)
def test_an_answer_to_something_else_goes_to_a_person(phones: Phones, step: str, word: str) -> None:
    phones.texted(phones.patient(), step)
    assert phones.say(word).reading == "other"
    assert (phones.tasks(), phones.answers()) == (["reply"], ["unknown_reply"])


# --- Which question is meant ----------------------------------------------------------------------------------------


def test_a_newer_question_closes_the_older(phones: Phones) -> None:
    patient = phones.patient()
    session = phones.reminded(patient)
    phones.texted(patient, "count_before", at=NOW - timedelta(minutes=5))
    assert phones.say("C").reading == "other"
    assert phones.one(session).confirmed_start is None


@pytest.mark.parametrize(
    ("step", "template"),
    [("aftercare_1", "aftercare_1"), (None, "help"), (None, None)],
    ids=["a text of the plan", "an answer of ours", "a free text by staff"],
)
def test_a_text_that_asks_for_nothing_leaves_the_question_open(
    phones: Phones, step: str | None, template: str | None
) -> None:
    patient = phones.patient()
    phones.reminded(patient)
    phones.texted(patient, step, template=template, at=NOW - timedelta(minutes=5))
    assert phones.say("C").reading == "confirm"


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"outcome": "refused"}, id="it was refused"),
        pytest.param({"at": NOW + timedelta(minutes=2)}, id="it left after the answer was said"),
        pytest.param({"to_number": "+12025550199"}, id="it went to another number"),
    ],
)
def test_a_question_that_the_patient_cannot_have_read_is_none(phones: Phones, over: dict[str, Any]) -> None:
    phones.reminded(phones.patient(), **over)
    assert phones.say("C").reading == "other"


def test_an_answer_within_the_second_counts_though_clocks_differ(phones: Phones) -> None:
    phones.reminded(phones.patient(), at=NOW)
    assert phones.say("C", at=NOW - timedelta(seconds=1)).reading == "confirm"


def test_a_provider_s_clock_that_is_ahead_makes_no_answer_late(phones: Phones) -> None:
    session = phones.reminded(phones.patient(), at=NOW - timedelta(hours=71))
    phones.say("C", at=NOW + timedelta(hours=2))
    assert phones.one(session).confirmed_start is not None


def test_an_answer_counts_for_the_plan_that_asked(phones: Phones) -> None:
    """What a step asks for is what it asked for when it was sent; a clinic without any plan has the shipped one."""
    patient = phones.patient()
    phones.reminded(patient, plan_version_id=None)
    assert phones.say("C").reading == "confirm"


def test_a_plan_that_says_nothing_of_questions_has_the_shipped_time_to_live(phones: Phones) -> None:
    phones.reminded(phones.patient(), at=NOW - timedelta(hours=73))
    with phones.sessions.begin() as db:
        document = {key: value for key, value in db.query(PlanVersion).one().document.items() if key != "questions"}
        db.execute(update(PlanVersion).values(document=document))
    phones.say("C")
    assert phones.tasks() == ["reply_late"]


# --- A number that several patients share ---------------------------------------------------------------------------


def test_an_answer_that_fits_two_patients_confirms_nothing(phones: Phones) -> None:
    clinic = phones.clinic()
    sessions = [phones.reminded(phones.patient(clinic)) for _ in range(2)]
    inbound = phones.say("C")
    assert (inbound.reading, inbound.patient_id) == ("unclear", None)
    (task,) = phones.rows(Task)
    assert (task.kind, task.patient_id, task.clinic_id) == ("reply_unclear", None, clinic.id)
    assert [phones.one(session).confirmed_start for session in sessions] == [None, None]
    assert phones.answers() == []


def test_each_clinic_whose_question_it_may_answer_is_told(phones: Phones) -> None:
    clinics = [phones.clinic(), phones.clinic()]
    for clinic in clinics:
        phones.reminded(phones.patient(clinic))
    phones.say("C")
    assert [task.clinic_id for task in phones.rows(Task)] == [clinic.id for clinic in clinics]


def test_an_answer_that_fits_one_of_two_patients_is_that_one_s(phones: Phones) -> None:
    clinic = phones.clinic()
    mother, child = phones.patient(clinic), phones.patient(clinic)
    session = phones.reminded(mother)
    phones.texted(child, "count_w4", at=NOW - timedelta(minutes=1))
    assert phones.say("C").patient_id == mother.id
    assert phones.one(session).confirmed_start is not None


def test_of_two_questions_the_one_that_is_not_too_old_is_meant(phones: Phones) -> None:
    clinic = phones.clinic()
    old = phones.reminded(phones.patient(clinic), at=NOW - timedelta(days=5))
    new = phones.reminded(phones.patient(clinic))
    phones.say("C")
    assert phones.one(old).confirmed_start is None
    assert phones.one(new).confirmed_start is not None


def test_two_patients_who_were_asked_too_long_ago_are_unclear(phones: Phones) -> None:
    clinic = phones.clinic()
    for _ in range(2):
        phones.reminded(phones.patient(clinic), at=NOW - timedelta(days=5))
    assert phones.say("C").reading == "unclear"


# --- Numbers that nobody knows --------------------------------------------------------------------------------------


def test_a_text_from_nobody_goes_to_the_clinic_behind_the_number(phones: Phones) -> None:
    phones.patient(phones.clinic(sender_id=1))
    clinic = phones.clinic(languages="tr,en")
    inbound = phones.say("hello", number="+12025550111")
    (task,) = phones.rows(Task)
    assert (task.clinic_id, task.patient_id, inbound.clinic_id) == (clinic.id, None, clinic.id)
    (answer,) = phones.rows(Message)
    assert (answer.clinic_id, answer.patient_id, answer.language) == (clinic.id, None, "tr")


def test_a_text_to_no_sender_of_ours_goes_to_whoever_texted_the_phone_last(phones: Phones) -> None:
    phones.clinic(sender_id=1)
    patient = phones.patient()
    phones.texted(patient, "aftercare_1")
    assert phones.say("hello", to="+13125559999").patient_id == patient.id


def test_a_text_to_no_sender_of_ours_from_nobody_goes_to_the_first_sender_s_clinic(phones: Phones) -> None:
    phones.clinic()
    first = phones.clinic(sender_id=1)
    assert phones.say("hello", to="+13125559999").clinic_id == first.id


def test_a_text_to_a_sender_that_no_clinic_has_goes_to_the_first_clinic(phones: Phones) -> None:
    first = phones.clinic(sender_id=1)
    phones.clinic(sender_id=1)
    assert phones.say("hello").clinic_id == first.id


def test_without_any_clinic_a_text_is_kept(phones: Phones) -> None:
    inbound = phones.say("hello")
    assert (inbound.state, inbound.failures) == ("new", 1)


def test_a_text_through_a_messaging_service_finds_its_sender(phones: Phones) -> None:
    with phones.sessions.begin() as db:
        service = factories.sender(db, number=None, messaging_service="MG1").id
    phones.clinic()
    patient = phones.patient(phones.clinic(sender_id=service))
    inbound = phones.say("hello", to="+13125558888", messaging_service="MG1")
    assert inbound.patient_id == patient.id


@pytest.mark.parametrize(("texted_by", "expected"), [(0, 0), (1, 1), (None, 0)], ids=["first", "second", "neither"])
def test_where_two_senders_fit_the_one_that_texted_last_is_meant(
    phones: Phones, texted_by: int | None, expected: int
) -> None:
    with phones.sessions.begin() as db:
        twin = factories.sender(db, number=None, messaging_service="MG1").id
    patients = [phones.patient(phones.clinic(sender_id=sender)) for sender in (phones.sender_id, twin)]
    if texted_by is not None:
        phones.texted(patients[texted_by], "aftercare_1", sender_id=(phones.sender_id, twin)[texted_by])
    assert phones.say("hello", messaging_service="MG1").patient_id == patients[expected].id


def test_of_several_clinics_the_one_that_texted_last_answers(phones: Phones) -> None:
    clinics = [phones.clinic(languages="es"), phones.clinic(languages="tr")]
    patients = [phones.patient(clinic) for clinic in clinics]
    phones.texted(patients[0], "aftercare_1", at=NOW - timedelta(hours=2))
    phones.texted(patients[1], "aftercare_1", at=NOW - timedelta(hours=1))
    inbound = phones.say("hello")
    assert (inbound.clinic_id, inbound.patient_id) == (clinics[1].id, None)
    (answer,) = phones.rows(Message)[2:]
    assert (answer.clinic_id, answer.language) == (clinics[1].id, "tr")


def test_an_answer_to_a_clinic_s_former_sender_is_still_understood(phones: Phones) -> None:
    patient = phones.patient()
    session = phones.reminded(patient)
    with phones.sessions.begin() as db:
        db.execute(update(Clinic).values(sender_id=1))
    phones.say("C")
    assert phones.one(session).confirmed_start is not None
    phones.say("STOP")
    assert phones.ledger() == [(patient.clinic_id, "revoked")]


# --- What is written down ---------------------------------------------------------------------------------------------


def test_a_text_is_noted_with_what_it_was_taken_for(phones: Phones) -> None:
    patient = phones.patient()
    inbound = phones.say("hello")
    assert (inbound.state, inbound.reading, inbound.understood_at) == ("understood", "other", NOW)
    assert (inbound.clinic_id, inbound.patient_id) == (patient.clinic_id, patient.id)


def test_no_task_repeats_the_text_or_the_number(phones: Phones) -> None:
    phones.patient()
    phones.say("my secret is 42")
    (task,) = phones.rows(Task)
    told = f"{task.identity} {task.reason} {task.next_action}"
    assert "secret" not in told
    assert PHONE not in told


def test_every_text_is_kept_apart(phones: Phones) -> None:
    phones.patient()
    for body in ("hello", "hello"):
        phones.say(body)
    assert [row.reading for row in phones.rows(Inbound)] == ["other", "other"]
    assert phones.tasks() == ["reply", "reply"]
    assert phones.rows(Consent) == []
