"""circuits of endpoints that fail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_circuit"
down_revision = "0011_retention"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "circuit",
        sa.Column("endpoint", sa.BigInteger(), autoincrement=False, nullable=False, comment="rid"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False, comment="in a row"),
        sa.Column("probes", sa.Integer(), nullable=False, comment="that failed since it opened"),
        sa.Column("opened_at", sa.DateTime(timezone=True), comment="when it was last as usual"),
        sa.Column("probe_at", sa.DateTime(timezone=True), comment="when the next probe may go"),
        sa.Column(
            "allowance", sa.Integer(), nullable=False, comment="how many at once while recovering"
        ),
        sa.Column("reason", sa.Text(), comment="of the last failure; no content"),
        sa.CheckConstraint(
            "state in ('closed', 'open', 'probing', 'recovering')", name=op.f("circuit_state_known")
        ),
        sa.CheckConstraint(
            "(state in ('open', 'probing')) = (probe_at is not null)",
            name=op.f("circuit_open_has_probe"),
        ),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("circuit_pkey")),
        comment="Endpoints that fail, or did lately: whether and by how many at once they are spoken to",
    )


def downgrade() -> None:
    op.drop_table("circuit")
