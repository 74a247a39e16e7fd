"""Migrated PostgreSQL databases, lent to one test after the other: to empty one is several times as quick as to copy another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString
from uuid import uuid4

from psycopg import Connection, sql
from psycopg.errors import InsufficientPrivilege

from tests.postgres_server import PostgresServer

# Whatever a test may have done to the schema; a database whose shape is not the template's is not lent again.
SHAPE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT concat_ws(' ', relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity) AS line
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
    UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines
"""
CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
# Foreign keys and triggers do not act in this role: the order of the tables is of no account.
EMPTY = """
DO $$ DECLARE it regclass; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR it IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('DELETE FROM %s', it);
    END LOOP;
END $$
"""
SEQUENCES = "SELECT quote_ident(sequencename), last_value FROM pg_sequences WHERE schemaname = 'public'"
SET_SEQUENCE = "SELECT setval(%s::regclass, coalesce(%s, 1), %s)"


class Databases:
    """Copies of ``template``, a migrated database that nobody is connected to."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self.server, self._template = server, template
        self._free: list[str] = []
        with server.connect(template) as connection:
            self._shape = _only(connection, SHAPE)
            tables = [str(name) for (name,) in connection.execute(TABLES)]
            self._rows = {name: rows for name in tables if (rows := _rows(connection, name))}
            self._sequences = connection.execute(SEQUENCES).fetchall()

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The name of one that is as new."""
        name = self._free.pop() if self._free else self._copy()
        yield name
        if self._made_new(name):
            self._free.append(name)
        else:
            self.server.drop(name)

    def close(self) -> None:
        """Drop those that are not lent."""
        while self._free:
            self.server.drop(self._free.pop())

    def _copy(self) -> str:
        name = f"aftercare_test_{uuid4().hex}"  # a named server may be shared with another run
        self.server.create(name, self._template)
        return name

    def _made_new(self, name: str) -> bool:
        """False where only another copy would be as new: the schema was changed, somebody is still there, or we may not."""
        with self.server.connect(name) as connection:
            if _only(connection, CLIENTS) or _only(connection, SHAPE) != self._shape:
                return False
            try:
                connection.execute(EMPTY)
            except InsufficientPrivilege:
                return False
            for table, rows in self._rows.items():
                with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                    copy.write(rows)
            for sequence, last in self._sequences:
                connection.execute(SET_SEQUENCE, (sequence, last, last is not None))
        return True


def _only(connection: Connection, query: LiteralString) -> object:
    row = connection.execute(query).fetchone()
    return row and row[0]


def _rows(connection: Connection, table: str) -> bytes:
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
        return b"".join(copy)
