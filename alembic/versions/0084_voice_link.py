"""Links by which a person says whether it got what it needed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0084_voice_link"
down_revision = "0081_directory_feeds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "voice_link",
        sa.Column(
            "hash", sa.LargeBinary, nullable=False, comment="SHA-256 of the token in the address"
        ),
        sa.Column(
            "episode",
            sa.BigInteger,
            nullable=False,
            comment="rid of the referral that it asks about",
        ),
        sa.Column("request", sa.BigInteger, nullable=False, comment="rid of the order"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="it asks nothing from then on",
        ),
        sa.PrimaryKeyConstraint("hash"),
        sa.CheckConstraint("length(hash) = 32", name="hash_whole"),
        comment="Links by which a person says, once, whether it got what it needed",
    )
    op.create_index("voice_link_request_idx", "voice_link", ["request"])
    op.create_index("voice_link_until_idx", "voice_link", ["until"])


def downgrade() -> None:
    op.drop_table("voice_link")
