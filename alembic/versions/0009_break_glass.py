"""what a client is for, and whether it may break the glass."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_break_glass"
down_revision = "0008_quarantine"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column(
            "role",
            sa.Text(),
            server_default=sa.text("'system'"),
            nullable=False,
            comment="system: of an organization; privacy-officer: of one's privacy officer; person: of a patient or who acts for one",
        ),
    )
    op.add_column(
        "client",
        sa.Column(
            "break_glass",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="may open a patient's record in an emergency",
        ),
    )
    op.create_check_constraint(
        "role_known", "client", "role in ('system', 'privacy-officer', 'person')"
    )
    op.create_check_constraint(
        "person_treats_nobody", "client", "role <> 'person' or not break_glass"
    )
    op.alter_column(
        "client",
        "organization",
        comment="rid of the Organization it acts for, or of the Patient or RelatedPerson",
        existing_comment="rid of the Organization it acts for",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
    )
    op.create_table_comment(
        "client",
        "Software that may call the hub, each bound to one organization or person",
        existing_comment="Software that may call the hub, each bound to one organization",
    )
    op.create_index(
        "audit_break_glass_idx",
        "audit",
        ["organization", "at"],
        postgresql_where=sa.text("interaction = '$break-glass'"),
    )


def downgrade() -> None:
    op.drop_index("audit_break_glass_idx", table_name="audit")
    op.create_table_comment(
        "client",
        "Software that may call the hub, each bound to one organization",
        existing_comment="Software that may call the hub, each bound to one organization or person",
    )
    op.alter_column(
        "client",
        "organization",
        comment="rid of the Organization it acts for",
        existing_comment="rid of the Organization it acts for, or of the Patient or RelatedPerson",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
    )
    op.drop_constraint("client_person_treats_nobody", "client")
    op.drop_constraint("client_role_known", "client")
    op.drop_column("client", "break_glass")
    op.drop_column("client", "role")
