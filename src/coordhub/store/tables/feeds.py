"""Feeds of the directory: where its entries come from, and what each row of theirs became."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Interval,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from coordhub.store.tables.columns import instant, metadata

directory_feed = Table(
    "directory_feed",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("source", Text, nullable=False, comment="path or address; it may hold a key"),
    Column(
        "zone",
        Text(collation="C"),
        comment="of the IANA database, of schedules; null: by their offsets",
    ),
    Column("every", Interval, comment="how often it is read again; null: only when told to"),
    instant("due_at", nullable=True, comment="read again then"),
    instant("lease_until", nullable=True, comment="somebody reads it until then"),
    instant("ran_at", nullable=True, comment="when it was read last"),
    Column("outcome", JSONB, comment="of the last time: counts and faults"),
    comment="Sources that the directory is kept in step with",
)

directory_entry = Table(
    "directory_entry",
    metadata,
    Column("feed", Text(collation="C"), primary_key=True, comment="directory_feed.name"),
    Column("key", Text(collation="C"), primary_key=True, comment="table and id of the row"),
    Column("rid", BigInteger, nullable=False, comment="of the resource that it became"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of what the feed said last"),
    Column(
        "gone", Boolean, nullable=False, comment="the feed has it no more; it was made inactive"
    ),
    comment="What each row of a feed became, so that only what has changed is written",
)
Index("directory_entry_rid_idx", directory_entry.c.rid)

directory_twin = Table(
    "directory_twin",
    metadata,
    Column(
        "kept",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of the entry that stays",
    ),
    Column(
        "other", BigInteger, primary_key=True, autoincrement=False, comment="rid of the other one"
    ),
    Column("state", Text, nullable=False),
    Column("because", Text, nullable=False, comment="what both say: name, phone, address ..."),
    Column(
        "by", Text, comment="account of who decided; null: nobody yet, or the hub, being certain"
    ),
    instant("at", comment="of that"),
    CheckConstraint("state in ('proposed', 'merged', 'apart')", name="state_known"),
    CheckConstraint("kept <> other", name="two"),
    comment="Entries of two feeds that are one service, or were looked at and are not",
)
Index(
    "directory_twin_other_idx",
    directory_twin.c.other,
    unique=True,
    postgresql_where=text("state = 'merged'"),
)
