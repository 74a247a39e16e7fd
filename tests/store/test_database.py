"""Opening the database: drivers, readers and writers."""

from typing import Any

import pytest
from sqlalchemy import Engine, make_url, select, text
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


def test_on_sqlite_what_was_committed_outlives_a_power_cut(sqlite_sessions: sessionmaker[Session]) -> None:
    """Else a text that left would be sent again."""
    full = 2
    with sqlite_sessions() as db:
        assert db.scalar(text("PRAGMA synchronous")) == full


def connecting(url: str) -> dict[str, str]:
    """With what parameters a connection to this database was made."""
    engine = create_engine_for(url)
    try:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            return dict(driver.info.get_parameters())
    finally:
        engine.dispose()


def test_a_database_host_that_is_gone_without_a_word_is_given_up_within_half_a_minute(postgres: PostgresServer) -> None:
    used = connecting(postgres.url_of("postgres"))
    idle, each, many = (int(used[f"keepalives_{what}"]) for what in ("idle", "interval", "count"))
    assert used.get("keepalives", "1") == "1"
    assert 0 < int(used["connect_timeout"]) <= 30
    assert 0 < idle + each * many <= 40
    assert 0 < int(used["tcp_user_timeout"]) <= 30_000


def test_what_the_url_says_of_connecting_goes_first(postgres: PostgresServer) -> None:
    url = make_url(postgres.url_of("postgres"))
    said = {"connect_timeout": "3", "tcp_user_timeout": "0"}
    default = connecting(url.render_as_string(hide_password=False))
    used = connecting(url.update_query_dict(said).render_as_string(hide_password=False))
    assert used == default | said


def test_a_worker_frozen_in_a_transaction_lets_go_of_its_rows(postgres: PostgresServer) -> None:
    engine = create_engine_for(postgres.url_of("postgres"))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "15s"
    engine.dispose()
