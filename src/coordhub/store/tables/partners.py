"""What was agreed on with partners, and what is known of their own servers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    Interval,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from coordhub.store.tables.columns import identifier_text, instant, metadata

partner = Table(
    "partner",
    metadata,
    Column(
        "organization",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of Organization",
    ),
    Column(
        "profile",
        Text,
        nullable=False,
        comment="which Task.status and businessStatus it speaks: referral.profiles",
    ),
    instant("since"),
    Column("sends", ARRAY(Text), comment="resource types that it writes; null, as below: any"),
    Column(
        "sends_kinds",
        ARRAY(Text),
        comment="kinds of need that it refers for (referral.kinds), '' of none",
    ),
    Column("receives", ARRAY(Text), comment="resource types that it is sent"),
    Column("receives_kinds", ARRAY(Text), comment="kinds of need that it is asked for"),
    Column("channels", ARRAY(Text), comment="connection types by which it is spoken to"),
    CheckConstraint("profile in ('r4', 'sdoh-cc', 'bser', '360x', 'cow')", name="profile_known"),
    comment="What was agreed with an organization; who is not here speaks r4",
)

sharing = Table(
    "sharing",
    metadata,
    Column("organization", BigInteger, nullable=False, comment="rid of who says yes"),
    Column("other", BigInteger, nullable=False, comment="rid of with whom"),
    instant("since"),
    PrimaryKeyConstraint("organization", "other"),
    CheckConstraint("organization <> other", name="of_two"),
    comment="Who says yes to one shared Task with whom; agreed is what both say",
)

pace = Table(
    "pace",
    metadata,
    Column(
        "organization",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of Organization",
    ),
    Column("per_second", Float(53), nullable=False, comment="deliveries at most"),
    Column("at_once", Integer, nullable=False, comment="deliveries under way at most"),
    Column(
        "level",
        Float(53),
        nullable=False,
        comment="how many might go at once as of `at`; it fills by per_second, to that of one second",
    ),
    instant("at"),
    CheckConstraint("per_second > 0", name="rate_positive"),
    CheckConstraint("at_once > 0", name="some_at_once"),
    comment="The rate agreed with an organization; the row is the lock of who sends to it",
)

counterpart = Table(
    "counterpart",
    metadata,
    Column("shard", SmallInteger, nullable=False),
    Column("organization", BigInteger, nullable=False, comment="rid of whose server it is"),
    Column("endpoint", BigInteger, nullable=False, comment="rid of the Endpoint of that server"),
    Column("rid", BigInteger, nullable=False, comment="of the resource at the hub"),
    identifier_text("theirs", comment="the same at that server: Type/id below Endpoint.address"),
    Column(
        "original",
        Boolean,
        nullable=False,
        comment="true: theirs is the original, fetched from there; false: theirs is their copy",
    ),
    Column("seen", Text, comment="entity tag of theirs, as last read"),
    instant("at", comment="when this was last told or read"),
    PrimaryKeyConstraint("organization", "endpoint", "rid"),
    UniqueConstraint("organization", "theirs", "endpoint"),
    comment="Under which id a partner's server has what the hub has",
)
Index("counterpart_rid_idx", counterpart.c.rid)

exchange = Table(
    "exchange",
    metadata,
    Column(
        "organization",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of the organization",
    ),
    Column(
        "ids",
        Text,
        nullable=False,
        server_default=text("'hub'"),
        comment="hub: its server takes PUT under the ids of the hub; partner: it gives its own",
    ),
    Column(
        "answers_every",
        Interval,
        comment="how often its copy of a Task that asks it is read; null: it sends its answers",
    ),
    Column(
        "originals_every",
        Interval,
        comment="how often what was fetched from it is looked at again; null: when it says so",
    ),
    Column(
        "each_state",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="true: it is sent every state of a Task; false: of those that wait the newest",
    ),
    Column(
        "knows_repeats",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="false: it knows no repeat by its key, and is read before it is sent anything again",
    ),
    Column(
        "creates_anew",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="true: what it has no more of what it was sent is sent once more, as new",
    ),
    CheckConstraint("ids in ('hub', 'partner')", name="ids_known"),
    CheckConstraint("answers_every >= interval '10 seconds'", name="answers_not_too_often"),
    CheckConstraint("originals_every >= interval '10 seconds'", name="originals_not_too_often"),
    comment="What was agreed with an organization about its server, where it is not the usual",
)

fetching = Table(
    "fetching",
    metadata,
    Column("shard", SmallInteger, nullable=False),
    Column(
        "subject",
        BigInteger,
        nullable=False,
        comment="rid of the Task that waits, of the copy, or of the Task that asks",
    ),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="focus: what a sent Task is about; original: of a copy; answer: to a Task that asks",
    ),
    Column("organization", BigInteger, nullable=False, comment="rid of whose server it is"),
    Column("endpoint", BigInteger, nullable=False, comment="rid of the Endpoint of that server"),
    Column("client", Text, comment="client.id in whose name the copies are written"),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("since", comment="first attempt of this round"),
    instant("next_at", comment="not before"),
    instant("lease_until", nullable=True, comment="a worker holds it until then"),
    Column("reason", Text, comment="why the last attempt did not do; no content"),
    PrimaryKeyConstraint("subject", "kind"),
    CheckConstraint("kind in ('focus', 'original', 'answer')", name="kind_known"),
    CheckConstraint("state in ('queued', 'leased', 'parked', 'done', 'dead')", name="state_known"),
    CheckConstraint(
        "(state = 'leased') = (lease_until is not null)", name="lease_only_when_leased"
    ),
    comment="What is to be read from servers of partners, once or again and again",
)
Index(
    "fetching_due_idx",
    fetching.c.next_at,
    postgresql_where=text("state in ('queued', 'leased', 'parked')"),
)
