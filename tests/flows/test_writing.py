"""The text of one message, written at the moment of sending: whose words, in which language, about which session."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.composition import Composed, NoTemplate
from service.domain.eligibility import Look
from service.domain.errors import AftercareError
from service.domain.templates import EmptyText
from service.flows.casework import FactsError, live_texts, load_cases
from service.flows.writing import write_text
from service.store.tables import Clinic, Message, Patient, TemplateVersion
from tests.flows.clinic_life import ClinicLife, at
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
START = "2026-03-16 10:00"


@pytest.fixture
def life(sqlite_sessions: Sessions) -> ClinicLife:
    return ClinicLife(sqlite_sessions)


def write(life: ClinicLife, message: Message, patient: Patient | None = None) -> Composed:
    """The text as the dispatcher would have it written now; the row keeps what writing notes on it."""
    with life.sessions.begin() as db:
        row = db.get_one(Message, message.id)
        look = None
        if patient is not None:
            case = load_cases(db, [patient.id], now=life.now)[patient.id]
            session = next((s for s in case.sessions if s.id == row.session_id), None)
            look = Look(case, case.plan.step(row.step), session, None, None)
        return write_text(db, row, look, texts=live_texts(db, row.clinic_id), now=life.now)


def planned(life: ClinicLife, patient: Patient, **over: Any) -> Message:
    session = life.booked(START, of=patient)
    values = {"kind": "plan", "step": "pre_1d", "template": "pre_1d", "text": None, "session_id": session.id}
    return life.message(patient, **values | over)


def test_a_planned_text_is_written_from_the_live_version(life: ClinicLife) -> None:
    patient = life.patient()
    message = planned(life, patient)
    composed = write(life, message, patient)
    assert composed.text.startswith("Lakeside Clinic: your session is Mon 16 Mar at 10:00 AM, about 20 min.")
    with life.sessions.begin() as db:
        db.execute(
            update(TemplateVersion).where(TemplateVersion.key == "pre_1d").values(text="{{ clinic }}: {{ time }}.")
        )
    assert write(life, message, patient).text == "Lakeside Clinic: 10:00 AM."


def test_a_text_that_names_a_start_says_so_on_its_row(life: ClinicLife) -> None:
    patient = life.patient()
    names, silent = planned(life, patient), planned(life, patient, template="checkin_d3", told_start=NOW)
    write(life, names, patient)
    with pytest.raises(AftercareError):
        write(life, silent, patient)
    assert life.fresh(names).told_start == at(START)


@pytest.mark.parametrize(
    ("kind", "language", "begins"),
    [
        pytest.param("plan", None, "Lakeside Clinic: su sesión es", id="the patient's language"),
        pytest.param("plan", "en", "Lakeside Clinic: su sesión es", id="the patient's present one, at another try"),
        pytest.param("reply", "tr", "Lakeside Clinic: seansınız", id="an answer in the language it was made for"),
    ],
)
def test_in_which_language_a_text_is_written(life: ClinicLife, kind: str, language: str | None, begins: str) -> None:
    patient = life.patient(language="es")
    life.change(life.clinic, encoding="native")
    message = planned(life, patient, kind=kind, language=language)
    assert write(life, message, patient).text.startswith(begins)


def test_what_staff_wrote_is_sent_as_they_wrote_it(life: ClinicLife) -> None:
    patient = life.patient(language="es")
    composed = write(life, life.message(patient, text="Park {{ behind }} the house."), patient)
    assert (composed.text, composed.language, composed.version_id) == ("Park {{ behind }} the house.", "es", None)


@pytest.mark.parametrize("words", [None, "", " \n"])
def test_nobody_is_sent_an_empty_text(life: ClinicLife, words: str | None) -> None:
    patient = life.patient()
    with pytest.raises(EmptyText):
        write(life, life.message(patient, text=words), patient)


def test_a_number_of_nobody_is_told_about_the_clinic_alone(life: ClinicLife) -> None:
    message = life.message(life.patient(), kind="reply", patient_id=None, template="help", text=None, language="es")
    composed = write(life, message)
    assert composed.text.startswith("SMS de Lakeside Clinic.")
    assert composed.language == "es"


def test_a_number_of_nobody_has_no_session_to_be_told_of(life: ClinicLife) -> None:
    message = life.message(life.patient(), kind="reply", patient_id=None, template="ack_confirm", text=None)
    with pytest.raises(AftercareError, match="there is no value for date, time"):
        write(life, message)


def test_a_text_nobody_published_is_not_made_up(life: ClinicLife) -> None:
    patient = life.patient()
    with pytest.raises(NoTemplate):
        write(life, planned(life, patient, template="parking"), patient)


def test_a_clinic_that_makes_no_sense_can_not_be_spoken_of(life: ClinicLife) -> None:
    message = life.message(life.patient(), patient_id=None)
    with life.sessions.begin() as db:
        db.execute(update(Clinic).values(hours="always"))
    with pytest.raises(FactsError):
        write(life, message)


def test_times_are_the_clinics_wherever_the_patient_is(life: ClinicLife) -> None:
    patient = life.patient(time_zone="Asia/Tokyo")
    assert "10:00 AM" in write(life, planned(life, patient), patient).text
    life.now = NOW + timedelta(days=1)
