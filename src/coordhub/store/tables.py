"""The tables: what is stored, and what Postgres itself refuses.

Every table that holds or points at a resource carries `shard` (a logical shard hashed from the
patient) in its key, and every resource and index row carries `source` (the rid of the organization
that wrote it) and `patient` (the rid of its Patient, null for what has none), so that visibility is
decided on the row that is searched and the whole can be spread by patient on a distributed Postgres.

A `rid` is a bigint surrogate of a resource: `sequence << 8 | shard`. Index rows have no foreign keys
(one lookup and one lock each) and no row is ever updated in `resource_version`, `change`, `attempt`
and `audit`, except for `change.relayed_at`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import UserDefinedType


class Xid8(UserDefinedType[int]):
    """Postgres' 64-bit transaction id: the only sound order for change cursors across commits."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)

rid_block = Sequence("rid_block", metadata=metadata, start=16)
"""Blocks of rids: a process takes one and numbers 4,096 resources from it without a round trip."""


def instant(name: str, *, nullable: bool = False, comment: str | None = None) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)


def identifier_text(
    name: str, *, nullable: bool = False, comment: str | None = None
) -> Column[str]:
    """Text compared byte by byte: ids and codes have no language."""
    return Column(name, Text(collation="C"), nullable=nullable, comment=comment)


def owner_columns() -> tuple[Column[int], Column[int | None]]:
    return (
        Column(
            "source", BigInteger, nullable=False, comment="rid of the organization that wrote it"
        ),
        Column("patient", BigInteger, comment="rid of its Patient; null: not about one patient"),
    )


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


