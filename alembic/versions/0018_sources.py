"""sources on partners' servers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018_sources"
down_revision = "0020_circuit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counterpart",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of whose server it is"
        ),
        sa.Column(
            "endpoint",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Endpoint of that server",
        ),
        sa.Column("rid", sa.BigInteger(), nullable=False, comment="of the resource at the hub"),
        sa.Column(
            "theirs",
            sa.Text(collation="C"),
            nullable=False,
            comment="the same at that server: Type/id below Endpoint.address",
        ),
        sa.Column(
            "original",
            sa.Boolean(),
            nullable=False,
            comment="true: theirs is the original, fetched from there; false: theirs is their copy",
        ),
        sa.Column("seen", sa.Text(), comment="entity tag of theirs, as last read"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when this was last told or read",
        ),
        sa.PrimaryKeyConstraint("organization", "endpoint", "rid", name=op.f("counterpart_pkey")),
        sa.UniqueConstraint(
            "organization",
            "theirs",
            "endpoint",
            name=op.f("counterpart_organization_theirs_endpoint_key"),
        ),
        comment="Under which id a partner's server has what the hub has",
    )
    op.create_index("counterpart_rid_idx", "counterpart", ["rid"], unique=False)
    op.create_table(
        "exchange",
        sa.Column(
            "organization",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of the organization",
        ),
        sa.Column(
            "ids",
            sa.Text(),
            server_default=sa.text("'hub'"),
            nullable=False,
            comment="hub: its server takes PUT under the ids of the hub; partner: it gives its own",
        ),
        sa.Column(
            "answers_every",
            sa.Interval(),
            comment="how often its copy of a Task that asks it is read; null: it sends its answers",
        ),
        sa.Column(
            "originals_every",
            sa.Interval(),
            comment="how often what was fetched from it is looked at again; null: when it says so",
        ),
        sa.CheckConstraint("ids in ('hub', 'partner')", name=op.f("exchange_ids_known")),
        sa.CheckConstraint(
            "answers_every >= interval '10 seconds'", name=op.f("exchange_answers_not_too_often")
        ),
        sa.CheckConstraint(
            "originals_every >= interval '10 seconds'",
            name=op.f("exchange_originals_not_too_often"),
        ),
        sa.PrimaryKeyConstraint("organization", name=op.f("exchange_pkey")),
        comment="What was agreed with an organization about its server, where it is not the usual",
    )
    op.create_table(
        "fetching",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "subject",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Task that waits, of the copy, or of the Task that asks",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="focus: what a sent Task is about; original: of a copy; answer: to a Task that asks",
        ),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of whose server it is"
        ),
        sa.Column(
            "endpoint",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Endpoint of that server",
        ),
        sa.Column("client", sa.Text(), comment="client.id in whose name the copies are written"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="first attempt of this round",
        ),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False, comment="not before"),
        sa.Column(
            "lease_until", sa.DateTime(timezone=True), comment="a worker holds it until then"
        ),
        sa.Column("reason", sa.Text(), comment="why the last attempt did not do; no content"),
        sa.CheckConstraint(
            "kind in ('focus', 'original', 'answer')", name=op.f("fetching_kind_known")
        ),
        sa.CheckConstraint(
            "state in ('queued', 'leased', 'parked', 'done', 'dead')",
            name=op.f("fetching_state_known"),
        ),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_until is not null)",
            name=op.f("fetching_lease_only_when_leased"),
        ),
        sa.PrimaryKeyConstraint("subject", "kind", name=op.f("fetching_pkey")),
        comment="What is to be read from servers of partners, once or again and again",
    )
    op.create_index(
        "fetching_due_idx",
        "fetching",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("state in ('queued', 'leased', 'parked')"),
    )
    op.alter_column(
        "episode",
        "request",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
        comment="rid of the sender's ServiceRequest; 0: not fetched yet",
        existing_comment="rid of the sender's ServiceRequest",
    )


def downgrade() -> None:
    op.alter_column(
        "episode",
        "request",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
        comment="rid of the sender's ServiceRequest",
        existing_comment="rid of the sender's ServiceRequest; 0: not fetched yet",
    )
    op.drop_index("fetching_due_idx", table_name="fetching")
    op.drop_table("fetching")
    op.drop_table("exchange")
    op.drop_index("counterpart_rid_idx", table_name="counterpart")
    op.drop_table("counterpart")
