"""The conformance check list: what has to be right before a partner's client leaves the sandbox.

`theirs` speaks to the partner's own server as deliveries do, with a test Task, through `outbound`. `ours`
looks at what its client has done here, in the sandbox. What an item comes to is said in words for an engineer:
what was found, and what to do next. Nothing of the content of a resource or an answer is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.outbound.client import Outbound
from coordhub.record.hub import Hub
from coordhub.routing.conformance import ours, theirs
from coordhub.store import clients
from coordhub.store.onboarding import Item, Partner

__all__ = ["check"]


async def check(
    hub: Hub, outbound: Outbound, partner: Partner, before: Sequence[Item], sample: bytes | None
) -> tuple[Item, ...]:
    """Every item of the list, in its order. before: of the report before this one. sample: a resource as it
    would send it."""
    async with hub.engine.pool.acquire() as conn:
        client = await clients.read(conn, partner.client)
        server = await theirs.server_of(conn, partner, hub)
    keys = await ours.keys_of(outbound, client, before)
    return (
        *await theirs.check(hub, outbound, server),
        *keys,
        *await ours.check(hub, partner, sample),
    )
