"""What lies on a desk is read along an index, open and over apart, however long a history is behind it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0099_newest_of_a_desk"
down_revision = "0095_passkeys"
branch_labels = None
depends_on = None

DESKS = (
    ("episode", "requester", "opened_at", "closed_at", "closed"),
    ("candidate", "organization", "asked_at", "ended_at", "ended"),
    ("errand", "owner", "opened_at", "closed_at", "closed"),
)


def upgrade() -> None:
    op.drop_index("errand_open_idx", "errand")
    for table, whose, since, ended, name in DESKS:
        op.create_index(
            f"{table}_open_idx", table, [whose, since], postgresql_where=sa.text(f"{ended} is null")
        )
        op.create_index(
            f"{table}_{name}_idx",
            table,
            [whose, since],
            postgresql_where=sa.text(f"{ended} is not null"),
        )


def downgrade() -> None:
    for table, _, _, _, name in DESKS:
        op.drop_index(f"{table}_{name}_idx", table)
        op.drop_index(f"{table}_open_idx", table)
    op.create_index(
        "errand_open_idx", "errand", ["owner"], postgresql_where=sa.text("closed_at is null")
    )
