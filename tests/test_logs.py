"""What the log holds, and what it never may."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from service.domain.errors import AftercareError
from service.logs import HIDDEN, configure

log = structlog.get_logger()
NUMBERS = [
    pytest.param("+12025550123", id="E.164"),
    pytest.param("12025550123", id="bare digits"),
    pytest.param("2025550123", id="bare digits of one country"),
    pytest.param("+1 202-555-0123", id="spaced"),
    pytest.param("(202) 555-0123", id="as written by hand"),
    pytest.param("202.555.0123", id="with dots"),
    pytest.param("+44 7700 900123", id="United Kingdom"),
    pytest.param("+90 (532) 555 01 23", id="Turkey"),
]


@pytest.fixture(autouse=True)
def afterwards_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one line that was written as JSON, read; nothing may have gone to stdout."""
    configure("json", "info")

    def read() -> dict[str, Any]:
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    return read


def test_a_line_is_an_action_word_with_fields(written: Any) -> None:
    log.info("text_settled", message=12, state="sent", late=False, share=0.5, by=None)
    line = written()
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo == UTC
    assert line == {
        "event": "text_settled",
        "level": "info",
        "message": 12,
        "state": "sent",
        "late": False,
        "share": 0.5,
        "by": None,
    }


@pytest.mark.parametrize("key", ["body", "text", "name", "number", "to", "from"])
def test_texts_names_and_numbers_are_never_written(written: Any, key: str) -> None:
    log.info("sent", data={"deep": [{key: "Ana"}]}, **{key: "Ana"})
    line = written()
    assert line[key] == HIDDEN
    assert line["data"] == {"deep": [{key: HIDDEN}]}


@pytest.mark.parametrize("number", NUMBERS)
def test_whatever_looks_like_a_phone_number_is_hidden_wherever_it_stands(written: Any, number: str) -> None:
    log.warning("called", reason=f"{number} did not answer", tried=(number,), data={"mobile": number})
    assert number not in str(written())


def test_a_number_in_an_address_is_hidden(written: Any) -> None:
    log.info("asked", url="/Messages.json?To=%2B12025550123&PageSize=50", sum=12025550123)
    line = written()
    assert line["url"] == f"/Messages.json?To=%2B{HIDDEN}&PageSize=50"
    assert line["sum"] == HIDDEN


def test_ids_and_moments_are_no_phone_numbers(written: Any) -> None:
    fields = {
        "sid": "SM12345678901234567890123456789012",
        "token": "550e8400-e29b-41d4-a716-446655440000",
        "at": "2026-11-20T10:50:00.123456Z",
        "message": 123_456_789,
        "worker": "host:12345",
    }
    log.info("noted", **fields)
    assert fields.items() <= written().items()


def test_the_database_may_not_quote_what_it_was_given(written: Any) -> None:
    with create_engine("sqlite://").connect() as connection:
        try:
            connection.execute(text("INSERT INTO patient VALUES (:name)"), {"name": "Ana"})
        except DBAPIError:
            log.exception("lost")
    line = written()
    assert line["error"] == "OperationalError: no such table: patient"
    assert "Ana" not in str(line)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AftercareError("The clinic has no sender."), "AftercareError: The clinic has no sender."),
        (OSError("disk full"), "OSError: disk full"),
        (ValueError("Ana is no number"), "ValueError"),
    ],
    ids=["ours", "of the machine", "of somebody who may quote a row"],
)
def test_an_errors_words_are_written_where_they_are_safe(written: Any, error: Exception, words: str) -> None:
    log.error("failed", exc_info=error)
    assert written()["error"] == words


def test_an_error_tells_where_it_happened_in_our_files(written: Any) -> None:
    from service.domain.phone import parse_number

    try:
        parse_number("", "US")
    except AftercareError:
        log.exception("refused")
    where = written()["where"]
    assert [place.partition(":")[0] for place in where] == [str(Path("domain") / "phone.py")] * len(where)
    assert where


def test_no_error_is_no_news(written: Any) -> None:
    log.info("fine", exc_info=False)
    assert "error" not in written()


def test_libraries_go_through_the_same_door(written: Any) -> None:
    logging.getLogger("some.library").warning("no answer from %s", "+12025550123")
    line = written()
    assert (line["event"], line["library"], line["level"]) == (f"no answer from {HIDDEN}", "some.library", "warning")


@pytest.mark.parametrize(
    ("library", "level"),
    [
        ("twilio.http_client", logging.INFO),
        ("twilio.async_http_client", logging.DEBUG),
        ("apscheduler.executors.default", logging.ERROR),
        ("apscheduler.scheduler", logging.WARNING),
        ("uvicorn.access", logging.ERROR),
        ("uvicorn.error", logging.INFO),
        ("alembic.runtime.migration", logging.INFO),
    ],
)
def test_libraries_that_tell_too_much_are_quiet(capsys: pytest.CaptureFixture[str], library: str, level: int) -> None:
    configure("json", "debug")
    logging.getLogger(library).log(level, "GET /webhooks/twilio/inbound?From=+12025550123")
    assert capsys.readouterr() == ("", "")


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure(None, "warning")
    log.info("text_settled")
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_it_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure(None, "info")
    log.info("text_settled")
    assert json.loads(capsys.readouterr().err)["event"] == "text_settled"


def test_for_people_it_is_a_line_of_words(capsys: pytest.CaptureFixture[str]) -> None:
    configure("console", "info")
    log.info("text_settled", to="+12025550123", state="sent")
    line = capsys.readouterr().err
    assert "text_settled" in line
    assert "state=sent" in line
    assert HIDDEN in line
    assert "2025550123" not in line
