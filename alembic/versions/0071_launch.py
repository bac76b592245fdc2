"""Apps are opened out of a record; staff have records of their own; tokens are bound to certificates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0071_launch"
down_revision = "0070_elsewhere"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C")
    op.add_column(
        "client",
        sa.Column("launch_uri", sa.Text(), comment="where an app begins that is opened from here"),
    )
    op.add_column(
        "app_permission",
        sa.Column("task", sa.BigInteger(), comment="rid of the Task in context; null: none"),
    )
    op.add_column(
        "person",
        sa.Column(
            "practitioner",
            sa.BigInteger(),
            comment="rid of its Practitioner or PractitionerRole; null: none is known",
        ),
    )
    op.add_column(
        "access_token",
        sa.Column(
            "thumbprint",
            sa.LargeBinary(),
            comment="SHA-256 of the certificate that it is bound to (RFC 8705); null: to none",
        ),
    )
    op.create_table(
        "app_launch",
        sa.Column(
            "digest", sa.LargeBinary(), primary_key=True, comment="SHA-256 of what the app is told"
        ),
        sa.Column("client", text, nullable=False, comment="client.id of the app"),
        sa.Column(
            "organization", sa.BigInteger(), nullable=False, comment="rid of who works with it"
        ),
        sa.Column("person", text, comment="person.id of who alone may; null: anybody there"),
        sa.Column("patient", sa.BigInteger(), comment="rid of the Patient that was looked at"),
        sa.Column("task", sa.BigInteger(), comment="rid of the Task that was looked at"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        comment="Apps that were opened out of a record, each once",
    )
    op.create_index("app_launch_expires_at_idx", "app_launch", ["expires_at"])


def downgrade() -> None:
    op.drop_table("app_launch")
    op.drop_column("access_token", "thumbprint")
    op.drop_column("person", "practitioner")
    op.drop_column("app_permission", "task")
    op.drop_column("client", "launch_uri")
