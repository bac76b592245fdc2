"""An app opened at a request: with whom it is about, and the request itself, in its context.

http://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.authorization import opening
from coordhub.fhir.context import Context
from coordhub.portal import answering
from coordhub.portal.sheets import Sheet
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.store import audit, launches, resources
from coordhub.store.accounts import Person
from coordhub.store.launches import Launchable
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow


async def offered(hub: Hub) -> list[Launchable]:
    async with hub.engine.pool.acquire() as conn:
        return await launches.launchable(conn)


async def opened(
    context: Context, person: Person, own: Version, sheet: Sheet, app: str, request_id: str | None
) -> str | None:
    """Where the browser goes to; None where there is no such app. own: the organization of the person."""
    hub, task = context.hub, sheet.task
    assert task is not None
    assert sheet.document is not None
    now = hub.clock()
    async with hub.engine.transaction() as conn:
        found = {one.client: one for one in await launches.launchable(conn)}.get(app)
        if found is None:
            return None
        named = parties.local(sheet.document.get("for"), hub.base) or ""
        kind, _, fhir_id = named.partition("/")
        view = viewer.as_organization(own.rid)
        patient = await resources.read(conn, view, kind, fhir_id) if kind == "Patient" else None
        about = patient.rid if patient is not None and patient.body is not None else None
        word = await opening.handed_over(conn, app, own.rid, person.id, about, task.rid, now)
        row = AuditRow(
            answering.PERSON + person.id, own.rid, "app-opened", 200, "Task", task.id,
            (task.rid,) if about is None else (task.rid, about), query=f"app={app}",
            request_id=request_id,
        )  # fmt: skip
        await audit.append(conn, row, now)
    return opening.address(found, word, hub.base)
