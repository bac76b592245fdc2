"""when what anyone is shown was last decided, for change feeds; rates agreed with partners."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from coordhub.store.tables import Xid8

revision = "0047_scale"
down_revision = "0042_subscription_channels"
branch_labels = None
depends_on = None


def _decided() -> sa.Column[int]:
    return sa.Column(
        "xid",
        Xid8(),
        server_default=sa.text("pg_current_xact_id()"),
        nullable=False,
        comment="of the transaction that last decided it: what was shown since, a change feed tells",
    )


def upgrade() -> None:
    op.add_column("access_grant", _decided())
    op.create_index("access_grant_feed_idx", "access_grant", ["organization", "xid", "rid"])
    op.add_column("access_rule", _decided())
    op.create_index("access_rule_feed_idx", "access_rule", ["actor", "xid"])
    op.create_index("access_rule_begins_idx", "access_rule", ["actor", "since"])
    op.create_index("access_rule_ends_idx", "access_rule", ["actor", "until"])
    op.create_table(
        "revealed",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        _decided(),
        sa.PrimaryKeyConstraint("xid", "rid", name=op.f("revealed_pkey")),
        comment="What may be shown to more than before without a new version, grant or rule, append only",
    )
    op.create_table(
        "pace",
        sa.Column(
            "organization",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="rid of Organization",
        ),
        sa.Column("per_second", sa.Float(53), nullable=False, comment="deliveries at most"),
        sa.Column("at_once", sa.Integer(), nullable=False, comment="deliveries under way at most"),
        sa.Column(
            "level",
            sa.Float(53),
            nullable=False,
            comment="how many might go at once as of `at`; it fills by per_second, to that of one second",
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("per_second > 0", name=op.f("pace_rate_positive")),
        sa.CheckConstraint("at_once > 0", name=op.f("pace_some_at_once")),
        sa.PrimaryKeyConstraint("organization", name=op.f("pace_pkey")),
        comment="The rate agreed with an organization; the row is the lock of who sends to it",
    )


def downgrade() -> None:
    op.drop_table("pace")
    op.drop_table("revealed")
    op.drop_index("access_rule_ends_idx", table_name="access_rule")
    op.drop_index("access_rule_begins_idx", table_name="access_rule")
    op.drop_index("access_rule_feed_idx", table_name="access_rule")
    op.drop_column("access_rule", "xid")
    op.drop_index("access_grant_feed_idx", table_name="access_grant")
    op.drop_column("access_grant", "xid")
