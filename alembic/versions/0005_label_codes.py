"""label codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_label_codes"
down_revision = "0004_access_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "label_code",
        sa.Column("name", sa.Text(collation="C"), nullable=False, comment="sensitivity class"),
        sa.Column("system", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "code",
            sa.Text(collation="C"),
            nullable=False,
            comment="ends in * where it stands for all that begins so",
        ),
        sa.Column(
            "listed",
            sa.Boolean(),
            nullable=False,
            comment="false: taken out of the list that coordhub brings",
        ),
        sa.PrimaryKeyConstraint("name", "system", "code", name="label_code_pkey"),
        comment="What an operator added to the code lists that coordhub brings, or took out",
    )
    op.create_table(
        "label_source",
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of the organization"
        ),
        sa.Column(
            "labels",
            sa.BigInteger(),
            nullable=False,
            comment="sensitivity classes of all it writes about people, a bit for each",
        ),
        sa.PrimaryKeyConstraint("organization", name="label_source_pkey"),
        comment="Organizations whose records are sensitive by who wrote them, such as Part 2 programs",
    )
    op.create_table(
        "label_lowered",
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "labels",
            sa.BigInteger(),
            nullable=False,
            comment="sensitivity classes that no code or origin gives it any more",
        ),
        sa.PrimaryKeyConstraint("rid", name="label_lowered_pkey"),
        comment="Labels that a privacy officer took away; who, when and why is in the audit",
    )


def downgrade() -> None:
    op.drop_table("label_lowered")
    op.drop_table("label_source")
    op.drop_table("label_code")
