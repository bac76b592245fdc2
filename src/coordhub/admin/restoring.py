"""A hub that was restored from a backup: it sends nothing until somebody has compared it with the world.

What the backup does not know: what was delivered since (partners know a repeat by its key), what partners
wrote since (they are read again), and what was forbidden since: Consents that ended, clients that were
deactivated, what was expunged. So it begins paused, and says what has to be looked at.

https://www.postgresql.org/docs/current/continuous-archiving.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.store import pauses
from coordhub.store.engine import Engine
from coordhub.store.pauses import Open, Pause


@dataclass(frozen=True, slots=True)
class Restored:
    """shows: the last instant that the backup knows of. reading: how much is read again from partners."""

    shows: datetime | None
    reading: int
    standing: tuple[Open, ...]


async def begin(engine: Engine, by: Operator, now: datetime) -> Restored:
    """Pause what is sent and have partners read again; twice is as once."""
    async with engine.transaction() as conn:
        before = [one for one in await pauses.current(conn) if one.why == "restored"]
        shows = before[0].shows if before else await pauses.last_known(conn)
        await pauses.begin(conn, "restored", now, shows)
        reading = await pauses.read_all_again(conn, now)
        standing = await pauses.standing(conn)
        said = {"shows": shows.isoformat() if shows else "nothing"}
        await note(conn, by, "restored", now, said)
    engine.wake()
    return Restored(shows, reading, tuple(standing))


async def pause(engine: Engine, by: Operator, reason: str, now: datetime) -> None:
    """Send nothing until `resume`."""
    async with engine.transaction() as conn:
        await pauses.begin(conn, "operator", now)
        await note(conn, by, "sending-paused", now, {"reason": reason})


async def resume(engine: Engine, by: Operator, why: pauses.Why, reason: str, now: datetime) -> None:
    """Send again what waited."""
    async with engine.transaction() as conn:
        if not await pauses.end(conn, why):
            raise NothingDone("nothing is paused for that.")
        await note(conn, by, "sending-resumed", now, {"why": why, "reason": reason})
    engine.wake()


async def paused(engine: Engine) -> list[Pause]:
    async with engine.pool.acquire() as conn:
        return await pauses.current(conn)