def index_table(name: str, *value_columns: Column[Any], comment: str) -> Table:
    return Table(
        name,
        metadata,
        Column("shard", SmallInteger, nullable=False),
        Column(
            "param",
            SmallInteger,
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        *value_columns,
        Column("rid", BigInteger, nullable=False),
        *owner_columns(),
        comment=comment,
    )


idx_token = index_table(
    "idx_token",
    Column("system", Integer, nullable=False, comment="code_system.id, 0: none stated"),
    identifier_text("code"),
    comment="Codes and identifiers",
)
Index(
    "idx_token_code_idx", idx_token.c.param, idx_token.c.code, idx_token.c.system, idx_token.c.rid
)
Index(
    "idx_token_patient_idx",
    idx_token.c.patient,
    idx_token.c.param,
    idx_token.c.code,
    idx_token.c.rid,
)
Index("idx_token_rid_idx", idx_token.c.rid)

idx_string = index_table(
    "idx_string",
    Column(
        "value",
        Text(collation="C"),
        nullable=False,
        comment="case and accents folded, for prefix search",
    ),
    Column("exact", Text(collation="C"), nullable=False, comment="as sent, for :exact"),
    comment="Names, addresses, titles",
)
Index("idx_string_value_idx", idx_string.c.param, idx_string.c.value, idx_string.c.rid)
Index("idx_string_rid_idx", idx_string.c.rid)

idx_reference = index_table(
    "idx_reference",
    Column("target", BigInteger, comment="rid of a resource of this hub"),
    Column("uri", Text(collation="C"), comment="an absolute reference elsewhere"),
    comment="References, without versions",
)
idx_reference.append_constraint(
    CheckConstraint("(target is null) <> (uri is null)", name="one_target")
)
Index("idx_reference_target_idx", idx_reference.c.target, idx_reference.c.param)
Index(
    "idx_reference_uri_idx",
    idx_reference.c.uri,
    idx_reference.c.param,
    postgresql_where=idx_reference.c.uri.is_not(None),
)
Index("idx_reference_rid_idx", idx_reference.c.rid)

idx_date = index_table(
    "idx_date",
    instant("low", comment="first instant covered"),
    instant("high", comment="first instant no longer covered"),
    comment="Dates as half-open intervals of their stated precision, UTC",
)
Index("idx_date_low_idx", idx_date.c.param, idx_date.c.low, idx_date.c.rid)
Index("idx_date_patient_idx", idx_date.c.patient, idx_date.c.param, idx_date.c.low, idx_date.c.rid)
Index("idx_date_rid_idx", idx_date.c.rid)

idx_number = index_table(
    "idx_number",
    Column("low", Numeric, nullable=False, comment="-Infinity: open"),
    Column("high", Numeric, nullable=False, comment="equal to low for what is no range"),
    comment="Numbers, and ranges of them with both ends",
)
Index("idx_number_low_idx", idx_number.c.param, idx_number.c.low, idx_number.c.rid)
Index("idx_number_rid_idx", idx_number.c.rid)


def measure_columns(*, nullable: bool) -> tuple[Column[Any], ...]:
    """A number with its unit, as stated and in base units."""
    return (
        Column("low", Numeric, nullable=nullable, comment="as stated; -Infinity: open"),
        Column("high", Numeric, nullable=nullable, comment="equal to low for what is no range"),
        Column(
            "dimension",
            Text(collation="C"),
            comment="base units of the canonical values; null: the unit has no canonical form",
        ),
        Column("canonical_low", Numeric, comment="low in base units"),
        Column("canonical_high", Numeric, comment="high in base units"),
    )


idx_quantity = index_table(
    "idx_quantity",
    Column("system", Integer, nullable=False, comment="code_system.id, 0: none stated"),
    identifier_text("code", nullable=True, comment="of the unit"),
    Column("unit", Text(collation="C"), comment="as people read it"),
    *measure_columns(nullable=False),
    comment="Quantities, ages, durations, money, ranges",
)
Index("idx_quantity_low_idx", idx_quantity.c.param, idx_quantity.c.low, idx_quantity.c.rid)
Index(
    "idx_quantity_high_idx",
    idx_quantity.c.param,
    idx_quantity.c.high,
    postgresql_where=text("low <> high"),
)
Index(
    "idx_quantity_canonical_idx",
    idx_quantity.c.param,
    idx_quantity.c.dimension,
    idx_quantity.c.canonical_low,
    idx_quantity.c.rid,
    postgresql_where=idx_quantity.c.dimension.is_not(None),
)
Index(
    "idx_quantity_canonical_high_idx",
    idx_quantity.c.param,
    idx_quantity.c.dimension,
    idx_quantity.c.canonical_high,
    postgresql_where=text("canonical_low <> canonical_high"),
)
Index("idx_quantity_rid_idx", idx_quantity.c.rid)

idx_uri = index_table("idx_uri", identifier_text("value"), comment="Addresses and canonicals")
Index("idx_uri_value_idx", idx_uri.c.param, idx_uri.c.value, idx_uri.c.rid)
Index("idx_uri_rid_idx", idx_uri.c.rid)

idx_composite = index_table(
    "idx_composite",
    Column(
        "system", Integer, nullable=False, comment="of the first component's code, as idx_token"
    ),
    identifier_text("code", comment="of the first component"),
    Column("value_system", Integer, comment="of the second component's code or unit"),
    identifier_text(
        "value",
        nullable=True,
        comment="the second component: code, code of the unit, folded text, address elsewhere",
    ),
    Column("unit", Text(collation="C"), comment="as people read it"),
    *measure_columns(nullable=True),
    instant("first", nullable=True, comment="as idx_date.low"),
    instant("last", nullable=True, comment="as idx_date.high"),
    Column("target", BigInteger, comment="as idx_reference.target"),
    Column("third", Numeric, comment="the third component, a number"),
    comment="What one element holds for the two or three components of a composite parameter",
)
Index(
    "idx_composite_code_idx",
    idx_composite.c.param,
    idx_composite.c.code,
    idx_composite.c.canonical_low,
    idx_composite.c.rid,
)
Index("idx_composite_rid_idx", idx_composite.c.rid)

idx_position = index_table(
    "idx_position",
    Column("latitude", Double, nullable=False, comment="degrees"),
    Column("longitude", Double, nullable=False, comment="degrees"),
    comment="Where on earth a Location is",
)
Index(
    "idx_position_place_idx",
    idx_position.c.param,
    idx_position.c.latitude,
    idx_position.c.longitude,
    idx_position.c.rid,
)
Index("idx_position_rid_idx", idx_position.c.rid)

access_grant = Table(
    "access_grant",
    metadata,
    Column("shard", SmallInteger, nullable=False),
    Column("organization", BigInteger, nullable=False, comment="who may see"),
    Column("rid", BigInteger, nullable=False, comment="what"),
    Column("because", BigInteger, nullable=False, comment="rid of the resource that decided it"),
    Column("rule", Text, nullable=False, comment="which rule of record.grants"),
    instant("since"),
    instant("until", nullable=True, comment="null: while the reason stands"),
    Column(
        "labels",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="sensitivity classes that it covers, a bit for each",
    ),
    Column(
        "dataset",
        SmallInteger,
        nullable=False,
        server_default=text("0"),
        comment="r4.datasets number of what is shown of it; 0: the whole",
    ),
    PrimaryKeyConstraint("organization", "rid", "because", "rule"),
    CheckConstraint(
        "rule in ('party', 'referral', 'result', 'release', 'team', 'deputy')", name="rule_known"
    ),
    comment="Decisions about one row, made in the transaction of the change that altered them",
)

Index("access_grant_because_idx", access_grant.c.because)

access_rule = Table(
    "access_rule",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "actor",
        BigInteger,
        nullable=False,
        comment="rid of the organization or person it is about; 0: everyone",
    ),
    Column("patient", BigInteger, nullable=False, comment="rid of the Patient whose chart it is"),
    Column("permit", Boolean, nullable=False, comment="false: denies"),
    Column(
        "precedence",
        BigInteger,
        nullable=False,
        comment="of the rules that match the highest decides, of equals the denial",
    ),
    Column("types", ARRAY(SmallInteger), comment="r4.types numbers; null: all"),
    Column("rids", ARRAY(BigInteger), comment="these resources; null: all"),
    Column("only_labels", BigInteger, comment="what has one of these classes; null: all"),
    Column(
        "covers",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="a permit matches only what has no other sensitivity classes than these",
    ),
    Column("systems", ARRAY(Integer), comment="code_system.id, beside codes"),
    Column("codes", ARRAY(Text), comment="what has one of these codes; null: all"),
    instant("data_from", nullable=True, comment="of the time of care; null: open"),
    instant("data_to", nullable=True, comment="first instant no longer meant; null: open"),
    Column("purposes", ARRAY(Text), comment="v3-ActReason; null: any"),
    instant("since"),
    instant("until", nullable=True, comment="null: while the reason stands"),
    Column("because", BigInteger, nullable=False, comment="rid of the resource that decided it"),
    Column("rule", Text, nullable=False),
    CheckConstraint(
        "rule in ('consent', 'treatment', 'team', 'break-glass', 'proxy')", name="rule_known"
    ),
    CheckConstraint("(codes is null) = (systems is null)", name="codes_have_systems"),
    comment="Decisions about a patient's chart: provisions of Consents, treatment relationships",
)
Index("access_rule_patient_actor_idx", access_rule.c.patient, access_rule.c.actor)
Index("access_rule_actor_idx", access_rule.c.actor, postgresql_where=text("permit"))
Index("access_rule_because_idx", access_rule.c.because)

