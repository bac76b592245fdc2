"""Entries of two feeds that are one service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0082_directory_twins"
down_revision = "0089_walk_by_code"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "directory_twin",
        sa.Column(
            "kept",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of the entry that stays",
        ),
        sa.Column(
            "other",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of the other one",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "because", sa.Text(), nullable=False, comment="what both say: name, phone, address ..."
        ),
        sa.Column(
            "by",
            sa.Text(),
            comment="account of who decided; null: nobody yet, or the hub, being certain",
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="of that"),
        sa.PrimaryKeyConstraint("kept", "other", name=op.f("directory_twin_pkey")),
        sa.CheckConstraint(
            "state in ('proposed', 'merged', 'apart')", name=op.f("directory_twin_state_known")
        ),
        sa.CheckConstraint("kept <> other", name=op.f("directory_twin_two")),
        comment="Entries of two feeds that are one service, or were looked at and are not",
    )
    op.create_index(
        "directory_twin_other_idx",
        "directory_twin",
        ["other"],
        unique=True,
        postgresql_where=sa.text("state = 'merged'"),
    )


def downgrade() -> None:
    op.drop_table("directory_twin")
