"""Pairs of entries of the directory that are one service, or were looked at and are not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Pair:
    """state: proposed, merged, apart. by: who has decided; None: nobody yet, or the hub, being certain."""

    kept: int
    other: int
    state: str
    because: str
    by: str | None
    at: datetime


async def propose(conn: Connection, pairs: Sequence[tuple[int, int, str]], now: datetime) -> None:
    """(kept, other, because) of pairs that are not known yet; what was decided stands."""
    await conn.execute(
        "insert into directory_twin (kept, other, state, because, at)"
        " select k, o, 'proposed', b, $4 from unnest($1::bigint[], $2::bigint[], $3::text[]) p(k, o, b)"
        " on conflict (kept, other) do nothing",
        [one[0] for one in pairs],
        [one[1] for one in pairs],
        [one[2] for one in pairs],
        now,
    )


async def pairs(conn: Connection, states: Collection[str]) -> list[Pair]:
    rows = await conn.fetch(
        "select kept, other, state, because, by, at from directory_twin where state = any($1::text[])"
        " order by kept, other",
        sorted(states),
    )
    return [Pair(*row) for row in rows]


async def lock(conn: Connection, kept: int, other: int) -> Pair | None:
    """The pair, however it was named, held until the transaction ends."""
    row = await conn.fetchrow(
        "select kept, other, state, because, by, at from directory_twin"
        " where (kept, other) in (($1, $2), ($2, $1)) for update",
        kept,
        other,
    )
    return None if row is None else Pair(*row)


async def decide(
    conn: Connection, pair: tuple[int, int], state: str, by: str | None, now: datetime
) -> None:
    await conn.execute(
        "update directory_twin set state = $3, by = $4, at = $5 where kept = $1 and other = $2",
        *pair,
        state,
        by,
        now,
    )


async def merged_into(conn: Connection, others: Collection[int]) -> dict[int, int]:
    """Of these, those that are merged -> what they are merged into."""
    rows = await conn.fetch(
        "select other, kept from directory_twin where state = 'merged' and other = any($1::bigint[])",
        sorted(others),
    )
    return {row[0]: row[1] for row in rows}


async def feeds_of(conn: Connection, rids: Collection[int]) -> dict[int, str]:
    """Of entries, the feed that tells of them still."""
    rows = await conn.fetch(
        "select rid, feed from directory_entry where rid = any($1::bigint[]) and not gone",
        sorted(rids),
    )
    return {row[0]: row[1] for row in rows}


async def several_tell(conn: Connection) -> bool:
    """Whether more than one feed has entries."""
    return bool(
        await conn.fetchval(
            "select count(*) > 1 from (select distinct feed from directory_entry where not gone) f"
        )
    )
