"""secrets of subscriptions, what is told to them again, who is told of a deletion, and by which channel."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042_subscription_channels"
down_revision = "0049_tokens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "subscription",
        sa.Column(
            "channel",
            sa.Text(),
            nullable=False,
            server_default=sa.text("'rest-hook'"),
            comment="Subscription.channel.type",
        ),
    )
    op.create_check_constraint(
        op.f("subscription_channel_known"),
        "subscription",
        "channel in ('rest-hook', 'websocket', 'email')",
    )
    op.add_column(
        "subscription",
        sa.Column(
            "message",
            sa.Uuid(),
            comment="of what is being told, the same however often it is tried",
        ),
    )
    op.add_column(
        "subscription",
        sa.Column("trying", sa.BigInteger(), comment="number of the last event in that message"),
    )
    op.add_column(
        "subscription",
        sa.Column(
            "again_from", sa.BigInteger(), comment="number of the next event to be told again"
        ),
    )
    op.add_column(
        "subscription",
        sa.Column(
            "again_until", sa.BigInteger(), comment="and of the last one, that was told before"
        ),
    )
    op.create_check_constraint(
        op.f("subscription_again_is_a_span"),
        "subscription",
        "(again_from is null) = (again_until is null) and again_until <= sent",
    )
    op.add_column(
        "subscription_event",
        sa.Column(
            "deleted",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="it is that the resource was deleted",
        ),
    )
    op.create_table(
        "subscription_secret",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("subscription", sa.BigInteger(), nullable=False),
        sa.Column(
            "secret",
            sa.LargeBinary(),
            nullable=False,
            comment="what notifications are signed with; shown to nobody again",
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            comment="it was replaced, and signs beside the new one up to then; null: the one in use",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("subscription_secret_pkey")),
        comment="Secrets of subscriptions: the one in use, and for a while the one before",
    )
    op.create_index(
        "subscription_secret_in_use_idx",
        "subscription_secret",
        ["subscription"],
        unique=True,
        postgresql_where=sa.text("until is null"),
    )
    op.create_index("subscription_secret_idx", "subscription_secret", ["subscription"])
    op.create_table(
        "subscription_deletion",
        sa.Column("subscription", sa.BigInteger(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False, comment="what is deleted"),
        sa.Column("version", sa.Integer(), nullable=False, comment="the deletion"),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "subscription", "rid", "version", name=op.f("subscription_deletion_pkey")
        ),
        comment="Who is told of a deletion, decided in its commit: after it nobody can be asked who saw it",
    )
    op.create_index("subscription_deletion_rid_idx", "subscription_deletion", ["rid", "version"])


def downgrade() -> None:
    op.drop_table("subscription_deletion")
    op.drop_table("subscription_secret")
    op.drop_column("subscription_event", "deleted")
    op.drop_constraint(op.f("subscription_again_is_a_span"), "subscription")
    op.drop_constraint(op.f("subscription_channel_known"), "subscription")
    for name in ("again_until", "again_from", "trying", "message", "channel"):
        op.drop_column("subscription", name)
