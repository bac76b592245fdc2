"""the referrals of a patient: a Consent that changes looks for them."""

from __future__ import annotations

from alembic import op

revision = "0006_consent"
down_revision = "0005_label_codes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("episode_patient_idx", "episode", ["patient"], unique=False)


def downgrade() -> None:
    op.drop_index("episode_patient_idx", table_name="episode")
