"""Insert-first: let a unique key of the database say whether something is new, instead of looking before writing."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.columns import Table


def insert_into(db: Session, table: type[Table]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT in the words of ``db``'s database, to be given ``on_conflict_do_nothing`` or ``…_do_update``."""
    return postgresql.insert(table) if db.get_bind().dialect.name == "postgresql" else sqlite.insert(table)


def insert_new(db: Session, table: type[Table], **values: Any) -> int | None:
    """The id of the row that was written, or None where one of the table's unique keys was already there."""
    statement = insert_into(db, table).values(values).on_conflict_do_nothing()
    written: int | None = db.scalar(statement.returning(table.__table__.c.id))
    return written


def insert_missing(db: Session, table: type[Table], rows: Sequence[dict[str, Any]]) -> None:
    """Write those of ``rows`` whose unique keys are not there yet."""
    if rows:
        # Left to itself the ORM makes a statement of its own for every run of rows that lack the same values.
        in_one = {"render_nulls": True}
        db.execute(insert_into(db, table).on_conflict_do_nothing(), rows, execution_options=in_one)
