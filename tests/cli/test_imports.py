"""``aftercare import sessions`` as an operator calls it, by hand and from a nightly job."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.cli import imports
from service.domain.errors import AftercareError
from service.flows.importing import ImportRefusedError
from service.flows.practice import NoSuchClinic
from service.sources.csv_layout import FileRefusedError
from service.store.tables import Consent, Patient, TreatmentSession
from tests.cli.console import commands
from tests.store import factories

run = commands(imports.register)

HEADER = "external_id,mrn,first_name,last_name,mobile,language,start_local,end_local,status,consent"
BOOKED = "APT-{n},MRN-{n},Robin,Sample,312200{n:04},en,2099-12-{n:02} 15:00,2099-12-{n:02} 15:20,booked,yes"


@pytest.fixture
def sessions(sessions: sessionmaker[Session]) -> sessionmaker[Session]:
    """A clinic ``lake`` in the database that the commands find."""
    with sessions.begin() as db:
        factories.clinic(db, key="lake")
    return sessions


@pytest.fixture
def march(tmp_path: Path) -> str:
    """Three sessions, the last of them with a number that is none."""
    return written(tmp_path, *(BOOKED.format(n=n) for n in (1, 2)), BOOKED.format(n=3).replace("3122000003", "12"))


def written(folder: Path, *rows: str, name: str = "march.csv") -> str:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows, ""]), "utf-8")
    return str(path)


def report(*words: str) -> dict[str, Any]:
    result = run("import", "sessions", *words, "--clinic", "lake", "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_report_for_programs(sessions: sessionmaker[Session], march: str) -> None:
    reason = "2 digits are not a possible phone number in US: the length is wrong or the area code is missing. Correct the number at its source."
    first = {
        "read": 3,
        "created": 2,
        "changed": 0,
        "unchanged": 0,
        "stale": 0,
        "rejected": [{"line": 4, "column": "mobile", "code": "phone", "reason": reason}],
        "warnings": [],
    }
    assert report(march, "--dry-run") == first
    assert report(march) == first
    assert report(march) == first | {"created": 0, "unchanged": 2}
    with sessions() as db:
        assert list(db.scalars(select(TreatmentSession.source))) == ["csv", "csv"]


def test_the_report_for_people(sessions: sessionmaker[Session], march: str) -> None:
    result = run("import", "sessions", march, "--clinic", "lake", "--dry-run")
    assert result.exit_code == 0
    assert "Nothing was written. It would be: 3 rows read: 2 created" in result.stdout
    assert "Rejected (1):" in result.stdout
    with sessions() as db:
        assert db.scalars(select(Patient)).all() == []
    result = run("import", "sessions", march, "--clinic", "lake")
    assert "3 rows read: 2 created, 0 changed, 0 unchanged, 0 stale, 1 rejected." in result.stdout


def test_people_see_the_first_of_many(sessions: sessionmaker[Session], tmp_path: Path) -> None:
    file = written(tmp_path, *(BOOKED.format(n=n).replace("booked", "") for n in range(1, 13)))
    result = run("import", "sessions", file, "--clinic", "lake")
    assert "Rejected (12, the first 10):" in result.stdout
    assert result.stdout.count("The column status is empty.") == 10


@pytest.mark.parametrize(
    ("option", "consents", "may_ask"),
    [
        pytest.param([], [], False, id="nothing said"),
        pytest.param(["--consent", "on-file"], ["march.csv"], False, id="on file"),
        pytest.param(["--consent", "column"], ["march.csv"], False, id="the column says yes"),
        pytest.param(["--consent", "ask"], [], True, id="to be asked"),
    ],
)
def test_consent(
    sessions: sessionmaker[Session], tmp_path: Path, option: list[str], consents: list[str], may_ask: bool
) -> None:
    report(written(tmp_path, BOOKED.format(n=1)), *option)
    with sessions() as db:
        assert list(db.scalars(select(Consent.evidence))) == consents
        assert list(db.scalars(select(Patient.may_ask))) == [may_ask]


def test_a_file_as_another_country_writes_it(sessions: sessionmaker[Session], tmp_path: Path) -> None:
    path = tmp_path / "mart.csv"
    header = HEADER.replace("mobile", "Cep").replace(",", ";")
    row = "APT-1;MRN-1;Ayşe;Örnek;0532 555 01 01;en;07.12.2099 16:00;;booked;"
    path.write_bytes(f"{header}\r\n{row}\r\n".encode("cp1254"))
    words = ["--encoding", "cp1254", "--delimiter", ";", "--map", "mobile=cep", "--date-format", "%d.%m.%Y %H:%M"]
    assert report(str(path), *words, "--country", "TR", "--time-zone", "Europe/Istanbul")["created"] == 1
    with sessions() as db:
        patient, session = db.scalars(select(Patient)).one(), db.scalars(select(TreatmentSession)).one()
    assert (patient.first_name, patient.phone) == ("Ayşe", "+905325550101")
    assert session.scheduled_start.isoformat() == "2099-12-07T13:00:00+00:00"


def test_a_complete_file_that_seems_cut_off(sessions: sessionmaker[Session], march: str, tmp_path: Path) -> None:
    report(march)
    result = run("import", "sessions", written(tmp_path, name="cut.csv"), "--clinic", "lake", "--full", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert isinstance(result.exception, ImportRefusedError)
    assert report(march, "--full")["unchanged"] == 2


@pytest.mark.parametrize(
    ("content", "clinic", "why"),
    [
        pytest.param(b"", "lake", FileRefusedError, id="empty"),
        pytest.param(b"APT-1,MRN-1\n", "lake", FileRefusedError, id="no header"),
        pytest.param(bytes(range(256)), "lake", FileRefusedError, id="binary"),
        pytest.param(HEADER.encode() + b"\n\xff", "lake", FileRefusedError, id="not UTF-8"),
        pytest.param(HEADER.encode(), "pond", NoSuchClinic, id="no such clinic"),
    ],
)
def test_what_is_refused(
    sessions: sessionmaker[Session], tmp_path: Path, content: bytes, clinic: str, why: type[AftercareError]
) -> None:
    path = tmp_path / "sessions.csv"
    path.write_bytes(content)
    result = run("import", "sessions", str(path), "--clinic", clinic, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert isinstance(result.exception, why)


def test_a_header_alone_is_judged(sessions: sessionmaker[Session], tmp_path: Path) -> None:
    assert report(written(tmp_path)) == {
        **dict.fromkeys(("read", "created", "changed", "unchanged", "stale"), 0),
        "rejected": [],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--time-zone", "America/Chigaco"], "Did you mean America/Chicago"),
        (["--country", "ZZ"], "two-letter code"),
        (["--date-format", "%d.%m.%Y"], "cannot tell a moment"),
        (["--map", "cell=mobile"], "names no column"),
        (["--delimiter", "::"], "cannot stand between fields"),
        (["--encoding", "klingon"], "is no encoding"),
        (["--consent", "maybe"], "maybe"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_usage(sessions: sessionmaker[Session], march: str, words: list[str], says: str) -> None:
    result = run("import", "sessions", march, "--clinic", "lake", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert run("import", "sessions", "missing.csv", "--clinic", "lake").exit_code == 2
