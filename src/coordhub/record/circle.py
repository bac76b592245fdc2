"""Who is shown a patient's results besides who asked: the doctor, and to whom copies are to go.

http://hl7.org/fhir/R4/patient-definitions.html#Patient.generalPractitioner,
http://hl7.org/fhir/R4/communicationrequest.html

Believed of who keeps the record it stands in: the doctor of the Patient, the CommunicationRequest of who
sent the order. An organization that treats may ask for a copy for itself, of an order that it sees: that shows
it nothing, it is brought what it may see anyway (`asking`). Whether one of them may see a result is the
patient's to say, and is asked at every look and before every delivery. The care team is not here: it sees the
chart while it is one (record.care_teams).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.record import parties
from coordhub.store import consents, resources, results
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.visibility import EVERYONE

MOST: Final = 50
"""Organizations that one result goes to, besides who asked."""

_ENDED: Final = frozenset({"revoked", "entered-in-error", "completed", "draft"})
"""Statuses of a CommunicationRequest by which nothing is copied."""

Document = Mapping[str, Any]


async def of(conn: Connection, base: str, episode: Episode) -> dict[int, str]:
    """Organizations (rid) with the reference that named each, by which it is reached; without who asked."""
    if episode.patient is None:
        return {}
    copies = await results.copies(conn, episode.patient, episode.requester)
    asked = dict.fromkeys((episode.request, *(need.request for need in episode.needs)))
    stored = await resources.read_rids(conn, viewer.deciding(), [episode.patient, *asked, *copies])
    documents = {
        rid: parties.document(each) for rid, each in stored.items() if each.body is not None
    }
    orders = [(stored[rid].reference, documents[rid]) for rid in asked if rid in documents]
    named = _locals(base, (documents.get(episode.patient) or {}).get("generalPractitioner"))
    for _, order in orders:
        named += _copies(base, order)
    for rid in copies:
        if rid in documents and any(_is_about(base, documents[rid], *each) for each in orders):
            named += _locals(base, documents[rid].get("recipient"))
    found: dict[int, str] = {}
    for text in dict.fromkeys(named):
        for address in await _addresses(conn, text):
            behind = await services.recipient(conn, address, base)
            if behind is not None:
                found.setdefault(behind.organization.rid, address)
    found.pop(episode.requester, None)
    return dict(list(found.items())[:MOST])


async def asking(conn: Connection, base: str, episode: Episode, result: int) -> frozenset[int]:
    """Who has asked for a copy for itself, and sees both the order and this result (rid) already."""
    if episode.patient is None:
        return frozenset()
    wishes = dict(await results.asking(conn, episode.patient, episode.requester))
    if not wishes:
        return frozenset()
    asked = dict.fromkeys((episode.request, *(need.request for need in episode.needs)))
    stored = await resources.read_rids(conn, viewer.deciding(), [*asked, *wishes])
    documents = {
        rid: parties.document(each) for rid, each in stored.items() if each.body is not None
    }
    wanted = {
        (wishes[rid], order)
        for rid in wishes.keys() & documents.keys()
        for order in asked.keys() & documents.keys()
        if _is_about(base, documents[rid], stored[order].reference, documents[order])
        and await asks_for_itself(conn, base, documents[rid], wishes[rid])
    }
    seen = await consents.are_shown(
        conn, sorted({one for one, _ in wanted}), [result, *sorted({order for _, order in wanted})]
    )
    return frozenset(one for one, order in wanted if {(one, order), (one, result)} <= seen)


async def asks_for_itself(conn: Connection, base: str, request: Document, author: int) -> bool:
    """Whether this CommunicationRequest of the author's names its own organization to hear of it, and nobody else."""
    named = _locals(base, request.get("recipient"))
    behind = [await services.recipient(conn, one, base) for one in named]
    return bool(named) and all(one is not None and one.organization.rid == author for one in behind)


async def doctors(conn: Connection, base: str, patient: Document) -> frozenset[int]:
    """rids of the organizations behind the doctors that this Patient names."""
    found = set()
    for text in dict.fromkeys(_locals(base, patient.get("generalPractitioner"))):
        for address in await _addresses(conn, text):
            behind = await services.recipient(conn, address, base)
            found |= {behind.organization.rid} if behind is not None else set()
    return frozenset(found)


async def _addresses(conn: Connection, text: str) -> list[str]:
    """A person is reached where it works, if the directory knows one place only: nobody guesses which."""
    kind, _, fhir_id = text.partition("/")
    if kind != "Practitioner":
        return [text]
    person = await resources.read(conn, EVERYONE, kind, fhir_id)
    roles = await results.roles(conn, EVERYONE, person.rid) if person is not None else []
    return [roles[0].reference] if len(roles) == 1 else []


def _is_about(base: str, request: Document, order: str, document: Document) -> bool:
    """Whether a CommunicationRequest in force says that somebody is to hear of this order."""
    if request.get("status") in _ENDED:
        return False
    named = [*_locals(base, request.get("about")), *_locals(base, request.get("basedOn"))]
    group, requisition = request.get("groupIdentifier"), document.get("requisition")
    return order in named or (group is not None and group == requisition)


def _copies(base: str, order: Document) -> Iterator[str]:
    """The recipients of the CommunicationRequests that the order itself contains."""
    for inner in order.get("contained") or ():
        if (
            inner.get("resourceType") == "CommunicationRequest"
            and inner.get("status") not in _ENDED
        ):
            yield from _locals(base, inner.get("recipient"))


def _locals(base: str, elements: object) -> list[str]:
    return parties.locals_of(elements, base)
