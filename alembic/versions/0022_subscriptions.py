"""subscriptions, their events, and how far the change log was followed for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from coordhub.store.tables import Xid8

revision = "0022_subscriptions"
down_revision = "0014_deadlines"
branch_labels = None
depends_on = None


def _instant(name: str, comment: str | None = None, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "subscription",
        sa.Column(
            "rid",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="of the Subscription",
        ),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("organization", sa.BigInteger(), nullable=False, comment="rid of whom it tells"),
        sa.Column("state", sa.Text(), nullable=False, comment="Subscription.status"),
        sa.Column(
            "config",
            sa.Text(),
            nullable=False,
            comment="what it asks for: searches, address, level",
        ),
        _instant("until", "Subscription.end"),
        sa.Column("event", sa.BigInteger(), nullable=False, comment="number of its last event"),
        sa.Column(
            "sent", sa.BigInteger(), nullable=False, comment="of the last event that was told"
        ),
        sa.Column("failures", sa.Integer(), nullable=False, comment="in a row"),
        _instant("since", "when it was first reached"),
        _instant("next_at", "when something is due; null: when something happens"),
        _instant("lease_until", "a worker holds it until then"),
        sa.Column("reason", sa.Text(), comment="why it could not be told; no content"),
        sa.CheckConstraint(
            "state in ('requested', 'active', 'error', 'off')",
            name=op.f("subscription_state_known"),
        ),
        sa.CheckConstraint("sent <= event", name=op.f("subscription_told_what_happened")),
        sa.PrimaryKeyConstraint("rid", name=op.f("subscription_pkey")),
        comment="Subscriptions as the relay needs them, and how far each was told",
    )
    op.create_index(
        "subscription_due_idx",
        "subscription",
        ["next_at"],
        postgresql_where=sa.text("state in ('requested', 'active')"),
    )
    op.create_index("subscription_organization_idx", "subscription", ["organization"])
    op.create_table(
        "subscription_event",
        sa.Column("subscription", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="from 1 on, without gaps"),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        _instant("at", "when the change was committed", nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False, comment="what changed"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subscription", "number", name=op.f("subscription_event_pkey")),
        comment="Events of subscriptions, in the order of their commits",
    )
    op.create_table(
        "feed",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("xid", Xid8(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("feed_pkey")),
        comment="How far the change log was followed; the row is the lock of who follows it",
    )
    op.execute("insert into feed (name, xid, seq) values ('subscriptions', '0'::xid8, 0)")
    op.create_index("change_feed_idx", "change", ["xid", "seq"])


def downgrade() -> None:
    op.drop_index("change_feed_idx", table_name="change")
    op.drop_table("feed")
    op.drop_table("subscription_event")
    op.drop_table("subscription")
