"""``calls`` as an operator calls it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.assembly import utc_now
from service.cli import calls
from service.flows.practice import NoSuchClinic
from service.store.tables import JournalEntry
from tests.cli.console import commands
from tests.store import factories

run = commands(calls.register)
NUMBER, MASKED = "+12025550147", "+1•••••0147"
HOUR = timedelta(hours=1)


@pytest.fixture
def missed(sessions: sessionmaker[Session]) -> int:
    """A text that was missed an hour ago, and the patient's id."""
    now = utc_now()
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db, key="lake"), phone=NUMBER, external_id="MRN-7")
        ended = {"state": "missed", "reason": "provider_down", "due_at": now - 3 * HOUR, "settled_at": now - HOUR}
        treatment = factories.session(
            db, patient, scheduled_start=now.replace(hour=18, minute=30, second=0, microsecond=0)
        )
        factories.message(db, patient, session_id=treatment.id, **ended)
        return patient.id


def printed(*words: str) -> Any:
    result = run("calls", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_list_is_one_document(missed: int) -> None:
    (call,) = printed()
    assert list(call) == [
        *("clinic", "patient", "external_id", "phone", "message", "step", "title", "urgency"),
        *("session", "session_start", "state", "why", "at", "task"),
    ]
    assert (call["patient"], call["external_id"], call["phone"]) == (missed, "MRN-7", MASKED)
    assert (call["state"], call["why"], call["task"]) == ("missed", "provider_down", None)
    assert call["session_start"].endswith("T18:30:00Z")


def test_the_list_for_people(missed: int) -> None:
    found = run("calls")
    assert found.exit_code == 0, found.stderr
    assert MASKED in found.stdout
    assert NUMBER not in found.stdout
    assert "provider_down" in found.stdout
    assert "MRN-7" in found.stdout


def test_nobody_to_call(sessions: sessionmaker[Session]) -> None:
    assert printed() == []
    assert "nobody to call" in run("calls").stderr


def test_the_list_can_be_narrowed(missed: int) -> None:
    assert len(printed("--clinic", "lake")) == 1
    assert printed("--since", (utc_now() - HOUR / 2).isoformat()) == []
    assert len(printed("--since", "2026-01-01")) == 1
    unknown = run("calls", "--clinic", "river")
    assert unknown.exit_code == 1
    assert isinstance(unknown.exception, NoSuchClinic)


def test_what_is_no_moment_is_wrong_usage(sessions: sessionmaker[Session]) -> None:
    result = run("calls", "--since", "yesterday")
    assert result.exit_code == 2
    assert "2026-03-01T14:30:00Z" in result.stderr


@pytest.mark.parametrize("json_or_not", [(), ("--json",)], ids=["for people", "for programs"])
def test_whole_numbers_only_for_those_who_ask_and_are_noted(
    sessions: sessionmaker[Session], missed: int, json_or_not: tuple[str, ...]
) -> None:
    assert NUMBER in run("calls", "--reveal", "--clinic", "lake", *json_or_not).stdout
    with sessions() as db:
        (entry,) = db.scalars(select(JournalEntry)).all()
    assert (entry.kind, entry.data["clinic"]) == ("revealed", "lake")
    assert NUMBER not in str(entry.data)


def test_a_patient_without_a_number_has_none_to_mask(sessions: sessionmaker[Session]) -> None:
    now = utc_now()
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db), phone=None)
        factories.message(db, patient, state="failed", due_at=now - HOUR, settled_at=now - HOUR)
    assert printed()[0]["phone"] is None
