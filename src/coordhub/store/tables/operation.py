"""What the hub keeps of itself: clients, keys of requests, the audit, what is removed and when."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from coordhub.store.tables.columns import Xid8, identifier_text, instant, metadata

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
    Column("jwks", Text, comment="its public keys (RFC 7517), by which it asks for tokens itself"),
    Column("jwks_uri", Text, comment="where these are looked up instead"),
    Column(
        "redirect_uris",
        ARRAY(Text),
        comment="where people come back to from here, of an app; null: it is none",
    ),
    Column("title", Text, comment="what people are told that an app is called"),
    Column("launch_uri", Text, comment="where an app begins that is opened from here"),
    Column("per_second", Double, comment="requests at most; null, as below: as the settings say"),
    Column("burst", Integer, comment="requests at once, after a while without any"),
    Column("at_once", Integer, comment="requests under way at the same time"),
    Column("per_day", Integer, comment="requests in a day, UTC"),
    CheckConstraint(
        "per_second > 0 and burst > 0 and at_once > 0 and per_day > 0", name="may_ask_something"
    ),
    CheckConstraint("jwks is null or jwks_uri is null", name="keys_in_one_place"),
    CheckConstraint(
        "reference_policy in ('refuse', 'warn', 'quarantine')", name="reference_policy_known"
    ),
    CheckConstraint("role in ('system', 'privacy-officer', 'person')", name="role_known"),
    CheckConstraint("role <> 'person' or not break_glass", name="person_treats_nobody"),
    PrimaryKeyConstraint("id"),
    comment="Software that may call the hub, each bound to one organization or person",
)
Index("client_organization_idx", client.c.organization)

client_use = Table(
    "client_use",
    metadata,
    identifier_text("client", comment="client.id"),
    Column("day", Integer, nullable=False, comment="days since 1970-01-01, UTC"),
    Column(
        "given",
        BigInteger,
        nullable=False,
        comment="requests of this day that processes were given to let through",
    ),
    Column("portion", Integer, nullable=False, comment="the last of it"),
    PrimaryKeyConstraint("client", "day"),
    comment="How many requests of a day the clients were given that have a number for each day",
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
    Column("person", Text(collation="C"), comment="person.id of who let the client act, an app"),
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

operator = Table(
    "operator",
    metadata,
    Column("name", Text, primary_key=True),
    Column("scopes", Text, nullable=False, comment="what it may do by the admin API at most"),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    instant("created_at"),
    comment="Who may operate the hub by HTTP; of no organization, and never a partner's client",
)

pause = Table(
    "pause",
    metadata,
    Column("why", Text, primary_key=True),
    instant("since"),
    instant("shows", nullable=True, comment="the last instant that a restored backup knows of"),
    CheckConstraint("why in ('restored', 'operator')", name="why_known"),
    comment="While there is a row, nothing is sent to partners",
)

trace = Table(
    "trace",
    metadata,
    Column("rid", BigInteger, nullable=False, comment="of the resource that changed"),
    Column("version", Integer, nullable=False),
    Column("parent", Text, nullable=False, comment="W3C traceparent of the commit"),
    instant("at"),
    PrimaryKeyConstraint("rid", "version"),
    comment="By which request a change came, for tracing; empty while tracing is off",
)
Index("trace_at_idx", trace.c.at)
