"""Opening the database: drivers, readers and writers."""

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from service.store.database import create_engine_for, read_only
from service.store.tables import Clinic
from tests.postgres_server import PostgresServer
from tests.store import factories


@pytest.mark.parametrize("url", ["postgresql://kim@db/aftercare", "postgresql+psycopg://kim@db/aftercare"])
def test_postgresql_is_reached_through_psycopg_3(url: str) -> None:
    engine = create_engine_for(url)
    assert (engine.url.drivername, engine.url.database) == ("postgresql+psycopg", "aftercare")


def test_a_reader_waits_for_no_writer(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as writer:
        factories.clinic(writer)
        with sessions() as db:
            assert read_only(db).scalars(select(Clinic)).all() == []


def test_a_row_that_refers_to_nothing_is_refused(sessions: sessionmaker[Session]) -> None:
    with sessions() as db, pytest.raises(IntegrityError):
        factories.clinic(db, sender_id=4711)


def test_sqlite_keeps_a_log_and_waits(sqlite_sessions: sessionmaker[Session]) -> None:
    engine = sqlite_sessions.kw["bind"]
    assert isinstance(engine, Engine)
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA busy_timeout")) == 15_000


def test_a_worker_frozen_in_a_transaction_lets_go_of_its_rows(postgres: PostgresServer) -> None:
    engine = create_engine_for(postgres.url_of("postgres"))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "15s"
    engine.dispose()
