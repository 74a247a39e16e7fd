"""``aftercare segments`` and ``aftercare doctor``."""

import json
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from service.assembly import utc_now
from service.cli import doctor, tools
from service.store import running
from tests.cli.console import commands, installation
from tests.store import factories

run = commands(tools.register)


@pytest.mark.parametrize(
    ("words", "encoding", "segments", "units"),
    [
        ("hello", "GSM-7", 1, 5),
        ("", "GSM-7", 1, 0),
        ("€", "GSM-7", 1, 2),
        ("ş", "UCS-2", 1, 1),
        ("“quoted”", "UCS-2", 1, 8),
        ("x" * 161, "GSM-7", 2, 161),
    ],
)
def test_a_text_is_measured_as_it_is(words: str, encoding: str, segments: int, units: int) -> None:
    result = run("segments", words, "--json")
    assert json.loads(result.stdout) == {"encoding": encoding, "segments": segments, "units": units}


def test_a_measure_for_people() -> None:
    assert run("segments", "hello").stdout == "GSM-7, segments: 1, units: 5\n"


def test_a_text_from_stdin_keeps_its_last_newline() -> None:
    assert json.loads(run("segments", "-", "--json", stdin="ş\r\n".encode()).stdout)["units"] == 3


@pytest.mark.parametrize("stdin", [b"\xff", b"caf\xe9", "hello".encode("utf-16")], ids=["noise", "Latin-1", "UTF-16"])
def test_bytes_on_stdin_that_are_no_utf_8(stdin: bytes) -> None:
    result = run("segments", "-", "--json", stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "stdin is not UTF-8" in result.stderr


def test_lines_of_a_file_that_are_no_utf_8_are_told_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "hello"}\n{"text": "caf\xe9"}\n{"text": "hello"}\n')
    result = run("segments", "--file", str(path))
    first, second, third = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 2
    assert first == third == {"encoding": "GSM-7", "segments": 1, "units": 5}
    assert second["line"] == 2
    assert "utf-8" in second["error"].lower()


def test_a_file_without_a_fault(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "hello"}\n')
    result = run("segments", "--file", str(tmp_path / "in.jsonl"))
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_file_of_texts_is_answered_in_order(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        '{"text": "hello"}',
        '{"text": "\\ud83d\\ude00"}',
        '{"text": "\\ud83d"}',
        '{"words": "hello"}',
        '{"text": ""}',
    ]
    path.write_text("\n".join(lines))
    result = run("segments", "--file", str(path))
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found[:3] == [
        {"encoding": "GSM-7", "segments": 1, "units": 5},
        {"encoding": "UCS-2", "segments": 1, "units": 2},
        {"encoding": "UCS-2", "segments": 1, "units": 1},
    ]
    assert found[3]["line"] == 4
    assert found[4] == {"encoding": "GSM-7", "segments": 1, "units": 0}
    assert result.exit_code == 2


@pytest.mark.parametrize("words", [(), ("hello", "--file", "in.jsonl"), ("--file", "nowhere.jsonl")])
def test_wrong_usage(words: tuple[str, ...]) -> None:
    result = run("segments", *words)
    assert (result.exit_code, result.stdout) == (2, "")


def looked_at() -> tuple[int, dict[str, dict[str, object]]]:
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert all(list(check) == ["check", "ok", "detail", "fix"] for check in found)
    assert all(check["ok"] or check["fix"] for check in found)
    return result.exit_code, {check["check"]: check for check in found}


def test_a_new_installation_is_in_order(sessions: sessionmaker[Session]) -> None:
    code, found = looked_at()
    assert code == 0
    assert list(found) == [
        "settings",
        "database",
        "schema",
        "triggers",
        "clock",
        "time zones",
        "sender",
        "sending",
        "heartbeats",
        "gateway",
        "public address",
        "spending",
    ]
    assert "NOT OK" not in run("doctor").stdout


