"""how an organization answers, found by organization."""

from __future__ import annotations

from alembic import op

revision = "0013_answers"
down_revision = "0017_talk"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("candidate_organization_idx", "candidate", ["organization", "asked_at"])


def downgrade() -> None:
    op.drop_index("candidate_organization_idx", table_name="candidate")
