"""What is owed to whom, and how it went: deliveries, endpoints that fail, results, subscriptions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from coordhub.store.tables.columns import Xid8, instant, metadata

delivery = Table(
    "delivery",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("key", Uuid, comment="Idempotency-Key towards the partner; null: the id"),
    Column("seq", BigInteger, Identity(), nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column(
        "change", BigInteger, nullable=False, comment="change.seq of what it is told because of"
    ),
    Column("episode", BigInteger, nullable=False),
    Column("organization", BigInteger, nullable=False, comment="rid of the recipient"),
    Column(
        "endpoint",
        BigInteger,
        nullable=False,
        comment="rid of the Endpoint; 0: the inbox at the hub",
    ),
    Column("rid", BigInteger, nullable=False, comment="what is sent: what changed, or a result"),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("created_at"),
    instant("next_at", comment="not before"),
    instant("lease_until", nullable=True, comment="a worker holds it until then"),
    instant("settled_at", nullable=True),
    Column("reason", Text, comment="why suppressed, dead or parked; no content"),
    UniqueConstraint("change", "organization", "endpoint", "rid"),
    CheckConstraint(
        "state in ('queued', 'leased', 'parked', 'delivered', 'suppressed', 'dead')",
        name="state_known",
    ),
    CheckConstraint(
        "(state = 'leased') = (lease_until is not null)", name="lease_only_when_leased"
    ),
    CheckConstraint(
        "(state in ('delivered', 'suppressed', 'dead')) = (settled_at is not null)",
        name="settled_has_time",
    ),
    CheckConstraint(
        "state not in ('suppressed', 'dead', 'parked') or reason is not null", name="reason_given"
    ),
    comment="One row per change, recipient and target: the ledger of what was owed to whom",
)
Index(
    "delivery_due_idx",
    delivery.c.next_at,
    postgresql_where=text("state in ('queued', 'leased', 'parked')"),
)
Index(
    "delivery_order_idx",
    delivery.c.endpoint,
    delivery.c.episode,
    delivery.c.seq,
    postgresql_where=text("state in ('queued', 'leased', 'parked')"),
)
Index("delivery_episode_idx", delivery.c.episode)
Index("delivery_dead_idx", delivery.c.organization, postgresql_where=text("state = 'dead'"))
Index(
    "delivery_delivered_idx",
    delivery.c.endpoint,
    delivery.c.settled_at,
    postgresql_where=text("state = 'delivered'"),
)
Index("delivery_rid_idx", delivery.c.rid, delivery.c.organization)

circuit = Table(
    "circuit",
    metadata,
    Column("endpoint", BigInteger, primary_key=True, autoincrement=False, comment="rid"),
    Column("state", Text, nullable=False),
    Column("failures", Integer, nullable=False, comment="in a row"),
    Column("probes", Integer, nullable=False, comment="that failed since it opened"),
    instant("opened_at", nullable=True, comment="when it was last as usual"),
    instant("probe_at", nullable=True, comment="when the next probe may go"),
    Column("allowance", Integer, nullable=False, comment="how many at once while recovering"),
    Column("reason", Text, comment="of the last failure; no content"),
    CheckConstraint("state in ('closed', 'open', 'probing', 'recovering')", name="state_known"),
    CheckConstraint(
        "(state in ('open', 'probing')) = (probe_at is not null)", name="open_has_probe"
    ),
    comment="Endpoints that fail, or did lately: whether and by how many at once they are spoken to",
)

proof = Table(
    "proof",
    metadata,
    Column("endpoint", BigInteger, primary_key=True, autoincrement=False, comment="rid"),
    Column(
        "fingerprint",
        LargeBinary,
        nullable=False,
        comment="SHA-256 of address and headers that are to be proved, or were",
    ),
    instant("proved_at", nullable=True, comment="when it answered; null: nothing is sent there"),
    Column("failures", Integer, nullable=False, server_default=text("0"), comment="in a row"),
    instant("next_at", comment="when it may be asked again"),
    Column("reason", Text, comment="why it did not answer; no content"),
    comment="Endpoints that were changed: whether what they say now has answered a handshake",
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    instant("at"),
    Column("outcome", Text, nullable=False, comment="delivered, refused or unreachable"),
    Column("status", Integer, comment="HTTP status, when there was one"),
    Column("latency_ms", Integer, nullable=False),
    Column("detail", Text, comment="class of failure; no content"),
    PrimaryKeyConstraint("delivery", "number"),
    CheckConstraint("outcome in ('delivered', 'refused', 'unreachable')", name="outcome_known"),
    comment="Every time the hub spoke to a partner, append only",
)

result = Table(
    "result",
    metadata,
    Column("rid", BigInteger, nullable=False, comment="the result, or a part of a report"),
    Column("episode", BigInteger, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column(
        "how",
        Text,
        nullable=False,
        comment="by what it was matched: its basedOn, an identifier of the order, a Task's output, a person",
    ),
    Column(
        "because",
        BigInteger,
        nullable=False,
        comment="rid of what matched it: the result itself, the report, a Task that names it",
    ),
    Column("version", Integer, nullable=False, comment="of what matched it"),
    instant("matched_at"),
    PrimaryKeyConstraint("rid", "episode"),
    CheckConstraint("how in ('based-on', 'identifier', 'output', 'person')", name="how_known"),
    comment="Which results came of which referral, decided in the commit that says so",
)
Index("result_because_idx", result.c.because, result.c.version)

mending = Table(
    "mending",
    metadata,
    Column("delivery", Uuid, nullable=False),
    Column("number", Integer, nullable=False, comment="of the attempt because of which"),
    instant("at"),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="conflict: its copy was read; gone: it is to be made anew",
    ),
    Column("rid", BigInteger, nullable=False, comment="of which resource of what is delivered"),
    Column("tag", Text, comment="entity tag of the copy as read after a conflict"),
    PrimaryKeyConstraint("delivery", "number"),
    CheckConstraint("kind in ('conflict', 'gone')", name="kind_known"),
    comment="What is sent otherwise after a partner refused it over its copy, append only",
)

subscription = Table(
    "subscription",
    metadata,
    Column("rid", BigInteger, primary_key=True, autoincrement=False, comment="of the Subscription"),
    Column("shard", SmallInteger, nullable=False),
    Column("organization", BigInteger, nullable=False, comment="rid of whom it tells"),
    Column(
        "channel",
        Text,
        nullable=False,
        server_default=text("'rest-hook'"),
        comment="Subscription.channel.type",
    ),
    Column("state", Text, nullable=False, comment="Subscription.status"),
    Column("config", Text, nullable=False, comment="what it asks for: searches, address, level"),
    instant("until", nullable=True, comment="Subscription.end"),
    Column("event", BigInteger, nullable=False, comment="number of its last event"),
    Column("sent", BigInteger, nullable=False, comment="of the last event that was told"),
    Column("failures", Integer, nullable=False, comment="in a row"),
    instant("since", nullable=True, comment="when it was first reached"),
    instant(
        "next_at", nullable=True, comment="when something is due; null: when something happens"
    ),
    instant("lease_until", nullable=True, comment="a worker holds it until then"),
    Column("reason", Text, comment="why it could not be told; no content"),
    Column("message", Uuid, comment="of what is being told, the same however often it is tried"),
    Column("trying", BigInteger, comment="number of the last event in that message"),
    Column("again_from", BigInteger, comment="number of the next event to be told again"),
    Column("again_until", BigInteger, comment="and of the last one, that was told before"),
    Column("client", Text(collation="C"), comment="client.id of who asked for it last"),
    Column("scopes", Text, comment="of the token it was asked with: the most it is told"),
    Column("permission", Uuid, comment="app_permission.id, where a person's app asked for it"),
    CheckConstraint("channel in ('rest-hook', 'websocket', 'email')", name="channel_known"),
    CheckConstraint(
        "(again_from is null) = (again_until is null) and again_until <= sent",
        name="again_is_a_span",
    ),
    CheckConstraint("state in ('requested', 'active', 'error', 'off')", name="state_known"),
    CheckConstraint("sent <= event", name="told_what_happened"),
    comment="Subscriptions as the relay needs them, and how far each was told",
)
Index(
    "subscription_due_idx",
    subscription.c.next_at,
    postgresql_where=text("state in ('requested', 'active')"),
)
Index("subscription_organization_idx", subscription.c.organization)

subscription_event = Table(
    "subscription_event",
    metadata,
    Column("subscription", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False, comment="from 1 on, without gaps"),
    Column("shard", SmallInteger, nullable=False),
    instant("at", comment="when the change was committed"),
    Column("rid", BigInteger, nullable=False, comment="what changed"),
    Column("version", Integer, nullable=False),
    Column(
        "deleted",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="it is that the resource was deleted",
    ),
    PrimaryKeyConstraint("subscription", "number"),
    comment="Events of subscriptions, in the order of their commits",
)

subscription_secret = Table(
    "subscription_secret",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("subscription", BigInteger, nullable=False),
    Column(
        "secret",
        LargeBinary,
        nullable=False,
        comment="what notifications are signed with, sealed; shown to nobody again",
    ),
    instant("since"),
    instant(
        "until",
        nullable=True,
        comment="it was replaced, and signs beside the new one up to then; null: the one in use",
    ),
    comment="Secrets of subscriptions: the one in use, and for a while the one before",
)
Index(
    "subscription_secret_in_use_idx",
    subscription_secret.c.subscription,
    unique=True,
    postgresql_where=text("until is null"),
)
Index("subscription_secret_idx", subscription_secret.c.subscription)

subscription_deletion = Table(
    "subscription_deletion",
    metadata,
    Column("subscription", BigInteger, nullable=False),
    Column("rid", BigInteger, nullable=False, comment="what is deleted"),
    Column("version", Integer, nullable=False, comment="the deletion"),
    Column("shard", SmallInteger, nullable=False),
    PrimaryKeyConstraint("subscription", "rid", "version"),
    comment="Who is told of a deletion, decided in its commit: after it nobody can be asked who saw it",
)
Index("subscription_deletion_rid_idx", subscription_deletion.c.rid, subscription_deletion.c.version)

feed = Table(
    "feed",
    metadata,
    Column("name", Text, primary_key=True),
    Column("xid", Xid8(), nullable=False),
    Column("seq", BigInteger, nullable=False),
    comment="How far the change log was followed; the row is the lock of who follows it",
)
