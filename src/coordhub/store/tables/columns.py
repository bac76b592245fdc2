"""Names of constraints, and columns that many tables have."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    MetaData,
    Sequence,
    Text,
)
from sqlalchemy.types import UserDefinedType


class Xid8(UserDefinedType[int]):
    """Postgres' 64-bit transaction id: the only sound order for change cursors across commits."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)

rid_block = Sequence("rid_block", metadata=metadata, start=16)
"""Blocks of rids: a process takes one and numbers 4,096 resources from it without a round trip."""


def instant(name: str, *, nullable: bool = False, comment: str | None = None) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)


def identifier_text(
    name: str, *, nullable: bool = False, comment: str | None = None
) -> Column[str]:
    """Text compared byte by byte: ids and codes have no language."""
    return Column(name, Text(collation="C"), nullable=nullable, comment=comment)


def owner_columns() -> tuple[Column[int], Column[int | None]]:
    return (
        Column(
            "source", BigInteger, nullable=False, comment="rid of the organization that wrote it"
        ),
        Column("patient", BigInteger, comment="rid of its Patient; null: not about one patient"),
    )
