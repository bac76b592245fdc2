"""The numbers of orders; what was agreed about repeats, states and what is gone; deliveries made otherwise."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034_order_numbers"
down_revision = "0035_pool"
branch_labels = None
depends_on = None

AGREED = {
    "each_state": (
        "false",
        "true: it is sent every state of a Task; false: of those that wait the newest",
    ),
    "knows_repeats": (
        "true",
        "false: it knows no repeat by its key, and is read before it is sent anything again",
    ),
    "creates_anew": (
        "false",
        "true: what it has no more of what it was sent is sent once more, as new",
    ),
}


def _text(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False, comment=comment)


def upgrade() -> None:
    op.create_table(
        "order_number",
        sa.Column("organization", sa.BigInteger(), nullable=False, comment="rid of who gave it"),
        sa.Column("type", sa.SmallInteger(), nullable=False, comment="of what it was given to"),
        _text("number", "digest of type, system and value"),
        sa.Column(
            "content", sa.LargeBinary(), nullable=False, comment="SHA-256 of the resource as sent"
        ),
        sa.Column(
            "request",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of the request it came with",
        ),
        sa.Column("rid", sa.BigInteger(), comment="what it was given to; null: being written"),
        sa.Column(
            "outcome",
            postgresql.JSONB(),
            comment="what was written: type, id, version of each operation",
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization", "type", "number"),
        comment="Which orders and Tasks an organization has sent, by the numbers that it gave them",
    )
    op.create_index("order_number_rid_idx", "order_number", ["rid"])
    for name, (default, comment) in AGREED.items():
        op.add_column(
            "exchange",
            sa.Column(
                name, sa.Boolean(), nullable=False, server_default=sa.text(default), comment=comment
            ),
        )
    op.create_table(
        "mending",
        sa.Column("delivery", sa.Uuid(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="of the attempt because of which"
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="conflict: its copy was read; gone: it is to be made anew",
        ),
        sa.Column(
            "rid",
            sa.BigInteger(),
            nullable=False,
            comment="of which resource of what is delivered",
        ),
        sa.Column("tag", sa.Text(), comment="entity tag of the copy as read after a conflict"),
        sa.PrimaryKeyConstraint("delivery", "number"),
        sa.CheckConstraint("kind in ('conflict', 'gone')", name="kind_known"),
        comment="What is sent otherwise after a partner refused it over its copy, append only",
    )


def downgrade() -> None:
    op.drop_table("mending")
    for name in AGREED:
        op.drop_column("exchange", name)
    op.drop_table("order_number")
