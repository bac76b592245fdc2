"""People of organizations: accounts, tries to sign in, sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0055_people"
down_revision = "0051_lapses"
branch_labels = None
depends_on = None


def _instant(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.Text(collation="C"), primary_key=True),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of whom it works for"
        ),
        sa.Column(
            "email", sa.Text(), nullable=False, comment="in small letters; it signs in by it"
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="scrypt of the password"),
        _instant(
            "password_until",
            "a first password is good until then; null: it is the person's own",
            nullable=True,
        ),
        sa.Column(
            "factor",
            sa.LargeBinary(),
            comment="of which the key of the hub makes the secret of the second factor; null: none yet",
        ),
        sa.Column(
            "step",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="time step of the last code that was used: no code is good twice",
        ),
        _instant("created_at"),
        sa.UniqueConstraint("email"),
        sa.CheckConstraint(
            "role in ('program-staff', 'coordinator')", name=op.f("person_role_known")
        ),
        comment="Who works for an organization with a browser",
    )
    op.create_index("person_organization_idx", "person", ["organization"])
    op.create_table(
        "sign_in",
        sa.Column(
            "name",
            sa.LargeBinary(),
            primary_key=True,
            comment="SHA-256 of the e-mail address, whether anybody has it or not",
        ),
        sa.Column("failures", sa.Integer(), nullable=False, comment="since counted_from"),
        _instant("counted_from"),
        comment="How often somebody tried to sign in as somebody, and did not",
    )
    op.create_index("sign_in_counted_from_idx", "sign_in", ["counted_from"])
    op.create_table(
        "person_session",
        sa.Column(
            "hash",
            sa.LargeBinary(),
            primary_key=True,
            comment="SHA-256 of what the browser holds",
        ),
        sa.Column("person", sa.Text(collation="C"), nullable=False, comment="person.id"),
        sa.Column(
            "factor",
            sa.LargeBinary(),
            comment="person.factor that is being set up; null: who is there has named a code",
        ),
        _instant("seen_at", "of the last request, give or take a minute"),
        _instant("until", "it ends then, however much it is used"),
        sa.CheckConstraint("length(hash) = 32", name=op.f("person_session_hash_whole")),
        comment="Who has signed in",
    )
    op.create_index("person_session_person_idx", "person_session", ["person"])
    op.create_index("person_session_until_idx", "person_session", ["until"])


def downgrade() -> None:
    op.drop_table("person_session")
    op.drop_table("sign_in")
    op.drop_table("person")
