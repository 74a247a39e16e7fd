"""``aftercare patient`` as staff call it: pauses, what is held about a person, and taking it out."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from service.cli import patients
from service.flows.patient_pauses import NoSuchPatient
from service.store import journal
from service.store.database import create_engine_for, session_factory
from service.store.tables import Clinic, Patient
from tests.cli.console import commands, installation
from tests.store import factories

run = commands(patients.register)


@pytest.fixture
def patient(database_url: str, tmp_path: Path) -> Iterator[str]:
    engine = create_engine_for(database_url)
    with session_factory(engine).begin() as db:
        found = factories.patient(db, factories.clinic(db)).id
    with installation(tmp_path, {"DATABASE_URL": database_url, "SECRET_KEY": "k" * 40}):
        yield str(found)
    engine.dispose()


def test_a_pause_and_its_end(patient: str) -> None:
    paused = run("patient", "pause", patient, "--until", "2099-12-24", "--reason", "abroad")
    assert (paused.exit_code, paused.stderr) == (
        0,
        f"Patient {patient} gets no plan texts until 2099-12-24 06:00 UTC.\n",
    )
    assert run("patient", "resume", patient).stderr == f"Patient {patient} gets texts again.\n"
    again = run("patient", "resume", patient)
    assert (again.exit_code, again.stderr) == (0, f"Patient {patient} was not paused.\n")


@pytest.mark.parametrize(
    "words",
    [["--until", "2001-01-01", "--reason", "x"], ["--until", "soon", "--reason", "x"], ["--until", "2099-12-24"]],
    ids=["in the past", "no moment", "no reason"],
)
def test_wrong_usage(patient: str, words: list[str]) -> None:
    assert run("patient", "pause", patient, *words).exit_code == 2


def test_a_patient_who_is_not_there(patient: str) -> None:
    result = run("patient", "resume", "4711")
    assert result.exit_code == 1
    assert isinstance(result.exception, NoSuchPatient)


# --- Export and erasure -------------------------------------------------------------------------------------------------


@pytest.fixture
def held(database_url: str, patient: str) -> str:
    """The patient with everything that may be held about one."""
    engine = create_engine_for(database_url)
    with session_factory(engine).begin() as db:
        who = db.get_one(Patient, int(patient))
        who.phone, who.authorisation_ends = "+12025550177", date(2026, 9, 30)
        factories.grant(db, who, evidence="form 12")
        session = factories.session(db, who)
        message = factories.message(db, who, session_id=session.id, text="see you on Monday", state="delivered")
        factories.attempt(db, message, number=who.phone, text="see you on Monday", provider_sid="SM1")
        reply = factories.inbound(
            db, from_number=who.phone, body="thank you all", patient_id=who.id, clinic_id=who.clinic_id,
            state="understood", reading="free",
        )  # fmt: skip
        clinic = db.get_one(Clinic, who.clinic_id)
        factories.task(db, clinic, patient_id=who.id, inbound_id=reply.id, reason="neck pain", next_action="call")
        journal.append(db, "delivered", at=factories.NOW, message=message)
    engine.dispose()
    return patient


def test_everything_held_about_a_person_in_one_document(held: str) -> None:
    result = run("patient", "export", held, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found.keys() == {
        *("patient", "sessions", "consents", "messages", "attempts", "replies", "answers", "tasks", "journal"),
    }
    assert (found["patient"]["first_name"], found["patient"]["phone"]) == ("Robin", "+12025550177")
    assert found["patient"]["authorisation_ends"] == "2026-09-30"
    assert found["patient"]["clinic"] == "Lakeside Headache Clinic"
    assert [line["evidence"] for line in found["consents"]] == ["form 12"]
    assert [message["text"] for message in found["messages"]] == ["see you on Monday"]
    assert [attempt["number"] for attempt in found["attempts"]] == ["+12025550177"]
    assert [reply["body"] for reply in found["replies"]] == ["thank you all"]
    assert [answer["understood_as"] for answer in found["answers"]] == ["free"]
    assert [task["reason"] for task in found["tasks"]] == ["neck pain"]
    assert [entry["kind"] for entry in found["journal"]] == ["delivered"]
    again = json.loads(run("patient", "export", held, "--json").stdout)
    assert [entry["kind"] for entry in again["journal"]] == ["delivered", "patient_exported"]


def test_the_same_for_people(held: str) -> None:
    shown = run("patient", "export", held).stdout
    for words in ("PATIENT (1)", "first name: Robin", "MESSAGES (1)", "text: see you on Monday", "body: thank you all"):
        assert words in shown
    assert "scheduled start: 2026-03-16 15:00:00 UTC" in shown


def test_what_would_be_erased_is_shown_and_stays(held: str) -> None:
    result = run("patient", "erase", held, "--reason", "asked for it", "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "Nothing was changed.\n")
    assert [line.split() for line in result.stdout.splitlines()][1:] == [
        ["sessions", "1"],
        ["messages", "1"],
        ["attempts", "1"],
        ["replies", "1"],
        ["tasks", "1"],
        ["consents", "1"],
        ["texts", "that", "wait", "0"],
        ["copies", "at", "the", "provider", "2"],
    ]
    assert "Robin" in run("patient", "export", held).stdout


def test_a_person_is_erased(held: str) -> None:
    result = run("patient", "erase", held, "--reason", "asked for it", "--yes")
    assert result.exit_code == 0
    assert result.stderr == f"Patient {held} was erased. 2 copies at the provider are deleted next; a worker does it.\n"
    left = run("patient", "export", held, "--json").stdout
    for word in ("Robin", "2025550177", "Monday", "thank you", "neck pain", "form 12 Robin"):
        assert word not in left


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)], ids=["no", "yes"])
def test_who_erases_is_asked_first(held: str, answer: bytes, code: int) -> None:
    result = run("patient", "erase", held, "--reason", "asked for it", stdin=answer)
    assert result.exit_code == code
    assert ("Robin" in run("patient", "export", held).stdout) is bool(code)


def test_a_shared_number_is_told_of(held: str, database_url: str) -> None:
    engine = create_engine_for(database_url)
    with session_factory(engine).begin() as db:
        factories.patient(db, db.get_one(Clinic, db.get_one(Patient, int(held)).clinic_id), phone="+12025550177")
    engine.dispose()
    assert "Another patient of the clinic" in run("patient", "erase", held, "--reason", "x", "--dry-run").stderr


def test_nothing_is_erased_without_a_reason(held: str) -> None:
    assert run("patient", "erase", held, "--yes").exit_code == 2


def test_exporting_nobody(held: str) -> None:
    assert isinstance(run("patient", "export", "4711").exception, NoSuchPatient)
