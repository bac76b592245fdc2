"""Reads on a streaming replica, where it knows all that was committed before they began.

https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION,
https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL

A replica that lags shows what a withdrawn Consent has closed. So each look asks the primary first how far its log
is, and goes to the replica only once that has replayed the log to there: whatever was visible on the primary when
the look began, above all the end of a grant, is then visible on the replica, too. What is not there within MOST
goes to the primary. Grants also end by the clock, and the server that judges them goes by its own: a replica whose
clock is behind the primary's, or ahead of it by more than ASIDE, is not asked either. Nor is a server that is no
replica any more, or follows another history than the primary's, since places in two histories cannot be compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from coordhub.telemetry import LOOKS, log

if TYPE_CHECKING:
    from coordhub.store.engine import Bounded, Connection

MOST: Final = 0.1
"""Seconds that a look waits for a connection to the replica and for the replica itself."""

REST: Final = 1.0
"""Seconds for which a replica that was not there in time is asked nothing, so that not every look waits for it."""

ASIDE: Final = timedelta(seconds=2)
"""How much later it may be there, with what the look has waited."""

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.CrashShutdownError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCatalogNameError,
)
"""What a replica raises that is away, goes away, lets nobody in, or needs to go on replaying (a conflict)."""

_HOW_FAR: Final = (
    "select pg_current_wal_insert_lsn()::text, ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))"
    "::bit(32)::int, clock_timestamp(), (select system_identifier from pg_control_system())"
)

_THERE: Final = (
    "select pg_is_in_recovery()"
    " and $4 = (select system_identifier from pg_control_system())"
    " and $2 = (select min_recovery_end_timeline from pg_control_recovery())"
    " and clock_timestamp() < $3::timestamptz + $5::interval as follows,"
    " pg_last_wal_replay_lsn() >= $1::text::pg_lsn and clock_timestamp() >= $3 as there"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a primary's log is: place and timeline of a server's history, and the time there."""

    lsn: str
    timeline: int
    at: datetime
    server: int


async def mark(primary: Connection) -> Mark:
    row = await primary.fetchrow(_HOW_FAR)
    assert row is not None
    return Mark(*row)


@dataclass(slots=True)
class Replica:
    """pool: of connections for searches there. One per process."""

    pool: Bounded
    _not_before: float = field(default=0.0, init=False)
    _well: bool = field(default=True, init=False)

    @property
    def rests(self) -> bool:
        return time.monotonic() < self._not_before

    @contextlib.asynccontextmanager
    async def past(self, known: Mark) -> AsyncIterator[Connection | None]:
        """A connection there, once it knows all up to this mark; None where it does not in time."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(MOST):
                    conn = await stack.enter_async_context(self.pool.acquire())
                    why = await _reached(conn, known)
            except TimeoutError:
                why = "behind"
            except LOST as error:
                why = type(error).__name__
            if why is not None:
                self.leave(why)
                yield None
                return
            if not self._well:
                self._well = True
                log("replica.followed")
            LOOKS.labels("replica").inc()
            yield conn

    def leave(self, why: str) -> None:
        """Ask it nothing for a while."""
        self._not_before = time.monotonic() + REST
        if self._well:
            self._well = False
            log("replica.left", level="warning", reason=why)


async def _reached(conn: Connection, known: Mark) -> str | None:
    """Return once it has; a reason at once where it never will."""
    wait = 0.001
    while True:
        row = await conn.fetchrow(_THERE, known.lsn, known.timeline, known.at, known.server, ASIDE)
        assert row is not None
        if not row["follows"]:
            return "follows another history, or another clock"
        if row["there"]:
            return None
        await asyncio.sleep(wait)
        wait = min(wait * 2, 0.016)
