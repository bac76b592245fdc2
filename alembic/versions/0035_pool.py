"""needs that are asked for by a Task without owner, which one of several claims."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035_pool"
down_revision = "0022_subscriptions"
branch_labels = None
depends_on = None

_KNOWN = "strategy in ('direct', 'sequential', 'broadcast', 'broadcast-choose', {}'waves')"
_ASKED = "rid of the organization asked"


def upgrade() -> None:
    op.drop_constraint(op.f("need_strategy_known"), "need")
    op.create_check_constraint(op.f("need_strategy_known"), "need", _KNOWN.format("'pool', "))
    op.alter_column(
        "candidate",
        "organization",
        existing_type=sa.BigInteger(),
        comment=f"{_ASKED}; 0: a Task of a pool that nobody has claimed",
    )


def downgrade() -> None:
    op.execute("update need set strategy = 'broadcast' where strategy = 'pool'")
    op.drop_constraint(op.f("need_strategy_known"), "need")
    op.create_check_constraint(op.f("need_strategy_known"), "need", _KNOWN.format(""))
    op.alter_column("candidate", "organization", existing_type=sa.BigInteger(), comment=_ASKED)
