"""``aftercare clinic`` as it is set up for the first time, and changed later."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli import clinics
from service.flows.clinics import ClinicExistsError
from service.flows.practice import NoSuchClinic
from tests.cli.console import commands, installation

run = commands(clinics.register)

NEEDED = {
    "--key": "lake",
    "--name": "Lakeside Headache Clinic",
    "--sms-name": "Lakeside Clinic",
    "--time-zone": "America/Chicago",
    "--country": "US",
    "--phone": "312 200 0100",
    "--emergency": "911",
    "--after-hours": "312 200 0142",
    "--languages": "en,es",
}
ALL = [word for pair in NEEDED.items() for word in pair]


@pytest.fixture(autouse=True)
def _installation(database_url: str, tmp_path: Path) -> Iterator[None]:
    with installation(tmp_path, {"DATABASE_URL": database_url}):
        yield


def shown(*words: str) -> Any:
    result = run("clinic", "show", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_clinic_from_its_first_day(tmp_path: Path) -> None:
    holidays = tmp_path / "holidays.txt"
    holidays.write_text("2026-12-25 Noël\n", "utf-8-sig")
    more = ["--hours", "Mon-Thu 08:00-17:00, Fri 08:00-13:00", "--holidays", str(holidays), "--crisis-line", "988"]
    more += ["--page", "3122000143", "--page", "3122000144", "--interval-weeks", "13", "--plan", "lite"]
    result = run("clinic", "add", *ALL, *more, "--live-from", "2026-03-01T08:00")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("Clinic lake was added.")
    expected = {
        "key": "lake",
        "phone": "+13122000100",
        "languages": ["en", "es"],
        "hours": "Mon-Thu 08:00-17:00, Fri 08:00-13:00",
        "holidays": [{"day": "2026-12-25", "name": "Noël"}],
        "crisis_line": "988",
        "page": ["+13122000143", "+13122000144"],
        "interval_weeks": 13,
        "plan": "lite",
        "live_from": "2026-03-01T14:00:00Z",
    }
    assert expected.items() <= shown("lake").items()
    assert shown("--key", "lake") == shown("lake")
    assert [clinic["key"] for clinic in shown()] == ["lake"]


def test_it_is_added_once() -> None:
    assert run("clinic", "add", *ALL).exit_code == 0
    result = run("clinic", "add", *ALL)
    assert result.exit_code == 1
    assert isinstance(result.exception, ClinicExistsError)


def test_a_change_leaves_the_rest() -> None:
    run("clinic", "add", *ALL)
    before = shown("lake")
    result = run("clinic", "set", "--key", "lake", "--interval-weeks", "10", "--phone", "312 200 0199")
    assert result.exit_code == 0
    assert "Is this meant? 10 weeks" in result.stderr
    assert shown("lake") == before | {"interval_weeks": 10, "phone": "+13122000199"}


def test_clinics_for_people() -> None:
    run("clinic", "add", *ALL)
    assert "America/Chicago" in run("clinic", "show").stdout
    assert "Lakeside Headache Clinic" in run("clinic", "show", "lake").stdout


@pytest.mark.parametrize("words", [("set", "--key", "pond", "--plan", "lite"), ("show", "pond")], ids=["set", "show"])
def test_a_clinic_that_is_not_there(words: tuple[str, ...]) -> None:
    result = run("clinic", *words)
    assert result.exit_code == 1
    assert isinstance(result.exception, NoSuchClinic)


@pytest.mark.parametrize("missing", list(NEEDED))
def test_what_a_clinic_needs(missing: str) -> None:
    words = [word for name, value in NEEDED.items() if name != missing for word in (name, value)]
    result = run("clinic", "add", *words)
    assert result.exit_code == 2
    assert missing in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--plan", "deluxe"], "--plan: 'deluxe' is no plan"),
        (["--time-zone", "Mars/Olympus"], "--time-zone 'Mars/Olympus' is no time zone"),
        (["--holidays", "missing.txt"], "missing.txt"),
    ],
    ids=["plan", "zone", "file"],
)
def test_wrong_usage_changes_nothing(words: list[str], says: str) -> None:
    result = run("clinic", "add", *ALL, *words)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert shown() == []
    run("clinic", "add", *ALL)
    assert run("clinic", "set", "--key", "lake", *words).exit_code == 2


def test_a_file_of_holidays_that_is_no_text(tmp_path: Path) -> None:
    holidays = tmp_path / "holidays.txt"
    holidays.write_bytes("2026-12-25 Noël\n".encode("cp1252"))
    result = run("clinic", "add", *ALL, "--holidays", str(holidays))
    assert result.exit_code == 2
    assert "is not UTF-8 text" in result.stderr
