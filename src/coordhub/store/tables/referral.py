"""Referrals: needs, who could meet them and who was asked, errands and timers; projections of Tasks."""

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
    UniqueConstraint,
    text,
)

from coordhub.store.tables.columns import instant, metadata

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
Index(
    "episode_open_idx",
    episode.c.requester,
    episode.c.opened_at,
    postgresql_where=text("closed_at is null"),
)
Index(
    "episode_closed_idx",
    episode.c.requester,
    episode.c.opened_at,
    postgresql_where=text("closed_at is not null"),
)

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
    Column(
        "task",
        BigInteger,
        nullable=False,
        unique=True,
        comment="rid of the hub's Task; the episode's id: the sender's own, which both share",
    ),
    Column(
        "request",
        BigInteger,
        nullable=False,
        comment="rid of the hub's ServiceRequest; of a shared Task the sender's",
    ),
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
Index(
    "candidate_open_idx",
    candidate.c.organization,
    candidate.c.asked_at,
    postgresql_where=text("ended_at is null"),
)
Index(
    "candidate_ended_idx",
    candidate.c.organization,
    candidate.c.asked_at,
    postgresql_where=text("ended_at is not null"),
)

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
Index(
    "errand_open_idx",
    errand.c.owner,
    errand.c.opened_at,
    postgresql_where=text("closed_at is null"),
)
Index(
    "errand_closed_idx",
    errand.c.owner,
    errand.c.opened_at,
    postgresql_where=text("closed_at is not null"),
)
Index("errand_subject_idx", errand.c.subject)

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
