"""who let the app act that did or saw something, and secrets of Subscriptions sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061_who_is_behind"
down_revision = "0078_ledger"
branch_labels = None
depends_on = None

_WAS = "what notifications are signed with; shown to nobody again"
_IS = "what notifications are signed with, sealed; shown to nobody again"


def upgrade() -> None:
    op.add_column(
        "audit",
        sa.Column(
            "person",
            sa.Text(collation="C"),
            comment="person.id of who let the client act, an app",
        ),
    )
    op.alter_column("subscription_secret", "secret", comment=_IS, existing_comment=_WAS)


def downgrade() -> None:
    op.alter_column("subscription_secret", "secret", comment=_WAS, existing_comment=_IS)
    op.drop_column("audit", "person")
