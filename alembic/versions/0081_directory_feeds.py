"""Feeds of the directory, and what each row of theirs became."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0081_directory_feeds"
down_revision = "0079_subscription_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "directory_feed",
        sa.Column("name", sa.Text(collation="C"), primary_key=True),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="path or address; it may hold a key"
        ),
        sa.Column(
            "zone",
            sa.Text(collation="C"),
            comment="of the IANA database, of schedules; null: by their offsets",
        ),
        sa.Column(
            "every", sa.Interval(), comment="how often it is read again; null: only when told to"
        ),
        sa.Column("due_at", sa.DateTime(timezone=True), comment="read again then"),
        sa.Column(
            "lease_until", sa.DateTime(timezone=True), comment="somebody reads it until then"
        ),
        sa.Column("ran_at", sa.DateTime(timezone=True), comment="when it was read last"),
        sa.Column("outcome", postgresql.JSONB(), comment="of the last time: counts and faults"),
        comment="Sources that the directory is kept in step with",
    )
    op.create_table(
        "directory_entry",
        sa.Column("feed", sa.Text(collation="C"), nullable=False, comment="directory_feed.name"),
        sa.Column("key", sa.Text(collation="C"), nullable=False, comment="table and id of the row"),
        sa.Column("rid", sa.BigInteger(), nullable=False, comment="of the resource that it became"),
        sa.Column(
            "digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of what the feed said last"
        ),
        sa.Column(
            "gone",
            sa.Boolean(),
            nullable=False,
            comment="the feed has it no more; it was made inactive",
        ),
        sa.PrimaryKeyConstraint("feed", "key", name=op.f("directory_entry_pkey")),
        comment="What each row of a feed became, so that only what has changed is written",
    )
    op.create_index("directory_entry_rid_idx", "directory_entry", ["rid"])


def downgrade() -> None:
    op.drop_table("directory_entry")
    op.drop_table("directory_feed")
