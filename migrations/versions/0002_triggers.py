"""Triggers: whom a change by any program marks for planning, and two tables that only grow.

``patient.marked`` is where a change is noted, and the patient's row is the lock that planning holds. A trigger takes that
lock before it looks at the mark: planning that is under way has read the old facts and is about to clear the mark, so the
change waits for it and marks after it. Rows that are marked already are locked, not written again. A program so holds its
session first and its patient second; whoever takes them the other way round must not wait for the session.

On SQLite, a migration that rebuilds a table (batch mode, where ADD, DROP or RENAME COLUMN do not suffice) drops the
triggers that name the table first and makes them again afterwards: the table's own would vanish, and those of other
tables keep it from being replaced.

Revision ID: 0002
Revises: 0001
"""

from typing import NamedTuple

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


class Mark(NamedTuple):
    """On ``event`` in ``table``, when one of ``columns`` differs or ``condition`` holds, ``patients`` are marked."""

    name: str
    event: str
    table: str
    patients: str
    columns: tuple[str, ...] = ()
    condition: str = ""


PATIENT = (
    *("clinic_id", "phone", "language", "time_zone", "status", "privacy", "interval_weeks", "authorisation_ends"),
    *("may_ask", "paused_until"),
)
SESSION = ("clinic_id", "patient_id", "scheduled_start", "scheduled_end", "completed_at", "status")
CLINIC = (
    *("time_zone", "plan", "interval_weeks", "window_opens", "window_closes", "live_from", "rule_hours", "sender_id"),
    "languages",
)

MARKS = (
    Mark("session_added", "INSERT", "treatment_session", "id = NEW.patient_id"),
    Mark("session_changed", "UPDATE", "treatment_session", "id IN (OLD.patient_id, NEW.patient_id)", SESSION),
    Mark("session_removed", "DELETE", "treatment_session", "id = OLD.patient_id"),
    Mark("consent_added", "INSERT", "consent", "phone = NEW.number"),
    Mark("clinic_changed", "UPDATE", "clinic", "clinic_id = NEW.id", CLINIC),
    Mark("plan_added", "INSERT", "plan_version", "clinic_id = NEW.clinic_id", condition="NEW.live"),
    Mark(
        "plan_went_live", "UPDATE", "plan_version", "clinic_id = NEW.clinic_id", condition="NEW.live AND NOT OLD.live"
    ),
)

APPEND_ONLY = {
    "consent": "consent is append only and nothing was changed: add a row that grants or revokes instead",
    "journal": "the journal is append only and nothing was changed: add an entry that says what is different",
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        create_on_postgresql()
    else:
        create_on_sqlite()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for function in ("patient_changed", *(mark.name for mark in MARKS), "append_only"):
            op.execute(f"DROP FUNCTION {function} CASCADE")
    else:
        names = ["patient_changed", *(mark.name for mark in MARKS)]
        names += [f"{table}_no_{event.lower()}" for table in APPEND_ONLY for event in ("UPDATE", "DELETE")]
        for name in names:
            op.execute(f"DROP TRIGGER {name}")


def create_on_postgresql() -> None:
    # A clinic's own program may write sessions without any right to patients: the functions run with their owner's.
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    function = "RETURNS trigger LANGUAGE plpgsql"
    op.execute(f"CREATE FUNCTION patient_changed() {function} AS $$ BEGIN NEW.marked = true; RETURN NEW; END $$")
    op.execute(
        f"CREATE TRIGGER patient_changed BEFORE UPDATE ON patient FOR EACH ROW"
        f" WHEN ({differs(PATIENT, 'IS DISTINCT FROM')}) EXECUTE FUNCTION patient_changed()"
    )
    for mark in MARKS:
        condition = differs(mark.columns, "IS DISTINCT FROM") if mark.columns else mark.condition or "true"
        op.execute(
            f"CREATE FUNCTION {mark.name}() {function} SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$ BEGIN"
            f" PERFORM FROM patient WHERE {mark.patients} ORDER BY id FOR NO KEY UPDATE;"
            f" UPDATE patient SET marked = true WHERE {mark.patients} AND NOT marked;"
            f" RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {mark.name} AFTER {mark.event} ON {mark.table} FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION {mark.name}()"
        )
    op.execute(
        f"CREATE FUNCTION append_only() {function} AS $$ BEGIN"
        f" RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table, words in APPEND_ONLY.items():
        for event in ("UPDATE", "DELETE", "TRUNCATE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION append_only('{words}')"
            )


def create_on_sqlite() -> None:
    op.execute(
        f"CREATE TRIGGER patient_changed AFTER UPDATE OF {', '.join(PATIENT)} ON patient FOR EACH ROW"
        f" WHEN NOT NEW.marked AND {differs(PATIENT, 'IS NOT')}"
        f" BEGIN UPDATE patient SET marked = true WHERE id = NEW.id; END"
    )
    for mark in MARKS:
        condition = differs(mark.columns, "IS NOT") if mark.columns else mark.condition or "true"
        event = f"UPDATE OF {', '.join(mark.columns)}" if mark.columns else mark.event
        op.execute(
            f"CREATE TRIGGER {mark.name} AFTER {event} ON {mark.table} FOR EACH ROW WHEN {condition}"
            f" BEGIN UPDATE patient SET marked = true WHERE {mark.patients} AND NOT marked; END"
        )
    for table, words in APPEND_ONLY.items():
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{words}'); END"
            )


def differs(columns: tuple[str, ...], operator: str) -> str:
    """SQL that is true where the row had other values in ``columns`` before."""
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    return f"({old}) {operator} ({new})"
