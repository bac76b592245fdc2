"""How much a client may ask, and how many requests of a day it was given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0058_limits"
down_revision = "0052_identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind, comment in (
        ("per_second", sa.Double(), "requests at most; null, as below: as the settings say"),
        ("burst", sa.Integer(), "requests at once, after a while without any"),
        ("at_once", sa.Integer(), "requests under way at the same time"),
        ("per_day", sa.Integer(), "requests in a day, UTC"),
    ):
        op.add_column("client", sa.Column(name, kind, comment=comment))
    op.create_check_constraint(
        op.f("client_may_ask_something"),
        "client",
        "per_second > 0 and burst > 0 and at_once > 0 and per_day > 0",
    )
    op.create_table(
        "client_use",
        sa.Column("client", sa.Text(collation="C"), nullable=False, comment="client.id"),
        sa.Column("day", sa.Integer(), nullable=False, comment="days since 1970-01-01, UTC"),
        sa.Column(
            "given",
            sa.BigInteger(),
            nullable=False,
            comment="requests of this day that processes were given to let through",
        ),
        sa.Column("portion", sa.Integer(), nullable=False, comment="the last of it"),
        sa.PrimaryKeyConstraint("client", "day", name=op.f("client_use_pkey")),
        comment="How many requests of a day the clients were given that have a number for each day",
    )


def downgrade() -> None:
    op.drop_table("client_use")
    op.drop_constraint(op.f("client_may_ask_something"), "client")
    for name in ("per_day", "at_once", "burst", "per_second"):
        op.drop_column("client", name)
