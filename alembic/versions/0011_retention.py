"""retention and expunge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_retention"
down_revision = "0010_vsp"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "expunge",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "what",
            sa.Text(),
            nullable=False,
            comment="resource, versions (the old ones) or patient",
        ),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False, comment="r4.types number"),
        sa.Column("fhir_id", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="as the proposer wrote it; no content"
        ),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.Text(), comment="somebody else"),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "what in ('resource', 'versions', 'patient')", name=op.f("expunge_what_known")
        ),
        sa.CheckConstraint(
            "(confirmed_by is null) = (confirmed_at is null)",
            name=op.f("expunge_confirmed_by_somebody"),
        ),
        sa.CheckConstraint(
            "lower(confirmed_by) <> lower(proposed_by)", name=op.f("expunge_two_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("expunge_pkey")),
        comment="Proposals to remove content for ever, and who confirmed them",
    )
    op.create_table(
        "expunged",
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False, comment="r4.types number"),
        sa.Column("fhir_id", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=False,
            comment="the content of this and all before it is gone",
        ),
        sa.Column("whole", sa.Boolean(), nullable=False, comment="false: later versions stayed"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.BigInteger(), comment="expunge.id; null: by a retention schedule"),
        sa.PrimaryKeyConstraint("seq", name=op.f("expunged_pkey")),
        comment="The expunge log: what has to be removed again after a backup was restored; ids only",
    )
    op.create_index("expunged_rid_idx", "expunged", ["rid"], unique=False)
    op.create_table(
        "legal_hold",
        sa.Column("patient", sa.BigInteger(), autoincrement=False, nullable=False, comment="rid"),
        sa.Column("reason", sa.Text(), nullable=False, comment="no content"),
        sa.Column("held_by", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("patient", name=op.f("legal_hold_pkey")),
        comment="Patients of whose chart nothing is removed",
    )
    op.create_table(
        "retention",
        sa.Column(
            "subject",
            sa.Text(collation="C"),
            nullable=False,
            comment="a resource type, a sensitivity class, audit, delivery ...",
        ),
        sa.Column("type", sa.SmallInteger(), comment="r4.types number, where it is a type"),
        sa.Column("labels", sa.BigInteger(), comment="its bit, where it is a sensitivity class"),
        sa.Column("keep", sa.Text(), comment="ISO 8601 duration; null: for ever (again)"),
        sa.Column("since", sa.Text(), nullable=False, comment="from when it counts: update, care"),
        sa.Column("ran_at", sa.DateTime(timezone=True), comment="when nothing more was due"),
        sa.Column("done_until", sa.DateTime(timezone=True), comment="what is older may be gone"),
        sa.Column(
            "done_seal",
            sa.BigInteger(),
            comment="of the audit: under seals up to this one nothing is left",
        ),
        sa.CheckConstraint("since in ('update', 'care')", name=op.f("retention_since_known")),
        sa.CheckConstraint("type is null or labels is null", name=op.f("retention_one_kind")),
        sa.PrimaryKeyConstraint("subject", name=op.f("retention_pkey")),
        comment="How long what is kept, and how far that was carried out",
    )


def downgrade() -> None:
    op.drop_table("retention")
    op.drop_table("legal_hold")
    op.drop_index("expunged_rid_idx", table_name="expunged")
    op.drop_table("expunged")
    op.drop_table("expunge")
