"""What somebody at work has noticed of a service, such as that it closes early on Fridays: its keeper is asked to look.

http://hl7.org/fhir/R4/communication.html, docs/directory.md

The note stands in the directory, so that everyone reads it, until it is looked after: an errand of the organization
whose service it is says so. Nobody is asked about a service of a victim service provider.
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.directory import services
from coordhub.record import errands, parties
from coordhub.record.work import Draft, Work
from coordhub.store.visibility import DIRECTORY

KIND: Final = "service-note"
"""Code of the errand, and of the Communication."""
CATEGORY: Final[dict[str, Any]] = {
    "coding": [
        {"system": "urn:coordhub:communication", "code": KIND, "display": "Note on a service"}
    ]
}
SERVICE: Final = "HealthcareService/"


def notes(draft: Draft) -> bool:
    """Whether it is said in the directory; what others write as such is theirs."""
    document = draft.document or {}
    return draft.source == DIRECTORY and CATEGORY in (document.get("category") or ())


async def apply(work: Work, draft: Draft) -> None:
    assert draft.document is not None
    if draft.op != "create":
        return
    for text in parties.locals_of(draft.document.get("about"), work.hub.base):
        found = await services.recipient(work.conn, text, work.hub.base)
        if text.startswith(SERVICE) and found and found.organization.rid not in work.apart:
            owner = found.organization.reference
            await errands.open_errand(work, kind=KIND, owner=owner, subject=draft.reference)
            return
