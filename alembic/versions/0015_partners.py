"""what was agreed with partners."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015_partners"
down_revision = "0011_retention"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "partner",
        sa.Column(
            "organization",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of Organization",
        ),
        sa.Column(
            "profile",
            sa.Text(),
            nullable=False,
            comment="which Task.status and businessStatus it speaks: referral.profiles",
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "profile in ('r4', 'sdoh-cc', 'bser', '360x', 'cow')",
            name=op.f("partner_profile_known"),
        ),
        sa.PrimaryKeyConstraint("organization", name=op.f("partner_pkey")),
        comment="What was agreed with an organization; who is not here speaks r4",
    )


def downgrade() -> None:
    op.drop_table("partner")
