"""an index of the deliveries that were given up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021_dead_deliveries"
down_revision = "0013_answers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "delivery_dead_idx",
        "delivery",
        ["organization"],
        postgresql_where=sa.text("state = 'dead'"),
    )


def downgrade() -> None:
    op.drop_index("delivery_dead_idx", table_name="delivery")
