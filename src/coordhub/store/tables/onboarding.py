"""Partners that come on board: their place in the sandbox, how far they are, and what was found of them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from coordhub.store.tables.columns import identifier_text, instant, metadata

sandbox = Table(
    "sandbox",
    metadata,
    Column(
        "organization",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of an Organization of the sandbox: it and all that it writes is test data",
    ),
    Column(
        "stands_for",
        BigInteger,
        nullable=False,
        comment="rid of the Organization of the directory in whose place it is",
    ),
    UniqueConstraint("stands_for"),
    comment="Organizations of the sandbox, who see one another's test data only, and who no other sees",
)

onboarding = Table(
    "onboarding",
    metadata,
    identifier_text("client", comment="client.id"),
    Column(
        "stands_for",
        BigInteger,
        nullable=False,
        comment="rid of the Organization that it acts for once it is approved",
    ),
    Column("sandbox", BigInteger, nullable=False, comment="rid of the one that it acts for before"),
    Column("endpoint", BigInteger, comment="rid of the Endpoint of its own server, in the sandbox"),
    Column("state", Text, nullable=False),
    Column("registered_by", Text, nullable=False, comment="account of who registered it"),
    instant("registered_at"),
    Column("software", Text, comment="software_id and version, by its software statement"),
    Column("approved_by", Text, comment="account of who let it into the life outside the sandbox"),
    instant("approved_at", nullable=True),
    Column("reason", Text, comment="of the last of these: approved all the same, suspended, ended"),
    CheckConstraint(
        "state in ('registered', 'checked', 'approved', 'suspended', 'ended')", name="state_known"
    ),
    CheckConstraint("(approved_by is null) = (approved_at is null)", name="approved_by_whom"),
    CheckConstraint("approved_by <> registered_by", name="two_persons"),
    PrimaryKeyConstraint("client"),
    comment="How far a partner's client is: registered, checked, approved, suspended, ended",
)

conformance = Table(
    "conformance",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    identifier_text("client", comment="client.id"),
    Column("by", Text, nullable=False, comment="account of who had it checked"),
    instant("at"),
    Column("failed", Integer, nullable=False, comment="items that were failed"),
    Column(
        "items",
        Text,
        nullable=False,
        comment="JSON: of each item what was found, as said to the partner; no content",
    ),
    CheckConstraint("failed >= 0", name="failed_counted"),
    comment="Reports of the conformance check list, append only",
)
Index("conformance_client_idx", conformance.c.client, text("id desc"))
