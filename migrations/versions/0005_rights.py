"""How long what is kept, what was erased on request, and copies at the provider that are still to go.

Columns are added one by one: that rebuilds no table, so the triggers stay. The two tables that only grow get triggers that
look at each row: of a line about consent the number may become its keyed hash, once, and of an entry of the journal the
words of a person may go. All else is refused as before.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.String(26), "sqlite")

PERIODS = (
    ("keep_texts_months", "24", "months after the last session in which words of texts and replies are kept"),
    ("keep_consent_years", "6", "years in which the ledger names the number of somebody who is no patient any more"),
    ("keep_raw_days", "30", "days in which everything the provider said of a text is kept"),
)

SAME = {
    "consent": ("id", "clinic_id", "sender_id", "kind", "at", "method", "wording_version"),
    "journal": ("id", "at", "kind", "clinic_id", "patient_id", "session_id", "message_id", "data", "outside_key"),
}
MAY_CHANGE = {
    "consent": "OLD.number NOT LIKE '#%' AND NEW.number LIKE '#%' AND length(NEW.number) = 20"
    " AND (NEW.evidence IS NULL OR NEW.evidence = OLD.evidence)",
    "journal": "OLD.reason IS NOT NULL AND NEW.reason = 'erased'",
}
REFUSED = {
    "consent": "consent is append only and nothing was changed: add a row that grants or revokes instead",
    "journal": "the journal is append only and nothing was changed: add an entry that says what is different",
}


def upgrade() -> None:
    for name, default, comment in PERIODS:
        op.add_column("clinic", sa.Column(name, sa.Integer(), server_default=default, nullable=False, comment=comment))
    op.add_column(
        "patient", sa.Column("erased_at", MOMENT, comment="when everything that names this person was taken out")
    )
    op.add_column(
        "installation",
        sa.Column(
            "seal_check", sa.String(length=20), comment="shows whether the secret key is the one that sealed numbers"
        ),
    )
    op.create_table(
        "provider_copy",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("provider_sid", sa.String(length=40), nullable=False, comment="the provider's id of the text"),
        sa.Column("wanted_at", MOMENT, nullable=False, comment="since when it is to go"),
        sa.Column("next_at", MOMENT, nullable=False, comment="when the provider is asked next"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="how often it was asked"),
        sa.Column("done_at", MOMENT, comment="since when it is gone, or its words are"),
        sa.Column("outcome", sa.String(length=10), comment="gone, or redacted: the words alone are gone"),
        sa.Column("last_error", sa.String(), comment="why it was not done when it was last asked"),
        sa.CheckConstraint("outcome IN ('gone', 'redacted')", name="ck_provider_copy_outcome"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="provider_copy_clinic_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="provider_copy_pkey"),
        sa.UniqueConstraint("provider_sid", name="provider_copy_provider_sid_key"),
        comment="A copy of a text at the provider that is to go",
    )
    waiting = sa.text("done_at IS NULL")
    op.create_index(
        "ix_provider_copy_next", "provider_copy", ["next_at"], sqlite_where=waiting, postgresql_where=waiting
    )
    for table in SAME:
        replace(table, row_by_row=True)


def downgrade() -> None:
    for table in SAME:
        replace(table, row_by_row=False)
    op.drop_table("provider_copy")
    op.drop_column("installation", "seal_check")
    op.drop_column("patient", "erased_at")
    for name, _, _ in reversed(PERIODS):
        op.drop_column("clinic", name)


def replace(table: str, *, row_by_row: bool) -> None:
    """Make the trigger anew that refuses changes of ``table``: of every row but those that may change, or of all there are."""
    name, on_postgresql = f"{table}_no_update", op.get_bind().dialect.name == "postgresql"
    op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if on_postgresql else ""))
    scope = ""
    if row_by_row:
        scope = f" FOR EACH ROW WHEN ({refused(table, 'IS NOT DISTINCT FROM' if on_postgresql else 'IS')})"
    elif on_postgresql:
        scope = " FOR EACH STATEMENT"
    act = f" EXECUTE FUNCTION append_only('{REFUSED[table]}')"
    if not on_postgresql:
        act = f" BEGIN SELECT RAISE(ABORT, '{REFUSED[table]}'); END"
    op.execute(f"CREATE TRIGGER {name} BEFORE UPDATE ON {table}{scope}{act}")


def refused(table: str, same_as: str) -> str:
    """SQL that is true for a change that is not one of those that may be."""
    same = " AND ".join(f"NEW.{column} {same_as} OLD.{column}" for column in SAME[table])
    return f"NOT COALESCE({same} AND {MAY_CHANGE[table]}, false)"
