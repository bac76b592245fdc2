"""Patients, and who acts for them, may have accounts, too: for apps."""

from __future__ import annotations

from alembic import op

revision = "0056_patients"
down_revision = "0055_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _roles("'program-staff', 'coordinator', 'patient'")


def downgrade() -> None:
    op.execute("delete from person where role = 'patient'")
    _roles("'program-staff', 'coordinator'")


def _roles(known: str) -> None:
    op.drop_constraint(op.f("person_role_known"), "person")
    op.create_check_constraint(op.f("person_role_known"), "person", f"role in ({known})")
