"""What a test or a service costs here, from which day on: the operator's word, nothing is shipped."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from coordhub.store.engine import Connection


class Price(NamedTuple):
    """currency: ISO 4217. source: who says so."""

    system: str
    code: str
    since: date
    amount: Decimal
    currency: str
    source: str


async def put(conn: Connection, prices: Iterable[Price]) -> None:
    """Have these stand; one of the same code and day is replaced."""
    await conn.executemany(
        "insert into price (system, code, since, amount, currency, source) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (system, code, since) do update set amount = $4, currency = $5, source = $6",
        list(prices),
    )


async def listed(conn: Connection) -> list[Price]:
    rows = await conn.fetch(
        "select system, code, since, amount, currency, source from price order by system, code, since"
    )
    return [Price(*row) for row in rows]
