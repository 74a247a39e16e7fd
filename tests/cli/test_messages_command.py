"""``status``, ``message``, ``pause`` and ``resume`` as an operator calls them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from typer.testing import Result

from service.cli import messages
from service.flows.staffing import TooLate
from service.store import journal, running
from service.store.tables import JournalEntry, Message
from tests.cli.console import commands, installation
from tests.store import factories
from tests.store.factories import NOW

run = commands(messages.register)
NUMBER, MASKED = "+12025550147", "+1•••••0147"


@pytest.fixture
def two(sessions: sessionmaker[Session]) -> tuple[int, int]:
    """A planned and a sent message of one patient."""
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db), phone=NUMBER)
        treatment = factories.session(db, patient)
        planned = factories.message(db, patient, session_id=treatment.id, step="pre_1d")
        sent = factories.message(
            db, patient, state="sent", to_number=NUMBER, provider_sid="SM1", sent_at=NOW, attempts=1
        )
        journal.append(db, "sent", at=NOW, message=sent, data={"attempt": 1})
        return planned.id, sent.id


def printed(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def kinds(sessions: sessionmaker[Session]) -> list[str]:
    with sessions() as db:
        return list(db.scalars(select(JournalEntry.kind).order_by(JournalEntry.id)))


def test_status_is_one_document(sessions: sessionmaker[Session], two: tuple[int, int]) -> None:
    with sessions.begin() as db:
        running.beat(db, job="plan", worker="here:1", at=NOW, took_ms=3, rows=0)
    found = printed("status")
    assert (found["due"], found["held"], found["unconfirmed"], found["paused"]) == (1, 0, 0, False)
    assert (found["states"]["planned"], found["states"]["sent"], found["states"]["failed"]) == (1, 1, 0)
    assert found["oldest_due_seconds"] > 0
    assert found["heartbeats"]["plan"]["at"] == "2026-03-02T15:00:00Z"


def test_status_for_people_where_nothing_is_paused(two: tuple[int, int]) -> None:
    assert "PAUSED" not in run("status").stdout


def test_status_for_people(sessions: sessionmaker[Session], two: tuple[int, int]) -> None:
    with sessions.begin() as db:
        running.beat(db, job="plan", worker="here:1", at=NOW, took_ms=3, rows=0)
        running.pause_all(db, at=NOW, reason="wrong texts")
        factories.sender(db, key="south", paused_at=NOW, pause_reason="not registered")
        factories.clinic(db, key="north", paused_at=NOW, pause_reason="moving house")
    found = run("status").stdout
    assert "1 due" in found
    assert "PAUSED: all sending: wrong texts" in found
    assert "PAUSED: sender south: not registered" in found
    assert "PAUSED: clinic north: moving house" in found
    assert "here:1" in found


def test_a_list_has_every_message_and_no_whole_number(two: tuple[int, int]) -> None:
    planned, sent = printed("message", "list")
    assert [planned["id"], sent["id"]] == list(two)
    assert [planned["to"], sent["to"]] == [MASKED, MASKED]
    assert {name: sent[name] for name in ("state", "provider_sid", "due_at", "attempts")} == {
        "state": "sent",
        "provider_sid": "SM1",
        "due_at": "2026-03-02T15:00:00Z",
        "attempts": 1,
    }


def test_a_list_can_be_narrowed(sessions: sessionmaker[Session], two: tuple[int, int]) -> None:
    planned, sent = printed("message", "list")
    assert printed("message", "list", "--state", "sent") == [sent]
    assert printed("message", "list", "--session", str(planned["session"])) == [planned]
    assert printed("message", "list", "--patient", str(sent["patient"])) == [planned, sent]
    assert printed("message", "list", "--patient", "999") == []
    assert run("message", "list", "--state", "lost").exit_code == 2


def test_a_list_for_people_on_the_clinics_clock(two: tuple[int, int]) -> None:
    found = run("message", "list").stdout
    assert "Mon 2026-03-02 09:00" in found
    assert MASKED in found
    assert NUMBER not in found


def test_a_message_without_a_number_has_none_to_mask(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        factories.message(db, factories.patient(db, factories.clinic(db), phone=None))
    assert printed("message", "list")[0]["to"] is None


def test_one_message_with_its_story(two: tuple[int, int]) -> None:
    found = printed("message", "show", str(two[1]))
    assert found["message"]["to"] == MASKED
    assert found["message"]["text"] == "Please call us."
    assert found["story"] == [{"at": "2026-03-02T15:00:00Z", "kind": "sent", "reason": None, "data": {"attempt": 1}}]


def test_one_message_for_people(two: tuple[int, int]) -> None:
    found = run("message", "show", str(two[1])).stdout
    assert "Mon 2026-03-02 09:00" in found
    assert "{'attempt': 1}" in found
    assert NUMBER not in found


@pytest.mark.parametrize("json_or_not", [(), ("--json",)], ids=["for people", "for programs"])
def test_whole_numbers_only_for_those_who_ask_and_are_noted(
    sessions: sessionmaker[Session], two: tuple[int, int], json_or_not: tuple[str, ...]
) -> None:
    assert NUMBER not in run("message", "list", *json_or_not).stdout
    assert kinds(sessions) == ["sent"]
    assert NUMBER in run("message", "show", str(two[1]), "--reveal", *json_or_not).stdout
    assert NUMBER in run("message", "list", "--state", "planned", "--reveal", *json_or_not).stdout
    assert kinds(sessions) == ["sent", "revealed", "revealed"]
    with sessions() as db:
        one, many = db.scalars(select(JournalEntry).where(JournalEntry.kind == "revealed").order_by(JournalEntry.id))
        assert (one.message_id, many.message_id, many.data["state"]) == (two[1], None, "planned")
        assert NUMBER not in str([one.data, many.data])


def test_a_message_that_is_not_there(sessions: sessionmaker[Session]) -> None:
    result = run("message", "show", "77", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no message 77" in result.stderr


def test_skipping_a_message(sessions: sessionmaker[Session], two: tuple[int, int]) -> None:
    assert run("message", "skip", str(two[0]), "--reason", "phoned instead").exit_code == 0
    with sessions() as db:
        assert db.get_one(Message, two[0]).reason == "staff: phoned instead"
    late = run("message", "skip", str(two[1]), "--reason", "phoned instead")
    assert late.exit_code == 1
    assert isinstance(late.exception, TooLate)


@pytest.mark.parametrize(
    ("found", "state", "told"),
    [("--sent", "sent", "counts as sent"), ("--not-sent", "planned", "sent again, if it is still of use")],
)
def test_deciding_whether_a_message_left(
    sessions: sessionmaker[Session], two: tuple[int, int], found: str, state: str, told: str
) -> None:
    with sessions.begin() as db:
        db.get_one(Message, two[1]).state = "unconfirmed"
    decided = run("message", "decide", str(two[1]), found, "--reason", "asked the patient")
    assert (decided.exit_code, told in decided.stderr) == (0, True)
    with sessions() as db:
        assert db.get_one(Message, two[1]).state == state
        assert "asked the patient" in db.scalars(select(JournalEntry.reason)).all()
    again = run("message", "decide", str(two[1]), found, "--reason", "asked the patient")
    assert again.exit_code == 1
    assert isinstance(again.exception, TooLate)


def test_what_may_still_be_found_out_is_not_decided(sessions: sessionmaker[Session], two: tuple[int, int]) -> None:
    with sessions.begin() as db:
        message = db.get_one(Message, two[1])
        message.state, message.sent_at = "unconfirmed", datetime(2100, 1, 1, tzinfo=UTC)
    early = run("message", "decide", str(two[1]), "--sent", "--reason", "I believe so")
    assert early.exit_code == 1
    assert "still being found out" in str(early.exception)


def test_a_decision_says_what_was_found(sessions: sessionmaker[Session], two: tuple[int, int]) -> None:
    assert run("message", "decide", str(two[1]), "--reason", "asked the patient").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [("message", "skip", "1"), ("message", "decide", "1", "--sent"), ("pause",)],
    ids=["skip", "decide", "pause"],
)
@pytest.mark.parametrize("reason", [(), ("--reason", " ")], ids=["no reason", "an empty reason"])
def test_decisions_need_a_reason(
    sessions: sessionmaker[Session], words: tuple[str, ...], reason: tuple[str, ...]
) -> None:
    assert run(*words, *reason).exit_code == 2


def test_pausing_and_resuming(sessions: sessionmaker[Session], two: tuple[int, int]) -> None:
    def told(result: Result) -> str:
        assert result.exit_code == 0, result.stderr
        return result.stderr

    assert "Nothing leaves" in told(run("pause", "--reason", "wrong texts"))
    assert printed("status")["paused"] is True
    again = run("pause", "--reason", "lunch")
    assert "paused before" in told(again)
    assert "wrong texts" in again.stdout
    assert "1 due" in again.stdout
    assert "No longer paused: all sending (wrong texts)" in told(run("resume"))
    assert printed("status")["paused"] is False
    assert "Nothing was paused" in told(run("resume"))
    assert kinds(sessions) == ["sent", "paused", "resumed"]


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    with installation(tmp_path, {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}"}):
        result = run("status", "--json")
    assert result.exit_code == 1
    assert "aftercare migrate" in str(result.exception)


def test_the_list_is_not_cut_off(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        for n in range(1_200):
            factories.message(db, patient, due_at=NOW + timedelta(minutes=n))
    assert len(printed("message", "list")) == 1_200
