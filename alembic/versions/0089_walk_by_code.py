"""Walk what has a code by rid: the newest of a common code are then found without reading all."""

from __future__ import annotations

from alembic import op

revision = "0089_walk_by_code"
down_revision = "0084_voice_link"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("drop index idx_token_code_idx")
    op.execute("create index idx_token_code_idx on idx_token (param, code, rid, system)")


def downgrade() -> None:
    op.execute("drop index idx_token_code_idx")
    op.execute("create index idx_token_code_idx on idx_token (param, code, system, rid)")
