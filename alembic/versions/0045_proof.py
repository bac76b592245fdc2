"""Endpoints that were changed, and whether they have proved themselves since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045_proof"
down_revision = "0044_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "proof",
        sa.Column("endpoint", sa.BigInteger(), autoincrement=False, nullable=False, comment="rid"),
        sa.Column(
            "fingerprint",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of address and headers that are to be proved, or were",
        ),
        sa.Column(
            "proved_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it answered; null: nothing is sent there",
        ),
        sa.Column(
            "failures",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="in a row",
        ),
        sa.Column(
            "next_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it may be asked again",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it did not answer; no content"),
        sa.PrimaryKeyConstraint("endpoint", name="proof_pkey"),
        comment="Endpoints that were changed: whether what they say now has answered a handshake",
    )


def downgrade() -> None:
    op.drop_table("proof")
