"""audit seals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from coordhub.store.tables import Xid8

revision = "0007_audit"
down_revision = "0006_consent"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rows that are there already were committed long ago: 0 is below every transaction, and a
    # constant spares writing the table anew.
    op.add_column(
        "audit",
        sa.Column(
            "xid",
            Xid8(),
            server_default=sa.text("'0'::xid8"),
            nullable=False,
            comment="the transaction that wrote it: what is below every running one is final",
        ),
    )
    op.alter_column("audit", "xid", server_default=sa.text("pg_current_xact_id()"))
    op.create_index("audit_xid_idx", "audit", ["xid", "seq"], unique=False)
    op.create_index("audit_at_idx", "audit", ["at"], unique=False, postgresql_using="brin")
    op.create_index("audit_rids_idx", "audit", ["rids"], unique=False, postgresql_using="gin")
    op.create_table(
        "audit_seal",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "until_xid",
            Xid8(),
            nullable=False,
            comment="rows before (until_xid, until_seq),",
        ),
        sa.Column(
            "until_seq",
            sa.BigInteger(),
            nullable=False,
            comment="and not before the seal before it",
        ),
        sa.Column(
            "own_xid",
            Xid8(),
            nullable=False,
            comment="the transaction that made it: all after it began later",
        ),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column(
            "leaves",
            sa.LargeBinary(),
            nullable=False,
            comment="of each row: seq, and half its MAC",
        ),
        sa.Column(
            "mac",
            sa.LargeBinary(),
            nullable=False,
            comment="over all of this and the seal before it",
        ),
        sa.Column("key", sa.Text(), nullable=False, comment="which key: the start of its hash"),
        sa.CheckConstraint(
            "octet_length(leaves) = rows * 24", name=op.f("audit_seal_leaf_for_each_row")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("audit_seal_pkey")),
        comment="Seals of closed stretches of the audit, each over the one before it",
    )


def downgrade() -> None:
    op.drop_table("audit_seal")
    op.drop_index("audit_rids_idx", table_name="audit", postgresql_using="gin")
    op.drop_index("audit_at_idx", table_name="audit", postgresql_using="brin")
    op.drop_index("audit_xid_idx", table_name="audit")
    op.drop_column("audit", "xid")
