"""Notes on services of the directory: written for everyone by who works for an organization, and told to its keeper.

http://hl7.org/fhir/R4/communication.html

A note is a Communication of the directory about a HealthcareService. What follows is in `record.rules.service_note`.
"""

from __future__ import annotations

from typing import Final

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.record.rules.service_note import CATEGORY
from coordhub.store.visibility import DIRECTORY

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
