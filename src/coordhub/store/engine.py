"""The connections to Postgres and what a process keeps in hand: rids, interned systems, the wake-up.

What is asked by key, writes above all, is planned once for each connection (BY_KEY): left to itself
Postgres plans the one statement of a write anew each time, which costs more than running it. Searches
have a small pool of their own with `plan_cache_mode=force_custom_plan`: a generic plan for a search
can be a thousand times worse than one made for its values. What a transaction needs done outside of
itself (a block of rids, a system interned) goes by a third, tiny pool: were it the same, transactions
that hold all connections would wait for one more for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from coordhub.store import clock, distributed, pooling
from coordhub.store import replica as replicas
from coordhub.store.pooling import Pooled
from coordhub.store.replica import Replica
from coordhub.telemetry import LOOKS, log

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)

RIDS_PER_BLOCK = 4096
CHANNEL = "coordhub_change"

BY_KEY = {
    "plan_cache_mode": "force_generic_plan",
    # A plan that is kept must be right for the table as it will be, not as small as it was.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""For connections on which nothing is searched, only looked up: plans are kept, and walk indexes."""

IN_TURN = {
    "plan_cache_mode": "force_custom_plan",
    # store.search relies on the parts of a union being asked in turn.
    "max_parallel_workers_per_gather": "0",
}
"""For connections on which is searched."""

NAMED = {"application_name": "coordhub"}

STATEMENTS = 400
"""Kept prepared for each of these connections: a referral from sent to completed takes some 60, and a write has one
for each combination of kinds of rows. One that is forgotten is read and planned again."""

KEPT: dict[str, Any] = {
    "max_cached_statement_lifetime": 0,
    "statement_cache_size": STATEMENTS,
}
"""How these connections keep what they have prepared."""

SERIALIZATION_RETRY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Failures after which the same transaction, run again, is right."""

UNAVAILABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a database that is away, or goes away, raises."""


_T = TypeVar("_T")
Begin: TypeAlias = Callable[[], Awaitable[None]]


async def _as_it_is(connection: object) -> None:
    """Give a connection back without a round trip: nothing here alters a session.

    asyncpg has ended what transaction there was.
    """


if TYPE_CHECKING:
    _Pool = asyncpg.Pool[asyncpg.Record]
else:  # there it takes no parameter
    _Pool = asyncpg.Pool


class Bounded(_Pool):
    """Connections for the doors. Where all are busy nobody waits longer than `patience` seconds: TimeoutError."""

    patience = 5.0

    def acquire(
        self, *, timeout: float | None = None
    ) -> asyncpg.pool.PoolAcquireContext[asyncpg.Record]:
        if timeout is None and not self.get_idle_size():  # who need not wait needs no clock for it
            timeout = self.patience
        return super().acquire(timeout=timeout)

    def acquire_at_last(self) -> asyncpg.pool.PoolAcquireContext[asyncpg.Record]:
        """However long it takes: for the routing worker, whom nobody waits for."""
        return super().acquire()

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """As asyncpg's, in the task that it is called from instead of one of its own.

        What is cancelled meanwhile loses its connection, which the pool makes again.
        """
        holder, used = connection._holder, connection._con
        if used is None:
            return
        used._on_release()
        await holder.release(timeout or holder._timeout)


def settings(
    statement_timeout_ms: int, consent_policy: str
) -> tuple[dict[str, str], dict[str, str]]:
    """What is in force on connections for what is looked up and written, and on those for searches."""
    both = {
        "jit": "off",
        "statement_timeout": str(statement_timeout_ms),
        "coordhub.consent_policy": consent_policy,
    }
    return {**both, **BY_KEY}, {**both, **IN_TURN}


def _told(settings: dict[str, str], pooled: Pooled | None) -> dict[str, Any]:
    """What a connection is told when it begins; a pooler would lose it."""
    return {"server_settings": NAMED if pooled else {**NAMED, **settings}}


def _set(settings: dict[str, str], pooled: Pooled | None) -> dict[str, Any]:
    """How asyncpg comes to a connection on which they are in force: it sets them, or asks whether they are."""
    if pooled is None:
        return _told(settings, None)
    wanted = {**settings, **pooling.ROLE}
    return {
        **_told(settings, pooled),
        "init": functools.partial(pooling.compare, wanted=wanted),
        "reset": _as_it_is,
    }


async def _bounded(url: str, size: int, *, least: int = 1, **connect: Any) -> Bounded:
    """What `asyncpg.create_pool` does, with its defaults, for a class of our own."""
    return await Bounded(
        url,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        min_size=least,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        loop=None,
        **{"reset": _as_it_is, **connect},
    )


