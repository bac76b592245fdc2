"""What partners know and the hub does not, after it was restored from a backup.

Each server that was ever sent something is asked which Tasks it wrote since; those that are here and stand
otherwise, and those that are not here and name a referral of the hub's, by the group that the hub gives to all
Tasks of one, are told by id and status. Nothing is written: what is here is read again by itself, as was agreed on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from coordhub.access import viewer
from coordhub.directory import bases
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.referral.episode import REFERRAL_SYSTEM
from coordhub.routing import resolve
from coordhub.routing.channels.channel import Refused, Unreachable
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
from coordhub.store import counterparts, pauses, resources

CLOCKS: Final = timedelta(minutes=5)
"""By how much a partner's clock may be off."""


@dataclass(frozen=True, slots=True)
class Gap:
    """organization, endpoint: as references. task: its `Task/id` there; "": the server could not be asked.

    referral: the group that its Task names. here: status of the same Task here, None: it is not here.
    """

    organization: str
    endpoint: str
    task: str = ""
    referral: str = ""
    there: str = ""
    here: str | None = None


async def gaps(
    hub: Hub, channel: HL7FhirRest, since: datetime, request_id: UUID
) -> AsyncIterator[Gap]:
    """Partner after partner; a partner that agrees in all is not told of."""
    async with hub.engine.pool.acquire() as conn:
        reached = await pauses.reached(conn)
        named = await resources.read_rids(
            conn, viewer.deciding(), [rid for pair in reached for rid in pair]
        )
    for organization, endpoint in reached:
        if organization not in named or endpoint not in named:
            continue
        whose, where = named[organization].reference, named[endpoint].reference
        usable = resolve.usable_versions([named[endpoint]], hub.clock())
        found: list[dict[str, Any]] | Refused | Unreachable | None = None
        for document in usable:
            found = await channel.changed(
                document["address"],
                "Task",
                since - CLOCKS,
                bases.headers_of(document),
                str(request_id),
            )
        if not isinstance(found, list):
            yield Gap(whose, where, there=found.reason if found else "its Endpoint is not active")
            continue
        for gap in await _of(hub, organization, (whose, where), found):
            yield gap


async def _of(
    hub: Hub, organization: int, named: tuple[str, str], found: list[dict[str, Any]]
) -> list[Gap]:
    theirs = {f"Task/{one.get('id')}": one for one in found}
    names = [("Task", name.partition("/")[2]) for name in theirs]
    async with hub.engine.pool.acquire() as conn:
        located = await resources.locate(conn, viewer.deciding(), sorted(names))
        meant = await counterparts.meant(conn, viewer.as_organization(organization), sorted(theirs))
        rids = {f"{kind}/{fhir_id}": one.rid for (kind, fhir_id), one in located.items()}
        rids |= {one.theirs: one.rid for one in meant}
        here = await resources.read_rids(conn, viewer.deciding(), sorted(set(rids.values())))
    gaps: list[Gap] = []
    for name, one in sorted(theirs.items()):
        there = str(one.get("status"))
        version = here.get(rids.get(name, 0))
        if version is None and _referral(one) is None:
            continue  # of its own affairs
        status = None
        if version is not None and version.body is not None:
            status = str(parties.document(version).get("status"))
        if status != there:
            gaps.append(Gap(*named, name, _referral(one) or "", there, status))
    return gaps


def _referral(task: dict[str, Any]) -> str | None:
    group = task.get("groupIdentifier")
    if not isinstance(group, dict) or group.get("system") != REFERRAL_SYSTEM:
        return None
    return f"Task/{group.get('value')}"
