"""Opening the database, the same way for every program: engine, sessions, schema."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session, sessionmaker

PROJECT = Path(__file__).resolve().parents[2]
READ_ONLY = "aftercare_read_only"
BUSY_MS = 15_000
IDLE_MS = 15_000
"""A worker that was frozen inside a transaction lets go of its rows after this long, so that the others can go on."""
CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
"""A host that is gone without a word is given up within half a minute (seconds; the last one milliseconds), not in hours.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"""
POOL = {"pool_size": 10, "max_overflow": 40}
"""Room for every thread of the web server (40) beside the ticks."""


def create_engine_for(url: str) -> Engine:
    """An engine for a database URL; plain ``postgresql://`` means psycopg 3."""
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    if url.startswith("sqlite"):
        return _sqlite(url)
    return _postgresql(url)


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose objects stay readable after commit: flows hand plain values on."""
    return sessionmaker(engine, expire_on_commit=False)


def read_only(db: Session) -> Session:
    """Say, before its first statement, that ``db`` only reads: on SQLite it then waits for no writer."""
    db.connection(execution_options={READ_ONLY: True})
    return db


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to ``revision``."""
    with engine.begin() as connection:
        command.upgrade(_alembic(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the schema back to ``revision``; ``base`` is the empty database."""
    with engine.begin() as connection:
        command.downgrade(_alembic(connection), revision)


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """The revision the database has, and the one that this version of the service needs."""
    with engine.connect() as connection:
        has = MigrationContext.configure(connection).get_current_revision()
    return has, ScriptDirectory.from_config(Config(PROJECT / "alembic.ini")).get_current_head()


def _alembic(connection: Connection) -> Config:
    config = Config(PROJECT / "alembic.ini")
    config.attributes["connection"] = connection
    return config


def _postgresql(url: str) -> Engine:
    said = make_url(url).query
    connecting = {name: value for name, value in CONNECTING.items() if name not in said}
    engine = create_engine(url, pool_pre_ping=True, connect_args=connecting, **POOL)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # Said on each connection: options in the URL are the operators', and poolers take none.
        connection.autocommit = True
        connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MS}")
        connection.autocommit = False

    return engine


def _sqlite(url: str) -> Engine:
    pool = POOL if make_url(url).database else {}
    engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False}, **pool)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer that starts as a reader and upgrades later can fail where waiting would have helped.
        reads = connection.get_execution_options().get(READ_ONLY)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
