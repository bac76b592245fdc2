"""search kinds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_search_kinds"
down_revision = "0002_reference_policy"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("resource_pkey", "resource")
    op.create_primary_key("resource_pkey", "resource", ["rid", "shard"])
    op.create_index(
        "idx_date_patient_idx", "idx_date", ["patient", "param", "low", "rid"], unique=False
    )
    op.create_table(
        "idx_composite",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column(
            "system",
            sa.Integer(),
            nullable=False,
            comment="of the first component's code, as idx_token",
        ),
        sa.Column("code", sa.Text(collation="C"), nullable=False, comment="of the first component"),
        sa.Column(
            "value_system",
            sa.Integer(),
            nullable=True,
            comment="of the second component's code or unit",
        ),
        sa.Column(
            "value",
            sa.Text(collation="C"),
            nullable=True,
            comment="the second component: code, code of the unit, folded text, address elsewhere",
        ),
        sa.Column("unit", sa.Text(collation="C"), nullable=True, comment="as people read it"),
        sa.Column("low", sa.Numeric(), nullable=True, comment="as stated; -Infinity: open"),
        sa.Column("high", sa.Numeric(), nullable=True, comment="equal to low for what is no range"),
        sa.Column(
            "dimension",
            sa.Text(collation="C"),
            nullable=True,
            comment="base units of the canonical values; null: the unit has no canonical form",
        ),
        sa.Column("canonical_low", sa.Numeric(), nullable=True, comment="low in base units"),
        sa.Column("canonical_high", sa.Numeric(), nullable=True, comment="high in base units"),
        sa.Column("first", sa.DateTime(timezone=True), nullable=True, comment="as idx_date.low"),
        sa.Column("last", sa.DateTime(timezone=True), nullable=True, comment="as idx_date.high"),
        sa.Column("target", sa.BigInteger(), nullable=True, comment="as idx_reference.target"),
        sa.Column("third", sa.Numeric(), nullable=True, comment="the third component, a number"),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="What one element holds for the two or three components of a composite parameter",
    )
    op.create_index(
        "idx_composite_code_idx",
        "idx_composite",
        ["param", "code", "canonical_low", "rid"],
        unique=False,
    )
    op.create_index("idx_composite_rid_idx", "idx_composite", ["rid"], unique=False)
    op.create_table(
        "idx_number",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column("low", sa.Numeric(), nullable=False, comment="-Infinity: open"),
        sa.Column(
            "high", sa.Numeric(), nullable=False, comment="equal to low for what is no range"
        ),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Numbers, and ranges of them with both ends",
    )
    op.create_index("idx_number_low_idx", "idx_number", ["param", "low", "rid"], unique=False)
    op.create_index("idx_number_rid_idx", "idx_number", ["rid"], unique=False)
    op.create_table(
        "idx_position",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column("latitude", sa.Double(), nullable=False, comment="degrees"),
        sa.Column("longitude", sa.Double(), nullable=False, comment="degrees"),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Where on earth a Location is",
    )
    op.create_index(
        "idx_position_place_idx",
        "idx_position",
        ["param", "latitude", "longitude", "rid"],
        unique=False,
    )
    op.create_index("idx_position_rid_idx", "idx_position", ["rid"], unique=False)
    op.create_table(
        "idx_quantity",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column("system", sa.Integer(), nullable=False, comment="code_system.id, 0: none stated"),
        sa.Column("code", sa.Text(collation="C"), nullable=True, comment="of the unit"),
        sa.Column("unit", sa.Text(collation="C"), nullable=True, comment="as people read it"),
        sa.Column("low", sa.Numeric(), nullable=False, comment="as stated; -Infinity: open"),
        sa.Column(
            "high", sa.Numeric(), nullable=False, comment="equal to low for what is no range"
        ),
        sa.Column(
            "dimension",
            sa.Text(collation="C"),
            nullable=True,
            comment="base units of the canonical values; null: the unit has no canonical form",
        ),
        sa.Column("canonical_low", sa.Numeric(), nullable=True, comment="low in base units"),
        sa.Column("canonical_high", sa.Numeric(), nullable=True, comment="high in base units"),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Quantities, ages, durations, money, ranges",
    )
    op.create_index(
        "idx_quantity_canonical_high_idx",
        "idx_quantity",
        ["param", "dimension", "canonical_high"],
        unique=False,
        postgresql_where=sa.text("canonical_low <> canonical_high"),
    )
    op.create_index(
        "idx_quantity_canonical_idx",
        "idx_quantity",
        ["param", "dimension", "canonical_low", "rid"],
        unique=False,
        postgresql_where=sa.text("dimension IS NOT NULL"),
    )
    op.create_index(
        "idx_quantity_high_idx",
        "idx_quantity",
        ["param", "high"],
        unique=False,
        postgresql_where=sa.text("low <> high"),
    )
    op.create_index("idx_quantity_low_idx", "idx_quantity", ["param", "low", "rid"], unique=False)
    op.create_index("idx_quantity_rid_idx", "idx_quantity", ["rid"], unique=False)
    op.create_table(
        "idx_uri",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column(
            "source",
            sa.BigInteger(),
            nullable=False,
            comment="rid of the organization that wrote it",
        ),
        sa.Column(
            "patient",
            sa.BigInteger(),
            nullable=True,
            comment="rid of its Patient; null: not about one patient",
        ),
        comment="Addresses and canonicals",
    )
    op.create_index("idx_uri_rid_idx", "idx_uri", ["rid"], unique=False)
    op.create_index("idx_uri_value_idx", "idx_uri", ["param", "value", "rid"], unique=False)


def downgrade() -> None:
    op.drop_index("idx_date_patient_idx", table_name="idx_date")
    op.drop_constraint("resource_pkey", "resource")
    op.create_primary_key("resource_pkey", "resource", ["shard", "rid"])
    op.drop_index("idx_uri_value_idx", table_name="idx_uri")
    op.drop_index("idx_uri_rid_idx", table_name="idx_uri")
    op.drop_table("idx_uri")
    op.drop_index("idx_quantity_rid_idx", table_name="idx_quantity")
    op.drop_index("idx_quantity_low_idx", table_name="idx_quantity")
    op.drop_index(
        "idx_quantity_high_idx", table_name="idx_quantity", postgresql_where=sa.text("low <> high")
    )
    op.drop_index(
        "idx_quantity_canonical_idx",
        table_name="idx_quantity",
        postgresql_where=sa.text("dimension IS NOT NULL"),
    )
    op.drop_index(
        "idx_quantity_canonical_high_idx",
        table_name="idx_quantity",
        postgresql_where=sa.text("canonical_low <> canonical_high"),
    )
    op.drop_table("idx_quantity")
    op.drop_index("idx_position_rid_idx", table_name="idx_position")
    op.drop_index("idx_position_place_idx", table_name="idx_position")
    op.drop_table("idx_position")
    op.drop_index("idx_number_rid_idx", table_name="idx_number")
    op.drop_index("idx_number_low_idx", table_name="idx_number")
    op.drop_table("idx_number")
    op.drop_index("idx_composite_rid_idx", table_name="idx_composite")
    op.drop_index("idx_composite_code_idx", table_name="idx_composite")
    op.drop_table("idx_composite")
