"""Who may see what, and what is kept apart or called by its class."""

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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from coordhub.store.tables.columns import Xid8, identifier_text, instant, metadata


def _decided() -> Column[int]:
    return Column(
        "xid",
        Xid8(),
        nullable=False,
        server_default=text("pg_current_xact_id()"),
        comment="of the transaction that last decided it: what was shown since, a change feed tells",
    )


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
    Column(
        "lapses",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="until was set beforehand: it ends by time, and not because its reason has gone",
    ),
    _decided(),
    PrimaryKeyConstraint("organization", "rid", "because", "rule"),
    CheckConstraint(
        "rule in ('party', 'referral', 'result', 'release', 'team', 'deputy')", name="rule_known"
    ),
    comment="Decisions about one row, made in the transaction of the change that altered them",
)
Index("access_grant_because_idx", access_grant.c.because)
Index("access_grant_feed_idx", access_grant.c.organization, access_grant.c.xid, access_grant.c.rid)

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
    _decided(),
    CheckConstraint(
        "rule in ('consent', 'treatment', 'team', 'break-glass', 'proxy')", name="rule_known"
    ),
    CheckConstraint("(codes is null) = (systems is null)", name="codes_have_systems"),
    comment="Decisions about a patient's chart: provisions of Consents, treatment relationships",
)
Index("access_rule_patient_actor_idx", access_rule.c.patient, access_rule.c.actor)
Index("access_rule_actor_idx", access_rule.c.actor, postgresql_where=text("permit"))
Index("access_rule_because_idx", access_rule.c.because)
Index("access_rule_feed_idx", access_rule.c.actor, access_rule.c.xid)
Index("access_rule_begins_idx", access_rule.c.actor, access_rule.c.since)
Index("access_rule_ends_idx", access_rule.c.actor, access_rule.c.until)
Index(
    "access_rule_emergency_idx",
    access_rule.c.patient,
    postgresql_where=text("rule = 'break-glass'"),
)

emergency_review = Table(
    "emergency_review",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "notice", BigInteger, nullable=False, comment="rid of the Communication that told of it"
    ),
    Column("patient", BigInteger, nullable=False, comment="rid of the Patient whose record it was"),
    Column("organization", BigInteger, nullable=False, comment="rid of whose officer it was"),
    Column("verdict", Text, nullable=False),
    Column("said", Text, nullable=False, comment="what was found, in a sentence"),
    Column("account", Text, nullable=False, comment="whose account it was"),
    instant("at"),
    CheckConstraint("verdict in ('justified', 'followed-up')", name="verdict_known"),
    comment="What privacy officers noted of emergencies, append only; of one the newest stands",
)
Index("emergency_review_notice_idx", emergency_review.c.notice)
Index("emergency_review_patient_idx", emergency_review.c.patient)

revealed = Table(
    "revealed",
    metadata,
    Column("shard", SmallInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    _decided(),
    PrimaryKeyConstraint("xid", "rid"),
    comment="What may be shown to more than before without a new version, grant or rule, append only",
)

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
        comment="mark; propose, confirm, refuse: of its removal, which takes two persons",
    ),
    Column("account", Text, nullable=False, comment="who did it"),
    Column("reason", Text, nullable=False),
    instant("at"),
    CheckConstraint("act in ('mark', 'propose', 'confirm', 'refuse')", name="act_known"),
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
