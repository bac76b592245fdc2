"""What operators do about deliveries that do not go, and about endpoints that fail.

Whether a recipient may still see what is sent again is asked anew when it is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.store import circuits, letters, resources
from coordhub.store.circuits import Circuit
from coordhub.store.engine import Connection, Engine
from coordhub.store.letters import Letter, Tried, Which

MOST: Final = 1000
"""How many are listed at a time."""

Act: TypeAlias = Callable[[Connection, Which, datetime], Awaitable[list[UUID]]]

ACTS: Final[dict[str, Act]] = {
    "delivery-replayed": letters.again,
    "delivery-replayed-as-new": letters.anew,
    "delivery-discarded": letters.discard,
}


async def listed(engine: Engine, which: Which) -> list[Letter]:
    async with engine.pool.acquire() as conn:
        return await letters.find(conn, which, MOST)


async def attempts(engine: Engine, delivery: UUID) -> list[Tried]:
    async with engine.pool.acquire() as conn:
        found = await letters.attempts(conn, delivery)
    if not found:
        raise NothingDone(f"of {delivery} there is no attempt.")
    return found


async def carry_out(
    engine: Engine, by: Operator, act: str, which: Which, now: datetime, reason: str = ""
) -> list[UUID]:
    """Do it to each of them, with a row of the audit for each; their ids. act: one of ACTS."""
    async with engine.transaction() as conn:
        done = await ACTS[act](conn, which, now)
        if not done:
            raise NothingDone(f"there is no such delivery that is {' or '.join(which.states)}.")
        for delivery in done:
            await note(conn, by, act, now, {"reason": reason} if reason else {}, delivery)
    engine.wake()
    return done


async def troubled(engine: Engine) -> list[tuple[str, Circuit]]:
    """Endpoints that are not as usual, as `Endpoint/x`."""
    async with engine.pool.acquire() as conn:
        found = await circuits.troubled(conn)
        named = await resources.read_rids(conn, viewer.deciding(), [one.endpoint for one in found])
    return [
        (named[one.endpoint].reference if one.endpoint in named else str(one.endpoint), one)
        for one in found
    ]


async def probe(engine: Engine, by: Operator, endpoint: str, now: datetime) -> None:
    """Let an endpoint (`Endpoint/x`) that is left alone be tried at once."""
    async with engine.transaction() as conn:
        kind, _, fhir_id = endpoint.partition("/")
        found = await resources.read(conn, viewer.deciding(), "Endpoint", fhir_id)
        if (
            kind != "Endpoint"
            or found is None
            or not await circuits.probe_now(conn, found.rid, now)
        ):
            raise NothingDone(
                f"{endpoint} is not one that is left alone. See: coordhub deliveries endpoints"
            )
        await note(conn, by, "endpoint-probed", now, {"endpoint": endpoint})
    engine.wake()
