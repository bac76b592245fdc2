"""How many records say each name, by the digests of names: what an agreement of names is weighed by.

The database notes each key that comes and goes (`name_change`, by triggers on `idx_person`, so that whatever writes
or removes keys is counted); who looks who is who adds that up. So a name that half of all have costs no more to
weigh than one that nobody else has, and writers of one name do not wait for each other. What has no key is not in it:
nothing of a victim service provider's is, and a name that only such a record has left has no row.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from coordhub.store.engine import Connection

ALL: Final = 0
"""In place of a kind of key: the row that says how many there are of the kind that stands in place of the key."""

MOST: Final = 10_000
"""Changes that are added up at once."""


async def add_up(conn: Connection) -> bool:
    """Whether there was anything to add up. Called by one at a time (persons.LOCK)."""
    changed = await conn.fetch(
        "with gone as (delete from name_change where id in (select id from name_change order by id limit $1)"
        " returning param, key, number), each as (select param, key, number from gone"
        f" union all select {ALL}::smallint, param::bigint, number from gone)"
        " insert into name_count as n (param, key, number) select param, key, sum(number) from each"
        " group by param, key on conflict (param, key) do update set number = n.number + excluded.number"
        " returning param, key, number",
        MOST,
    )
    none = [(row["param"], row["key"]) for row in changed if row["number"] == 0]
    if none:
        await conn.execute(
            "delete from name_count n using unnest($1::smallint[], $2::bigint[]) w(param, key)"
            " where n.param = w.param and n.key = w.key",
            [param for param, _ in none],
            [key for _, key in none],
        )
    return bool(changed)


async def how_many(
    conn: Connection, keys: Collection[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """How many records have each of these keys, of kinds that are counted."""
    wanted = sorted(keys)
    rows = await conn.fetch(
        "select w.param, w.key, coalesce(n.number, 0) from unnest($1::smallint[], $2::bigint[]) w(param, key)"
        " left join name_count n on n.param = w.param and n.key = w.key",
        [param for param, _ in wanted],
        [key for _, key in wanted],
    )
    return {(row[0], row[1]): row[2] for row in rows}


async def of_kind(conn: Connection, kind: int) -> int:
    """How many rows there are of a kind of key: nearly one for each record, of surnames."""
    found: int | None = await conn.fetchval(
        f"select number from name_count where param = {ALL} and key = $1", kind
    )
    return found or 0
