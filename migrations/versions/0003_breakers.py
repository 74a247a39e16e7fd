"""Breakers that try the provider out again by themselves, turns for texts that are less urgent, and the hours a text kept.

Columns are added one by one: that rebuilds no table, so the triggers stay.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True).with_variant(sa.String(26), "sqlite")
STOPPABLE = ("sender", "installation")


def upgrade() -> None:
    for table in STOPPABLE:
        op.add_column(
            table,
            sa.Column(
                "pause_cause",
                sa.String(length=10),
                comment="refused or down: the provider brought the pause about; empty: a person",
            ),
        )
        op.add_column(
            table,
            sa.Column("probe_at", MOMENT, comment="when one text tries it out again; empty: a person ends the pause"),
        )
        op.add_column(table, counter("probes", "how often it was tried out in this pause"))
        op.add_column(table, counter("troubles", "texts in a row that the provider did not answer"))
    op.add_column(
        "sender", counter("ahead", "segments that went ahead of less urgent ones since one of these had its turn")
    )
    op.add_column(
        "send_attempt",
        sa.Column("hours", sa.String(length=60), comment="the hours that it kept; empty where it keeps none"),
    )


def downgrade() -> None:
    op.drop_column("send_attempt", "hours")
    op.drop_column("sender", "ahead")
    for table in STOPPABLE:
        for column in ("troubles", "probes", "probe_at", "pause_cause"):
            op.drop_column(table, column)


def counter(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False, comment=comment)
