"""What is amiss at the moment, and what each night's proof came to.

Tables and an index are added: nothing is rebuilt, so the triggers stay.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.String(26), "sqlite")
DOCUMENT = sa.JSON().with_variant(sa.dialects.postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", BIG, primary_key=True, comment="key"),
        sa.Column("identity", sa.String(120), nullable=False, unique=True, comment="kind and what it is about"),
        sa.Column("kind", sa.String(40), nullable=False, comment="what is amiss, one stable word"),
        sa.Column("clinic_id", BIG, sa.ForeignKey("clinic.id"), comment="the clinic; empty: all of them"),
        sa.Column("since", MOMENT, nullable=False, comment="when it was first seen"),
        sa.Column("seconds", sa.Integer(), nullable=False, comment="how long texts had waited when it was first seen"),
        sa.Column("told_at", MOMENT, comment="when staff were told; empty: it may pass by itself"),
        comment="What is amiss at the moment; the row goes when it is over",
    )
    op.create_table(
        "nightly_proof",
        sa.Column("night", sa.String(10), primary_key=True, comment="the day of the night, once for all workers"),
        sa.Column("worker", sa.String(80), nullable=False, comment="host and process"),
        sa.Column("began_at", MOMENT, nullable=False, comment="when it began"),
        sa.Column("ended_at", MOMENT, comment="when it ended; empty: under way, or its worker is gone"),
        sa.Column("checked", DOCUMENT, server_default="{}", nullable=False, comment="how many things each rule saw"),
        sa.Column("broken", DOCUMENT, server_default="{}", nullable=False, comment="broken promises by rule"),
        sa.Column("found", DOCUMENT, server_default="{}", nullable=False, comment="ids of what was broken, by rule"),
        comment="What each night's proof of all promises came to",
    )
    op.create_index("ix_send_attempt_sender", "send_attempt", ["sender_id", "started_at"])


def downgrade() -> None:
    op.drop_index("ix_send_attempt_sender", "send_attempt")
    op.drop_table("nightly_proof")
    op.drop_table("alarm")
