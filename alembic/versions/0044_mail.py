"""mailboxes, links that open once, access codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044_mail"
down_revision = "0047_scale"
branch_labels = None
depends_on = None


def _instant(name: str, *, nullable: bool = False, comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "mailbox",
        sa.Column(
            "endpoint", sa.BigInteger(), nullable=False, comment="rid of an Endpoint with mailto:"
        ),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of who reads there"
        ),
        _instant("told_at", nullable=True, comment="when a mail was last handed in"),
        _instant("lease_until", nullable=True, comment="a worker writes to it until then"),
        sa.PrimaryKeyConstraint("endpoint", "organization", name="mailbox_pkey"),
        comment="When an organization was last written to, and the lock of who writes",
    )
    op.create_table(
        "told_by_mail",
        sa.Column("delivery", sa.Uuid(), nullable=False),
        sa.Column(
            "notice", sa.Uuid(), nullable=False, comment="delivery whose mail told of this one, too"
        ),
        _instant("at"),
        sa.PrimaryKeyConstraint("delivery", name="told_by_mail_pkey"),
        comment="Deliveries of which a mail has told that was sent because of another",
    )
    op.create_table(
        "link",
        sa.Column(
            "hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the token in the mail"
        ),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of whom it lets in"
        ),
        sa.Column(
            "task", sa.BigInteger(), nullable=False, comment="rid of the one Task that it opens"
        ),
        sa.Column(
            "delivery", sa.Uuid(), nullable=False, comment="because of which the mail was sent"
        ),
        _instant("created_at"),
        _instant("until", comment="it opens nothing from then on"),
        _instant("used_at", nullable=True),
        sa.Column(
            "tries",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="with an access code, right or wrong",
        ),
        sa.CheckConstraint("length(hash) = 32", name=op.f("link_hash_whole")),
        sa.PrimaryKeyConstraint("hash", name="link_pkey"),
        comment="Links in mails, each good once; what stands in the mail is not kept",
    )
    op.create_index("link_until_idx", "link", ["until"])
    op.create_index("link_delivery_idx", "link", ["delivery"])
    op.create_table(
        "visit",
        sa.Column(
            "hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of what the browser holds"
        ),
        sa.Column("organization", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.BigInteger(), nullable=False),
        _instant("until", comment="the page is closed then"),
        sa.CheckConstraint("length(hash) = 32", name=op.f("visit_hash_whole")),
        sa.PrimaryKeyConstraint("hash", name="visit_pkey"),
        comment="Who has opened a link and named the access code, for the minutes it takes to answer",
    )
    op.create_index("visit_until_idx", "visit", ["until"])
    op.create_table(
        "access_code",
        sa.Column(
            "organization", sa.BigInteger(), autoincrement=False, nullable=False, comment="rid"
        ),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="scrypt of the code"),
        _instant("set_at"),
        sa.Column(
            "failures",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="since `counted_from`",
        ),
        _instant("counted_from"),
        sa.PrimaryKeyConstraint("organization", name="access_code_pkey"),
        comment="The second thing that an organization needs besides a link",
    )


def downgrade() -> None:
    for table in ("access_code", "visit", "link", "told_by_mail", "mailbox"):
        op.drop_table(table)
