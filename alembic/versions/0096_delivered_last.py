"""What was delivered last at an endpoint, along an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0096_delivered_last"
down_revision = "0093_refused_removals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "delivery_delivered_idx",
        "delivery",
        ["endpoint", "settled_at"],
        postgresql_where=sa.text("state = 'delivered'"),
    )


def downgrade() -> None:
    op.drop_index("delivery_delivered_idx", "delivery")
