"""Tokens that the authorization server gave out, and what it has been shown for them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, Table, Text

from coordhub.store.tables.columns import identifier_text, instant, metadata

access_token = Table(
    "access_token",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the token"),
    identifier_text("client", comment="client.id"),
    Column(
        "organization",
        BigInteger,
        nullable=False,
        comment="rid of whom the client acted for when it was given; of another it is no token",
    ),
    Column("scopes", Text, nullable=False, comment="the most it allows, space separated"),
    instant("issued_at"),
    instant("expires_at"),
    comment="Bearer tokens that are valid; one that is revoked is not here",
)
Index("access_token_client_idx", access_token.c.client)
Index("access_token_expires_at_idx", access_token.c.expires_at)

client_assertion = Table(
    "client_assertion",
    metadata,
    identifier_text("client", comment="client.id"),
    Column("jti", LargeBinary, nullable=False, comment="SHA-256 of the assertion's jti"),
    instant("expires_at", comment="from then on its own time refuses it"),
    PrimaryKeyConstraint("client", "jti"),
    comment="Assertions (RFC 7523) that were used, each once",
)
Index("client_assertion_expires_at_idx", client_assertion.c.expires_at)
