"""Cards that were shown to who was about to order, what became of them, and prices: the ledger of what that bought."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)

from coordhub.store.tables.columns import identifier_text, instant, metadata

card = Table(
    "card",
    metadata,
    Column("id", Uuid, primary_key=True, comment="Card.uuid of CDS Hooks"),
    instant("at", comment="when it was shown"),
    Column("organization", BigInteger, nullable=False, comment="rid of who was about to order"),
    identifier_text("client", comment="client.id"),
    identifier_text("service", comment="id of the CDS service"),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="result: there is one; pending: it is ordered; service: who could help was told what it has",
    ),
    identifier_text("system", comment="of the code that was about to be ordered"),
    identifier_text("code", comment="what was about to be ordered"),
    identifier_text(
        "question", comment="insight.same_question: what that asks; of a service: what it has"
    ),
    Column("age_days", Integer, nullable=False, comment="of what there was"),
    Column(
        "patient", BigInteger, nullable=False, comment="rid of whom it was told of, as in the audit"
    ),
    Column(
        "window_days",
        Integer,
        nullable=False,
        comment="so long an order for the same is one too many",
    ),
    CheckConstraint("kind in ('result', 'pending', 'service')", name="kind_known"),
    comment="Cards that were shown, append only",
)
Index("card_organization_idx", card.c.organization, card.c.at)

card_feedback = Table(
    "card_feedback",
    metadata,
    Column("card", Uuid, primary_key=True, comment="card.id: the first feedback counts"),
    instant("at", comment="when it was told"),
    Column("outcome", Text, nullable=False),
    identifier_text("reason", nullable=True, comment="why overridden, of those that were offered"),
    CheckConstraint("outcome in ('accepted', 'overridden')", name="outcome_known"),
    CheckConstraint("reason is null or outcome = 'overridden'", name="reason_of_override"),
    comment="What became of a card, append only",
)

price = Table(
    "price",
    metadata,
    identifier_text("system", comment="of the code"),
    identifier_text("code", comment="what is not done twice"),
    Column("since", Date, nullable=False, comment="from which day it costs so much"),
    Column("amount", Numeric(12, 2), nullable=False),
    Column("currency", Text, nullable=False, comment="ISO 4217"),
    Column("source", Text, nullable=False, comment="who says so"),
    PrimaryKeyConstraint("system", "code", "since"),
    CheckConstraint("amount >= 0", name="amount_not_negative"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_is_iso_4217"),
    comment="What a test or a service costs here, as the operator says; nothing is shipped",
)
