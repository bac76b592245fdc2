"""Resources, their versions, and the log of all changes: what is stored.

http://hl7.org/fhir/R4/http.html#versions
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from coordhub.store.tables.columns import Xid8, identifier_text, instant, metadata, owner_columns

code_system = Table(
    "code_system",
    metadata,
    Column("id", Integer, Identity(start=1), primary_key=True),
    Column("uri", Text(collation="C"), nullable=False, unique=True),
    comment="Interned Coding.system and Identifier.system; 0 in an index row means none was stated",
)

resource = Table(
    "resource",
    metadata,
    Column("shard", SmallInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("type", SmallInteger, nullable=False, comment="r4.types number"),
    identifier_text("fhir_id"),
    Column("version", Integer, nullable=False),
    Column("op", Text, nullable=False, comment="what made this version: create, update, delete"),
    instant("updated", comment="meta.lastUpdated of this version"),
    Column(
        "author",
        BigInteger,
        nullable=False,
        comment="rid of the organization that wrote this version",
    ),
    *owner_columns(),
    Column(
        "labels",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="a bit per sensitivity class",
    ),
    Column("body", Text, comment="the exact JSON of this version; null once deleted"),
    Column(
        "dangling",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="a reference of it leads nowhere",
    ),
    Column(
        "quarantined",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="shown to nobody but its source, until it dangles no more",
    ),
    PrimaryKeyConstraint("rid", "shard"),
    UniqueConstraint("shard", "type", "fhir_id"),
    CheckConstraint("op in ('create', 'update', 'delete')", name="op_known"),
    CheckConstraint("(op = 'delete') = (body is null)", name="deleted_has_no_body"),
    CheckConstraint("version >= 1", name="version_positive"),
    CheckConstraint("rid & 255 = shard", name="rid_carries_shard"),
    CheckConstraint("dangling or not quarantined", name="quarantined_dangles"),
    comment="The current version of every resource",
)
Index("resource_patient_idx", resource.c.patient, resource.c.type, resource.c.rid)
Index("resource_source_idx", resource.c.source, resource.c.type, resource.c.rid)
Index("resource_type_idx", resource.c.type, resource.c.rid)
Index("resource_updated_idx", resource.c.type, resource.c.updated, resource.c.rid)

resource_version = Table(
    "resource_version",
    metadata,
    Column("shard", SmallInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("op", Text, nullable=False),
    instant("updated"),
    Column("author", BigInteger, nullable=False),
    *owner_columns(),
    Column("labels", BigInteger, nullable=False, server_default=text("0")),
    Column("body", Text),
    PrimaryKeyConstraint("shard", "rid", "version"),
    CheckConstraint("op in ('create', 'update', 'delete')", name="op_known"),
    CheckConstraint("(op = 'delete') = (body is null)", name="deleted_has_no_body"),
    comment="Superseded versions, append only; the current one is in resource",
)

assigned_id = Table(
    "assigned_id",
    metadata,
    Column("type", SmallInteger, nullable=False),
    identifier_text("fhir_id"),
    Column("shard", SmallInteger, nullable=False),
    PrimaryKeyConstraint("type", "fhir_id"),
    comment="Ids that a client chose (update as create): unique over all shards, and where they live",
)

change = Table(
    "change",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("xid", Xid8(), nullable=False, server_default=text("pg_current_xact_id()")),
    instant("at"),
    Column("shard", SmallInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("op", Text, nullable=False),
    Column("author", BigInteger, nullable=False, comment="rid of the organization that wrote it"),
    Column(
        "episode",
        BigInteger,
        comment="the referral it belongs to, or the Patient around whom it is told; null: nothing to route",
    ),
    instant("relayed_at", nullable=True, comment="when the relay planned its deliveries"),
    UniqueConstraint("rid", "version"),
    comment="The outbox: one row for every version, in the commit that made it",
)
Index("change_feed_idx", change.c.xid, change.c.seq)
Index(
    "change_unrelayed_idx",
    change.c.seq,
    postgresql_where=text("relayed_at is null and episode is not null"),
)
Index(
    "change_to_relay_idx",
    change.c.episode,
    change.c.seq,
    postgresql_where=text("relayed_at is null and episode is not null"),
)
