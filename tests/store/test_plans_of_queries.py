"""The queries that run all day read an index made for them, on both databases, however long the tables grow."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, text
from sqlalchemy.orm import Session, sessionmaker

from service.store import counts, inbox, journal, messages, reports, tasks, watching
from service.store.tables import Patient
from tests.conftest import temporary_database
from tests.postgres_server import PostgresServer
from tests.store.factories import NOW

EARLIER = NOW - timedelta(minutes=5)
QUERIES: dict[str, tuple[str, Callable[[Session], object]]] = {
    "claim": (
        "ix_message_claim",
        lambda db: messages.claim_due(db, sender_id=1, priority=2, now=NOW, limit=9, token="t"),
    ),
    "next due": ("ix_message_claim", messages.next_due_at),
    "stale claims": ("ix_message_claimed", lambda db: messages.stale_claims(db, before=EARLIER, limit=9)),
    "expired": ("ix_message_expiry", lambda db: messages.expired(db, now=NOW, limit=9)),
    "caps": ("ix_send_attempt_patient", lambda db: messages.sent_counts(db, [1, 2], now=NOW)),
    "same text": (
        "ix_send_attempt_",  # by number or by patient: both are short
        lambda db: messages.same_text_since(
            db, patient_id=1, number="+1", body_hash="x", since=EARLIER, other_than_message=1
        ),
    ),
    "due tasks": ("ix_task_due", lambda db: tasks.due_planned(db, now=NOW, limit=9)),
    "new texts": ("ix_inbound_new", lambda db: inbox.new_inbound(db, limit=9)),
    "new reports": ("ix_raw_receipt_new", lambda db: inbox.new_receipts(db, limit=9)),
    "states": ("ix_message_session", lambda db: reports.status(db, now=NOW)),
    "outcomes": ("ix_send_attempt_provider_sid", counts.attempts_by_outcome),
    "pages": ("ix_message_page", counts.page_delays),
    "overdue": ("ix_message_claim", lambda db: watching.overdue(db, before=NOW)),
    "last left": ("ix_send_attempt_sender", lambda db: watching.last_left(db, 1)),
    "unreported": ("ix_message_unsettled", lambda db: watching.unreported(db, after=EARLIER, before=NOW)),
    "story": ("ix_journal_message", lambda db: journal.story(db, 1)),
    "marked patients": (
        "ix_patient_marked",
        lambda db: db.scalars(
            select(Patient.id).where(Patient.marked, Patient.id > 7).order_by(Patient.id).limit(9)
        ).all(),
    ),
}


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_url: str) -> Iterator[str]:
    """A new one on PostgreSQL: what became of rows that others deleted weighs when plans are made."""
    if database_url.startswith("sqlite"):
        yield database_url
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with temporary_database(server, request.getfixturevalue("postgres_template")) as name:
        yield server.url_of(name)


@pytest.mark.parametrize(("index", "query"), QUERIES.values(), ids=QUERIES)
def test_the_index_is_read(sessions: sessionmaker[Session], index: str, query: Callable[[Session], object]) -> None:
    with sessions() as db:
        connection = db.connection()
        if connection.dialect.name == "postgresql":
            # With empty tables reading everything is cheapest; whether the index can be used at all is what is asked.
            for way in ("seqscan", "bitmapscan"):
                db.execute(text(f"SET LOCAL enable_{way} = off"))
        assert index in plans(connection, lambda: query(db))


def plans(connection: Connection, act: Callable[[], object]) -> str:
    """How the database would run the statements of ``act``."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    act()
    event.remove(connection, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    lines = [
        row for statement, parameters in seen for row in connection.exec_driver_sql(explain + statement, parameters)
    ]
    return "\n".join(str(line[-1]) for line in lines)
