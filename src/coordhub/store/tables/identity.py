"""Tables about who is the same person: keys to find records by, what is to be looked at, links.

A record of a victim service provider is in none of them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from coordhub.store.tables.columns import instant, metadata, owner_columns

idx_person = Table(
    "idx_person",
    metadata,
    Column("shard", SmallInteger, nullable=False),
    Column("param", SmallInteger, nullable=False, comment="kind of key: identity.normalise.BLOCKS"),
    Column("key", BigInteger, nullable=False, comment="digest of the normalised value"),
    Column("rid", BigInteger, nullable=False),
    *owner_columns(),
    comment="Keys by which Patients that may be the same person are found",
)
Index("idx_person_key_idx", idx_person.c.param, idx_person.c.key, idx_person.c.rid)
Index("idx_person_rid_idx", idx_person.c.rid)

name_change = Table(
    "name_change",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("param", SmallInteger, nullable=False, comment="kind of key: given or surname"),
    Column("key", BigInteger, nullable=False, comment="digest of a name"),
    Column("number", BigInteger, nullable=False, comment="so many records more say it, or less"),
    comment="Names that came to be said or are said no more, and are not added up yet",
)

name_count = Table(
    "name_count",
    metadata,
    Column(
        "param",
        SmallInteger,
        nullable=False,
        comment="kind of key: given or surname; 0: all of the kind that `key` says",
    ),
    Column("key", BigInteger, nullable=False, comment="digest of a name"),
    Column("number", BigInteger, nullable=False, comment="so many records say it"),
    PrimaryKeyConstraint("param", "key"),
    comment="How common names are; of no record, and of none that a victim service provider keeps",
)

person_due = Table(
    "person_due",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("rid", BigInteger, nullable=False, comment="of a Patient that was written"),
    comment="Patients of whom it is to be looked whether they are somebody who is known already",
)

person_link = Table(
    "person_link",
    metadata,
    Column("one", BigInteger, nullable=False, comment="rid of a Patient"),
    Column("other", BigInteger, nullable=False, comment="rid of another, which is greater"),
    Column(
        "state",
        Text,
        nullable=False,
        comment="linked: of one person; review: to be looked at; apart: of two persons",
    ),
    Column("by", Text, comment="account of who decided it; null: coordhub by itself"),
    Column("reason", Text, comment="of who decided it"),
    Column("score", Double, nullable=False, comment="posterior, 0 to 1"),
    Column(
        "evidence", Text, nullable=False, comment="JSON: fields and their levels, without content"
    ),
    instant("since", comment="when it came to be in this state"),
    PrimaryKeyConstraint("one", "other"),
    CheckConstraint("one < other", name="in_order"),
    CheckConstraint("state in ('linked', 'review', 'apart')", name="state_known"),
    CheckConstraint("state <> 'apart' or by is not null", name="apart_by_somebody"),
    CheckConstraint("(by is null) = (reason is null)", name="decided_with_reason"),
    comment="Pairs of Patients that are, or may be, or are not, of one person",
)
Index("person_link_other_idx", person_link.c.other)
Index(
    "person_link_review_idx",
    person_link.c.since,
    postgresql_where=text("state = 'review'"),
)
