"""results of referrals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016_results"
down_revision = "0021_dead_deliveries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "result",
        sa.Column(
            "rid", sa.BigInteger(), nullable=False, comment="the result, or a part of a report"
        ),
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "how",
            sa.Text(),
            nullable=False,
            comment="by what it was matched: its basedOn, an identifier of the order, a Task's output, a person",
        ),
        sa.Column(
            "because",
            sa.BigInteger(),
            nullable=False,
            comment="rid of what matched it: the result itself, the report, a Task that names it",
        ),
        sa.Column("version", sa.Integer(), nullable=False, comment="of what matched it"),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "how in ('based-on', 'identifier', 'output', 'person')", name=op.f("result_how_known")
        ),
        sa.PrimaryKeyConstraint("rid", "episode", name=op.f("result_pkey")),
        comment="Which results came of which referral, decided in the commit that says so",
    )
    op.create_index("result_because_idx", "result", ["because", "version"])
    op.drop_constraint("delivery_change_organization_endpoint_key", "delivery")
    op.create_unique_constraint(
        "delivery_change_organization_endpoint_rid_key",
        "delivery",
        ["change", "organization", "endpoint", "rid"],
    )
    op.create_index("delivery_rid_idx", "delivery", ["rid", "organization"])
    op.create_index("errand_subject_idx", "errand", ["subject"])
    op.alter_column(
        "delivery",
        "change",
        comment="change.seq of what it is told because of",
        existing_comment="change.seq",
    )
    op.alter_column(
        "delivery",
        "rid",
        comment="what is sent: what changed, or a result",
        existing_comment="what changed",
    )


def downgrade() -> None:
    op.drop_index("errand_subject_idx", "errand")
    op.drop_index("delivery_rid_idx", "delivery")
    op.drop_constraint("delivery_change_organization_endpoint_rid_key", "delivery")
    op.create_unique_constraint(
        "delivery_change_organization_endpoint_key",
        "delivery",
        ["change", "organization", "endpoint"],
    )
    op.drop_table("result")