def test_what_is_wrong_with_the_content_is_told(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        factories.clinic(db)
        factories.clinic(db, time_zone="America/Nowhere", sender_id=factories.sender(db, key="south", number=None).id)
        running.pause_all(db, at=utc_now(), reason="wrong texts")
        running.beat(db, job="plan", worker="here:1", at=utc_now() - timedelta(hours=1), took_ms=1, rows=0)
        running.beat(db, job="dispatch", worker="here:1", at=utc_now(), took_ms=1, rows=0)
    code, found = looked_at()
    assert code == 1
    wrong = {name: check["detail"] for name, check in found.items() if not check["ok"]}
    assert wrong == {
        "time zones": "America/Nowhere",
        "sender": "south",
        "sending": "all sending is paused (wrong texts)",
        "heartbeats": wrong["heartbeats"],
    }
    assert str(wrong["heartbeats"]).startswith("plan was last seen 36")
    assert "NOT OK" in run("doctor").stdout


def test_a_limit_that_nothing_keeps_to(sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCARE_DAILY_SPEND_LIMIT", "25.50")
    code, found = looked_at()
    assert (code, found["spending"]["ok"]) == (1, False)
    assert found["spending"]["detail"] == "a limit of 25.50 a day is set, and nothing keeps to it"


def test_a_trigger_that_is_gone(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        on = " ON patient" if db.get_bind().dialect.name == "postgresql" else ""
        db.execute(text(f"DROP TRIGGER patient_changed{on}"))
    code, found = looked_at()
    assert (code, found["triggers"]["ok"], found["triggers"]["detail"]) == (1, False, "patient_changed")


def test_clocks_that_disagree(sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.assembly.utc_now", lambda: utc_now() + timedelta(minutes=3))
    code, found = looked_at()
    assert (code, found["clock"]["ok"]) == (1, False)
    assert "NTP" in str(found["clock"]["fix"])


def at(folder: Path, **variables: str) -> AbstractContextManager[None]:
    return installation(folder, variables)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with at(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/none.db"):
        code, found = looked_at()
    assert (code, found["database"]["ok"], "schema" in found) == (1, False, False)
    assert not (tmp_path / "none.db").exists()


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    with at(tmp_path, DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/none", SECRET_KEY="x" * 32):
        code, found = looked_at()
    assert (code, found["database"]["ok"]) == (1, False)
    assert "secret" not in str(found)


def test_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with at(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/empty.db"):
        code, found = looked_at()
    assert (code, found["schema"]["ok"], "triggers" in found) == (1, False, False)
    assert "aftercare migrate" in str(found["schema"]["fix"])


def test_faults_of_the_settings(tmp_path: Path) -> None:
    with at(tmp_path, GATEWAY="pigeon"):
        code, found = looked_at()
    assert (code, list(found)) == (1, ["settings"])
    assert "AFTERCARE_GATEWAY" in str(found["settings"]["detail"])


def test_the_provider_is_asked(sqlite_sessions: sessionmaker[Session], tmp_path: Path) -> None:
    twilio = {
        "GATEWAY": "twilio",
        "TWILIO__ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO__AUTH_TOKEN": "token",
        "TWILIO__FROM_NUMBER": "+15005550006",
        "TWILIO__BASE_URL": "http://127.0.0.1:1",
        "PUBLIC_BASE_URL": "https://texts.example.org",
    }
    url = f"sqlite:///{tmp_path / 'aftercare.db'}"
    with at(tmp_path, DATABASE_URL=url, **twilio):
        code, found = looked_at()
    assert code == 1
    assert [name for name, check in found.items() if not check["ok"]] == ["twilio account", "twilio sender"]
    assert found["public address"]["detail"] == "https://texts.example.org"


def test_a_check_says_what_to_do_only_where_it_is_needed() -> None:
    assert doctor._judged("disk", [], well="full of room", fix="Buy one.") == doctor.Check("disk", True, "full of room")
