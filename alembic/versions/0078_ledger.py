"""Of whom a card was, how long asking again is one too many, and what things cost: the ledger of what was spared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0078_ledger"
down_revision = "0060_subscribers"
branch_labels = None
depends_on = None


def _text(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False, comment=comment)


def upgrade() -> None:
    op.drop_constraint(op.f("card_kind_known"), "card")
    op.create_check_constraint(
        op.f("card_kind_known"), "card", "kind in ('result', 'pending', 'service')"
    )
    for name, kind, comment in (
        ("patient", sa.BigInteger(), "rid of whom it was told of, as in the audit"),
        ("window_days", sa.Integer(), "so long an order for the same is one too many"),
    ):
        # what was shown before nobody said this of
        op.add_column(
            "card", sa.Column(name, kind, nullable=False, server_default="0", comment=comment)
        )
        op.alter_column("card", name, server_default=None)
    for name, comment in (
        (
            "kind",
            "result: there is one; pending: it is ordered; service: who could help was told what it has",
        ),
        ("code", "what was about to be ordered"),
        ("question", "insight.same_question: what that asks; of a service: what it has"),
    ):
        op.alter_column("card", name, comment=comment)
    op.create_table(
        "price",
        _text("system", "of the code"),
        _text("code", "what is not done twice"),
        sa.Column("since", sa.Date(), nullable=False, comment="from which day it costs so much"),
        sa.Column("amount", sa.Numeric(12, 2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False, comment="ISO 4217"),
        sa.Column("source", sa.Text(), nullable=False, comment="who says so"),
        sa.PrimaryKeyConstraint("system", "code", "since"),
        sa.CheckConstraint("amount >= 0", name=op.f("price_amount_not_negative")),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("price_currency_is_iso_4217")),
        comment="What a test or a service costs here, as the operator says; nothing is shipped",
    )


def downgrade() -> None:
    op.drop_table("price")
    op.drop_column("card", "window_days")
    op.drop_column("card", "patient")
    op.drop_constraint(op.f("card_kind_known"), "card")
    op.create_check_constraint(op.f("card_kind_known"), "card", "kind in ('result', 'pending')")
