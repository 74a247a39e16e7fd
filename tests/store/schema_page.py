"""Writes docs/schema.md from the comments of the tables: ``python -m tests.store.schema_page``."""

from pathlib import Path

from sqlalchemy import Column, UniqueConstraint, make_url
from sqlalchemy import Table as SqlTable

from service.store import tables
from service.store.columns import Table

POSTGRESQL = make_url("postgresql+psycopg://").get_dialect()()
PAGE = Path(__file__).parents[2] / "docs" / "schema.md"

HEAD = """# The database

What every table and column means. On PostgreSQL the same words stand in the database (`\\d+ patient`). Written from the
tables of `service/store/tables` by `python -m tests.store.schema_page`.

Moments are UTC: `timestamptz` on PostgreSQL, text `YYYY-MM-DD HH:MM:SS.ffffff` on SQLite. Columns that may be empty are
marked with `?`.

## What other programs may do

- Write `clinic`, `patient` and `treatment_session`, and add to `consent`. A column with a default may be left out.
- Any change of a fact that the plan rests on sets `patient.marked`, by a trigger, in the same transaction: the patient is
  planned anew before anything is sent. On PostgreSQL the triggers need no rights to `patient` for it.
- `consent` and `journal` only grow: changing or deleting a row is refused.
- On PostgreSQL a change waits while the patient concerned is being planned, which takes moments.
"""


def page() -> str:
    """The page, whole."""
    return HEAD + "".join(_table(mapped.__table__) for mapped in _mapped())


def _mapped() -> list[type[Table]]:
    return [getattr(tables, name) for name in tables.__all__]


def _table(table: object) -> str:
    assert isinstance(table, SqlTable)
    lines = [
        f"\n## {table.name}\n\n{table.comment}.\n\n| column | type | default | meaning |\n| --- | --- | --- | --- |"
    ]
    lines += [_column(column) for column in table.columns]
    unique = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    together = sorted(", ".join(f"`{c.name}`" for c in constraint.columns) for constraint in unique)
    if together:
        lines.append("\nUnique: " + "; ".join(together) + ".")
    return "\n".join(lines) + "\n"


def _column(column: Column[object]) -> str:
    written = column.type.compile(dialect=POSTGRESQL).lower()
    kind = "timestamptz" if written == "timestamp with time zone" else written
    refers = "".join(f" → `{key.column.table.name}`" for key in column.foreign_keys)
    default = getattr(column.server_default, "arg", None)
    shown = "" if default is None else f"`{str(default) or repr('')}`"
    return f"| `{column.name}`{'?' if column.nullable else ''} | {kind}{refers} | {shown} | {column.comment} |"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
