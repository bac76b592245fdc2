"""Notes on services of the directory: written for everyone by who works for an organization, and told to its keeper.

http://hl7.org/fhir/R4/communication.html

A note is a Communication of the directory about a HealthcareService. What follows is in `record.rules.service_note`.
"""

from __future__ import annotations

from typing import Final

from coordhub.access import caller, viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Update
from coordhub.record.rules.service_note import CATEGORY
from coordhub.store import desk, resources
from coordhub.store.engine import Connection
from coordhub.store.visibility import DIRECTORY, Viewer

LONGEST: Final = 500


async def write(
    hub: Hub, by: Caller, service: str, name: str, provider: str, text: str
) -> tuple[str, int]:
    """id and rid of the Communication. by: who writes it, named in the audit and as its sender.

    service: `HealthcareService/id`, of this name; provider: `Organization/id` whose it is.
    """
    steward = Caller(by.client, DIRECTORY, "", EVERYTHING, request_id=by.request_id)
    note = {
        "resourceType": "Communication",
        "status": "in-progress",
        "category": [CATEGORY],
        "about": [{"reference": service, "display": name}],
        "sender": {"reference": by.reference},
        "recipient": [{"reference": provider}],
        "sent": instant(hub.clock()),
        "payload": [{"contentString": text}],
    }
    done = await commit(hub, steward, [Create("Communication", note)], interaction="create")
    return done.written[0].id, done.written[0].rid


async def settle(hub: Hub, conn: Connection, view: Viewer, note: str, *, corrected: bool) -> bool:
    """The word of who looks after the directory, in place of its keeper's; whether there was a note to look after.

    note: id of the Communication, as `view` sees it.
    """
    found = await resources.read(conn, view, "Communication", note) if note else None
    if found is None or found.body is None or found.source != DIRECTORY:
        return False
    task = await desk.asks_of(conn, viewer.deciding(), found.rid)
    if task is None:
        return False
    status = "completed" if corrected else "rejected"
    now = instant(hub.clock())
    asked = {**parties.document(task), "status": status, "lastModified": now}
    said = {**parties.document(found), "status": "completed"}
    await commit(
        hub,
        caller.hub(hub.organization),
        [
            Update("Task", task.id, asked, if_match=task.version),
            Update("Communication", found.id, said, if_match=found.version),
        ],
        interaction="transaction",
    )
    return True
