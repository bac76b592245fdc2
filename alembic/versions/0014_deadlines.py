"""deadlines, and reminders of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014_deadlines"
down_revision = "0016_results"
branch_labels = None
depends_on = None

_KINDS = (
    "'receipt', 'accept-half', 'accept-due', 'accept-by', 'first-contact',"
    " 'progress', 'progress-overdue', 'appointment', 'consult-note', 'result', 'waitlist', 'whole',"
    " 'errand', 'errand-escalation', 'consent-end', 'digest'"
)


def upgrade() -> None:
    op.alter_column(
        "timer",
        "episode",
        nullable=True,
        existing_type=sa.BigInteger(),
        comment="the referral it is about, if it is about one",
    )
    op.alter_column(
        "timer",
        "subject",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
        existing_comment="rid of the Task that is waited for",
        comment="rid of the Task that is waited for; a Consent that ends; an organization to be reminded",
    )
    op.add_column(
        "timer", sa.Column("since", sa.DateTime(timezone=True), comment="from when it counts")
    )
    op.execute(
        "update timer t set since = coalesce("
        "(select c.asked_at from candidate c where c.task = t.subject), t.due_at)"
    )
    op.alter_column("timer", "since", nullable=False, existing_comment="from when it counts")
    op.add_column(
        "timer",
        sa.Column(
            "stood_at", sa.DateTime(timezone=True), comment="since when it stands; null: it runs"
        ),
    )
    op.drop_constraint("timer_kind_known", "timer")
    op.create_check_constraint("kind_known", "timer", f"kind in ({_KINDS})")
    op.drop_index("timer_due_idx", table_name="timer")
    op.create_index(
        "timer_due_idx",
        "timer",
        ["due_at"],
        postgresql_where=sa.text("fired_at is null and stood_at is null"),
    )
    op.create_index("timer_episode_idx", "timer", ["episode"])
    op.create_table(
        "reminder",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of who is reminded"
        ),
        sa.Column(
            "episode", sa.BigInteger(), comment="the referral it is about, if it is about one"
        ),
        sa.Column(
            "subject", sa.BigInteger(), nullable=False, comment="rid of the Task it refers to"
        ),
        sa.Column(
            "waited_for",
            sa.BigInteger(),
            nullable=False,
            comment="rid of what the timer is about",
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="of the timer that has run out"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="when it ran out"),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            comment="when it was told, or had become pointless",
        ),
        sa.Column(
            "communication", sa.BigInteger(), comment="rid of the Communication that told it"
        ),
        sa.CheckConstraint(
            "communication is null or told_at is not null", name=op.f("reminder_told_has_time")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reminder_pkey")),
        comment="What organizations are to be reminded of, once a day",
    )
    op.create_index(
        "reminder_waiting_idx",
        "reminder",
        ["organization"],
        postgresql_where=sa.text("told_at is null"),
    )
    op.create_index("reminder_told_idx", "reminder", ["organization", "told_at"])
    op.create_index("reminder_communication_idx", "reminder", ["communication"])


def downgrade() -> None:
    op.drop_table("reminder")
    op.drop_index("timer_episode_idx", table_name="timer")
    op.drop_index("timer_due_idx", table_name="timer")
    op.create_index(
        "timer_due_idx", "timer", ["due_at"], postgresql_where=sa.text("fired_at is null")
    )
    op.execute("delete from timer where kind not in ('accept-by') or episode is null")
    op.drop_constraint("timer_kind_known", "timer")
    op.create_check_constraint("kind_known", "timer", "kind in ('accept-by')")
    op.drop_column("timer", "stood_at")
    op.drop_column("timer", "since")
    op.alter_column(
        "timer",
        "subject",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
        comment="rid of the Task that is waited for",
    )
    op.alter_column("timer", "episode", nullable=False, existing_type=sa.BigInteger(), comment=None)
