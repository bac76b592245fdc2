"""The relay: an episode's changes become deliveries, once and in order.

One transaction per episode, under the same lock that its writers hold.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from coordhub.access import viewer
from coordhub.record.hub import Hub
from coordhub.routing import advance, policy, resolve
from coordhub.store import changes, deliveries, episodes, resources
from coordhub.store.changes import Change
from coordhub.store.deliveries import Planned
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.telemetry import log


async def relay(hub: Hub, new_id: Callable[[], UUID]) -> bool:
    """Plan the deliveries of one episode; False when no episode has anything to tell."""
    async with hub.engine.transaction() as conn:
        claimed = await changes.claim_episode(conn)
        if claimed is None:
            return False
        while pending := await changes.unrelayed(conn, claimed):
            episode = (await episodes.read(conn, [claimed]))[claimed]
            if episode.planned_at is None and episode.state == "open":
                await advance.ask(hub, conn, episode)
                episode = (await episodes.read(conn, [claimed]))[claimed]
            planned = [
                row
                for change in pending
                for row in await _deliveries(hub, conn, episode, change, new_id)
            ]
            now = hub.clock()
            await deliveries.plan(conn, planned, now)
            await changes.relayed(conn, [change.seq for change in pending], now)
            log("change.relayed", episode=claimed, changes=len(pending), deliveries=len(planned))
    return True


async def _deliveries(
    hub: Hub, conn: Connection, episode: Episode, change: Change, new_id: Callable[[], UUID]
) -> list[Planned]:
    rows = []
    for organization in policy.concerned(change, episode):
        address = await _address(conn, episode, change, organization)
        endpoint = await resolve.endpoint_of(conn, address, hub.base, hub.clock())
        rows.append(
            Planned(
                new_id(),
                change.rid & 255,
                change.seq,
                episode.id,
                organization,
                endpoint,
                change.rid,
                change.version,
            )
        )
    return rows


async def _address(conn: Connection, episode: Episode, change: Change, organization: int) -> str:
    """The recipient as it was addressed; the sender by its Organization."""
    candidate = episode.candidate_of_task(change.rid)
    if candidate is not None and candidate.organization == organization:
        return candidate.recipient
    found = await resources.read_rids(conn, viewer.as_organization(organization), [organization])
    return found[organization].reference if organization in found else ""
