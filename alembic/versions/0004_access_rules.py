"""access rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_access_rules"
down_revision = "0003_search_kinds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "access_grant",
        sa.Column(
            "labels",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="sensitivity classes that it covers, a bit for each",
        ),
    )
    op.add_column(
        "access_grant",
        sa.Column(
            "dataset",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="r4.datasets number of what is shown of it; 0: the whole",
        ),
    )
    op.drop_constraint("access_grant_rule_known", "access_grant")
    op.create_check_constraint(
        "rule_known",
        "access_grant",
        "rule in ('party', 'referral', 'result', 'release')",
    )
    op.create_table_comment(
        "access_grant",
        "Decisions about one row, made in the transaction of the change that altered them",
        existing_comment="Decisions about visibility, made in the transaction of the change that altered them",
    )
    op.create_table(
        "access_rule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "actor",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization or person it is about; 0: everyone",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the Patient whose chart it is",
        ),
        sa.Column("permit", sa.Boolean(), nullable=False, comment="false: denies"),
        sa.Column(
            "precedence",
            sa.BigInteger(),
            nullable=False,
            comment="of the rules that match the highest decides, of equals the denial",
        ),
        sa.Column(
            "types", postgresql.ARRAY(sa.SmallInteger()), comment="r4.types numbers; null: all"
        ),
        sa.Column("rids", postgresql.ARRAY(sa.BigInteger()), comment="these resources; null: all"),
        sa.Column(
            "only_labels", sa.BigInteger(), comment="what has one of these classes; null: all"
        ),
        sa.Column(
            "covers",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="a permit matches only what has no other sensitivity classes than these",
        ),
        sa.Column(
            "systems", postgresql.ARRAY(sa.Integer()), comment="code_system.id, beside codes"
        ),
        sa.Column(
            "codes", postgresql.ARRAY(sa.Text()), comment="what has one of these codes; null: all"
        ),
        sa.Column(
            "data_from",
            sa.DateTime(timezone=True),
            comment="of the time of care; null: open",
        ),
        sa.Column(
            "data_to",
            sa.DateTime(timezone=True),
            comment="first instant no longer meant; null: open",
        ),
        sa.Column("purposes", postgresql.ARRAY(sa.Text()), comment="v3-ActReason; null: any"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), comment="null: while the reason stands"),
        sa.Column(
            "because",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the resource that decided it",
        ),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "rule in ('consent', 'treatment', 'team', 'break-glass', 'proxy')",
            name=op.f("access_rule_rule_known"),
        ),
        sa.CheckConstraint(
            "(codes is null) = (systems is null)", name=op.f("access_rule_codes_have_systems")
        ),
        sa.PrimaryKeyConstraint("id", name="access_rule_pkey"),
        comment="Decisions about a patient's chart: provisions of Consents, treatment relationships",
    )
    op.create_index("access_rule_patient_actor_idx", "access_rule", ["patient", "actor"])
    op.create_index(
        "access_rule_actor_idx", "access_rule", ["actor"], postgresql_where=sa.text("permit")
    )
    op.create_index("access_rule_because_idx", "access_rule", ["because"])
    op.create_table(
        "party",
        sa.Column(
            "organization",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of Organization or person",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="treatment: of Organization.type prov; vsp: victim service provider",
        ),
        sa.CheckConstraint(
            "kind in ('treatment', 'social', 'vsp', 'person')", name=op.f("party_kind_known")
        ),
        sa.PrimaryKeyConstraint("organization", name="party_pkey"),
        comment="What kind of party an organization is, by the directory; who is not here is social",
    )


def downgrade() -> None:
    op.drop_table("party")
    op.drop_table("access_rule")
    op.drop_constraint("access_grant_rule_known", "access_grant")
    op.create_check_constraint(
        "rule_known", "access_grant", "rule in ('party', 'referral', 'result')"
    )
    op.create_table_comment(
        "access_grant",
        "Decisions about visibility, made in the transaction of the change that altered them",
        existing_comment="Decisions about one row, made in the transaction of the change that altered them",
    )
    op.drop_column("access_grant", "dataset")
    op.drop_column("access_grant", "labels")
