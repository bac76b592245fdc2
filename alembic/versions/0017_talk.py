"""plans of care are shared with the team."""

from __future__ import annotations

from alembic import op

revision = "0017_talk"
down_revision = "0012_needs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _rules("'party', 'referral', 'result', 'release', 'team', 'deputy'")
    _told(
        "the referral it belongs to, or the Patient around whom it is told; null: nothing to route"
    )


def downgrade() -> None:
    op.execute("delete from access_grant where rule in ('team', 'deputy')")
    _rules("'party', 'referral', 'result', 'release'")
    _told("the referral it belongs to; null: nothing to route")


def _rules(names: str) -> None:
    op.drop_constraint(op.f("access_grant_rule_known"), "access_grant", type_="check")
    op.create_check_constraint(
        op.f("access_grant_rule_known"), "access_grant", f"rule in ({names})"
    )


def _told(comment: str) -> None:
    op.alter_column("change", "episode", comment=comment)
