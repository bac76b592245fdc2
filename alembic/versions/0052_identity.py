"""Keys by which one person's records are found, and the links between them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052_identity"
down_revision = "0056_apps"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idx_person",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="kind of key: identity.normalise.BLOCKS",
        ),
        sa.Column("key", sa.BigInteger(), nullable=False, comment="digest of the normalised value"),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Keys by which Patients that may be the same person are found",
    )
    op.create_index("idx_person_key_idx", "idx_person", ["param", "key", "rid"])
    op.create_index("idx_person_rid_idx", "idx_person", ["rid"])
    op.create_table(
        "person_due",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False, comment="of a Patient that was written"),
        sa.PrimaryKeyConstraint("id", name=op.f("person_due_pkey")),
        comment="Patients of whom it is to be looked whether they are somebody who is known already",
    )
    op.create_table(
        "person_link",
        sa.Column("one", sa.BigInteger(), nullable=False, comment="rid of a Patient"),
        sa.Column(
            "other", sa.BigInteger(), nullable=False, comment="rid of another, which is greater"
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="linked: of one person; review: to be looked at; apart: of two persons",
        ),
        sa.Column("by", sa.Text(), comment="account of who decided it; null: coordhub by itself"),
        sa.Column("reason", sa.Text(), comment="of who decided it"),
        sa.Column("score", sa.Double(), nullable=False, comment="posterior, 0 to 1"),
        sa.Column(
            "evidence",
            sa.Text(),
            nullable=False,
            comment="JSON: fields and their levels, without content",
        ),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it came to be in this state",
        ),
        sa.PrimaryKeyConstraint("one", "other", name=op.f("person_link_pkey")),
        sa.CheckConstraint("one < other", name=op.f("person_link_in_order")),
        sa.CheckConstraint(
            "state in ('linked', 'review', 'apart')", name=op.f("person_link_state_known")
        ),
        sa.CheckConstraint(
            "state <> 'apart' or by is not null", name=op.f("person_link_apart_by_somebody")
        ),
        sa.CheckConstraint(
            "(by is null) = (reason is null)", name=op.f("person_link_decided_with_reason")
        ),
        comment="Pairs of Patients that are, or may be, or are not, of one person",
    )
    op.create_index("person_link_other_idx", "person_link", ["other"])
    op.create_index(
        "person_link_review_idx",
        "person_link",
        ["since"],
        postgresql_where=sa.text("state = 'review'"),
    )


def downgrade() -> None:
    for table in ("person_link", "person_due", "idx_person"):
        op.drop_table(table)
