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
from coordhub.store.resources import Version
from coordhub.store.visibility import EVERYONE, Viewer

MOST: Final = 100
SERVICE: Final = "HealthcareService/"


@dataclass(frozen=True, slots=True)
class Remark:
    """id: of the Communication. who: the organization that wrote it. day: when. service, name: id and name of what
    it is about."""

    rid: int
    id: str
    text: str
    who: str
    day: str
    service: str
    name: str


async def of(
    hub: Hub, conn: Connection, organization: int, sheet: Sheet, wall: Wall
) -> list[Remark]:
    """Those on a service that nobody has looked after yet, newest first."""
    view = viewer.as_organization(organization)
    found = await desk.notes(conn, view, sheet.provider, MOST)
    told = [await _remark(hub, conn, view, one, wall) for one in found]
    return [one for one in told if one.service == sheet.id]


async def waiting(hub: Hub, conn: Connection, organization: int, wall: Wall) -> list[Remark]:
    """Those on any service."""
    view = viewer.as_organization(organization)
    found = await desk.notes(conn, view, None, MOST)
    return [await _remark(hub, conn, view, one, wall) for one in found]


async def _remark(hub: Hub, conn: Connection, view: Viewer, note: Version, wall: Wall) -> Remark:
    document = parties.document(note)
    writer = parties.local(document.get("sender"), hub.base) or ""
    kind, _, fhir_id = writer.partition("/")
    named = await resources.read(conn, view, kind, fhir_id) if fhir_id else None
    about: dict[str, object] = next(iter(document.get("about") or ()), {})
    service = parties.local(about, hub.base) or ""
    said = wall.said(document.get("sent"))
    return Remark(
        note.rid, note.id,
        " ".join(str(one.get("contentString", "")) for one in document.get("payload") or ()),
        str(parties.document(named).get("name", "")) if named and named.body else "",
        said[2] if said is not None else "",
        service.removeprefix(SERVICE), str(about.get("display", "")),
    )  # fmt: skip


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
