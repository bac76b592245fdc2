"""Cards that were shown to who was about to order, and what became of them: the ledger of what that bought."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text, Uuid

from coordhub.store.tables.columns import identifier_text, instant, metadata

card = Table(
    "card",
    metadata,
    Column("id", Uuid, primary_key=True, comment="Card.uuid of CDS Hooks"),
    instant("at", comment="when it was shown"),
    Column("organization", BigInteger, nullable=False, comment="rid of who was about to order"),
    identifier_text("client", comment="client.id"),
    identifier_text("service", comment="id of the CDS service"),
    Column("kind", Text, nullable=False, comment="result: there is one; pending: it is ordered"),
    identifier_text("system", comment="of the code that was about to be ordered"),
    identifier_text("code", comment="what was about to be ordered; nothing says for whom"),
    identifier_text("question", comment="insight.same_question: what that asks"),
    Column("age_days", Integer, nullable=False, comment="of what there was"),
    CheckConstraint("kind in ('result', 'pending')", name="kind_known"),
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
