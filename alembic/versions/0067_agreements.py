"""What was agreed that a partner sends and is sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0067_agreements"
down_revision = "0066_onboarding"
branch_labels = None
depends_on = None

COLUMNS = (
    ("sends", "resource types that it writes; null, as below: any"),
    ("sends_kinds", "kinds of need that it refers for (referral.kinds), '' of none"),
    ("receives", "resource types that it is sent"),
    ("receives_kinds", "kinds of need that it is asked for"),
    ("channels", "connection types by which it is spoken to"),
)


def upgrade() -> None:
    for name, comment in COLUMNS:
        op.add_column("partner", sa.Column(name, ARRAY(sa.Text()), comment=comment))


def downgrade() -> None:
    for name, _ in COLUMNS:
        op.drop_column("partner", name)
