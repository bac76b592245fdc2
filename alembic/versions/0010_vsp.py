"""victim service providers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_vsp"
down_revision = "0009_break_glass"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vsp_mark",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of the Organization"
        ),
        sa.Column(
            "act",
            sa.Text(),
            nullable=False,
            comment="mark; propose, confirm: of its removal, which takes two persons",
        ),
        sa.Column("account", sa.Text(), nullable=False, comment="who did it"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "act in ('mark', 'propose', 'confirm')", name=op.f("vsp_mark_act_known")
        ),
        sa.PrimaryKeyConstraint("id", name="vsp_mark_pkey"),
        comment="What was done about the mark of victim service providers, append only",
    )
    op.create_index("vsp_mark_organization_idx", "vsp_mark", ["organization"])
    op.create_table(
        "vsp_release",
        sa.Column(
            "consent",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of the provider's Consent",
        ),
        sa.Column(
            "task",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Task that asks the provider",
        ),
        sa.Column(
            "told",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the hub's Task that tells the status",
        ),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of whom it is told"
        ),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consent", name="vsp_release_pkey"),
        comment="Written releases of victim service providers: one referral's status, to one agency",
    )
    op.create_index("vsp_release_task_idx", "vsp_release", ["task"])


def downgrade() -> None:
    op.drop_table("vsp_release")
    op.drop_table("vsp_mark")
