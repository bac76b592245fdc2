"""The audit of what only looked: gathered per process, durable before the answer.

A write's audit rows are part of its own statement (`transact`). Reads come in crowds, each waiting
for its row: one statement writes the rows of all that wait, and then they are answered. A process
that dies takes with it only answers that nobody got.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime

from coordhub.store.engine import UNAVAILABLE, Connection, Engine
from coordhub.store.transact import AuditRow, audit_json

_STATEMENT = """
with n as materialized (
    select * from jsonb_to_recordset($2::jsonb) as n(client text, organization bigint, interaction text,
        outcome smallint, type smallint, fhir_id text, rids bigint[], query text, delivery uuid, request_id text,
        person text)
), seen as (
    update candidate c set seen_at = $1
    from (select distinct n.organization, unnest(n.rids) as rid from n where n.outcome between 200 and 299) s
    where (c.task = s.rid or c.request = s.rid) and c.organization = s.organization and c.seen_at is null
      and not exists (select from party p where p.organization = c.organization and p.kind = 'vsp')
)
insert into audit (at, client, organization, interaction, outcome, type, fhir_id, rids, query, delivery, request_id,
    person)
select $1, client, organization, interaction, outcome, type, fhir_id, coalesce(rids, '{}'),
    case when not exists (select from party p where p.organization = n.organization and p.kind = 'vsp') then query end,
    delivery, request_id, person
from n
"""


async def append(conn: Connection, row: AuditRow, now: datetime) -> None:
    """One row, in a transaction that is open: of what is done there."""
    await append_all(conn, [row], now)


async def append_all(conn: Connection, rows: Sequence[AuditRow], now: datetime) -> None:
    await conn.execute(_STATEMENT, now, audit_json(rows))


class AuditLog:
    """Rows on their way to the table. One per process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[AuditRow, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write())

    async def stop(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        for _, done in self._waiting:
            done.cancel()

    async def record(self, row: AuditRow) -> None:
        """Returns when the row is durable; raises what the database raised if it could not be made so.

        The first authorised look of a recipient at its Task is also noted as `candidate.seen_at`, but
        for a victim service provider, of whom nobody learns what it saw; what it searched by is not kept.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        self._arrived.set()
        await done

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batch, self._waiting = self._waiting[:500], self._waiting[500:]
            if self._waiting:
                self._arrived.set()
            try:
                await self._engine.pool.execute(
                    _STATEMENT, self._engine.now(), audit_json([row for row, _ in batch])
                )
            except UNAVAILABLE as error:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            except asyncio.CancelledError:
                for _, done in batch:
                    done.cancel()
                raise
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)
