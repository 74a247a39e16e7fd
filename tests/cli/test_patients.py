"""``aftercare patient pause`` and ``resume`` as staff call them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import patients
from service.flows.patient_pauses import NoSuchPatient
from service.store.database import create_engine_for, session_factory
from tests.cli.console import commands, installation
from tests.store import factories

run = commands(patients.register)


@pytest.fixture
def patient(database_url: str, tmp_path: Path) -> Iterator[str]:
    engine = create_engine_for(database_url)
    with session_factory(engine).begin() as db:
        found = factories.patient(db, factories.clinic(db)).id
    with installation(tmp_path, {"DATABASE_URL": database_url}):
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
