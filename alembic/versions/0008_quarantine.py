"""Resources whose references lead nowhere are marked, and may be held back from others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_quarantine"
down_revision = "0007_audit"
branch_labels = None
depends_on = None

_BEFORE = "bigint, bigint, bigint, smallint, bigint, smallint[]"
_AFTER = "bigint, bigint, bigint, smallint, bigint, boolean, smallint[]"


def upgrade() -> None:
    for name, meant in (
        ("dangling", "a reference of it leads nowhere"),
        ("quarantined", "shown to nobody but its source, until it dangles no more"),
    ):
        op.add_column(
            "resource",
            sa.Column(
                name, sa.Boolean, nullable=False, server_default=sa.text("false"), comment=meant
            ),
        )
    # What shows by these is blind to quarantine. `store.visibility.FUNCTIONS` are made anew afterwards.
    op.execute(f"drop function if exists access_shows({_BEFORE})")
    # A reference of this server that is kept by its address leads nowhere.
    op.execute(
        "update resource r set dangling = true where body is not null and exists ("
        " select from idx_reference i where i.rid = r.rid and i.uri ~ '^([A-Z][A-Za-z]+/[^/]+$|urn:)')"
    )
    op.create_check_constraint(
        op.f("resource_quarantined_dangles"), "resource", "dangling or not quarantined"
    )
    op.drop_constraint(op.f("client_reference_policy_known"), "client")
    op.create_check_constraint(
        op.f("client_reference_policy_known"),
        "client",
        "reference_policy in ('refuse', 'warn', 'quarantine')",
    )
    op.alter_column(
        "client",
        "reference_policy",
        comment="what becomes of a write with a reference that leads nowhere: refuse, warn, quarantine",
    )


def downgrade() -> None:
    op.execute(f"drop function if exists access_shows({_AFTER})")
    op.execute("update client set reference_policy = 'warn' where reference_policy = 'quarantine'")
    op.drop_constraint(op.f("client_reference_policy_known"), "client")
    op.create_check_constraint(
        op.f("client_reference_policy_known"), "client", "reference_policy in ('refuse', 'warn')"
    )
    op.alter_column(
        "client",
        "reference_policy",
        comment="what becomes of a write with a reference that leads nowhere: refuse, warn",
    )
    op.drop_constraint(op.f("resource_quarantined_dangles"), "resource")
    op.drop_column("resource", "quarantined")
    op.drop_column("resource", "dangling")
