"""The count sees each way in which a text goes wrong."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from tests.crash.counting import ALL_WELL, Count, count
from tests.crash.provider import Taken
from tests.store import factories
from tests.store.factories import NOW

ONE, OTHER = Taken("SM1", "+12025550101", "Your papers are ready."), Taken("SM2", "+12025550102", "Please call us.")
TWIN = replace(ONE, sid="SM3")


def sent(text: Taken) -> dict[str, Any]:
    return {"state": "sent", "to_number": text.to, "text": text.body, "provider_sid": text.sid}


WAITING: dict[str, Any] = {"state": "planned"}
NO_ROWS: list[dict[str, Any]] = []


@pytest.mark.parametrize(
    ("rows", "taken", "found"),
    [
        ([sent(ONE), sent(OTHER)], [ONE, OTHER], ALL_WELL),
        ([sent(ONE), sent(TWIN)], [ONE, TWIN], ALL_WELL),
        ([sent(ONE)], [ONE, TWIN], Count(doubled=1, unrecorded=1)),
        (NO_ROWS, [ONE], Count(doubled=1, unrecorded=1)),
        ([sent(ONE), sent(OTHER)], [ONE], Count(lost=1)),
        ([sent(ONE), sent(ONE)], [ONE], Count(lost=1)),
        ([sent(ONE), WAITING], [ONE], Count(lost=1)),
        ([{"state": "missed"}], [], Count(lost=1)),
        ([{"state": "cancelled"}], [], ALL_WELL),
        ([{"state": "sending"}], [], Count(lost=1, open=1)),
        ([{"state": "unconfirmed"}], [], Count(lost=1, open=1)),
        ([sent(replace(ONE, sid="SM9"))], [ONE], Count(unrecorded=1)),
        ([sent(replace(OTHER, sid="SM1")), sent(replace(ONE, sid="SM2"))], [ONE, OTHER], Count(unrecorded=2)),
    ],
    ids=[
        *("all is well", "a family on one phone", "taken twice", "nobody knows of it", "never taken", "one id for two"),
        *("not sent", "missed", "called off", "in somebody's hands", "in doubt", "under another id", "ids swapped"),
    ],
)
def test_rows_against_what_was_taken(
    sqlite_sessions: sessionmaker[Session], rows: list[dict[str, Any]], taken: list[Taken], found: Count
) -> None:
    with sqlite_sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        for row in rows:
            factories.message(db, patient, **row)
    assert count(sqlite_sessions, taken, due_at=NOW) == found


@pytest.mark.parametrize(
    ("outcome", "open_still"), [("accepted", 0), ("refused", 0), ("unknown", 1), (None, 1)], ids=str
)
def test_attempts_without_an_end(sqlite_sessions: sessionmaker[Session], outcome: str | None, open_still: int) -> None:
    with sqlite_sessions.begin() as db:
        message = factories.message(db, factories.patient(db, factories.clinic(db)), **sent(ONE))
        factories.attempt(db, message, outcome=outcome)
    assert count(sqlite_sessions, [ONE], due_at=NOW) == Count(open=open_still)


def test_a_person_who_is_asked_to_find_out(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        factories.task(db, factories.clinic(db), kind="unconfirmed")
        factories.task(db, factories.clinic(db), kind="unconfirmed", state="closed")
    assert count(sqlite_sessions, [], due_at=NOW) == Count(tasks=1)
