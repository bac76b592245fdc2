"""What those around a patient are told outside of any referral: a stay, the plan of its care, a request for data.

One transaction per patient, whose record is locked meanwhile, as the relay locks a referral: so what
is told of one patient is planned once, and in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from coordhub.access import viewer
from coordhub.record.hub import Hub
from coordhub.routing import resolve
from coordhub.routing.stumble import Aside, attempt
from coordhub.store import changes, circle, deliveries, episodes, resources
from coordhub.store.changes import Change
from coordhub.store.deliveries import Planned
from coordhub.store.engine import Connection
from coordhub.telemetry import log


async def tell(hub: Hub, new_id: Callable[[], UUID], aside: Aside | None = None) -> bool:
    """Plan the deliveries about one patient; False when there is nothing to tell of any.

    aside: takes up a patient of whom it fails, which then counts as done for now; without it, raises.
    """
    return await attempt(aside, "circle", lambda besides, told: _tell(hub, new_id, besides, told))


async def _tell(
    hub: Hub,
    new_id: Callable[[], UUID],
    besides: Collection[int],
    told: Callable[[int], None],
) -> bool:
    async with hub.engine.transaction(at_last=True) as conn:
        patient = await changes.claim_patient(conn, besides)
        if patient is None:
            return False
        told(patient)
        pending = await changes.unrelayed(conn, patient)
        planned = [
            row
            for change in pending
            for row in await _deliveries(hub, conn, patient, change, new_id)
        ]
        now = hub.clock()
        await deliveries.plan(conn, planned, now, [change.seq for change in pending])
        log("circle.told", patient=patient, changes=len(pending), deliveries=len(planned))
    return True


async def _deliveries(
    hub: Hub, conn: Connection, patient: int, change: Change, new_id: Callable[[], UUID]
) -> list[Planned]:
    if change.op == "delete":
        return []
    rows = []
    for organization in await _concerned(conn, patient, change):
        if organization == change.author:
            continue
        found = await resources.read_rids(
            conn, viewer.as_organization(organization), [organization]
        )
        address = found[organization].reference if organization in found else ""
        endpoint = await resolve.endpoint_of(conn, address, hub.base, hub.clock())
        rows.append(
            Planned(
                new_id(),
                change.rid & 255,
                change.seq,
                patient,
                organization,
                endpoint,
                change.rid,
                change.version,
            )
        )
    return rows


async def _concerned(conn: Connection, patient: int, change: Change) -> Collection[int]:
    """Who is told; of a Task that asks for data, who is asked and who asks."""
    if change.type != "Task":
        return await circle.around(conn, patient, change.rid)
    errands = await episodes.errands_of(conn, [change.rid])
    stored = await resources.read_rids(conn, viewer.deciding(), [change.rid])
    return dict.fromkeys(
        [errands[change.rid].owner, stored[change.rid].source] if change.rid in errands else ()
    )
