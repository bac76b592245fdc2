"""What a referral may share: never more than its sender may see."""

from __future__ import annotations

from collections.abc import Iterable

from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.visibility import DIRECTORY, Viewer, visible

_PARTS = (
    ("DiagnosticReport", "result"),
    ("Observation", "has-member"),
    ("Observation", "derived-from"),
)


async def shareable(conn: Connection, sender: int, rids: Iterable[int]) -> set[int]:
    """Of `rids` and the results they consist of, those that organization `sender` may see itself.

    A report brings its observations, a panel its members; one level. What is in the directory needs no grant.
    """
    condition, arguments = visible(Viewer(sender), "r", 4)
    rows = await conn.fetch(
        f"{_WITH_PARTS} where r.source <> $3 and {condition}",
        sorted(rids),
        _part_numbers(),
        DIRECTORY,
        *arguments,
    )
    return {row[0] for row in rows}


async def asked_by(conn: Connection, task: int) -> int | None:
    """rid of the organization that a Task of the hub's is for by itself, as one that asks to stop is."""
    found: int | None = await conn.fetchval(
        "select organization from access_grant where because = $1 and rid = $1 and rule = 'party'",
        task,
    )
    return found


async def written_by(conn: Connection, author: int, rids: Iterable[int]) -> set[int]:
    """Of `rids` and the results they consist of, those that organization `author` wrote itself."""
    rows = await conn.fetch(
        f"{_WITH_PARTS} where r.source = $3", sorted(rids), _part_numbers(), author
    )
    return {row[0] for row in rows}


_WITH_PARTS = (
    "with named as (select unnest($1::bigint[]) as rid"
    " union select i.target from idx_reference i"
    " where i.rid = any($1::bigint[]) and i.param = any($2::smallint[]) and i.target is not null)"
    " select r.rid from named n join resource r on r.rid = n.rid and r.shard = (n.rid & 255)::smallint"
)


def _part_numbers() -> list[int]:
    return [parameters(kind)[code].id for kind, code in _PARTS]
