"""What an organization's desks read: as much as they show, however long anybody's history is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from coordhub.r4.types import NUMBER
from coordhub.store import chart, desk
from coordhub.store.engine import Engine
from coordhub.store.visibility import Viewer

OURS, OTHERS = 101 << 8, 102 << 8
MOST = 20
DESKS: Final[tuple[Callable[..., Awaitable[list[Any]]], ...]] = (
    desk.inbox,
    desk.outbox,
    chart.known,
)

_FILL = f"""
with made as (
    insert into resource (shard, rid, type, fhir_id, version, op, updated, author, source, patient, body)
    select 7, n << 8 | 7, {NUMBER["Task"]}, 'task-' || n, 1, 'create', now(), whose, whose, n << 8 | 7, '{{}}'
    from generate_series($1::bigint, $2::bigint) n
    cross join lateral (select case when n % 2 = 0 then {OURS} else {OTHERS} end as whose) w
    returning rid, source
), episodes as (
    insert into episode (id, shard, requester, request, patient, state, opened_at, closed_at)
    select rid, 7, source, 0, rid, state, now() - (rid >> 8) * interval '1 minute',
        case when state = 'closed' then now() end
    from made cross join lateral (select case when rid % 5120 = 7 then 'open' else 'closed' end as state) s
), errands as (
    insert into errand (task, shard, episode, kind, owner, subject, opened_at, closed_at)
    select rid, 7, rid, 'review', source, rid, now() - (rid >> 8) * interval '1 minute', now() from made
)
insert into candidate (episode, ordinal, shard, organization, recipient, task, request, status, need, wave,
    asked_at, ended_at)
select rid, 1, 7, {OURS} + {OTHERS} - source, 'Organization/x', rid, 0, 'completed', 1, 1,
    now() - (rid >> 8) * interval '1 minute', case when rid % 5120 <> 7 then now() end
from made
"""
"""Referrals from each of two organizations to the other, of which one in ten is open."""


async def test_given_a_history_ten_times_as_long_when_a_desk_is_opened_then_as_many_pages_are_read(
    database_url: str,
) -> None:
    engine = await Engine.open(database_url, size=2)
    try:
        async with engine.pool.acquire() as conn:
            await _grow(conn, 1000, 1999)
            short = [await _pages(conn, asked) for asked in DESKS]
            await _grow(conn, 2000, 9999)
            long = [await _pages(conn, asked) for asked in DESKS]
    finally:
        await engine.close()
    for asked, (before, few), (after, many) in zip(DESKS, short, long, strict=True):
        assert before == after == MOST, asked.__name__
        assert many <= few * 1.5 + 20, (asked.__name__, few, many)


async def _grow(conn: Any, first: int, last: int) -> None:
    await conn.execute(_FILL, first, last)
    for table in ("resource", "episode", "candidate", "errand"):
        await conn.execute(f"analyze {table}")


async def _pages(conn: Any, asked: Callable[..., Awaitable[list[Any]]]) -> tuple[int, int]:
    """How much it finds, and how many pages of the buffer cache that takes."""
    heard: list[tuple[str, tuple[Any, ...]]] = []
    with conn.query_logger(lambda record: heard.append((record.query, tuple(record.args)))):
        found = await asked(conn, Viewer(OURS), MOST)
        await asyncio.sleep(0)  # what was heard is told in the next turn of the loop
    [(query, arguments)] = [one for one in heard if one[0].startswith("select")]
    for _ in range(2):
        explained = await conn.fetchval(
            f"explain (analyze, buffers, format json) {query}", *arguments
        )
    plan = json.loads(explained)[0]["Plan"]
    return len(found), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
