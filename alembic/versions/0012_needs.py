"""needs of a referral, who could meet them, and errands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_needs"
down_revision = "0018_sources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "need",
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "request",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the sender's ServiceRequest",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="kind of need by its codes; empty: of no kind",
        ),
        sa.Column(
            "strategy",
            sa.Text(),
            nullable=False,
            comment="how those who could meet it are asked",
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="as its Tasks have it"),
        sa.Column(
            "wave",
            sa.SmallInteger(),
            nullable=False,
            comment="the last that was asked; 0: none yet",
        ),
        sa.Column("reason", sa.Text(), comment="code of why nobody else can be asked"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "next_at",
            sa.DateTime(timezone=True),
            comment="when its strategy takes the next step by itself",
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "state in ('open', 'won', 'queued', 'met', 'unmet', 'withdrawn')",
            name=op.f("need_state_known"),
        ),
        sa.CheckConstraint(
            "(state in ('met', 'unmet', 'withdrawn')) = (closed_at is not null)",
            name=op.f("need_closed_has_time"),
        ),
        sa.CheckConstraint(
            "strategy in ('direct', 'sequential', 'broadcast', 'broadcast-choose', 'waves')",
            name=op.f("need_strategy_known"),
        ),
        sa.PrimaryKeyConstraint("episode", "ordinal", name=op.f("need_pkey")),
        comment="One thing asked for by a referral; rebuilt from the Tasks by reproject",
    )
    op.create_index("need_request_idx", "need", ["request"])
    op.create_index(
        "need_due_idx", "need", ["next_at"], postgresql_where=sa.text("next_at is not null")
    )
    op.create_table(
        "prospect",
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("need", sa.SmallInteger(), nullable=False),
        sa.Column(
            "rank",
            sa.SmallInteger(),
            nullable=False,
            comment="in the order in which they are asked",
        ),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of the organization"
        ),
        sa.Column("recipient", sa.Text(), nullable=False, comment="reference of the recipient"),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="in: may be asked; out: may not, see findings",
        ),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column(
            "findings",
            sa.Text(),
            nullable=False,
            comment="JSON: criterion, outcome, code; no content",
        ),
        sa.Column("asked", sa.BigInteger(), comment="rid of the Task that asks it"),
        sa.CheckConstraint("verdict in ('in', 'out')", name=op.f("prospect_verdict_known")),
        sa.PrimaryKeyConstraint("episode", "need", "rank", name=op.f("prospect_pkey")),
        comment="Who could meet a need, ranked, with why and why not as of when it was looked for",
    )
    op.create_table(
        "errand",
        sa.Column(
            "task", sa.BigInteger(), autoincrement=False, nullable=False, comment="rid of the Task"
        ),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "episode", sa.BigInteger(), comment="the referral it is about, if it is about one"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="code of the Task"),
        sa.Column("owner", sa.BigInteger(), nullable=False, comment="rid of who is to do it"),
        sa.Column("subject", sa.BigInteger(), nullable=False, comment="rid of what it is about"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("task", name=op.f("errand_pkey")),
        comment="What the hub asks a person other than to meet a need; rebuilt from the Tasks by reproject",
    )
    op.create_index("errand_episode_idx", "errand", ["episode"])
    op.create_index(
        "errand_open_idx", "errand", ["owner"], postgresql_where=sa.text("closed_at is null")
    )
    op.add_column(
        "candidate",
        sa.Column(
            "need",
            sa.SmallInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="need.ordinal of what it is asked for",
        ),
    )
    op.add_column(
        "candidate",
        sa.Column(
            "wave",
            sa.SmallInteger(),
            nullable=False,
            server_default=sa.text("1"),
            comment="asked together: one number, from 1",
        ),
    )
    op.alter_column("candidate", "need", server_default=None)
    op.alter_column("candidate", "wave", server_default=None)
    op.add_column(
        "candidate",
        sa.Column(
            "reason", sa.Text(), comment="code of Task.statusReason, where it is one of the hub's"
        ),
    )
    op.add_column(
        "candidate",
        sa.Column("started_at", sa.DateTime(timezone=True), comment="first in-progress"),
    )
    # What was sent before has one need, asked as it was asked.
    op.execute(
        "insert into need (episode, ordinal, shard, request, kind, strategy, state, wave, opened_at, closed_at)"
        " select e.id, 0, e.shard, e.request, '', case when n.asked > 1 then 'broadcast' else 'direct' end,"
        " case when n.met then 'met' when e.state = 'closed' then 'unmet' when n.won then 'won' else 'open' end,"
        " case when n.asked > 0 then 1 else 0 end, e.opened_at, e.closed_at"
        " from episode e cross join lateral (select count(*) as asked,"
        "   coalesce(bool_or(c.status = 'completed'), false) as met,"
        "   coalesce(bool_or(c.status in ('accepted', 'ready', 'in-progress', 'on-hold')), false) as won"
        "   from candidate c where c.episode = e.id) n"
    )


def downgrade() -> None:
    for column in ("started_at", "reason", "wave", "need"):
        op.drop_column("candidate", column)
    op.drop_index("errand_open_idx", table_name="errand")
    op.drop_index("errand_episode_idx", table_name="errand")
    op.drop_table("errand")
    op.drop_table("prospect")
    op.drop_index("need_due_idx", table_name="need")
    op.drop_index("need_request_idx", table_name="need")
    op.drop_table("need")
