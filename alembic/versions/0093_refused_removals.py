"""The removal of a victim service provider's mark can be refused."""

from __future__ import annotations

from alembic import op

revision = "0093_refused_removals"
down_revision = "0092_emergency_review"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("vsp_mark_act_known"), "vsp_mark", type_="check")
    op.create_check_constraint(
        op.f("vsp_mark_act_known"), "vsp_mark", "act in ('mark', 'propose', 'confirm', 'refuse')"
    )
    op.alter_column("vsp_mark", "act", comment=NOW, existing_comment=BEFORE)


NOW = "mark; propose, confirm, refuse: of its removal, which takes two persons"
BEFORE = "mark; propose, confirm: of its removal, which takes two persons"


def downgrade() -> None:
    op.execute("delete from vsp_mark where act = 'refuse'")
    op.drop_constraint(op.f("vsp_mark_act_known"), "vsp_mark", type_="check")
    op.create_check_constraint(
        op.f("vsp_mark_act_known"), "vsp_mark", "act in ('mark', 'propose', 'confirm')"
    )
    op.alter_column("vsp_mark", "act", comment=BEFORE, existing_comment=NOW)