party = Table(
    "party",
    metadata,
    Column(
        "organization",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of Organization or person",
    ),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="treatment: of Organization.type prov; vsp: victim service provider",
    ),
    CheckConstraint("kind in ('treatment', 'social', 'vsp', 'person')", name="kind_known"),
    comment="What kind of party an organization is, by the directory; who is not here is social",
)

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
    CheckConstraint("profile in ('r4', 'sdoh-cc', 'bser', '360x', 'cow')", name="profile_known"),
    comment="What was agreed with an organization; who is not here speaks r4",
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

episode = Table(
    "episode",
    metadata,
    Column("id", BigInteger, primary_key=True, comment="rid of the sender's Task"),
    Column("shard", SmallInteger, nullable=False),
    Column("requester", BigInteger, nullable=False, comment="rid of the organization that refers"),
    Column(
        "request",
        BigInteger,
        nullable=False,
        comment="rid of the sender's ServiceRequest; 0: not fetched yet",
    ),
    Column("patient", BigInteger),
    Column("state", Text, nullable=False, comment="open until the sender's Task is terminal"),
    instant("opened_at"),
    instant("planned_at", nullable=True, comment="when the hub asked its candidates"),
    instant("closed_at", nullable=True),
    CheckConstraint("state in ('open', 'closed')", name="state_known"),
    CheckConstraint("(state = 'closed') = (closed_at is not null)", name="closed_has_time"),
    comment="One referral: its row is the lock that serialises everything said about it",
)
Index("episode_request_idx", episode.c.request)
Index("episode_patient_idx", episode.c.patient)

