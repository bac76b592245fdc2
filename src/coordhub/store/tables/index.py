"""The index of search parameters: a row for each value of a current resource.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)

from coordhub.store.tables.columns import identifier_text, instant, metadata, owner_columns


def index_table(name: str, *value_columns: Column[Any], comment: str) -> Table:
    return Table(
        name,
        metadata,
        Column("shard", SmallInteger, nullable=False),
        Column(
            "param",
            SmallInteger,
            nullable=False,
            comment="r4.extract number of (type, search parameter)",
        ),
        *value_columns,
        Column("rid", BigInteger, nullable=False),
        *owner_columns(),
        comment=comment,
    )


idx_token = index_table(
    "idx_token",
    Column("system", Integer, nullable=False, comment="code_system.id, 0: none stated"),
    identifier_text("code"),
    comment="Codes and identifiers",
)
Index(
    "idx_token_code_idx", idx_token.c.param, idx_token.c.code, idx_token.c.rid, idx_token.c.system
)
Index(
    "idx_token_patient_idx",
    idx_token.c.patient,
    idx_token.c.param,
    idx_token.c.code,
    idx_token.c.rid,
)
Index("idx_token_rid_idx", idx_token.c.rid)

idx_string = index_table(
    "idx_string",
    Column(
        "value",
        Text(collation="C"),
        nullable=False,
        comment="case and accents folded, for prefix search",
    ),
    Column("exact", Text(collation="C"), nullable=False, comment="as sent, for :exact"),
    comment="Names, addresses, titles",
)
Index("idx_string_value_idx", idx_string.c.param, idx_string.c.value, idx_string.c.rid)
Index("idx_string_rid_idx", idx_string.c.rid)

idx_reference = index_table(
    "idx_reference",
    Column("target", BigInteger, comment="rid of a resource of this hub"),
    Column("uri", Text(collation="C"), comment="an absolute reference elsewhere"),
    comment="References, without versions",
)
idx_reference.append_constraint(
    CheckConstraint("(target is null) <> (uri is null)", name="one_target")
)
Index("idx_reference_target_idx", idx_reference.c.target, idx_reference.c.param)
Index(
    "idx_reference_uri_idx",
    idx_reference.c.uri,
    idx_reference.c.param,
    postgresql_where=idx_reference.c.uri.is_not(None),
)
Index("idx_reference_rid_idx", idx_reference.c.rid)

idx_date = index_table(
    "idx_date",
    instant("low", comment="first instant covered"),
    instant("high", comment="first instant no longer covered"),
    comment="Dates as half-open intervals of their stated precision, UTC",
)
Index("idx_date_low_idx", idx_date.c.param, idx_date.c.low, idx_date.c.rid)
Index("idx_date_patient_idx", idx_date.c.patient, idx_date.c.param, idx_date.c.low, idx_date.c.rid)
Index("idx_date_rid_idx", idx_date.c.rid)

idx_number = index_table(
    "idx_number",
    Column("low", Numeric, nullable=False, comment="-Infinity: open"),
    Column("high", Numeric, nullable=False, comment="equal to low for what is no range"),
    comment="Numbers, and ranges of them with both ends",
)
Index("idx_number_low_idx", idx_number.c.param, idx_number.c.low, idx_number.c.rid)
Index("idx_number_rid_idx", idx_number.c.rid)


def measure_columns(*, nullable: bool) -> tuple[Column[Any], ...]:
    """A number with its unit, as stated and in base units."""
    return (
        Column("low", Numeric, nullable=nullable, comment="as stated; -Infinity: open"),
        Column("high", Numeric, nullable=nullable, comment="equal to low for what is no range"),
        Column(
            "dimension",
            Text(collation="C"),
            comment="base units of the canonical values; null: the unit has no canonical form",
        ),
        Column("canonical_low", Numeric, comment="low in base units"),
        Column("canonical_high", Numeric, comment="high in base units"),
    )


idx_quantity = index_table(
    "idx_quantity",
    Column("system", Integer, nullable=False, comment="code_system.id, 0: none stated"),
    identifier_text("code", nullable=True, comment="of the unit"),
    Column("unit", Text(collation="C"), comment="as people read it"),
    *measure_columns(nullable=False),
    comment="Quantities, ages, durations, money, ranges",
)
Index("idx_quantity_low_idx", idx_quantity.c.param, idx_quantity.c.low, idx_quantity.c.rid)
Index(
    "idx_quantity_high_idx",
    idx_quantity.c.param,
    idx_quantity.c.high,
    postgresql_where=text("low <> high"),
)
Index(
    "idx_quantity_canonical_idx",
    idx_quantity.c.param,
    idx_quantity.c.dimension,
    idx_quantity.c.canonical_low,
    idx_quantity.c.rid,
    postgresql_where=idx_quantity.c.dimension.is_not(None),
)
Index(
    "idx_quantity_canonical_high_idx",
    idx_quantity.c.param,
    idx_quantity.c.dimension,
    idx_quantity.c.canonical_high,
    postgresql_where=text("canonical_low <> canonical_high"),
)
Index("idx_quantity_rid_idx", idx_quantity.c.rid)

idx_uri = index_table("idx_uri", identifier_text("value"), comment="Addresses and canonicals")
Index("idx_uri_value_idx", idx_uri.c.param, idx_uri.c.value, idx_uri.c.rid)
Index("idx_uri_rid_idx", idx_uri.c.rid)

idx_composite = index_table(
    "idx_composite",
    Column(
        "system", Integer, nullable=False, comment="of the first component's code, as idx_token"
    ),
    identifier_text("code", comment="of the first component"),
    Column("value_system", Integer, comment="of the second component's code or unit"),
    identifier_text(
        "value",
        nullable=True,
        comment="the second component: code, code of the unit, folded text, address elsewhere",
    ),
    Column("unit", Text(collation="C"), comment="as people read it"),
    *measure_columns(nullable=True),
    instant("first", nullable=True, comment="as idx_date.low"),
    instant("last", nullable=True, comment="as idx_date.high"),
    Column("target", BigInteger, comment="as idx_reference.target"),
    Column("third", Numeric, comment="the third component, a number"),
    comment="What one element holds for the two or three components of a composite parameter",
)
Index(
    "idx_composite_code_idx",
    idx_composite.c.param,
    idx_composite.c.code,
    idx_composite.c.canonical_low,
    idx_composite.c.rid,
)
Index("idx_composite_rid_idx", idx_composite.c.rid)

idx_position = index_table(
    "idx_position",
    Column("latitude", Double, nullable=False, comment="degrees"),
    Column("longitude", Double, nullable=False, comment="degrees"),
    comment="Where on earth a Location is",
)
Index(
    "idx_position_place_idx",
    idx_position.c.param,
    idx_position.c.latitude,
    idx_position.c.longitude,
    idx_position.c.rid,
)
Index("idx_position_rid_idx", idx_position.c.rid)
