"""``aftercare task`` as staff call it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.cli import tasks
from service.flows.staffing import NotThere, TooLate
from service.store.tables import Clinic, JournalEntry, Task
from tests.cli.console import commands
from tests.store import factories
from tests.store.factories import NOW

run = commands(tasks.register)


@pytest.fixture
def task(sessions: sessionmaker[Session]) -> int:
    """An amber task, behind a red one, before one that is not due yet."""
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        patient = factories.patient(db, clinic)
        factories.task(db, clinic, kind="planned_call", state="planned", due_at=NOW + timedelta(days=1))
        words = {"reason": "Asked to move the session.", "next_action": "Phone the patient."}
        amber = factories.task(db, clinic, kind="change", level="amber", patient_id=patient.id, **words)
        factories.task(db, clinic, kind="red_flag", level="red", due_at=NOW + timedelta(hours=1))
        return amber.id


def printed(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_open_tasks_the_most_urgent_first(task: int) -> None:
    red, amber = printed("task", "list")
    assert (red["kind"], amber["kind"], amber["id"]) == ("red_flag", "change", task)
    names = ("patient", "session", "message", "level", "due_at", "state", "reason", "next_action")
    assert {name: amber[name] for name in names} == {
        "patient": amber["patient"],
        "session": None,
        "message": None,
        "level": "amber",
        "due_at": "2026-03-02T15:00:00Z",
        "state": "open",
        "reason": "Asked to move the session.",
        "next_action": "Phone the patient.",
    }


def test_other_lists(task: int) -> None:
    assert [found["kind"] for found in printed("task", "list", "--state", "planned")] == ["planned_call"]
    assert len(printed("task", "list", "--state", "all")) == 3
    assert printed("task", "list", "--patient", "999") == []
    assert run("task", "list", "--state", "lost").exit_code == 2


def test_tasks_for_people_on_the_clinics_clock(task: int) -> None:
    for words in (("task", "list"), ("task", "show", str(task))):
        found = run(*words).stdout
        assert "Mon 2026-03-02 09:00" in found
        assert "Phone the patient." in found


def test_closing_a_task_once(task: int) -> None:
    closed = printed("task", "close", str(task), "--outcome", "moved to Friday")
    assert (closed["state"], closed["outcome"]) == ("closed", "moved to Friday")
    assert printed("task", "show", str(task)) == closed
    again = run("task", "close", str(task), "--outcome", "moved to Friday")
    assert again.exit_code == 1
    assert isinstance(again.exception, TooLate)


def test_closing_a_task_for_people(task: int) -> None:
    result = run("task", "close", str(task), "--outcome", "moved to Friday")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"Task {task} is closed.\n")
    assert run("task", "close", str(task)).exit_code == 2


def test_what_a_patient_wrote_is_shown_on_request_and_that_is_journalled(
    sessions: sessionmaker[Session], task: int
) -> None:
    with sessions.begin() as db:
        reply = factories.inbound(db, body="can I shower?")
        of = db.get_one(Clinic, db.get_one(Task, task).clinic_id)
        about = str(factories.task(db, of, inbound_id=reply.id).id)
    assert "shower" not in run("task", "show", about).stdout
    hidden = printed("task", "show", about)
    assert {"from", "text"}.isdisjoint(hidden)
    with sessions() as db:
        assert db.scalars(select(JournalEntry)).all() == []
    assert printed("task", "show", about, "--reveal") == hidden | {"from": reply.from_number, "text": "can I shower?"}
    shown = run("task", "show", about, "--reveal").stdout
    assert "can I shower?" in shown
    assert reply.from_number in shown
    with sessions() as db:
        assert [entry.kind for entry in db.scalars(select(JournalEntry))] == ["revealed", "revealed"]


def test_a_task_about_no_text_has_none_to_show(task: int) -> None:
    found = printed("task", "show", str(task), "--reveal")
    assert (found["from"], found["text"]) == (None, None)


def test_a_task_that_is_not_there(sessions: sessionmaker[Session]) -> None:
    result = run("task", "show", "77")
    assert result.exit_code == 1
    assert isinstance(result.exception, NotThere)
