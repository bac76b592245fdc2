"""What privacy officers note of emergencies in which a record of theirs was opened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0092_emergency_review"
down_revision = "0099_newest_of_a_desk"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "emergency_review",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("notice", sa.BigInteger, nullable=False, comment="rid of the Communication that told of it"),
        sa.Column("patient", sa.BigInteger, nullable=False, comment="rid of the Patient whose record it was"),
        sa.Column("organization", sa.BigInteger, nullable=False, comment="rid of whose officer it was"),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False, comment="what was found, in a sentence"),
        sa.Column("account", sa.Text, nullable=False, comment="whose account it was"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("verdict in ('justified', 'followed-up')", name="verdict_known"),
        comment="What privacy officers noted of emergencies, append only; of one the newest stands",
    )  # fmt: skip
    op.create_index("emergency_review_notice_idx", "emergency_review", ["notice"])
    op.create_index("emergency_review_patient_idx", "emergency_review", ["patient"])
    op.create_index(
        "access_rule_emergency_idx",
        "access_rule",
        ["patient"],
        postgresql_where=sa.text("rule = 'break-glass'"),
    )


def downgrade() -> None:
    op.drop_index("access_rule_emergency_idx", "access_rule")
    op.drop_table("emergency_review")
