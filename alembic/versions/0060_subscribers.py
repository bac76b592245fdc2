"""who asks for what a Subscription tells, and with which scopes: it is told no more than that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060_subscribers"
down_revision = "0056_patients"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind, comment in (
        ("client", sa.Text(collation="C"), "client.id of who asked for it last"),
        ("scopes", sa.Text(), "of the token it was asked with: the most it is told"),
        ("permission", sa.Uuid(), "app_permission.id, where a person's app asked for it"),
    ):
        op.add_column("subscription", sa.Column(name, kind, comment=comment))


def downgrade() -> None:
    for name in ("permission", "scopes", "client"):
        op.drop_column("subscription", name)
