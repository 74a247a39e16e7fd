"""``aftercare consent export``: the ledger as proof, in both shapes, by clinic and by number."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.cli import consents, patients
from service.store.tables import JournalEntry
from tests.cli.console import commands, installation
from tests.store import factories

run = commands(consents.register, patients.register)


@pytest.fixture
def sessions(sessions: sessionmaker[Session], database_url: str, tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    with installation(tmp_path, {"DATABASE_URL": database_url, "SECRET_KEY": "k" * 40}):
        yield sessions


@pytest.fixture
def robin(sessions: sessionmaker[Session]) -> str:
    """A patient who agreed and withdrew, and one of another clinic who agreed."""
    with sessions.begin() as db:
        one = factories.patient(db, factories.clinic(db, key="lakeside"), phone="+12025550142")
        other = factories.patient(db, factories.clinic(db, key="hill"), phone="+12025550143")
        factories.grant(db, one, wording_version="2026-01", evidence="sessions.csv")
        factories.grant(db, one, granted=False, at=factories.NOW, method="text", evidence="inbound:7", sender_id=1)
        factories.grant(db, other)
        return str(one.id)


def lines(*words: str) -> list[dict[str, str]]:
    result = run("consent", "export", *words)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


@pytest.mark.usefixtures("robin")
def test_who_when_how_in_which_wording_with_which_evidence() -> None:
    granted, revoked, _ = lines()
    assert (granted["clinic"], granted["number"], granted["kind"]) == ("lakeside", "+12025550142", "granted")
    assert (granted["method"], granted["wording_version"], granted["evidence"]) == ("import", "2026-01", "sessions.csv")
    assert (revoked["kind"], revoked["sender_id"], revoked["evidence"]) == ("revoked", "1", "inbound:7")
    assert revoked["at"].startswith("2026-03-02T15:00:00")


@pytest.mark.usefixtures("robin")
def test_the_same_as_json() -> None:
    found = json.loads(run("consent", "export", "--json").stdout)
    assert [line["at"] for line in found][1] == "2026-03-02T15:00:00Z"
    assert [line["clinic"] for line in found] == ["lakeside", "lakeside", "hill"]


@pytest.mark.usefixtures("robin")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--clinic", "hill"], ["+12025550143"]),
        (["--number", "+1 202 555 0142"], ["+12025550142"] * 2),
        (["--clinic", "hill", "--number", "+12025550142"], []),
    ],
    ids=["of a clinic", "of a number", "of both"],
)
def test_a_part_of_it(words: list[str], expected: list[str]) -> None:
    assert [line["number"] for line in lines(*words)] == expected


def test_the_proof_outlives_the_person(robin: str) -> None:
    assert run("patient", "erase", robin, "--reason", "asked for it", "--yes").exit_code == 0
    found = lines("--number", "+12025550142")
    assert [line["kind"] for line in found] == ["granted", "revoked"]
    assert all(line["number"].startswith("#") for line in found)


@pytest.mark.usefixtures("robin")
@pytest.mark.parametrize("number", ["0142", "one"], ids=["no country", "no number"])
def test_a_number_that_is_none(number: str) -> None:
    result = run("consent", "export", "--number", number)
    assert result.exit_code == 2
    assert result.stderr.startswith("--number: ")


@pytest.mark.usefixtures("robin")
def test_that_it_was_given_out_is_journalled(sessions: sessionmaker[Session]) -> None:
    lines("--number", "+12025550142")
    with sessions() as db:
        entry = db.scalars(select(JournalEntry).where(JournalEntry.kind == "consents_exported")).one()
    assert entry.data["of"] == "one number"
    assert "2025550142" not in str(entry.data)
