"""circuits of endpoints that fail; deliveries that are sent again as new."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_circuit"
down_revision = "0015_partners"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "delivery",
        "id",
        comment=None,
        existing_comment="also the Idempotency-Key towards the partner",
        existing_type=sa.Uuid(),
        existing_nullable=False,
    )
    op.add_column(
        "delivery",
        sa.Column("key", sa.Uuid(), comment="Idempotency-Key towards the partner; null: the id"),
    )
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
    op.drop_column("delivery", "key")
    op.alter_column(
        "delivery",
        "id",
        comment="also the Idempotency-Key towards the partner",
        existing_type=sa.Uuid(),
        existing_nullable=False,
    )
