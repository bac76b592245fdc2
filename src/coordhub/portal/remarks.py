"""Notes on a service, by who has been there: what stands on its page until its keeper has looked after it.

http://hl7.org/fhir/R4/communication.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.portal.occurrences import Wall
from coordhub.portal.offering import Sheet
from coordhub.record import parties, service_notes
from coordhub.record.hub import Hub
from coordhub.store import desk, resources
from coordhub.store import parties as kinds
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

MOST: Final = 100
SERVICE: Final = "HealthcareService/"


@dataclass(frozen=True, slots=True)
class Remark:
    """who: the organization that wrote it. day: when."""

    rid: int
    text: str
    who: str
    day: str


async def of(
    hub: Hub, conn: Connection, organization: int, sheet: Sheet, wall: Wall
) -> list[Remark]:
    """Those that nobody has looked after yet, newest first."""
    view = viewer.as_organization(organization)
    found = []
    for version in await desk.notes(conn, view, sheet.provider, MOST):
        document = parties.document(version)
        if SERVICE + sheet.id not in parties.locals_of(document.get("about"), hub.base):
            continue
        writer = parties.local(document.get("sender"), hub.base) or ""
        kind, _, fhir_id = writer.partition("/")
        named = await resources.read(conn, view, kind, fhir_id) if fhir_id else None
        said = wall.said(document.get("sent"))
        found.append(
            Remark(
                version.rid,
                " ".join(
                    str(one.get("contentString", "")) for one in document.get("payload") or ()
                ),
                str(parties.document(named).get("name", "")) if named and named.body else "",
                said[2] if said is not None else "",
            )
        )
    return found


async def may_write(conn: Connection, organization: int) -> bool:
    """A victim service provider tells nobody where it is at work."""
    return await kinds.kind_of(conn, organization) != "vsp"


async def write(hub: Hub, caller: Caller, sheet: Sheet, text: str) -> tuple[str, int] | None:
    """id and rid of what was written; None where nobody keeps the service."""
    async with hub.engine.pool.acquire() as conn:
        owner = (await resources.read_rids(conn, EVERYONE, [sheet.provider])).get(sheet.provider)
    if owner is None:
        return None
    return await service_notes.write(
        hub, caller, SERVICE + sheet.id, sheet.name, owner.reference, text
    )
