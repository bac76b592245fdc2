"""the clients of an organization, found without looking at all of them"""

from __future__ import annotations

from alembic import op

revision = "0041_clients_of_an_organization"
down_revision = "0045_proof"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("client_organization_idx", "client", ["organization"])


def downgrade() -> None:
    op.drop_index("client_organization_idx")
