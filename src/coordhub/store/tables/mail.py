"""Whom mail is sent to: mailboxes, what was told in one mail, links that open once, access codes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)

from coordhub.store.tables.columns import instant, metadata

mailbox = Table(
    "mailbox",
    metadata,
    Column("endpoint", BigInteger, nullable=False, comment="rid of an Endpoint with mailto:"),
    Column("organization", BigInteger, nullable=False, comment="rid of who reads there"),
    instant("told_at", nullable=True, comment="when a mail was last handed in"),
    instant("lease_until", nullable=True, comment="a worker writes to it until then"),
    PrimaryKeyConstraint("endpoint", "organization"),
    comment="When an organization was last written to, and the lock of who writes",
)

told_by_mail = Table(
    "told_by_mail",
    metadata,
    Column("delivery", Uuid, primary_key=True),
    Column("notice", Uuid, nullable=False, comment="delivery whose mail told of this one, too"),
    instant("at"),
    comment="Deliveries of which a mail has told that was sent because of another",
)

link = Table(
    "link",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of the token in the mail"),
    Column("organization", BigInteger, nullable=False, comment="rid of whom it lets in"),
    Column("task", BigInteger, nullable=False, comment="rid of the one Task that it opens"),
    Column("delivery", Uuid, nullable=False, comment="because of which the mail was sent"),
    instant("created_at"),
    instant("until", comment="it opens nothing from then on"),
    instant("used_at", nullable=True),
    Column(
        "tries",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="with an access code, right or wrong",
    ),
    CheckConstraint("length(hash) = 32", name="hash_whole"),
    comment="Links in mails, each good once; what stands in the mail is not kept",
)
Index("link_until_idx", link.c.until)
Index("link_delivery_idx", link.c.delivery)

visit = Table(
    "visit",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("organization", BigInteger, nullable=False),
    Column("task", BigInteger, nullable=False),
    instant("until", comment="the page is closed then"),
    CheckConstraint("length(hash) = 32", name="hash_whole"),
    comment="Who has opened a link and named the access code, for the minutes it takes to answer",
)
Index("visit_until_idx", visit.c.until)

access_code = Table(
    "access_code",
    metadata,
    Column("organization", BigInteger, primary_key=True, autoincrement=False, comment="rid"),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False, comment="scrypt of the code"),
    instant("set_at"),
    Column(
        "failures",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="since `counted_from`",
    ),
    instant("counted_from"),
    comment="The second thing that an organization needs besides a link",
)

voice_link = Table(
    "voice_link",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of the token in the address"),
    Column("episode", BigInteger, nullable=False, comment="rid of the referral that it asks about"),
    Column("request", BigInteger, nullable=False, comment="rid of the order"),
    instant("created_at"),
    instant("until", comment="it asks nothing from then on"),
    CheckConstraint("length(hash) = 32", name="hash_whole"),
    comment="Links by which a person says, once, whether it got what it needed",
)
Index("voice_link_request_idx", voice_link.c.request)
Index("voice_link_until_idx", voice_link.c.until)

subscription_mail = Table(
    "subscription_mail",
    metadata,
    Column(
        "address",
        Text(collation="C"),
        primary_key=True,
        comment="a mailbox of an organization that is told of its Subscriptions",
    ),
    instant("told_at", nullable=True, comment="when a mail was last handed in"),
    instant("lease_until", nullable=True, comment="a worker writes to it until then"),
    comment="Who was told by mail of Subscriptions within the last hour, and the lock of who writes",
)
