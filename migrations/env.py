"""Runs the migrations on the connection that the service hands over, or, by hand, on ``AFTERCARE_DATABASE_URL``."""

import os

from alembic import context
from sqlalchemy import Connection, text

import service.store.tables  # noqa: F401 - fills the metadata
from service.store.columns import Table
from service.store.database import create_engine_for

ONE_AT_A_TIME = 7_318_204_651
"""PostgreSQL's advisory lock of this program: two that start together migrate once. SQLite has one writer anyway."""


def migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_by_hand() -> None:
    engine = create_engine_for(os.environ.get("AFTERCARE_DATABASE_URL", "sqlite:///aftercare.db"))
    with engine.begin() as connection:
        migrate(connection)


given = context.config.attributes.get("connection")
if given is None:
    migrate_by_hand()
else:
    migrate(given)
