"""Keys of clients, the tokens that they ask for with them, and the assertions that they used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049_tokens"
down_revision = "0046_operating"
branch_labels = None
depends_on = None


def _id(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False, comment=comment)


def _instant(name: str, comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, comment=comment)


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column(
            "jwks",
            sa.Text(),
            comment="its public keys (RFC 7517), by which it asks for tokens itself",
        ),
    )
    op.add_column(
        "client", sa.Column("jwks_uri", sa.Text(), comment="where these are looked up instead")
    )
    op.create_check_constraint(
        op.f("client_keys_in_one_place"), "client", "jwks is null or jwks_uri is null"
    )
    op.create_table(
        "access_token",
        sa.Column("digest", sa.LargeBinary(), primary_key=True, comment="SHA-256 of the token"),
        _id("client", "client.id"),
        sa.Column(
            "organization",
            sa.BigInteger(),
            nullable=False,
            comment="rid of whom the client acted for when it was given; of another it is no token",
        ),
        sa.Column(
            "scopes", sa.Text(), nullable=False, comment="the most it allows, space separated"
        ),
        _instant("issued_at"),
        _instant("expires_at"),
        comment="Bearer tokens that are valid; one that is revoked is not here",
    )
    op.create_index("access_token_client_idx", "access_token", ["client"])
    op.create_index("access_token_expires_at_idx", "access_token", ["expires_at"])
    op.create_table(
        "client_assertion",
        _id("client", "client.id"),
        sa.Column(
            "jti", sa.LargeBinary(), nullable=False, comment="SHA-256 of the assertion's jti"
        ),
        _instant("expires_at", "from then on its own time refuses it"),
        sa.PrimaryKeyConstraint("client", "jti"),
        comment="Assertions (RFC 7523) that were used, each once",
    )
    op.create_index("client_assertion_expires_at_idx", "client_assertion", ["expires_at"])


def downgrade() -> None:
    op.drop_table("client_assertion")
    op.drop_table("access_token")
    op.drop_constraint(op.f("client_keys_in_one_place"), "client")
    op.drop_column("client", "jwks_uri")
    op.drop_column("client", "jwks")
