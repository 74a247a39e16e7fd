"""Approving texts, and plans and texts in files, at the command line."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.cli import content as content_commands
from service.store import content
from service.store.tables import PlanVersion, TemplateVersion
from tests.cli.console import commands
from tests.store import factories
from tests.store.factories import NOW

run = commands(content_commands.register)
Sessions = sessionmaker[Session]
WORDS = "{{ clinic }}: see you {{ date }} at {{ time }}. Questions: {{ phone }}. R to change. STOP to end texts."


@pytest.fixture
def sessions(sessions: Sessions) -> Sessions:
    """A clinic ``lake`` with the shipped content in the database of the installation."""
    with sessions.begin() as db:
        content.seed_defaults(db, factories.clinic(db, key="lake").id, now=NOW, by="test")
    return sessions


def another(sessions: Sessions) -> None:
    with sessions.begin() as db:
        factories.clinic(db, key="hill")


def texts_file(folder: Path, text: str) -> str:
    path = folder / "texts.json"
    path.write_text(json.dumps({"templates": [{"key": "booking_confirm", "text": {"en": text}}]}))
    return str(path)


def live(sessions: Sessions, key: str, language: str = "en") -> TemplateVersion:
    own = TemplateVersion.key == key, TemplateVersion.language == language, TemplateVersion.state == "live"
    with sessions() as db:
        return db.scalars(select(TemplateVersion).where(*own)).one()


def test_one_text_is_approved_in_every_language(sessions: Sessions) -> None:
    result = run("templates", "approve", "help", "--by", "Dr. Sample")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"lake: help ({language}), version 1" for language in ("en", "es", "tr")]
    assert "Approved 3 texts by Dr. Sample" in result.stderr
    assert live(sessions, "help").approved_by == "Dr. Sample"
    assert live(sessions, "help").approved_at is not None
    assert live(sessions, "pre_1d").approved_by is None


def test_all_texts_are_approved_once(sessions: Sessions) -> None:
    every = 3 * len(content.shipped_templates()["templates"])
    first = json.loads(run("templates", "approve", "--all", "--by", "Dr. Sample", "--json").stdout)
    assert len(first) == every
    assert set(first[0]) == {"clinic", "template", "language", "version", "approved_by", "approved_at"}
    assert json.loads(run("templates", "approve", "--all", "--by", "Dr. Other", "--json").stdout) == []
    assert live(sessions, "help").approved_by == "Dr. Sample"


def test_without_a_clinic_every_clinic_is_meant(sessions: Sessions) -> None:
    another(sessions)
    found = json.loads(run("templates", "approve", "help", "--by", "Dr. Sample", "--json").stdout)
    assert {record["clinic"] for record in found} == {"lake", "hill"}
    found = json.loads(run("templates", "approve", "pre_1d", "--by", "A", "--clinic", "hill", "--json").stdout)
    assert {record["clinic"] for record in found} == {"hill"}


@pytest.mark.parametrize(
    "words",
    [("--by", "A"), ("help", "--all", "--by", "A"), ("help", "--by", " "), ("help",)],
    ids=["nothing named", "one and all", "a blank name", "no name"],
)
def test_an_approval_says_what_and_by_whom(sessions: Sessions, words: tuple[str, ...]) -> None:
    assert run("templates", "approve", *words).exit_code == 2


def test_a_text_with_a_fault_is_refused_with_the_finding(sessions: Sessions) -> None:
    with sessions.begin() as db:
        clinic_id = db.scalars(select(TemplateVersion.clinic_id).limit(1)).one()
        words = "{{ clinic }}: see you at 12:45."
        content.add_draft(db, clinic_id, key="help", language="en", text=words, now=NOW, by="test")
    result = run("templates", "approve", "help", "--by", "Dr. Sample", "--json")
    assert result.exit_code == 1
    assert "raw_time" in {finding["code"] for finding in json.loads(result.stdout)}
    assert "Nothing was approved" in result.stderr
    assert live(sessions, "help", "es").approved_by is None


def test_texts_go_to_a_file_and_come_back_as_a_version_to_approve(sessions: Sessions, tmp_path: Path) -> None:
    file = str(tmp_path / "out.json")
    assert run("templates", "export", file).exit_code == 0
    assert "unchanged" in run("templates", "apply", file).stderr
    assert run("templates", "approve", "--all", "--by", "Dr. Sample").exit_code == 0
    result = run("templates", "apply", texts_file(tmp_path, WORDS), "--by", "Kim", "--json")
    new = {"template": "booking_confirm", "language": "en", "version": 2, "state": "draft"}
    assert json.loads(result.stdout) == {"new": [new], "unchanged": 0}
    assert live(sessions, "booking_confirm").version == 1
    listed = json.loads(run("templates", "list", "--clinic", "lake", "--json").stdout)
    both = [(r["version"], r["state"]) for r in listed if (r["template"], r["language"]) == ("booking_confirm", "en")]
    assert both == [(1, "live"), (2, "draft")]
    assert run("templates", "approve", "booking_confirm", "--by", "Dr. Sample").exit_code == 0
    assert live(sessions, "booking_confirm").text == WORDS
    again = run("templates", "apply", texts_file(tmp_path, f"Dear patient. {WORDS}"))
    assert again.stdout == "booking_confirm (en), version 3\n"
    assert "1 of them wait for that while the approved version before them is sent" in again.stderr


def test_texts_with_faults_are_refused(sessions: Sessions, tmp_path: Path) -> None:
    result = run("templates", "apply", texts_file(tmp_path, "At 12:45."))
    assert result.exit_code == 1
    assert "12:45" in result.stdout
    assert live(sessions, "booking_confirm").version == 1


def test_a_plan_goes_to_a_file_and_comes_back(sessions: Sessions, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert run("plan", "export", str(file)).exit_code == 0
    assert json.loads(file.read_text("utf-8")) == content.shipped_plan()
    assert "nothing was changed" in run("plan", "apply", str(file)).stderr
    document = deepcopy(content.shipped_plan())
    document["steps"][0]["title"] = "Another"
    document["version"] = "mine"
    file.write_text(json.dumps(document))
    result = run("plan", "apply", str(file))
    assert result.stdout.splitlines() == ["0 steps added", "0 steps removed", "1 steps changed: optin"]
    assert "Version 2 of the plan is in use now. Other parts that differ: version." in result.stderr
    assert json.loads(run("plan", "apply", str(file), "--json").stdout)["version"] is None
    with sessions() as db:
        assert db.scalars(select(PlanVersion.document).where(PlanVersion.live)).one() == document


def test_a_plan_with_a_fault_is_refused(sessions: Sessions, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text("{}")
    result = run("plan", "apply", str(file))
    assert result.exit_code == 1
    assert "Nothing was taken" in result.stderr


def test_where_there_are_several_clinics_one_is_named(sessions: Sessions, tmp_path: Path) -> None:
    another(sessions)
    file = str(tmp_path / "plan.json")
    assert "say which one with --clinic (hill, lake)" in str(run("plan", "export", file).exception)
    assert run("plan", "export", file, "--clinic", "hill").exit_code == 0
    assert run("plan", "apply", file, "--clinic", "hill").exit_code == 0


def test_before_there_is_a_clinic_the_shipped_content_is_exported(tmp_path: Path, sqlite_sessions: Sessions) -> None:
    from tests.cli.console import installation

    engine = sqlite_sessions.kw["bind"]
    with installation(tmp_path, {"DATABASE_URL": engine.url.render_as_string()}):
        assert run("templates", "export", str(tmp_path / "out.json")).exit_code == 0
        assert "no clinic yet" in str(run("templates", "approve", "help", "--by", "A").exception)
    assert json.loads((tmp_path / "out.json").read_text("utf-8")) == content.shipped_templates()
