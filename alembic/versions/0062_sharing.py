"""Who has agreed to share one Task with whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0062_sharing"
down_revision = "0067_agreements"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sharing",
        sa.Column("organization", sa.BigInteger(), nullable=False, comment="rid of who says yes"),
        sa.Column("other", sa.BigInteger(), nullable=False, comment="rid of with whom"),
        sa.Column("since", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization", "other", name=op.f("sharing_pkey")),
        sa.CheckConstraint("organization <> other", name=op.f("sharing_of_two")),
        comment="Who says yes to one shared Task with whom; agreed is what both say",
    )

    _comments(
        "rid of the hub's Task; the episode's id: the sender's own, which both share",
        "rid of the hub's ServiceRequest; of a shared Task the sender's",
    )


def _comments(task: str, request: str) -> None:
    for name, comment in (("task", task), ("request", request)):
        op.alter_column(
            "candidate",
            name,
            existing_type=sa.BigInteger(),
            existing_nullable=False,
            comment=comment,
        )


def downgrade() -> None:
    _comments("rid of the hub's Task", "rid of the hub's ServiceRequest")
    op.drop_table("sharing")
