"""What operators do about deliveries that do not go, and about endpoints that fail.

Whether a recipient may still see what is sent again is asked anew when it is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from urllib.parse import urlencode
from uuid import UUID

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, NotKnown, Operator, note
from coordhub.store import audit, circuits, letters, proofs, resources
from coordhub.store.circuits import Circuit
from coordhub.store.deliveries import Claimed
from coordhub.store.engine import Connection, Engine
from coordhub.store.letters import Letter, Tried, Which
from coordhub.store.proofs import Unproved
from coordhub.store.transact import AuditRow
from coordhub.store.visibility import HUB

MOST: Final = 1000
"""How many are listed at a time."""

Act: TypeAlias = Callable[[Connection, Which, datetime], Awaitable[list[UUID]]]

ACTS: Final[dict[str, Act]] = {
    "delivery-replayed": letters.again,
    "delivery-replayed-as-new": letters.anew,
    "delivery-discarded": letters.discard,
}

STATES: Final = {
    "delivery-replayed": ("dead", "parked"),
    "delivery-replayed-as-new": ("dead", "parked"),
    "delivery-discarded": ("dead", "parked", "queued"),
}
"""What an act can be done to."""


@dataclass(frozen=True, slots=True)
class Content:
    """body: what would be sent now. rids: the resources that it holds."""

    body: bytes
    rids: tuple[int, ...]


Rendered = Callable[[Connection, Claimed], Awaitable[Content | str]]
"""How what a delivery carries is had; or why nothing is sent."""


async def listed(engine: Engine, which: Which, most: int = MOST, after: int = 0) -> list[Letter]:
    async with engine.pool.acquire() as conn:
        return await letters.find(conn, which, most, after)


async def content(
    engine: Engine,
    by: Operator,
    delivery: UUID,
    rendered: Rendered,
    now: datetime,
    within: int | None = None,
) -> Content:
    """What it would carry if it went now, by what its recipient may see; on record before it is shown.

    within: the organization (rid) whose person looks, and whose delivery it is: it reads what its server is sent, and
    that is a disclosure to it. Of a victim service provider nothing is shown to anybody here.
    """
    async with engine.transaction() as conn:
        held = await letters.as_held(conn, delivery)
        if held is None or within not in (None, held.organization):
            raise NotKnown(f"there is no delivery {delivery}.")
        found = await rendered(conn, held)
        if isinstance(found, str):
            raise NothingDone(f"nothing would be sent: {found}.")
        if await letters.is_apart(conn, held.organization, found.rids):
            raise NothingDone("what is kept apart is not shown.")
        said = urlencode({"by": by.account})
        row = AuditRow(
            None, HUB, "delivery-content-shown", 0, rids=found.rids, query=said, delivery=delivery
        )
        if within is not None:
            said = urlencode({"delivery": str(delivery)})
            row = AuditRow(by.account, within, "read", 200, rids=found.rids, query=said)
        await audit.append(conn, row, now)
    return found


async def tried_so_far(engine: Engine, delivery: UUID) -> list[Tried]:
    async with engine.pool.acquire() as conn:
        return await letters.attempts(conn, delivery)


async def attempts(engine: Engine, delivery: UUID) -> list[Tried]:
    found = await tried_so_far(engine, delivery)
    if not found:
        raise NothingDone(f"of {delivery} there is no attempt.")
    return found


async def carry_out(
    engine: Engine, by: Operator, act: str, which: Which, now: datetime, reason: str = ""
) -> list[UUID]:
    """Do it to each of them, with a row of the audit for each; their ids. act: one of ACTS."""
    if not which.bounded:
        raise NothingDone("say which, by ids, endpoint, organization, reason or time.")
    async with engine.transaction() as conn:
        done = await ACTS[act](conn, which, now)
        if not done:
            raise NothingDone(f"there is no such delivery that is {' or '.join(which.states)}.")
        await note(conn, by, act, now, {"reason": reason} if reason else {}, done)
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


async def unproved(engine: Engine) -> list[tuple[str, Unproved]]:
    """Endpoints that were changed and have not answered since, as `Endpoint/x`."""
    async with engine.pool.acquire() as conn:
        found = await proofs.unproved(conn)
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
