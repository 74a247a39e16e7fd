"""What a restore from backup, a wrong clock or a second installation is noticed by.

Columns are added one by one: that rebuilds no table, so the triggers stay.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True).with_variant(sa.String(26), "sqlite")
COLUMNS = (
    (
        "identity",
        sa.String(length=64),
        "keyed hash of who sends from this database; another one is a second installation",
    ),
    (
        "guard_cause",
        sa.String(length=10),
        "silence, clock, second or restore: why sending waits for `aftercare recover`",
    ),
    ("guard_at", MOMENT, "since when it does"),
    ("guard_since", MOMENT, "from when on the provider's list is to be compared"),
)


def upgrade() -> None:
    for name, kind, comment in COLUMNS:
        op.add_column("installation", sa.Column(name, kind, comment=comment))


def downgrade() -> None:
    for name, _, _ in reversed(COLUMNS):
        op.drop_column("installation", name)
