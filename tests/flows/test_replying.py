"""Answers are rows like every other text: due at once, soon useless, in the reader's language, and never a flood."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.careplan import Urgency
from service.flows.lines import line_of
from service.flows.replying import reply
from service.store.tables import Inbound, Message, Patient
from tests.flows.phones import PHONE, Phones
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]


@pytest.fixture
def phones(sessions: Sessions) -> Phones:
    return Phones(sessions)


def answer(phones: Phones, template: str = "unknown_reply", *, number: str = PHONE, **how: Any) -> bool:
    """The phone has just texted, and is answered."""
    with phones.sessions.begin() as db:
        inbound = factories.inbound(db, from_number=number, received_at=how.pop("said_at", phones.now))
        line = line_of(db, number, sender_id=phones.sender_id)
        hour = timedelta(hours=1)
        return reply(db, inbound, template=template, line=line, now=phones.now, expires_in=hour, **how)


def test_an_answer_is_due_at_once_and_first(phones: Phones) -> None:
    patient = phones.patient()
    assert answer(phones)
    (row,) = phones.rows(Message)
    inbound_id = phones.rows(Inbound)[0].id
    assert (row.identity, row.kind) == (f"reply:{inbound_id}:unknown_reply", "reply")
    assert (row.template, row.inbound_id) == ("unknown_reply", inbound_id)
    assert (row.state, row.urgency, row.priority) == ("planned", "reply", 0)
    assert (row.due_at, row.attempt_at, row.nominal_at) == (NOW, NOW, NOW)
    assert (row.to_number, row.sender_id, row.text) == (PHONE, phones.sender_id, None)
    assert (row.clinic_id, row.patient_id, row.session_id) == (patient.clinic_id, patient.id, None)


def test_a_safety_text_says_so(phones: Phones) -> None:
    phones.patient()
    assert answer(phones, "red_flag", urgency=Urgency.SAFETY)
    assert phones.rows(Message)[0].urgency == "safety"


@pytest.mark.parametrize(
    ("said_at", "expires_at"),
    [
        pytest.param(NOW, NOW + timedelta(hours=1), id="just now"),
        pytest.param(NOW - timedelta(minutes=50), NOW + timedelta(minutes=10), id="heard of fifty minutes later"),
        pytest.param(NOW - timedelta(hours=3), NOW - timedelta(hours=2), id="heard of too late to be answered"),
        pytest.param(NOW + timedelta(minutes=3), NOW + timedelta(hours=1), id="the provider's clock is ahead"),
    ],
)
def test_an_answer_is_soon_useless(phones: Phones, said_at: datetime, expires_at: datetime) -> None:
    phones.patient()
    answer(phones, said_at=said_at)
    assert phones.rows(Message)[0].expires_at == expires_at


@pytest.mark.parametrize(
    ("clinic", "patient", "language"),
    [
        pytest.param("en,es", "es", "es", id="the patient's"),
        pytest.param("tr,en", None, "tr", id="the clinic's first"),
    ],
)
def test_an_answer_speaks_the_reader_s_language(
    phones: Phones, clinic: str, patient: str | None, language: str
) -> None:
    phones.patient(phones.clinic(languages=clinic), language=patient)
    answer(phones)
    assert phones.rows(Message)[0].language == language


def test_an_answer_to_nobody_speaks_the_clinic_s_language(phones: Phones) -> None:
    clinic = phones.clinic(languages="es,en")
    answer(phones)
    (row,) = phones.rows(Message)
    assert (row.language, row.clinic_id, row.patient_id) == ("es", clinic.id, None)


@pytest.mark.parametrize(
    ("statuses", "answered"),
    [
        pytest.param(["active"], True, id="a patient"),
        pytest.param([], True, id="nobody we know"),
        pytest.param(["deceased"], False, id="one who has died"),
        pytest.param(["inactive"], False, id="one who has left the clinic"),
        pytest.param(["deceased", "active"], True, id="two, one of whom has died"),
    ],
)
def test_who_is_answered(phones: Phones, statuses: list[str], *, answered: bool) -> None:
    clinic = phones.clinic()
    patients = [phones.patient(clinic, status=status) for status in statuses]
    assert answer(phones) is answered
    active = [patient.id for patient in patients if patient.status == "active"]
    assert [row.patient_id for row in phones.rows(Message)] == ([*active, None][:1] if answered else [])


@pytest.mark.parametrize("number", ["22395", "TWILIO", "", "12025550142", "+0123456789"])
def test_what_is_no_phone_is_not_answered(phones: Phones, number: str) -> None:
    phones.clinic()
    assert not answer(phones, number=number)


# --- Never a flood ------------------------------------------------------------------------------------------------


def test_a_text_is_answered_once(phones: Phones) -> None:
    phones.patient()
    with phones.sessions.begin() as db:
        inbound = factories.inbound(db, from_number=PHONE)
        line = line_of(db, PHONE, sender_id=phones.sender_id)
        how: dict[str, Any] = {"template": "help", "line": line, "now": NOW, "expires_in": timedelta(hours=1)}
        assert [reply(db, inbound, **how) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("after", "again"),
    [
        pytest.param(timedelta(minutes=1), False, id="a minute later"),
        pytest.param(timedelta(hours=11, minutes=59), False, id="not quite twelve hours later"),
        pytest.param(timedelta(hours=12), True, id="twelve hours later"),
    ],
)
def test_who_cannot_be_read_is_told_so_once_in_twelve_hours(phones: Phones, after: timedelta, *, again: bool) -> None:
    phones.patient()
    assert answer(phones)
    phones.now += after
    assert answer(phones) is again


def test_who_keeps_texting_is_still_told_again_after_twelve_hours(phones: Phones) -> None:
    phones.patient()
    given = []
    for _ in range(6):
        given.append(answer(phones))
        phones.later(hours=5)
    assert given == [True, False, False, True, False, False]


@pytest.mark.parametrize(
    ("state", "again"),
    [("sent", False), ("failed", False), ("planned", False), ("missed", True), ("cancelled", True)],
)
def test_an_answer_that_never_left_does_not_count(phones: Phones, state: str, *, again: bool) -> None:
    phones.patient()
    answer(phones)
    with phones.sessions.begin() as db:
        db.execute(update(Message).values(state=state))
    phones.later(minutes=1)
    assert answer(phones) is again


def test_the_cap_is_of_the_number_whoever_has_it(phones: Phones) -> None:
    clinic = phones.clinic()
    patients: list[Patient] = [phones.patient(clinic) for _ in range(2)]
    assert answer(phones)
    with phones.sessions.begin() as db:
        db.execute(update(Patient).where(Patient.id == patients[0].id).values(phone="+12025550100"))
    assert not answer(phones)
    assert answer(phones, number="+12025550100")


def test_two_machines_do_not_talk_to_each_other_for_ever(phones: Phones) -> None:
    phones.patient()
    given = []
    for _ in range(5):
        given.append(answer(phones, "help"))
        phones.later(minutes=1)
    assert given == [True, True, True, False, False]
    phones.later(hours=1)
    assert answer(phones, "help")


def test_one_answer_s_cap_is_not_another_s(phones: Phones) -> None:
    phones.patient()
    assert answer(phones)
    assert answer(phones, "help")
