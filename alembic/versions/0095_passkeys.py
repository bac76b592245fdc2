"""Passkeys of people, and what browsers are asked to answer by one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0095_passkeys"
down_revision = "0098_name_count"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_passkey",
        sa.Column(
            "id",
            sa.LargeBinary,
            primary_key=True,
            comment="of the credential, as WebAuthn calls it",
        ),
        sa.Column("person", sa.Text(collation="C"), nullable=False, comment="person.id"),
        sa.Column("public_key", sa.LargeBinary, nullable=False, comment="as COSE writes keys"),
        sa.Column(
            "uses",
            sa.BigInteger,
            nullable=False,
            comment="as its authenticator counts them; one that does not says 0",
        ),
        sa.Column("name", sa.Text, nullable=False, comment="by which the person knows it again"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), comment="last; null: not yet"),
        sa.CheckConstraint("length(id) between 1 and 1023", name="id_as_long_as_may_be"),
        comment="By what people sign in without a password",
    )
    op.create_index("person_passkey_person_idx", "person_passkey", ["person"])
    op.create_table(
        "passkey_challenge",
        sa.Column(
            "hash", sa.LargeBinary, primary_key=True, comment="SHA-256 of what the browser holds"
        ),
        sa.Column("challenge", sa.LargeBinary, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name="hash_whole"),
        comment="What browsers were asked to answer by a passkey; each does once",
    )
    op.create_index("passkey_challenge_until_idx", "passkey_challenge", ["until"])


def downgrade() -> None:
    op.drop_table("passkey_challenge")
    op.drop_table("person_passkey")
