"""When an address was last told by mail of Subscriptions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0079_subscription_mail"
down_revision = "0071_launch"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscription_mail",
        sa.Column(
            "address",
            sa.Text(collation="C"),
            primary_key=True,
            comment="a mailbox of an organization that is told of its Subscriptions",
        ),
        sa.Column("told_at", sa.DateTime(timezone=True), comment="when a mail was last handed in"),
        sa.Column(
            "lease_until", sa.DateTime(timezone=True), comment="a worker writes to it until then"
        ),
        comment="Who was told by mail of Subscriptions within the last hour, and the lock of who writes",
    )


def downgrade() -> None:
    op.drop_table("subscription_mail")
