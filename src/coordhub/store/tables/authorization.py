"""Tokens that the authorization server gave out, and what it has been shown for them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)

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
    Column("permission", Uuid, comment="app_permission.id, of an app's; it ends with that"),
    Column(
        "thumbprint",
        LargeBinary,
        comment="SHA-256 of the certificate that it is bound to (RFC 8705); null: to none",
    ),
    comment="Bearer tokens that are valid; one that is revoked is not here",
)
Index("access_token_client_idx", access_token.c.client)
Index("access_token_expires_at_idx", access_token.c.expires_at)
Index("access_token_permission_idx", access_token.c.permission)

app_permission = Table(
    "app_permission",
    metadata,
    Column("id", Uuid, primary_key=True),
    identifier_text("client", comment="client.id of the app"),
    identifier_text("person", comment="person.id of who signed in and allowed it"),
    Column(
        "organization",
        BigInteger,
        nullable=False,
        comment="rid of whom the app acts for: an Organization, or the Patient or RelatedPerson itself",
    ),
    Column("patient", BigInteger, comment="rid of the patient in context; null: none"),
    Column("asked", Text, nullable=False, comment="scopes that the app asked for, of those it may"),
    Column("scopes", Text, nullable=False, comment="what of these was allowed"),
    instant("at", comment="when the person allowed it"),
    instant("ended_at", nullable=True, comment="taken back, or a code or token came twice"),
    Column("task", BigInteger, comment="rid of the Task in context; null: none"),
    comment="What people let apps do: each code and token of an app comes of one",
)
Index("app_permission_person_idx", app_permission.c.person, app_permission.c.client)
Index("app_permission_client_idx", app_permission.c.client)
Index("app_permission_organization_idx", app_permission.c.organization)

app_code = Table(
    "app_code",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the code"),
    Column("permission", Uuid, nullable=False, comment="app_permission.id"),
    identifier_text("client", comment="client.id that it was given to"),
    Column("redirect_uri", Text, nullable=False, comment="where it was sent"),
    Column("challenge", Text, nullable=False, comment="of PKCE, S256"),
    Column("nonce", Text, comment="that the identity token repeats"),
    instant("expires_at"),
    instant("used_at", nullable=True),
    comment="Authorization codes (RFC 6749, 4.1), each good once",
)
Index("app_code_expires_at_idx", app_code.c.expires_at)

app_launch = Table(
    "app_launch",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of what the app is told"),
    identifier_text("client", comment="client.id of the app"),
    Column("organization", BigInteger, nullable=False, comment="rid of who works with it"),
    identifier_text(
        "person", nullable=True, comment="person.id of who alone may; null: anybody there"
    ),
    Column("patient", BigInteger, comment="rid of the Patient that was looked at"),
    Column("task", BigInteger, comment="rid of the Task that was looked at"),
    instant("expires_at"),
    comment="Apps that were opened out of a record, each once",
)
Index("app_launch_expires_at_idx", app_launch.c.expires_at)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the token"),
    Column("permission", Uuid, nullable=False, comment="app_permission.id"),
    identifier_text("client", comment="client.id that it was given to"),
    instant("expires_at"),
    instant("used_at", nullable=True, comment="exchanged for the next one; again is a theft"),
    comment="Refresh tokens of apps, each good once",
)
Index("refresh_token_permission_idx", refresh_token.c.permission)
Index("refresh_token_expires_at_idx", refresh_token.c.expires_at)

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
