"""The floor of each work item: the least SQL that keeps the same promise, by asyncpg alone.

https://magicstack.github.io/asyncpg/current/

Durable like the hub (same server, same settings), with history and one index row where the hub
keeps them, prepared, one round trip each; no HTTP, no validation, no visibility, no audit (but b2).
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from bench import documents
from coordhub.r4 import document as fhir_json

NAMES = {
    "a": "current + history + index row, one transaction",
    "b": "select by key",
    "b2": "select by key + one batched durable audit row",
    "c": "indexed newest 10",
    "d": "100 rows in one unnest",
    "e": "update with version check + history",
}

_TABLES = """
create table current_row (id uuid primary key, version int not null, updated timestamptz not null,
    source bigint not null, patient bigint not null, body text not null);
create table history_row (id uuid not null, version int not null, updated timestamptz not null,
    body text not null, primary key (id, version));
create table index_row (patient bigint not null, code text collate "C" not null,
    taken timestamptz not null, id uuid not null);
create index on index_row (patient, code, taken desc);
create table audit_row (seq bigint generated always as identity primary key,
    at timestamptz not null, who text not null, what uuid not null);
"""

_CREATE = """
with now_current as (
    insert into current_row values ($1, 1, $2, 7, $3, $4)
), now_history as (
    insert into history_row values ($1, 1, $2, $4)
)
insert into index_row values ($3, $5, $2, $1)
"""

_MANY = """
insert into current_row select u.id, 1, $2, 7, u.patient, u.body
from unnest($1::uuid[], $3::bigint[], $4::text[]) as u(id, patient, body)
"""

_INDEXED = """
insert into index_row select u.patient, u.code, u.taken, u.id
from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::uuid[]) as u(patient, code, taken, id)
"""

_NEWEST = """
select c.id, c.version, c.updated, c.body
from index_row i join current_row c on c.id = i.id
where i.patient = $1 and i.code = $2 order by i.taken desc limit 10
"""

_UPDATE = """
with before as (
    select id, version, updated, body from current_row where id = $1 and version = $2 for update
), kept as (
    insert into history_row select id, version, updated, body from before
)
update current_row c set version = c.version + 1, updated = $3, body = $4
from before where c.id = before.id
returning c.version
"""

_AUDIT = """
insert into audit_row (at, who, what)
select $1, u.who, u.what from unnest($2::text[], $3::uuid[]) as u(who, what)
"""


class Floor:
    """The floor's database, filled as the hub was."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._numbers = itertools.count(1_000_000)
        self._ids: list[uuid.UUID] = []
        self._versions: dict[int, int] = {}
        self._own: list[uuid.UUID] = []
        self._waiting: list[tuple[uuid.UUID, asyncio.Future[None]]] = []
        self._asked = asyncio.Event()

    async def fill(self, observations: int) -> None:
        await self._pool.execute(_TABLES)
        for first in range(0, observations, 1000):
            rows = [self._row(number) for number in range(first, min(observations, first + 1000))]
            ids = [row[0] for row in rows]
            patients = [row[1] for row in rows]
            now = datetime.now(UTC)
            await self._pool.execute(_MANY, ids, now, patients, [row[4] for row in rows])
            codes, taken = [row[2] for row in rows], [row[3] for row in rows]
            await self._pool.execute(_INDEXED, patients, codes, taken, ids)
            self._ids += ids[:50]
        self._own = self._ids[:64]
        await self._pool.execute("analyze")

    @staticmethod
    def _row(number: int) -> tuple[uuid.UUID, int, str, datetime, str]:
        document = documents.observation(number, f"Patient/{uuid.UUID(int=number % 20)}")
        patient = number // len(documents.TESTS) % 20
        taken = datetime.fromisoformat(document["effectiveDateTime"])
        code = document["code"]["coding"][0]["code"]
        return uuid.uuid4(), patient, code, taken, fhir_json.encode(document).decode()

    async def create(self, _: int) -> None:
        fhir_id, patient, code, _taken, body = self._row(next(self._numbers))
        await self._pool.execute(_CREATE, fhir_id, datetime.now(UTC), patient, body, code)

    async def read(self, _: int) -> None:
        await self._read()

    async def _read(self) -> uuid.UUID:
        fhir_id = self._ids[next(self._numbers) * 7919 % len(self._ids)]
        await self._pool.fetchrow(
            "select id, version, updated, body from current_row where id = $1", fhir_id
        )
        return fhir_id

    async def read_audited(self, _: int) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        row = await self._read()
        self._waiting.append((row, done))
        self._asked.set()
        await done

    async def audit(self) -> None:
        """Write the rows of all that wait, in one statement, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            batch, self._waiting = self._waiting, []
            await self._pool.execute(
                _AUDIT, datetime.now(UTC), ["bench"] * len(batch), [row for row, _ in batch]
            )
            for _, done in batch:
                done.set_result(None)

    async def newest(self, _: int) -> None:
        number = next(self._numbers)
        code = documents.TESTS[number % len(documents.TESTS)][0]
        rows = await self._pool.fetch(_NEWEST, number // 10 % 20, code)
        assert rows

    async def transact(self, _: int) -> None:
        rows = [self._row(next(self._numbers)) for _ in range(100)]
        ids, patients, bodies = ([row[at] for row in rows] for at in (0, 1, 4))
        await self._pool.execute(_MANY, ids, datetime.now(UTC), patients, bodies)

    async def update(self, client: int) -> None:
        """Each client has a row of its own, as it has a Task of its own at the hub."""
        body = f'{{"resourceType":"Task","description":"step {next(self._numbers)}"}}'
        version = self._versions.get(client, 1)
        self._versions[client] = await self._pool.fetchval(
            _UPDATE, self._own[client], version, datetime.now(UTC), body
        )

    def works(self) -> dict[str, Any]:
        """Letter -> the work."""
        return {
            "a": self.create,
            "b": self.read,
            "b2": self.read_audited,
            "c": self.newest,
            "d": self.transact,
            "e": self.update,
        }


async def _nothing_to_reset(_: object) -> None:
    """As the hub does: else each statement would cost a second round trip."""


@asynccontextmanager
async def floor(url: str, clients: int, observations: int) -> AsyncIterator[Floor]:
    """The floor in its own, empty database; a connection for each client and one for the audit."""
    pool = await asyncpg.create_pool(
        url, min_size=clients + 1, max_size=clients + 1, reset=_nothing_to_reset
    )
    try:
        made = Floor(pool)
        await made.fill(observations)
        audit = asyncio.create_task(made.audit())
        try:
            yield made
        finally:
            audit.cancel()
    finally:
        pool.terminate()
