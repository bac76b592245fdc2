"""People may sign in at another OpenID provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0070_elsewhere"
down_revision = "0062_sharing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text, instant = sa.Text(collation="C"), sa.DateTime(timezone=True)
    op.create_table(
        "person_identity",
        sa.Column("issuer", text, nullable=False, comment="of the provider"),
        sa.Column("subject", text, nullable=False, comment="what the provider calls it"),
        sa.Column("person", text, nullable=False, comment="person.id"),
        sa.Column("bound_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject"),
        sa.UniqueConstraint("person", "issuer"),
        comment="Who signs in at another provider, as whom",
    )
    op.create_table(
        "sign_in_trip",
        sa.Column(
            "state",
            sa.LargeBinary,
            primary_key=True,
            comment="SHA-256 of what comes back with it",
        ),
        sa.Column(
            "browser", sa.LargeBinary, nullable=False, comment="SHA-256 of what the browser holds"
        ),
        sa.Column("nonce", sa.Text, nullable=False, comment="that the identity token repeats"),
        sa.Column("verifier", sa.Text, nullable=False, comment="of PKCE"),
        sa.Column("onward", sa.Text, nullable=False, comment="page that is shown when it is back"),
        sa.Column("until", instant, nullable=False),
        comment="Who is away to sign in at another provider; each comes back once",
    )
    op.create_index("sign_in_trip_until_idx", "sign_in_trip", ["until"])


def downgrade() -> None:
    op.drop_table("sign_in_trip")
    op.drop_table("person_identity")
