"""Cards that were shown to who was about to order, and what became of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0054_cards"
down_revision = "0058_limits"
branch_labels = None
depends_on = None


def _code(name: str, comment: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable, comment=comment)


def _instant(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, comment=comment)


def upgrade() -> None:
    op.create_table(
        "card",
        sa.Column("id", sa.Uuid(), primary_key=True, comment="Card.uuid of CDS Hooks"),
        _instant("at", "when it was shown"),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of who was about to order"
        ),
        _code("client", "client.id"),
        _code("service", "id of the CDS service"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="result: there is one; pending: it is ordered",
        ),
        _code("system", "of the code that was about to be ordered"),
        _code("code", "what was about to be ordered; nothing says for whom"),
        _code("question", "insight.same_question: what that asks"),
        sa.Column("age_days", sa.Integer(), nullable=False, comment="of what there was"),
        sa.CheckConstraint("kind in ('result', 'pending')", name=op.f("card_kind_known")),
        comment="Cards that were shown, append only",
    )
    op.create_index("card_organization_idx", "card", ["organization", "at"])
    op.create_table(
        "card_feedback",
        sa.Column(
            "card", sa.Uuid(), primary_key=True, comment="card.id: the first feedback counts"
        ),
        _instant("at", "when it was told"),
        sa.Column("outcome", sa.Text(), nullable=False),
        _code("reason", "why overridden, of those that were offered", nullable=True),
        sa.CheckConstraint(
            "outcome in ('accepted', 'overridden')", name=op.f("card_feedback_outcome_known")
        ),
        sa.CheckConstraint(
            "reason is null or outcome = 'overridden'",
            name=op.f("card_feedback_reason_of_override"),
        ),
        comment="What became of a card, append only",
    )


def downgrade() -> None:
    op.drop_table("card_feedback")
    op.drop_table("card")
