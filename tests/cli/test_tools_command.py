"""``aftercare segments``."""

import json
from pathlib import Path

import pytest

from service.cli import tools
from tests.cli.console import commands

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