def searching_of(size: int) -> int:
    """How many of so many connections are for searches."""
    return max(1, size // 3)


class Engine:
    """One per process. `open` it, hand it down, `close` it."""

    def __init__(
        self,
        url: str,
        pool: Bounded,
        searches: Bounded,
        asides: asyncpg.Pool[asyncpg.Record],
        in_force: tuple[dict[str, str], dict[str, str]],
        pooled: Pooled | None = None,
        replica: Replica | None = None,
    ) -> None:
        self.url = url
        self._replica = replica
        self._in_force = in_force
        self._pooled = pooled
        self.pool = pool
        self.searches = searches
        self._asides = asides
        self._systems: dict[str, int] = {}
        self._block = 0
        self._left = 0
        self._rid_lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._off = timedelta()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        size: int = 10,
        statement_timeout_ms: int = 30_000,
        consent_policy: str = "by-purpose",
        pooled: Pooled | None = None,
        replica: str | None = None,
    ) -> Engine:
        """Connect to an already migrated database; `size` connections at most, a third of them for searches.

        consent_policy: what absent consent means, to `access_by_default` (store.visibility).
        pooled: given where `url` is a pooler's. Raises NotInForceError where that loses what is relied upon.
        replica: address of a streaming replica; it need not be there.
        """
        searching = searching_of(size)
        lookups, in_turn = settings(statement_timeout_ms, consent_policy)
        async with contextlib.AsyncExitStack() as stack:
            asides = await asyncpg.create_pool(url, min_size=0, max_size=2, **_set(lookups, pooled))
            stack.push_async_callback(asides.close)
            if pooled is not None:
                await pooling.keeps_statements(asides)
            else:
                async with asides.acquire() as conn:
                    if await distributed.is_spread(conn):
                        lookups |= distributed.PLANNED_ANEW
            pool = await _bounded(
                url,
                max(1, size - searching),
                **KEPT,
                **_set(lookups, pooled),
            )
            stack.push_async_callback(pool.close)
            searches = await _bounded(
                pooled.searches if pooled else url, searching, **_set(in_turn, pooled)
            )
            stack.push_async_callback(searches.close)
            beside = None
            if replica is not None:
                beside = Replica(
                    await _bounded(replica, searching, least=0, **_told(in_turn, None))
                )
            stack.pop_all()
        engine = cls(url, pool, searches, asides, (lookups, in_turn), pooled, beside)
        await engine._compare_clocks()
        engine._tasks = [
            asyncio.create_task(engine._notify()),
            asyncio.create_task(engine._keep_time()),
        ]
        return engine

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.pool.close()
        await self.searches.close()
        if self._replica is not None:
            await self._replica.pool.close()
        await self._asides.close()

    async def readdress(
        self, url: str, pooled: Pooled | None = None, replica: str | None = None
    ) -> None:
        """Connect there from now on, as where a password or a login has changed; what is under way ends where it began.

        Raises what connecting raises, and changes nothing, where nobody is let in there.
        """
        lookups, in_turn = (_told(settings, pooled) for settings in self._in_force)
        of_searches = pooled.searches if pooled else url
        for address in {url, of_searches, *([pooled.direct] if pooled else ())}:
            tried = await asyncpg.connect(address, server_settings=NAMED)
            await tried.close()
        self.url, self._pooled = url, pooled
        self.pool.set_connect_args(url, **KEPT, **lookups)
        self.searches.set_connect_args(of_searches, **in_turn)
        self._asides.set_connect_args(url, **lookups)
        for pool in (self.pool, self.searches, self._asides):
            await pool.expire_connections()
        if self._replica is not None and replica is not None:
            self._replica.pool.set_connect_args(replica, **_told(self._in_force[1], None))
            await self._replica.pool.expire_connections()

    def now(self) -> datetime:
        """Now, by the database's clock, in the milliseconds that meta.lastUpdated shows: what is stored is
        what was answered."""
        now = clock.machine() + self._off
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def _compare_clocks(self) -> None:
        async with self.pool.acquire() as conn:
            before = clock.machine()
            there = await conn.fetchval("select clock_timestamp()")
            off = clock.correction(before, there, clock.machine())
        if abs(off - self._off) >= clock.NOTED:
            log("clock.corrected", level="warning", seconds=round(off.total_seconds(), 3))
        self._off = off

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(clock.EVERY_SECONDS)
            with contextlib.suppress(TimeoutError, *UNAVAILABLE):
                await self._compare_clocks()

    async def look(self, step: Callable[[Connection], Awaitable[_T]]) -> _T:
        """What `step` finds, which only reads; on the replica where one is far enough, else on the primary.

        It may be taken twice: where the replica goes away or has to go on meanwhile.
        """
        if self._replica is not None and not self._replica.rests:
            async with self.pool.acquire() as primary:
                known = await replicas.mark(primary)
            try:
                async with self._replica.past(known) as conn:
                    if conn is not None:
                        return await step(conn)
            except replicas.LOST as error:
                self._replica.leave(type(error).__name__)
        LOOKS.labels("primary").inc()
        async with self.searches.acquire() as conn:
            return await step(conn)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[tuple[Connection, Begin]]:
        """A connection, and what begins a READ COMMITTED transaction on it; a second call does nothing.

        Whatever is to be locked, or written by more than one statement, begins it first. What is
        one statement is a transaction by itself, and saves the round trips of BEGIN and COMMIT.
        """
        async with self.pool.acquire() as conn, contextlib.AsyncExitStack() as stack:
            begun = False

            async def begin() -> None:
                nonlocal begun
                if not begun:
                    await stack.enter_async_context(conn.transaction())
                    begun = True

            yield conn, begin

    @contextlib.asynccontextmanager
    async def transaction(self, *, at_last: bool = False) -> AsyncIterator[Connection]:
        """A READ COMMITTED transaction, for what is no write of the record, and for the routing worker.

        at_last: wait for its connection however long it takes.
        """
        waited = self.pool.acquire_at_last() if at_last else self.pool.acquire()
        async with waited as conn, conn.transaction():
            yield conn

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """One REPEATABLE READ snapshot to compare things in, which changes nothing and locks nothing."""
        async with (
            self.pool.acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield conn

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection that stays the same session, for locks and settings that outlive a transaction.

        Behind a pooler it is one to Postgres itself, made for this.
        """
        if self._pooled is None:
            async with self.pool.acquire_at_last() as conn:
                yield conn
            return
        direct = await asyncpg.connect(self._pooled.direct, server_settings={**NAMED, **BY_KEY})
        try:
            yield direct
        finally:
            with contextlib.suppress(*UNAVAILABLE):
                await direct.close(timeout=1)

    async def rids(self, count: int) -> list[int]:
        """`count` fresh sequence numbers; `rid = number << 8 | shard`. Gaps are normal."""
        async with self._rid_lock:
            numbers: list[int] = []
            while len(numbers) < count:
                if self._left == 0:
                    block = await self._asides.fetchval("select nextval('rid_block')")
                    self._block, self._left = block * RIDS_PER_BLOCK, RIDS_PER_BLOCK
                take = min(self._left, count - len(numbers))
                numbers.extend(range(self._block, self._block + take))
                self._block += take
                self._left -= take
            return numbers

    async def systems(self, uris: Iterable[str]) -> dict[str, int]:
        """The numbers of code systems, interned on first sight in a commit of their own.

        A number without a row that uses it is harmless; a row whose number was rolled back is not.
        """
        wanted = set(uris)
        missing = sorted(wanted - self._systems.keys())
        if missing:
            async with self._asides.acquire() as conn:
                await conn.execute(
                    "insert into code_system (uri) select unnest($1::text[]) on conflict (uri) do nothing",
                    missing,
                )
                rows = await conn.fetch(
                    "select id, uri from code_system where uri = any($1::text[])", missing
                )
            if len(self._systems) > 100_000:
                self._systems.clear()
            found = {row["uri"]: row["id"] for row in rows}
            self._systems.update(found)
            return {uri: found[uri] if uri in found else self._systems[uri] for uri in wanted}
        return {uri: self._systems[uri] for uri in wanted}

    async def known_systems(self, conn: Connection, uris: Iterable[str]) -> dict[str, int]:
        """Numbers of those systems that are interned already; a search interns nothing."""
        wanted = set(uris)
        missing = sorted(wanted - self._systems.keys())
        if missing:
            for row in await conn.fetch(
                "select id, uri from code_system where uri = any($1::text[])", missing
            ):
                self._systems[row["uri"]] = row["id"]
        return {uri: self._systems[uri] for uri in wanted if uri in self._systems}

    def wake(self) -> None:
        """Tell the workers that something was committed. Costs nothing here; polling alone would do."""
        self._wake.set()

    async def _notify(self) -> None:
        """NOTIFY outside of any write's transaction (it takes one global lock through commit), debounced."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(*UNAVAILABLE):
                await self._asides.execute(f"notify {CHANNEL}")
            await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def listening(self, woken: Callable[[], None]) -> AsyncIterator[None]:
        """Call `woken` whenever some process committed a change; on a connection of its own.

        When that connection is lost the caller keeps polling and is not told.
        """
        conn = await asyncpg.connect(
            self._pooled.direct if self._pooled else self.url,
            server_settings={"application_name": "coordhub listener"},
        )
        try:
            await conn.add_listener(CHANNEL, lambda *_: woken())
            yield
        finally:
            with contextlib.suppress(*UNAVAILABLE):
                await conn.close(timeout=1)
