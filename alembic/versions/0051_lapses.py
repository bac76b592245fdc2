"""sights that end a time after their reason has: until is set beforehand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051_lapses"
down_revision = "0054_cards"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "access_grant",
        sa.Column(
            "lapses",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="until was set beforehand: it ends by time, and not because its reason has gone",
        ),
    )
    # of what was done before: as the setting is shipped
    op.execute(
        "update access_grant g set until = c.ended_at + interval '90 days', lapses = true from candidate c"
        " where c.task = g.because and g.rule = 'referral' and g.until is null"
        " and c.status in ('completed', 'failed')"
    )


def downgrade() -> None:
    op.execute("update access_grant set until = null where lapses and rule = 'referral'")
    op.drop_column("access_grant", "lapses")
