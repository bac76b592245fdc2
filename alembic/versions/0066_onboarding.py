"""Partners that come on board, and the sandbox that they begin in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0066_onboarding"
down_revision = "0061_who_is_behind"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sandbox",
        sa.Column(
            "organization",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of an Organization of the sandbox: it and all that it writes is test data",
        ),
        sa.Column(
            "stands_for",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Organization of the directory in whose place it is",
        ),
        sa.PrimaryKeyConstraint("organization", name=op.f("sandbox_pkey")),
        sa.UniqueConstraint("stands_for", name=op.f("sandbox_stands_for_key")),
        comment="Organizations of the sandbox, who see one another's test data only, and who no other sees",
    )
    op.create_table(
        "onboarding",
        sa.Column("client", sa.Text(collation="C"), nullable=False, comment="client.id"),
        sa.Column(
            "stands_for",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Organization that it acts for once it is approved",
        ),
        sa.Column(
            "sandbox",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the one that it acts for before",
        ),
        sa.Column(
            "endpoint",
            sa.BigInteger(),
            comment="rid of the Endpoint of its own server, in the sandbox",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "registered_by", sa.Text(), nullable=False, comment="account of who registered it"
        ),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "software", sa.Text(), comment="software_id and version, by its software statement"
        ),
        sa.Column(
            "approved_by",
            sa.Text(),
            comment="account of who let it into the life outside the sandbox",
        ),
        sa.Column("approved_at", sa.DateTime(timezone=True)),
        sa.Column(
            "reason",
            sa.Text(),
            comment="of the last of these: approved all the same, suspended, ended",
        ),
        sa.CheckConstraint(
            "state in ('registered', 'checked', 'approved', 'suspended', 'ended')",
            name=op.f("onboarding_state_known"),
        ),
        sa.CheckConstraint(
            "(approved_by is null) = (approved_at is null)",
            name=op.f("onboarding_approved_by_whom"),
        ),
        sa.CheckConstraint("approved_by <> registered_by", name=op.f("onboarding_two_persons")),
        sa.PrimaryKeyConstraint("client", name=op.f("onboarding_pkey")),
        comment="How far a partner's client is: registered, checked, approved, suspended, ended",
    )
    op.create_table(
        "conformance",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("client", sa.Text(collation="C"), nullable=False, comment="client.id"),
        sa.Column("by", sa.Text(), nullable=False, comment="account of who had it checked"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False, comment="items that were failed"),
        sa.Column(
            "items",
            sa.Text(),
            nullable=False,
            comment="JSON: of each item what was found, as said to the partner; no content",
        ),
        sa.CheckConstraint("failed >= 0", name=op.f("conformance_failed_counted")),
        sa.PrimaryKeyConstraint("id", name=op.f("conformance_pkey")),
        comment="Reports of the conformance check list, append only",
    )
    op.create_index("conformance_client_idx", "conformance", ["client", sa.text("id desc")])


def downgrade() -> None:
    for name in ("conformance", "onboarding", "sandbox"):
        op.drop_table(name)
