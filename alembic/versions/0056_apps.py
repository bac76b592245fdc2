"""Apps of people: where these come back to, what they let an app do, the codes and tokens that it gets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0056_apps"
down_revision = "0041_clients_of_an_organization"
branch_labels = None
depends_on = None


def _id(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False, comment=comment)


def _instant(name: str, comment: str | None = None, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column(
            "redirect_uris",
            ARRAY(sa.Text()),
            comment="where people come back to from here, of an app; null: it is none",
        ),
    )
    op.add_column(
        "client",
        sa.Column("title", sa.Text(), comment="what people are told that an app is called"),
    )
    op.add_column(
        "access_token",
        sa.Column(
            "permission", sa.Uuid(), comment="app_permission.id, of an app's; it ends with that"
        ),
    )
    op.create_index("access_token_permission_idx", "access_token", ["permission"])
    op.create_table(
        "app_permission",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _id("client", "client.id of the app"),
        _id("person", "person.id of who signed in and allowed it"),
        sa.Column(
            "organization",
            sa.BigInteger(),
            nullable=False,
            comment="rid of whom the app acts for: an Organization, or the Patient or RelatedPerson itself",
        ),
        sa.Column("patient", sa.BigInteger(), comment="rid of the patient in context; null: none"),
        sa.Column(
            "asked",
            sa.Text(),
            nullable=False,
            comment="scopes that the app asked for, of those it may",
        ),
        sa.Column("scopes", sa.Text(), nullable=False, comment="what of these was allowed"),
        _instant("at", "when the person allowed it"),
        _instant("ended_at", "taken back, or a code or token came twice", nullable=True),
        comment="What people let apps do: each code and token of an app comes of one",
    )
    op.create_index("app_permission_person_idx", "app_permission", ["person", "client"])
    op.create_index("app_permission_client_idx", "app_permission", ["client"])
    op.create_index("app_permission_organization_idx", "app_permission", ["organization"])
    op.create_table(
        "app_code",
        sa.Column("digest", sa.LargeBinary(), primary_key=True, comment="SHA-256 of the code"),
        sa.Column("permission", sa.Uuid(), nullable=False, comment="app_permission.id"),
        _id("client", "client.id that it was given to"),
        sa.Column("redirect_uri", sa.Text(), nullable=False, comment="where it was sent"),
        sa.Column("challenge", sa.Text(), nullable=False, comment="of PKCE, S256"),
        sa.Column("nonce", sa.Text(), comment="that the identity token repeats"),
        _instant("expires_at"),
        _instant("used_at", nullable=True),
        comment="Authorization codes (RFC 6749, 4.1), each good once",
    )
    op.create_index("app_code_expires_at_idx", "app_code", ["expires_at"])
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.LargeBinary(), primary_key=True, comment="SHA-256 of the token"),
        sa.Column("permission", sa.Uuid(), nullable=False, comment="app_permission.id"),
        _id("client", "client.id that it was given to"),
        _instant("expires_at"),
        _instant("used_at", "exchanged for the next one; again is a theft", nullable=True),
        comment="Refresh tokens of apps, each good once",
    )
    op.create_index("refresh_token_permission_idx", "refresh_token", ["permission"])
    op.create_index("refresh_token_expires_at_idx", "refresh_token", ["expires_at"])


def downgrade() -> None:
    for table in ("refresh_token", "app_code", "app_permission"):
        op.drop_table(table)
    op.drop_index("access_token_permission_idx", "access_token")
    op.drop_column("access_token", "permission")
    op.drop_column("client", "title")
    op.drop_column("client", "redirect_uris")
