"""reference policy of a client."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_reference_policy"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column(
            "reference_policy",
            sa.Text(),
            server_default=sa.text("'refuse'"),
            nullable=False,
            comment="what becomes of a write with a reference that leads nowhere: refuse, warn",
        ),
    )
    op.create_check_constraint(
        op.f("client_reference_policy_known"), "client", "reference_policy in ('refuse', 'warn')"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("client_reference_policy_known"), "client")
    op.drop_column("client", "reference_policy")
