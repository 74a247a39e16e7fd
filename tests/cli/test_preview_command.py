"""``aftercare preview`` as an operator or a program calls it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.cli import preview
from service.store.database import create_engine_for, session_factory
from tests.cli.console import commands, installation
from tests.store import factories

run = commands(preview.register)
DONE = ("--time-zone", "America/New_York", "--completed-at", "2026-09-30T14:50")
CASE = {"time_zone": "America/New_York", "completed_at": "2026-09-30T14:50"}
FIELDS = ["step", "template", "template_version", "due_at", "local", "expires_at"]
FIELDS += ["text", "encoding", "segments", "skipped"]


def records(*words: str) -> list[dict[str, Any]]:
    result = run("preview", *words, "--json")
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def in_file(folder: Path, *lines: object) -> str:
    path = folder / "in.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def answers(stdout: str) -> list[Any]:
    return [json.loads(line) for line in stdout.splitlines()]


def test_one_json_list_with_moments_in_utc_and_on_the_clinics_clock() -> None:
    first = records(*DONE)[0]
    assert list(first) == FIELDS
    text = first.pop("text")
    assert text.startswith("Lakeside Head Clinic: session done.")
    assert first == {
        "step": "aftercare_1",
        "template": "aftercare_1",
        "template_version": 1,
        "due_at": "2026-09-30T19:00:00Z",
        "local": "2026-09-30T15:00:00-04:00",
        "expires_at": "2026-10-01T01:00:00Z",
        "encoding": "GSM-7",
        "segments": 2,
        "skipped": None,
    }


def test_a_skipped_text_has_no_moment_and_no_words() -> None:
    second = records(*DONE)[1]
    assert (second["step"], second["skipped"]) == ("aftercare_late", "condition:day_missed")
    assert [second[name] for name in ("due_at", "local", "text", "encoding", "segments")] == [None] * 5


def test_every_option_reaches_the_preview() -> None:
    options = ("--booked-at", "2026-09-01T12:00", "--scheduled-at", "2026-09-30T14:30", "--now", "2026-09-02T12:00")
    further = ("--patient-time-zone", "America/Los_Angeles", "--language", "es", "--plan", "standard")
    last = ("--first-session", "--next-session", "2026-12-20T10:00")
    found = {record["step"]: record for record in records(*DONE, *options, *further, *last)}
    assert found["booked"]["skipped"] == "late"
    assert found["baseline"]["local"] == "2026-09-18T13:00:00-04:00"
    assert "mié 30 sep" in found["pre_7d"]["text"]
    assert found["repeat_due"]["skipped"] == "condition:not_rebooked"


def test_a_table_for_people() -> None:
    result = run("preview", *DONE)
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert "Wed 2026-09-30 15:00 aftercare_1 2 Lakeside Head Clinic: session done." in shown
    assert "aftercare_late not sent: condition:day_missed" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--completed-at", "2026-09-30T14:50"), "--time-zone is missing"),
        (("--time-zone", "Mars", "--completed-at", "2026-09-30T14:50"), "'Mars' is no time zone"),
        (("--time-zone", "UTC"), "no session to preview"),
        ((*DONE, "--language", "zz"), "--language 'zz' is not there. There are en, es, tr."),
        (("--file", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_wrong_usage_is_said_on_stderr(words: tuple[str, ...], told: str) -> None:
    result = run("preview", *words, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.replace("│", "").split())


def test_a_file_is_answered_line_by_line(tmp_path: Path) -> None:
    path = in_file(tmp_path, CASE, {**CASE, "plan": "lite", "json": True, "language": None})
    result = run("preview", "--file", path)
    assert result.exit_code == 0, result.stderr
    standard, lite = answers(result.stdout)
    assert standard == records(*DONE)
    assert lite == records(*DONE, "--plan", "lite")


def test_options_beside_a_file_hold_for_lines_that_say_nothing_else(tmp_path: Path) -> None:
    done = {"completed_at": "2026-09-30T14:50"}
    path = in_file(tmp_path, done, {**done, "plan": "standard", "first_session": False})
    result = run("preview", "--file", path, "--time-zone", "America/New_York", "--plan", "lite", "--first-session")
    assert answers(result.stdout) == [records(*DONE, "--plan", "lite", "--first-session"), records(*DONE)]


def test_unusable_lines_are_told_in_their_place_and_keep_nobody_waiting(tmp_path: Path) -> None:
    path = in_file(tmp_path, CASE, "{", "", "[]", {**CASE, "compelted_at": 1}, {**CASE, "first_session": "no"}, CASE)
    result = run("preview", "--file", path)
    found = answers(result.stdout)
    assert result.exit_code == 2
    assert found[0] == found[-1] == records(*DONE)
    assert [answer["line"] for answer in found[1:-1]] == [2, 3, 4, 5, 6]
    reasons = ("no JSON", "no JSON", "no JSON object", "'compelted_at' is no option", "neither true nor false")
    assert all(reason in answer["error"] for reason, answer in zip(reasons, found[1:-1], strict=True))
    assert "5 of 7 lines could not be answered" in result.stderr


def test_languages_of_a_file_line_by_line(tmp_path: Path) -> None:
    lines = [{**CASE, "language": tag} for tag in ("es-MX", "zz", "es")]
    result = run("preview", "--file", in_file(tmp_path, *lines))
    found = answers(result.stdout)
    assert result.exit_code == 2
    assert found[0] == found[2] == records(*DONE, "--language", "es")
    assert found[1] == {"error": "--language 'zz' is not there. There are en, es, tr.", "line": 2}


def test_lines_from_stdin() -> None:
    result = run("preview", "--file", "-", stdin=json.dumps(CASE).encode("utf-8-sig"))
    assert result.exit_code == 0, result.stderr
    assert answers(result.stdout) == [records(*DONE)]


@pytest.fixture
def clinic(database_url: str, tmp_path: Path) -> Iterator[str]:
    """A clinic in Chicago in the database of the installation."""
    engine = create_engine_for(database_url)
    with session_factory(engine).begin() as db:
        factories.clinic(db, key="chicago", live_from=datetime(2026, 1, 1, tzinfo=UTC))
    engine.dispose()
    with installation(tmp_path, {"DATABASE_URL": database_url}):
        yield "chicago"


def test_a_clinic_of_the_database(clinic: str, tmp_path: Path) -> None:
    done = ("--completed-at", "2026-09-30T14:50")
    found = records("--clinic", clinic, *done)
    assert found[0]["local"] == "2026-09-30T15:00:00-05:00"
    assert found[0]["text"].startswith("Lakeside Clinic: ")
    line = {"clinic": clinic, "completed_at": "2026-09-30T14:50"}
    result = run("preview", "--file", in_file(tmp_path, line, line, {**line, "clinic": "lake"}))
    assert answers(result.stdout)[:2] == [found, found]
    assert "no clinic 'lake'" in answers(result.stdout)[2]["error"]
    assert result.exit_code == 2
