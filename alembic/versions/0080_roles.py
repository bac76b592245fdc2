"""Several roles of a person, and more of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0080_roles"
down_revision = "0082_directory_twins"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("person_role_known"), "person", type_="check")
    op.alter_column("person", "role", new_column_name="roles")
    op.alter_column(
        "person",
        "roles",
        type_=postgresql.ARRAY(sa.Text()),
        existing_nullable=False,
        postgresql_using="array[roles]",
        comment="what it does there: a role decides which desks of the portal are shown",
    )
    op.create_check_constraint(
        op.f("person_roles_known"),
        "person",
        "roles = array['patient'] or (cardinality(roles) > 0 and roles <@ array['program-staff',"
        " 'coordinator', 'clinician', 'privacy-officer', 'integration-engineer', 'admin'])",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("person_roles_known"), "person", type_="check")
    op.execute(
        "update person set roles = array[case when roles = array['patient'] then 'patient'"
        " when 'coordinator' = any(roles) then 'coordinator' else 'program-staff' end]"
    )
    op.alter_column("person", "roles", new_column_name="role")
    op.alter_column("person", "role", type_=sa.Text(), postgresql_using="role[1]", comment=None)
    op.create_check_constraint(
        op.f("person_role_known"),
        "person",
        "role in ('program-staff', 'coordinator', 'patient')",
    )