candidate = Table(
    "candidate",
    metadata,
    Column("episode", BigInteger, nullable=False),
    Column("ordinal", SmallInteger, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column(
        "organization",
        BigInteger,
        nullable=False,
        comment="rid of the organization asked; 0: a Task of a pool that nobody has claimed",
    ),
    Column("recipient", Text, nullable=False, comment="reference of the recipient as addressed"),
    Column("task", BigInteger, nullable=False, unique=True, comment="rid of the hub's Task"),
    Column("request", BigInteger, nullable=False, comment="rid of the hub's ServiceRequest"),
    Column("status", Text, nullable=False, comment="Task.status, as last committed"),
    Column("need", SmallInteger, nullable=False, comment="need.ordinal of what it is asked for"),
    Column("wave", SmallInteger, nullable=False, comment="asked together: one number, from 1"),
    Column("reason", Text, comment="code of Task.statusReason, where it is one of the hub's"),
    instant("asked_at"),
    instant("delivered_at", nullable=True, comment="first delivery its Endpoint acknowledged"),
    instant("seen_at", nullable=True, comment="first authorised read by its organization"),
    instant("accepted_at", nullable=True),
    instant("started_at", nullable=True, comment="first in-progress"),
    instant("ended_at", nullable=True),
    PrimaryKeyConstraint("episode", "ordinal"),
    comment="Who was asked for a referral and how far it went; rebuilt from the Tasks by reproject",
)
Index("candidate_request_idx", candidate.c.request)
Index("candidate_organization_idx", candidate.c.organization, candidate.c.asked_at)

need = Table(
    "need",
    metadata,
    Column("episode", BigInteger, nullable=False),
    Column("ordinal", SmallInteger, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("request", BigInteger, nullable=False, comment="rid of the sender's ServiceRequest"),
    Column("kind", Text, nullable=False, comment="kind of need by its codes; empty: of no kind"),
    Column("strategy", Text, nullable=False, comment="how those who could meet it are asked"),
    Column("state", Text, nullable=False, comment="as its Tasks have it"),
    Column("wave", SmallInteger, nullable=False, comment="the last that was asked; 0: none yet"),
    Column("reason", Text, comment="code of why nobody else can be asked"),
    instant("opened_at"),
    instant("next_at", nullable=True, comment="when its strategy takes the next step by itself"),
    instant("closed_at", nullable=True),
    PrimaryKeyConstraint("episode", "ordinal"),
    CheckConstraint(
        "state in ('open', 'won', 'queued', 'met', 'unmet', 'withdrawn')", name="state_known"
    ),
    CheckConstraint(
        "(state in ('met', 'unmet', 'withdrawn')) = (closed_at is not null)",
        name="closed_has_time",
    ),
    CheckConstraint(
        "strategy in ('direct', 'sequential', 'broadcast', 'broadcast-choose', 'pool', 'waves')",
        name="strategy_known",
    ),
    comment="One thing asked for by a referral; rebuilt from the Tasks by reproject",
)
Index("need_request_idx", need.c.request)
Index("need_due_idx", need.c.next_at, postgresql_where=text("next_at is not null"))

prospect = Table(
    "prospect",
    metadata,
    Column("episode", BigInteger, nullable=False),
    Column("need", SmallInteger, nullable=False),
    Column("rank", SmallInteger, nullable=False, comment="in the order in which they are asked"),
    Column("shard", SmallInteger, nullable=False),
    Column("organization", BigInteger, nullable=False, comment="rid of the organization"),
    Column("recipient", Text, nullable=False, comment="reference of the recipient"),
    Column("verdict", Text, nullable=False, comment="in: may be asked; out: may not, see findings"),
    Column("score", Double, nullable=False),
    Column("findings", Text, nullable=False, comment="JSON: criterion, outcome, code; no content"),
    Column("asked", BigInteger, comment="rid of the Task that asks it"),
    PrimaryKeyConstraint("episode", "need", "rank"),
    CheckConstraint("verdict in ('in', 'out')", name="verdict_known"),
    comment="Who could meet a need, ranked, with why and why not as of when it was looked for",
)

errand = Table(
    "errand",
    metadata,
    Column("task", BigInteger, primary_key=True, autoincrement=False, comment="rid of the Task"),
    Column("shard", SmallInteger, nullable=False),
    Column("episode", BigInteger, comment="the referral it is about, if it is about one"),
    Column("kind", Text, nullable=False, comment="code of the Task"),
    Column("owner", BigInteger, nullable=False, comment="rid of who is to do it"),
    Column("subject", BigInteger, nullable=False, comment="rid of what it is about"),
    instant("opened_at"),
    instant("closed_at", nullable=True),
    comment="What the hub asks a person other than to meet a need; rebuilt from the Tasks by reproject",
)
Index("errand_episode_idx", errand.c.episode)
Index("errand_open_idx", errand.c.owner, postgresql_where=text("closed_at is null"))
Index("errand_subject_idx", errand.c.subject)

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

timer = Table(
    "timer",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("episode", BigInteger, comment="the referral it is about, if it is about one"),
    Column("kind", Text, nullable=False),
    Column(
        "subject",
        BigInteger,
        nullable=False,
        comment="rid of the Task that is waited for; a Consent that ends; an organization to be reminded",
    ),
    instant("since", comment="from when it counts"),
    instant("due_at"),
    instant("stood_at", nullable=True, comment="since when it stands; null: it runs"),
    instant("fired_at", nullable=True),
    UniqueConstraint("subject", "kind"),
    CheckConstraint(
        "kind in ('receipt', 'accept-half', 'accept-due', 'accept-by', 'first-contact',"
        " 'progress', 'progress-overdue', 'appointment', 'consult-note', 'result', 'waitlist', 'whole',"
        " 'errand', 'errand-escalation', 'consent-end', 'digest')",
        name="kind_known",
    ),
    comment="What is to happen if nothing happens, set in the transaction of the change that needs it",
)
Index(
    "timer_due_idx",
    timer.c.due_at,
    postgresql_where=text("fired_at is null and stood_at is null"),
)
Index("timer_episode_idx", timer.c.episode)

reminder = Table(
    "reminder",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("organization", BigInteger, nullable=False, comment="rid of who is reminded"),
    Column("episode", BigInteger, comment="the referral it is about, if it is about one"),
    Column("subject", BigInteger, nullable=False, comment="rid of the Task it refers to"),
    Column("waited_for", BigInteger, nullable=False, comment="rid of what the timer is about"),
    Column("kind", Text, nullable=False, comment="of the timer that has run out"),
    instant("at", comment="when it ran out"),
    instant("told_at", nullable=True, comment="when it was told, or had become pointless"),
    Column("communication", BigInteger, comment="rid of the Communication that told it"),
    CheckConstraint("communication is null or told_at is not null", name="told_has_time"),
    comment="What organizations are to be reminded of, once a day",
)
Index("reminder_waiting_idx", reminder.c.organization, postgresql_where=text("told_at is null"))
Index("reminder_told_idx", reminder.c.organization, reminder.c.told_at)
Index("reminder_communication_idx", reminder.c.communication)

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

subscription = Table(
    "subscription",
    metadata,
    Column("rid", BigInteger, primary_key=True, autoincrement=False, comment="of the Subscription"),
    Column("shard", SmallInteger, nullable=False),
    Column("organization", BigInteger, nullable=False, comment="rid of whom it tells"),
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
    PrimaryKeyConstraint("subscription", "number"),
    comment="Events of subscriptions, in the order of their commits",
)

feed = Table(
    "feed",
    metadata,
    Column("name", Text, primary_key=True),
    Column("xid", Xid8(), nullable=False),
    Column("seq", BigInteger, nullable=False),
    comment="How far the change log was followed; the row is the lock of who follows it",
)

client = Table(
    "client",
    metadata,
    identifier_text("id"),
    Column(
        "organization",
        BigInteger,
        nullable=False,
        comment="rid of the Organization it acts for, or of the Patient or RelatedPerson",
    ),
    Column(
        "scopes",
        Text,
        nullable=False,
        comment="SMART system scopes, space separated: the most it may ask",
    ),
    Column("update_as_create", Boolean, nullable=False, server_default=text("false")),
    Column(
        "reference_policy",
        Text,
        nullable=False,
        server_default=text("'refuse'"),
        comment="what becomes of a write with a reference that leads nowhere: refuse, warn, quarantine",
    ),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    instant("created_at"),
    Column(
        "role",
        Text,
        nullable=False,
        server_default=text("'system'"),
        comment="system: of an organization; privacy-officer: of one's privacy officer; "
        "person: of a patient or who acts for one",
    ),
    Column(
        "break_glass",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="may open a patient's record in an emergency",
    ),
    CheckConstraint(
        "reference_policy in ('refuse', 'warn', 'quarantine')", name="reference_policy_known"
    ),
    CheckConstraint("role in ('system', 'privacy-officer', 'person')", name="role_known"),
    CheckConstraint("role <> 'person' or not break_glass", name="person_treats_nobody"),
    PrimaryKeyConstraint("id"),
    comment="Software that may call the hub, each bound to one organization or person",
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("organization", BigInteger, nullable=False),
    identifier_text("key"),
    Column(
        "fingerprint", LargeBinary, nullable=False, comment="SHA-256 of method, address and body"
    ),
    Column("outcome", JSONB, comment="what was written: type, id, version of each entry"),
    instant("at"),
    PrimaryKeyConstraint("organization", "key"),
    comment="Idempotency-Key of accepted requests, in the commit of what they wrote",
)

order_number = Table(
    "order_number",
    metadata,
    Column("organization", BigInteger, nullable=False, comment="rid of who gave it"),
    Column("type", SmallInteger, nullable=False, comment="of what it was given to"),
    identifier_text("number", comment="digest of type, system and value"),
    Column("content", LargeBinary, nullable=False, comment="SHA-256 of the resource as sent"),
    Column("request", LargeBinary, nullable=False, comment="SHA-256 of the request it came with"),
    Column("rid", BigInteger, comment="what it was given to; null: being written"),
    Column("outcome", JSONB, comment="what was written: type, id, version of each operation"),
    instant("at"),
    PrimaryKeyConstraint("organization", "type", "number"),
    Index(None, "rid"),
    comment="Which orders and Tasks an organization has sent, by the numbers that it gave them",
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    instant("at"),
    Column("client", Text, comment="client.id; null for the hub itself and for strangers"),
    Column("organization", BigInteger, comment="rid of who acted or to whom it was disclosed"),
    Column(
        "interaction", Text, nullable=False, comment="read, search-type, update, disclosure ..."
    ),
    Column("outcome", SmallInteger, nullable=False, comment="HTTP status; 0: not over HTTP"),
    Column("type", SmallInteger),
    identifier_text("fhir_id", nullable=True, comment="as asked for, also when refused"),
    Column(
        "rids",
        ARRAY(BigInteger),
        nullable=False,
        comment="the resources that were shown or written",
    ),
    Column("query", Text, comment="search criteria: content, hence only here"),
    Column("delivery", Uuid, comment="the disclosure's delivery"),
    Column("request_id", Text),
    Column(
        "xid",
        Xid8(),
        nullable=False,
        server_default=text("pg_current_xact_id()"),
        comment="the transaction that wrote it: what is below every running one is final",
    ),
    comment="Who did or saw what, append only, durable before the answer",
)
Index("audit_organization_idx", audit.c.organization, audit.c.at)
Index(
    "audit_break_glass_idx",
    audit.c.organization,
    audit.c.at,
    postgresql_where=text("interaction = '$break-glass'"),
)
Index("audit_xid_idx", audit.c.xid, audit.c.seq)
Index("audit_at_idx", audit.c.at, postgresql_using="brin")
Index("audit_rids_idx", audit.c.rids, postgresql_using="gin")

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    instant("sealed_at"),
    Column("until_xid", Xid8(), nullable=False, comment="rows before (until_xid, until_seq),"),
    Column("until_seq", BigInteger, nullable=False, comment="and not before the seal before it"),
    Column(
        "own_xid",
        Xid8(),
        nullable=False,
        comment="the transaction that made it: all after it began later",
    ),
    Column("rows", Integer, nullable=False),
    Column("leaves", LargeBinary, nullable=False, comment="of each row: seq, and half its MAC"),
    Column("mac", LargeBinary, nullable=False, comment="over all of this and the seal before it"),
    Column("key", Text, nullable=False, comment="which key: the start of its hash"),
    CheckConstraint("octet_length(leaves) = rows * 24", name="leaf_for_each_row"),
    comment="Seals of closed stretches of the audit, each over the one before it",
)

label_code = Table(
    "label_code",
    metadata,
    identifier_text("name", comment="sensitivity class"),
    identifier_text("system"),
    identifier_text("code", comment="ends in * where it stands for all that begins so"),
    Column(
        "listed",
        Boolean,
        nullable=False,
        comment="false: taken out of the list that coordhub brings",
    ),
    PrimaryKeyConstraint("name", "system", "code"),
    comment="What an operator added to the code lists that coordhub brings, or took out",
)

label_source = Table(
    "label_source",
    metadata,
    Column(
        "organization",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of the organization",
    ),
    Column(
        "labels",
        BigInteger,
        nullable=False,
        comment="sensitivity classes of all it writes about people, a bit for each",
    ),
    comment="Organizations whose records are sensitive by who wrote them, such as Part 2 programs",
)

label_lowered = Table(
    "label_lowered",
    metadata,
    Column("rid", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "labels",
        BigInteger,
        nullable=False,
        comment="sensitivity classes that no code or origin gives it any more",
    ),
    comment="Labels that a privacy officer took away; who, when and why is in the audit",
)

vsp_mark = Table(
    "vsp_mark",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("organization", BigInteger, nullable=False, comment="rid of the Organization"),
    Column(
        "act",
        Text,
        nullable=False,
        comment="mark; propose, confirm: of its removal, which takes two persons",
    ),
    Column("account", Text, nullable=False, comment="who did it"),
    Column("reason", Text, nullable=False),
    instant("at"),
    CheckConstraint("act in ('mark', 'propose', 'confirm')", name="act_known"),
    comment="What was done about the mark of victim service providers, append only",
)
Index("vsp_mark_organization_idx", vsp_mark.c.organization)

vsp_release = Table(
    "vsp_release",
    metadata,
    Column(
        "consent",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="rid of the provider's Consent",
    ),
    Column("task", BigInteger, nullable=False, comment="rid of the Task that asks the provider"),
    Column(
        "told", BigInteger, nullable=False, comment="rid of the hub's Task that tells the status"
    ),
    Column("organization", BigInteger, nullable=False, comment="rid of whom it is told"),
    instant("until"),
    comment="Written releases of victim service providers: one referral's status, to one agency",
)
Index("vsp_release_task_idx", vsp_release.c.task)

expunge = Table(
    "expunge",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("what", Text, nullable=False, comment="resource, versions (the old ones) or patient"),
    Column("rid", BigInteger, nullable=False),
    Column("type", SmallInteger, nullable=False, comment="r4.types number"),
    identifier_text("fhir_id"),
    Column("reason", Text, nullable=False, comment="as the proposer wrote it; no content"),
    Column("proposed_by", Text, nullable=False),
    instant("proposed_at"),
    Column("confirmed_by", Text, comment="somebody else"),
    instant("confirmed_at", nullable=True),
    CheckConstraint("what in ('resource', 'versions', 'patient')", name="what_known"),
    CheckConstraint(
        "(confirmed_by is null) = (confirmed_at is null)", name="confirmed_by_somebody"
    ),
    CheckConstraint("lower(confirmed_by) <> lower(proposed_by)", name="two_persons"),
    comment="Proposals to remove content for ever, and who confirmed them",
)

expunged = Table(
    "expunged",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("rid", BigInteger, nullable=False),
    Column("type", SmallInteger, nullable=False, comment="r4.types number"),
    identifier_text("fhir_id"),
    Column(
        "version", Integer, nullable=False, comment="the content of this and all before it is gone"
    ),
    Column("whole", Boolean, nullable=False, comment="false: later versions stayed"),
    instant("at"),
    Column("act", BigInteger, comment="expunge.id; null: by a retention schedule"),
    comment="The expunge log: what has to be removed again after a backup was restored; ids only",
)
Index("expunged_rid_idx", expunged.c.rid)

legal_hold = Table(
    "legal_hold",
    metadata,
    Column("patient", BigInteger, primary_key=True, autoincrement=False, comment="rid"),
    Column("reason", Text, nullable=False, comment="no content"),
    Column("held_by", Text, nullable=False),
    instant("since"),
    comment="Patients of whose chart nothing is removed",
)

retention = Table(
    "retention",
    metadata,
    identifier_text("subject", comment="a resource type, a sensitivity class, audit, delivery ..."),
    Column("type", SmallInteger, comment="r4.types number, where it is a type"),
    Column("labels", BigInteger, comment="its bit, where it is a sensitivity class"),
    Column("keep", Text, comment="ISO 8601 duration; null: for ever (again)"),
    Column("since", Text, nullable=False, comment="from when it counts: update, care"),
    instant("ran_at", nullable=True, comment="when nothing more was due"),
    instant("done_until", nullable=True, comment="what is older may be gone"),
    Column(
        "done_seal", BigInteger, comment="of the audit: under seals up to this one nothing is left"
    ),
    PrimaryKeyConstraint("subject"),
    CheckConstraint("since in ('update', 'care')", name="since_known"),
    CheckConstraint("type is null or labels is null", name="one_kind"),
    comment="How long what is kept, and how far that was carried out",
)
