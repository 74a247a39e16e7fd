"""``aftercare verify`` as an operator calls it."""

import json

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.cli import verify
from tests.cli.console import commands
from tests.store import factories

RULES = (
    "sent_twice",
    "sent_after_opt_out",
    "sent_without_consent",
    "sent_after_withdrawal",
    "sent_after_expiry",
    "sent_outside_window",
    "sent_over_cap",
    "unapproved_text",
    "aftercare_missing",
    "state_without_story",
    "two_replies_to_one_text",
)
run = commands(verify.register)


@pytest.fixture
def broken(sessions: sessionmaker[Session]) -> int:
    """A text that somebody has marked as delivered, and nothing shows that it ever left."""
    with sessions.begin() as db:
        return factories.message(db, factories.patient(db, factories.clinic(db)), state="delivered").id


def test_where_every_promise_was_kept(sessions: sessionmaker[Session]) -> None:
    result = run("verify", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"ok": True, "checked": dict.fromkeys(RULES, 0), "violations": []}
    result = run("verify")
    assert result.exit_code == 0
    assert "Every promise was kept." in result.stdout


def test_where_one_was_broken(broken: int) -> None:
    result = run("verify", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert list(found["checked"]) == list(RULES)
    assert found["checked"]["state_without_story"] == 1
    assert found["violations"] == [
        {
            "rule": "state_without_story",
            "message_id": broken,
            "session_id": None,
            "detail": "It is marked as delivered, and the journal has no report of that.",
        }
    ]


def test_where_one_was_broken_for_people(broken: int) -> None:
    result = run("verify")
    assert result.exit_code == 1
    words = result.stdout.split()
    assert words[words.index("state_without_story") :][:3] == ["state_without_story", "1", "1"]
    assert "the journal has no report of that" in " ".join(words)
    assert "Every promise" not in result.stdout
