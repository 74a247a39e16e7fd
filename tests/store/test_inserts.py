"""Insert-first: what is there already stays, and many rows are one statement."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.store.inserts import insert_missing, insert_new
from service.store.tables import Patient, Task
from tests.flows.clinic_life import writes
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_rows_with_and_without_a_value_are_written_together(sessions: Sessions, count: int) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db).id
    rows = [
        {"clinic_id": clinic, "external_id": str(n), "phone": "+12025550123" if n % 2 else None} for n in range(count)
    ]
    with writes(sessions) as written, sessions.begin() as db:
        insert_missing(db, Patient, rows)
    assert len(written) == min(count, 1)
    with sessions() as db:
        found = [(row.external_id, row.phone) for row in db.scalars(select(Patient))]
        assert sorted(found) == [(row["external_id"], row["phone"]) for row in rows]


def test_what_is_there_stays_as_it_is(sessions: Sessions) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db).id
        row = {"clinic_id": clinic, "identity": "call:1", "kind": "call", "due_at": NOW, "state": "open"}
        first = insert_new(db, Task, **row)
        assert insert_new(db, Task, **row | {"state": "planned"}) is None
        insert_missing(db, Task, [row | {"kind": "other"}, row | {"identity": "call:2"}])
        assert [(t.identity, t.kind, t.state) for t in db.scalars(select(Task).order_by(Task.id))] == [
            ("call:1", "call", "open"),
            ("call:2", "call", "open"),
        ]
        assert db.get_one(Task, first).identity == "call:1"
