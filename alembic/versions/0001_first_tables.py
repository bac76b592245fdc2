"""first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSequence, DropSequence

from coordhub.store.tables import Xid8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(CreateSequence(sa.Sequence("rid_block", start=16)))
    op.create_table(
        "access_grant",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("organization", sa.BigInteger(), nullable=False, comment="who may see"),
        sa.Column("rid", sa.BigInteger(), nullable=False, comment="what"),
        sa.Column(
            "because",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the resource that decided it",
        ),
        sa.Column("rule", sa.Text(), nullable=False, comment="which rule of record.grants"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: while the reason stands",
        ),
        sa.CheckConstraint(
            "rule in ('party', 'referral', 'result')", name=op.f("access_grant_rule_known")
        ),
        sa.PrimaryKeyConstraint(
            "organization", "rid", "because", "rule", name=op.f("access_grant_pkey")
        ),
        comment="Decisions about visibility, made in the transaction of the change that altered them",
    )
    op.create_index("access_grant_because_idx", "access_grant", ["because"], unique=False)
    op.create_table(
        "assigned_id",
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("fhir_id", sa.Text(collation="C"), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("type", "fhir_id", name=op.f("assigned_id_pkey")),
        comment="Ids that a client chose (update as create): unique over all shards, and where they live",
    )
    op.create_table(
        "attempt",
        sa.Column("delivery", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "outcome", sa.Text(), nullable=False, comment="delivered, refused or unreachable"
        ),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status, when there was one"),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True, comment="class of failure; no content"),
        sa.CheckConstraint(
            "outcome in ('delivered', 'refused', 'unreachable')", name=op.f("attempt_outcome_known")
        ),
        sa.PrimaryKeyConstraint("delivery", "number", name=op.f("attempt_pkey")),
        comment="Every time the hub spoke to a partner, append only",
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "client",
            sa.Text(),
            nullable=True,
            comment="client.id; null for the hub itself and for strangers",
        ),
        sa.Column(
            "organization",
            sa.BigInteger(),
            nullable=True,
            comment="rid of who acted or to whom it was disclosed",
        ),
        sa.Column(
            "interaction",
            sa.Text(),
            nullable=False,
            comment="read, search-type, update, disclosure ...",
        ),
        sa.Column(
            "outcome", sa.SmallInteger(), nullable=False, comment="HTTP status; 0: not over HTTP"
        ),
        sa.Column("type", sa.SmallInteger(), nullable=True),
        sa.Column(
            "fhir_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="as asked for, also when refused",
        ),
        sa.Column(
            "rids",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="the resources that were shown or written",
        ),
        sa.Column(
            "query", sa.Text(), nullable=True, comment="search criteria: content, hence only here"
        ),
        sa.Column("delivery", sa.Uuid(), nullable=True, comment="the disclosure's delivery"),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("audit_pkey")),
        comment="Who did or saw what, append only, durable before the answer",
    )
    op.create_index("audit_organization_idx", "audit", ["organization", "at"], unique=False)
    op.create_table(
        "candidate",
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of the organization asked"
        ),
        sa.Column(
            "recipient",
            sa.Text(),
            nullable=False,
            comment="reference of the recipient as addressed",
        ),
        sa.Column("task", sa.BigInteger(), nullable=False, comment="rid of the hub's Task"),
        sa.Column(
            "request", sa.BigInteger(), nullable=False, comment="rid of the hub's ServiceRequest"
        ),
        sa.Column("status", sa.Text(), nullable=False, comment="Task.status, as last committed"),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "delivered_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="first delivery its Endpoint acknowledged",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="first authorised read by its organization",
        ),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("episode", "ordinal", name=op.f("candidate_pkey")),
        sa.UniqueConstraint("task", name=op.f("candidate_task_key")),
        comment="Who was asked for a referral and how far it went; rebuilt from the Tasks by reproject",
    )
    op.create_index("candidate_request_idx", "candidate", ["request"], unique=False)
    op.create_table(
        "change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column(
            "author",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "episode",
            sa.BigInteger(),
            nullable=True,
            comment="the referral it belongs to; null: nothing to route",
        ),
        sa.Column(
            "relayed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the relay planned its deliveries",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("change_pkey")),
        sa.UniqueConstraint("rid", "version", name=op.f("change_rid_version_key")),
        comment="The outbox: one row for every version, in the commit that made it",
    )
    op.create_index(
        "change_to_relay_idx",
        "change",
        ["episode", "seq"],
        unique=False,
        postgresql_where=sa.text("relayed_at is null and episode is not null"),
    )
    op.create_index(
        "change_unrelayed_idx",
        "change",
        ["seq"],
        unique=False,
        postgresql_where=sa.text("relayed_at is null and episode is not null"),
    )
    op.create_table(
        "client",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "organization",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Organization it acts for",
        ),
        sa.Column(
            "scopes",
            sa.Text(),
            nullable=False,
            comment="SMART system scopes, space separated: the most it may ask",
        ),
        sa.Column(
            "update_as_create", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("client_pkey")),
        comment="Software that may call the hub, each bound to one organization",
    )
    op.create_table(
        "code_system",
        sa.Column("id", sa.Integer(), sa.Identity(always=False, start=1), nullable=False),
        sa.Column("uri", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("code_system_pkey")),
        sa.UniqueConstraint("uri", name=op.f("code_system_uri_key")),
        comment="Interned Coding.system and Identifier.system; 0 in an index row means none was stated",
    )
    op.create_table(
        "delivery",
        sa.Column(
            "id", sa.Uuid(), nullable=False, comment="also the Idempotency-Key towards the partner"
        ),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False, comment="change.seq"),
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("organization", sa.BigInteger(), nullable=False, comment="rid of the recipient"),
        sa.Column(
            "endpoint",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Endpoint; 0: the inbox at the hub",
        ),
        sa.Column("rid", sa.BigInteger(), nullable=False, comment="what changed"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False, comment="not before"),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="a worker holds it until then",
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="why suppressed, dead or parked; no content"
        ),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_until is not null)",
            name=op.f("delivery_lease_only_when_leased"),
        ),
        sa.CheckConstraint(
            "(state in ('delivered', 'suppressed', 'dead')) = (settled_at is not null)",
            name=op.f("delivery_settled_has_time"),
        ),
        sa.CheckConstraint(
            "state in ('queued', 'leased', 'parked', 'delivered', 'suppressed', 'dead')",
            name=op.f("delivery_state_known"),
        ),
        sa.CheckConstraint(
            "state not in ('suppressed', 'dead', 'parked') or reason is not null",
            name=op.f("delivery_reason_given"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_pkey")),
        sa.UniqueConstraint(
            "change",
            "organization",
            "endpoint",
            name=op.f("delivery_change_organization_endpoint_key"),
        ),
        comment="One row per change, recipient and target: the ledger of what was owed to whom",
    )
    op.create_index(
        "delivery_due_idx",
        "delivery",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("state in ('queued', 'leased', 'parked')"),
    )
    op.create_index("delivery_episode_idx", "delivery", ["episode"], unique=False)
    op.create_index(
        "delivery_order_idx",
        "delivery",
        ["endpoint", "episode", "seq"],
        unique=False,
        postgresql_where=sa.text("state in ('queued', 'leased', 'parked')"),
    )
    op.create_table(
        "episode",
        sa.Column("id", sa.BigInteger(), nullable=False, comment="rid of the sender's Task"),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "requester",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that refers",
        ),
        sa.Column(
            "request", sa.BigInteger(), nullable=False, comment="rid of the sender's ServiceRequest"
        ),
        sa.Column("patient", sa.BigInteger(), nullable=True),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="open until the sender's Task is terminal"
        ),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "planned_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the hub asked its candidates",
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'closed') = (closed_at is not null)", name=op.f("episode_closed_has_time")
        ),
        sa.CheckConstraint("state in ('open', 'closed')", name=op.f("episode_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("episode_pkey")),
        comment="One referral: its row is the lock that serialises everything said about it",
    )
    op.create_index("episode_request_idx", "episode", ["request"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("organization", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "fingerprint",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of method, address and body",
        ),
        sa.Column(
            "outcome",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what was written: type, id, version of each entry",
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization", "key", name=op.f("idempotency_pkey")),
        comment="Idempotency-Key of accepted requests, in the commit of what they wrote",
    )
    op.create_table(
        "idx_date",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column(
            "low", sa.DateTime(timezone=True), nullable=False, comment="first instant covered"
        ),
        sa.Column(
            "high",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="first instant no longer covered",
        ),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Dates as half-open intervals of their stated precision, UTC",
    )
    op.create_index("idx_date_low_idx", "idx_date", ["param", "low", "rid"], unique=False)
    op.create_index("idx_date_rid_idx", "idx_date", ["rid"], unique=False)
    op.create_table(
        "idx_reference",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column(
            "target", sa.BigInteger(), nullable=True, comment="rid of a resource of this hub"
        ),
        sa.Column(
            "uri", sa.Text(collation="C"), nullable=True, comment="an absolute reference elsewhere"
        ),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        sa.CheckConstraint(
            "(target is null) <> (uri is null)", name=op.f("idx_reference_one_target")
        ),
        comment="References, without versions",
    )
    op.create_index("idx_reference_rid_idx", "idx_reference", ["rid"], unique=False)
    op.create_index("idx_reference_target_idx", "idx_reference", ["target", "param"], unique=False)
    op.create_index(
        "idx_reference_uri_idx",
        "idx_reference",
        ["uri", "param"],
        unique=False,
        postgresql_where=sa.text("uri IS NOT NULL"),
    )
    op.create_table(
        "idx_string",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column(
            "value",
            sa.Text(collation="C"),
            nullable=False,
            comment="case and accents folded, for prefix search",
        ),
        sa.Column("exact", sa.Text(collation="C"), nullable=False, comment="as sent, for :exact"),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Names, addresses, titles",
    )
    op.create_index("idx_string_rid_idx", "idx_string", ["rid"], unique=False)
    op.create_index("idx_string_value_idx", "idx_string", ["param", "value", "rid"], unique=False)
    op.create_table(
        "idx_token",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column("system", sa.Integer(), nullable=False, comment="code_system.id, 0: none stated"),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Codes and identifiers",
    )
    op.create_index(
        "idx_token_code_idx", "idx_token", ["param", "code", "system", "rid"], unique=False
    )
    op.create_index(
        "idx_token_patient_idx", "idx_token", ["patient", "param", "code", "rid"], unique=False
    )
    op.create_index("idx_token_rid_idx", "idx_token", ["rid"], unique=False)
    op.create_table(
        "resource",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False, comment="r4.types number"),
        sa.Column("fhir_id", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "op",
            sa.Text(),
            nullable=False,
            comment="what made this version: create, update, delete",
        ),
        sa.Column(
            "updated",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="meta.lastUpdated of this version",
        ),
        sa.Column(
            "author",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote this version",
        ),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        sa.Column(
            "labels",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="a bit per sensitivity class",
        ),
        sa.Column(
            "body",
            sa.Text(),
            nullable=True,
            comment="the exact JSON of this version; null once deleted",
        ),
        sa.CheckConstraint(
            "(op = 'delete') = (body is null)", name=op.f("resource_deleted_has_no_body")
        ),
        sa.CheckConstraint("op in ('create', 'update', 'delete')", name=op.f("resource_op_known")),
        sa.CheckConstraint("rid & 255 = shard", name=op.f("resource_rid_carries_shard")),
        sa.CheckConstraint("version >= 1", name=op.f("resource_version_positive")),
        sa.PrimaryKeyConstraint("shard", "rid", name=op.f("resource_pkey")),
        sa.UniqueConstraint(
            "shard", "type", "fhir_id", name=op.f("resource_shard_type_fhir_id_key")
        ),
        comment="The current version of every resource",
    )
    op.create_index("resource_patient_idx", "resource", ["patient", "type", "rid"], unique=False)
    op.create_index("resource_source_idx", "resource", ["source", "type", "rid"], unique=False)
    op.create_index("resource_type_idx", "resource", ["type", "rid"], unique=False)
    op.create_index("resource_updated_idx", "resource", ["type", "updated", "rid"], unique=False)
    op.create_table(
        "resource_version",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        sa.Column("labels", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(op = 'delete') = (body is null)", name=op.f("resource_version_deleted_has_no_body")
        ),
        sa.CheckConstraint(
            "op in ('create', 'update', 'delete')", name=op.f("resource_version_op_known")
        ),
        sa.PrimaryKeyConstraint("shard", "rid", "version", name=op.f("resource_version_pkey")),
        comment="Superseded versions, append only; the current one is in resource",
    )
    op.create_table(
        "timer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "subject", sa.BigInteger(), nullable=False, comment="rid of the Task that is waited for"
        ),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('accept-by')", name=op.f("timer_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("timer_pkey")),
        sa.UniqueConstraint("subject", "kind", name=op.f("timer_subject_kind_key")),
        comment="What is to happen if nothing happens, set in the transaction of the change that needs it",
    )
    op.create_index(
        "timer_due_idx",
        "timer",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("fired_at is null"),
    )


def downgrade() -> None:
    op.execute(DropSequence(sa.Sequence("rid_block")))
    op.drop_index("timer_due_idx", table_name="timer", postgresql_where=sa.text("fired_at is null"))
    op.drop_table("timer")
    op.drop_table("resource_version")
    op.drop_index("resource_updated_idx", table_name="resource")
    op.drop_index("resource_type_idx", table_name="resource")
    op.drop_index("resource_source_idx", table_name="resource")
    op.drop_index("resource_patient_idx", table_name="resource")
    op.drop_table("resource")
    op.drop_index("idx_token_rid_idx", table_name="idx_token")
    op.drop_index("idx_token_patient_idx", table_name="idx_token")
    op.drop_index("idx_token_code_idx", table_name="idx_token")
    op.drop_table("idx_token")
    op.drop_index("idx_string_value_idx", table_name="idx_string")
    op.drop_index("idx_string_rid_idx", table_name="idx_string")
    op.drop_table("idx_string")
    op.drop_index(
        "idx_reference_uri_idx",
        table_name="idx_reference",
        postgresql_where=sa.text("uri IS NOT NULL"),
    )
    op.drop_index("idx_reference_target_idx", table_name="idx_reference")
    op.drop_index("idx_reference_rid_idx", table_name="idx_reference")
    op.drop_table("idx_reference")
    op.drop_index("idx_date_rid_idx", table_name="idx_date")
    op.drop_index("idx_date_low_idx", table_name="idx_date")
    op.drop_table("idx_date")
    op.drop_table("idempotency")
    op.drop_index("episode_request_idx", table_name="episode")
    op.drop_table("episode")
    op.drop_index(
        "delivery_order_idx",
        table_name="delivery",
        postgresql_where=sa.text("state in ('queued', 'leased', 'parked')"),
    )
    op.drop_index("delivery_episode_idx", table_name="delivery")
    op.drop_index(
        "delivery_due_idx",
        table_name="delivery",
        postgresql_where=sa.text("state in ('queued', 'leased', 'parked')"),
    )
    op.drop_table("delivery")
    op.drop_table("code_system")
    op.drop_table("client")
    op.drop_index(
        "change_unrelayed_idx",
        table_name="change",
        postgresql_where=sa.text("relayed_at is null and episode is not null"),
    )
    op.drop_index(
        "change_to_relay_idx",
        table_name="change",
        postgresql_where=sa.text("relayed_at is null and episode is not null"),
    )
    op.drop_table("change")
    op.drop_index("candidate_request_idx", table_name="candidate")
    op.drop_table("candidate")
    op.drop_index("audit_organization_idx", table_name="audit")
    op.drop_table("audit")
    op.drop_table("attempt")
    op.drop_table("assigned_id")
    op.drop_index("access_grant_because_idx", table_name="access_grant")
    op.drop_table("access_grant")
