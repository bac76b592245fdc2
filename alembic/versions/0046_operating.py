"""operators who come by HTTP, a pause of what is sent, and by which request a change came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046_operating"
down_revision = "0034_order_numbers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "operator",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "scopes", sa.Text, nullable=False, comment="what it may do by the admin API at most"
        ),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.text("true")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("operator_pkey")),
        comment="Who may operate the hub by HTTP; of no organization, and never a partner's client",
    )
    op.create_table(
        "pause",
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "shows",
            sa.DateTime(timezone=True),
            comment="the last instant that a restored backup knows of",
        ),
        sa.PrimaryKeyConstraint("why", name=op.f("pause_pkey")),
        sa.CheckConstraint("why in ('restored', 'operator')", name=op.f("pause_why_known")),
        comment="While there is a row, nothing is sent to partners",
    )
    op.create_table(
        "trace",
        sa.Column("rid", sa.BigInteger, nullable=False, comment="of the resource that changed"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("parent", sa.Text, nullable=False, comment="W3C traceparent of the commit"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rid", "version", name=op.f("trace_pkey")),
        comment="By which request a change came, for tracing; empty while tracing is off",
    )
    op.create_index("trace_at_idx", "trace", ["at"])


def downgrade() -> None:
    for table in ("trace", "pause", "operator"):
        op.drop_table(table)
