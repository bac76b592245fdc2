"""The relay: an episode's changes become deliveries, once and in order.

One transaction per episode, under the same lock that its writers hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from coordhub import tracing
from coordhub.directory import services
from coordhub.record.hub import Hub
from coordhub.routing import advance, deputizing, policy, resolve, results
from coordhub.routing.stumble import Aside, attempt
from coordhub.store import changes, deliveries, episodes, grants, needs, traces
from coordhub.store import results as of_results
from coordhub.store.changes import Change
from coordhub.store.deliveries import Planned
from coordhub.store.engine import Connection
from coordhub.store.episodes import NOBODY, Episode
from coordhub.store.results import Routed
from coordhub.telemetry import log


async def relay(hub: Hub, new_id: Callable[[], UUID], aside: Aside | None = None) -> bool:
    """Take the next steps of one episode and plan its deliveries; False when none has anything to do.

    aside: takes up an episode that fails, which then counts as done for now; without it, raises.
    """
    return await attempt(aside, "relay", lambda besides, told: _relay(hub, new_id, besides, told))


async def _relay(
    hub: Hub,
    new_id: Callable[[], UUID],
    besides: Collection[int],
    told: Callable[[int], None],
) -> bool:
    """told: of the episode that was claimed."""
    async with hub.engine.transaction(at_last=True) as conn:
        claimed = await changes.claim_episode(conn, besides)
        if claimed is None:
            claimed = await needs.claim_due(conn, hub.clock(), besides)
            if claimed is None:
                return False
            told(claimed)
            with services.once():
                await advance.take_up(hub, conn, claimed)
        told(claimed)
        parents = await traces.of_episode(conn, claimed) if tracing.is_on() else []
        belongs = tracing.span(
            "relay", parent=next(iter(parents), None), others=parents[1:], episode=claimed
        )
        with services.once(), belongs, services.within(sandbox=False):
            if pending := await changes.unrelayed(conn, claimed):
                episode = (await episodes.read(conn, [claimed]))[claimed]
                services.enter(sandbox=episode.sandbox)
                if moved := await advance.advance(hub, conn, episode):
                    episode = moved
                    pending = await changes.unrelayed(conn, claimed)
                tasks = [(one.rid, one.version) for one in pending if one.type == "Task"]
                named = await of_results.named_by(conn, tasks) if tasks else {}
                planned = [
                    row
                    for change in pending
                    for row in await _deliveries(
                        hub,
                        conn,
                        episode,
                        change,
                        named.get((change.rid, change.version), ()),
                        new_id,
                    )
                ]
                now = hub.clock()
                await deliveries.plan(conn, planned, now, [change.seq for change in pending])
                log(
                    "change.relayed", episode=claimed, changes=len(pending), deliveries=len(planned)
                )
    return True


async def _deliveries(
    hub: Hub,
    conn: Connection,
    episode: Episode,
    change: Change,
    named: Sequence[Routed],
    new_id: Callable[[], UUID],
) -> list[Planned]:
    """named: the results that it says are of the referral."""
    if change.type != "Task" and change.type not in policy.SAID:
        return await results.planned(hub, conn, episode, change, new_id)
    rows: list[Planned] = []
    hearing: tuple[int, ...] = ()
    offered = await _offered(conn, episode, change)
    if change.type == "Task":
        rows = await results.named_by(hub, conn, episode, change, named, new_id)
    else:
        tasks = [episode.id, *(one.task for one in episode.candidates)]
        hearing = await grants.hearers(conn, change.rid, tasks)
    for organization in policy.concerned(change, episode, hearing, offered=offered):
        there = [(organization, offered[organization])] if organization in offered else None
        for whose, address in there or await _addressed(hub, conn, episode, change, organization):
            if whose == change.author:
                continue
            endpoint = await resolve.endpoint_of(conn, address, hub.base, hub.clock())
            rows.append(
                Planned(
                    new_id(),
                    change.rid & 255,
                    change.seq,
                    episode.id,
                    whose,
                    endpoint,
                    change.rid,
                    change.version,
                )
            )
    return rows


async def _offered(conn: Connection, episode: Episode, change: Change) -> dict[int, str]:
    """To whom a Task of a pool was offered, with their addresses, as long as nobody had claimed it; that
    somebody has, too, whoever was sent it is told."""
    candidate = episode.candidate_of_task(change.rid)
    if candidate is None or not episode.is_of_pool(candidate):
        return {}
    claims = candidate.accepted_at == change.at and candidate.organization == change.author
    if candidate.organization != NOBODY and not claims:
        return {}
    return (await grants.members(conn, episode.id)).get(candidate.task, {})


async def _addressed(
    hub: Hub, conn: Connection, episode: Episode, change: Change, organization: int
) -> list[tuple[int, str]]:
    """The recipient as it was addressed, or who stands in for it; the sender by its Organization."""
    if change.rid != episode.id or organization != episode.requester:
        for candidate in episode.candidates:
            if candidate.organization == organization:
                return await deputizing.addressed(hub, conn, episode, candidate)
    found = await services.by_rid(conn, organization)
    return [(organization, found[0].reference if found is not None else "")]
