"""How commands speak, whatever they have to say."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from service.cli import output

MOMENT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def test_moments_in_json_are_utc() -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5)))
    assert output.encode({"at": elsewhere, "word": "ş"}) == '{"at": "2026-03-02T15:00:00Z", "word": "ş"}'
    with pytest.raises(TypeError, match="set has no place in JSON"):
        output.encode({1, 2})


@pytest.mark.parametrize(
    ("values", "printed"), [([], "[]\n"), ([1], "[1]\n"), ([1, {"a": None}], '[1,\n{"a": null}]\n')]
)
def test_a_long_list_is_one_document(values: list[object], printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.documents(iter(values))
    assert capsys.readouterr().out == printed


def test_moments_for_people_are_on_the_clinics_clock() -> None:
    zone = ZoneInfo("America/Chicago")
    assert output.clock(MOMENT, zone) == output.clock("2026-03-02T15:00:00Z", zone) == "Mon 2026-03-02 09:00"
    assert output.clock(None, zone) == ""


@pytest.mark.parametrize("trouble", [KeyError("uid 1000"), OSError("no password file")])
def test_a_user_without_a_name(trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise trouble

    monkeypatch.setattr("getpass.getuser", nobody)
    assert output.operator() == "unknown"


def test_a_user_with_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "nurse")
    assert output.operator() == "nurse"


def test_what_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("Reason",), [("[red]stop[/red]",), (None,)])
    assert "[red]stop[/red]" in capsys.readouterr().out
