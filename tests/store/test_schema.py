"""The migrations make exactly the schema that the tables describe, on both databases, and take it away again."""

import os
import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.orm import Session, sessionmaker

from service.store.columns import Table
from service.store.database import PROJECT, downgrade, revisions, upgrade
from service.store.tables import Installation, Sender
from tests.store import factories
from tests.store.schema_page import PAGE, page

MARKING = {
    ("clinic", "clinic_changed"),
    ("consent", "consent_added"),
    ("patient", "patient_changed"),
    ("plan_version", "plan_added"),
    ("plan_version", "plan_went_live"),
    ("treatment_session", "session_added"),
    ("treatment_session", "session_changed"),
    ("treatment_session", "session_removed"),
}
REFUSING = {
    ("consent", "consent_no_delete"),
    ("consent", "consent_no_update"),
    ("journal", "journal_no_delete"),
    ("journal", "journal_no_update"),
}
# PostgreSQL empties tables by a statement of its own; SQLite has none.
TRIGGERS = {
    "sqlite": MARKING | REFUSING,
    "postgresql": MARKING | REFUSING | {("consent", "consent_no_truncate"), ("journal", "journal_no_truncate")},
}


def engine_of(sessions: sessionmaker[Session]) -> Engine:
    engine = sessions.kw["bind"]
    assert isinstance(engine, Engine)
    return engine


def triggers(connection: Connection) -> set[tuple[str, str]]:
    catalogue = {
        "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal",
    }
    return {(table, name) for table, name in connection.execute(text(catalogue[connection.dialect.name]))}


def test_a_migrated_database_is_what_the_tables_describe(sessions: sessionmaker[Session]) -> None:
    with engine_of(sessions).connect() as connection:
        # One script serves both; of SQLite's defaults Alembic reads '' as something else.
        exact = {"compare_type": True, "compare_server_default": connection.dialect.name == "postgresql"}
        assert compare_metadata(MigrationContext.configure(connection, opts=exact), Table.metadata) == []


def test_every_migration_leaves_the_triggers_standing(sessions: sessionmaker[Session]) -> None:
    with engine_of(sessions).connect() as connection:
        assert triggers(connection) == TRIGGERS[connection.dialect.name]


def test_down_to_nothing_and_up_again(sessions: sessionmaker[Session]) -> None:
    engine = engine_of(sessions)
    downgrade(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert revisions(engine)[0] is None
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            assert connection.scalar(text(left)) == 0
    upgrade(engine)
    has, needs = revisions(engine)
    assert has == needs is not None
    with engine.connect() as connection:
        assert triggers(connection) == TRIGGERS[engine.dialect.name]


def test_the_schema_comes_with_the_default_sender_and_the_installation(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        assert db.get_one(Sender, 1).key == "default"
        assert db.get_one(Installation, 1).paused_at is None
        assert factories.clinic(db).sender_id == 1
        assert factories.sender(db).id == 2


def test_two_that_migrate_by_hand_at_the_same_time_do_it_once(
    sessions: sessionmaker[Session], database_url: str
) -> None:
    downgrade(engine_of(sessions), "base")
    by_hand = [sys.executable, "-m", "alembic", "upgrade", "head"]
    environment = os.environ | {"AFTERCARE_DATABASE_URL": database_url}
    both = [subprocess.Popen(by_hand, cwd=PROJECT, env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    with sessions.begin() as db:
        assert db.query(Sender).count() == 1


def test_the_id_of_a_deleted_row_is_not_given_again(sessions: sessionmaker[Session]) -> None:
    """Ids of clinics, patients, sessions and messages stand in identities, in reports of the provider and on paper."""
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        first = factories.patient(db, clinic)
        db.delete(first)
        db.flush()
        assert factories.patient(db, clinic).id > first.id


def test_every_table_and_column_says_what_it_means() -> None:
    for table in Table.metadata.tables.values():
        assert table.comment, table
        assert [column.name for column in table.columns if not column.comment] == [], table


def test_the_page_about_the_schema_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "make it again: python -m tests.store.schema_page"
