"""``aftercare templates`` and ``aftercare plan``: looking at what is said, and checking it before it is."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.cli import content as content_commands
from service.store import content
from service.store.tables import PlanVersion, TemplateVersion
from tests.cli.console import commands
from tests.store import factories
from tests.store.factories import NOW

run = commands(content_commands.register)


def plan_file(folder: Path, **over: Any) -> str:
    path = folder / "plan.json"
    path.write_text(json.dumps(deepcopy(content.shipped_plan()) | over))
    return str(path)


@pytest.fixture
def sessions(sessions: sessionmaker[Session]) -> sessionmaker[Session]:
    """A clinic ``lake`` with the shipped content in the database of the installation."""
    with sessions.begin() as db:
        content.seed_defaults(db, factories.clinic(db, key="lake").id, now=NOW, by="test")
    return sessions


def test_the_shipped_texts_with_their_length() -> None:
    result = run("templates", "list", "--json")
    found = {(record["template"], record["language"]): record for record in json.loads(result.stdout)}
    assert len(found) == 3 * len(content.shipped_templates()["templates"])
    optin = found["optin_request", "en"]
    assert (optin["version"], optin["approved_by"], optin["approved_at"], optin["segments"]) == (1, None, None, 2)
    assert optin["text"].startswith("{{ clinic }} can text you")
    assert "optin_request" in run("templates", "list").stdout


def test_the_shipped_content_is_in_order() -> None:
    for words in (("templates", "check"), ("plan", "check")):
        result = run(*words, "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (0, [])
        assert run(*words).stdout == "Nothing to object to.\n"


def test_the_plan_for_people_and_for_programs() -> None:
    found = run("plan", "show").stdout
    for words in ("pre_1d", "-1 d 10:00", "session_start -180 min", "evening", "21:00 that day", "task: Review with"):
        assert words in found
    assert json.loads(run("plan", "show", "--json").stdout) == content.shipped_plan()


def test_a_plan_file_with_a_fault(tmp_path: Path) -> None:
    steps = deepcopy(content.shipped_plan()["steps"])
    steps[0]["anchor"] = "birthday"
    result = run("plan", "check", plan_file(tmp_path, steps=steps), "--json")
    (finding,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert list(finding) == ["template", "language", "severity", "code", "position", "message"]
    assert (finding["template"], finding["language"], finding["severity"]) == (None, None, "error")
    assert "birthday" in finding["message"]
    assert "birthday" in run("plan", "check", str(tmp_path / "plan.json")).stdout


def test_a_plan_file_in_order(tmp_path: Path) -> None:
    assert run("plan", "check", plan_file(tmp_path)).exit_code == 0
    assert run("plan", "check", str(tmp_path / "nowhere.json")).exit_code == 2


def test_what_a_clinic_says(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        one = update(TemplateVersion).where(TemplateVersion.key == "pre_1d", TemplateVersion.language == "en")
        db.execute(one.values(approved_by="Dr. Sample", approved_at=NOW, text="{{ clinic }}: see you at 12:45."))
    records = json.loads(run("templates", "list", "--clinic", "lake", "--json").stdout)
    (approved,) = (record for record in records if record["approved_by"])
    assert (approved["template"], approved["approved_at"]) == ("pre_1d", "2026-03-02T15:00:00Z")
    result = run("templates", "check", "--clinic", "lake", "--json")
    assert result.exit_code == 1
    assert {finding["code"] for finding in json.loads(result.stdout)} >= {"raw_time"}
    assert "12:45" in run("templates", "check", "--clinic", "lake").stdout


def test_a_plan_of_a_clinic(sessions: sessionmaker[Session]) -> None:
    assert run("plan", "check", "--clinic", "lake").exit_code == 0
    assert "pre_1d" in run("plan", "show", "--clinic", "lake").stdout
    with sessions.begin() as db:
        db.execute(update(PlanVersion).values(document={}))
    assert run("plan", "check", "--clinic", "lake").exit_code == 1
    assert "The plan can not be used" in str(run("plan", "show", "--clinic", "lake").exception)


def test_a_warning_is_no_failure(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        one = update(TemplateVersion).where(TemplateVersion.key == "help", TemplateVersion.language == "en")
        db.execute(one.values(key="birthday"))
    result = run("templates", "check", "--clinic", "lake", "--json")
    assert result.exit_code == 0
    assert [finding["severity"] for finding in json.loads(result.stdout)] == ["warning"]
