"""Who is shown a patient's results besides who asked: the doctor, and to whom copies are to go.

http://hl7.org/fhir/R4/patient-definitions.html#Patient.generalPractitioner,
http://hl7.org/fhir/R4/communicationrequest.html

Believed of who keeps the record it stands in: the doctor of the Patient, the CommunicationRequest of who
sent the order. Whether one of them may see a result is the patient's to say, and is asked at every look
and before every delivery. The care team is not here: it sees the chart while it is one (record.care_teams).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.record import parties
from coordhub.record.work import Work
from coordhub.store import resources, results
from coordhub.store.episodes import Episode

MOST: Final = 50
"""Organizations that one result goes to, besides who asked."""

_ENDED: Final = frozenset({"revoked", "entered-in-error", "completed", "draft"})
"""Statuses of a CommunicationRequest by which nothing is copied."""

Document = Mapping[str, Any]


async def of(work: Work, episode: Episode) -> dict[int, str]:
    """Organizations (rid) with the reference that named each; without who asked, and who is apart."""
    if episode.patient is None:
        return {}
    copies = await results.copies(work.conn, episode.patient, episode.requester)
    stored = await resources.read_rids(
        work.conn,
        viewer.deciding(),
        [episode.patient, episode.request, *copies],
    )
    documents = {
        rid: parties.document(each) for rid, each in stored.items() if each.body is not None
    }
    order = documents.get(episode.request) or {}
    named = [
        *_locals(work, (documents.get(episode.patient) or {}).get("generalPractitioner")),
        *_copies(work, order),
    ]
    for rid in copies if order else ():
        if rid in documents and _is_about(work, documents[rid], stored[episode.request], order):
            named += _locals(work, documents[rid].get("recipient"))
    found: dict[int, str] = {}
    for text in dict.fromkeys(named):
        behind = await services.recipient(work.conn, text, work.hub.base)
        if behind is not None:
            found.setdefault(behind.organization.rid, text)
    left = {
        rid: text
        for rid, text in found.items()
        if rid != episode.requester and rid not in work.apart
    }
    return dict(list(left.items())[:MOST])


def _is_about(work: Work, request: Document, order: resources.Version, document: Document) -> bool:
    """Whether a CommunicationRequest in force says that somebody is to hear of this order."""
    if request.get("status") in _ENDED:
        return False
    named = [*_locals(work, request.get("about")), *_locals(work, request.get("basedOn"))]
    group, requisition = request.get("groupIdentifier"), document.get("requisition")
    return order.reference in named or (group is not None and group == requisition)


def _copies(work: Work, order: Document) -> Iterator[str]:
    """The recipients of the CommunicationRequests that the order itself contains."""
    for inner in order.get("contained") or ():
        if (
            inner.get("resourceType") == "CommunicationRequest"
            and inner.get("status") not in _ENDED
        ):
            yield from _locals(work, inner.get("recipient"))


def _locals(work: Work, elements: object) -> list[str]:
    return parties.locals_of(elements, work.hub.base)
