"""What a screening found, and what may be done about each need: who could help, why, and what is known already.

http://hl7.org/fhir/us/sdoh-clinicalcare (referral management)

What is chosen is one requisition, an order for each need, and one Task (agreed). Nothing is proposed for what is a
matter of safety.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import viewer
from coordhub.portal import agreed, candidates
from coordhub.portal.agreed import Part, Sent
from coordhub.portal.occurrences import Wall
from coordhub.portal.sheets import name_of
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.referral import findings, screening
from coordhub.store import resources, search
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

_ORDER: Final = "urn:coordhub:order-of-screening"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Screened:
    """proposed: for each need who offers what it asks for. person: its name. safety: a need of safety came up, for
    which nothing is proposed. rids: what is shown."""

    response: Version
    patient: Version
    person: str
    proposed: tuple[candidates.Found, ...]
    safety: bool
    rids: tuple[int, ...]


async def screened(
    hub: Hub, conn: Connection, own: Version, fhir_id: str, wall: Wall
) -> Screened | None:
    """What a response of this organization's says; None for all others, and where nothing is read of it."""
    view = viewer.as_organization(own.rid)
    response = await resources.read(conn, view, "QuestionnaireResponse", fhir_id)
    if response is None or response.body is None or response.source != own.rid:
        return None
    said = screening.read(parties.document(response))
    if said is None or response.patient is None:
        return None
    patient = (await resources.read_rids(conn, view, [response.patient])).get(response.patient)
    if patient is None or patient.body is None:
        return None
    kinds = candidates.kinds()
    proposed = [
        await candidates.found(hub, conn, own, patient, kinds[one.kind], False, wall)
        for one in said.needs
        if not one.sensitive
    ]
    names = parties.document(patient).get("name") or [{}]
    rids = [response.rid, patient.rid, *(rid for one in proposed for rid in one.rids)]
    return Screened(
        response, patient, name_of(names[0]), tuple(proposed),
        any(one.sensitive for one in said.needs), tuple(dict.fromkeys(rids)),
    )  # fmt: skip


def chosen(found: Screened, form: Mapping[str, str]) -> list[Part]:
    """The needs that are checked on the form, each with whom."""
    return [
        agreed.part(one, form) for one in found.proposed if form.get(f"need.{one.kind.key}") == "on"
    ]


async def sent_of(hub: Hub, organization: int, found: Screened, parts: Sequence[Part]) -> Sent:
    """What its referral says of where it comes from: sent twice, it is one."""
    concerns = await _concerns(hub, organization, found)
    kinds = [one.found.kind.key for one in parts]
    return Sent(
        identifiers={
            kind: {"system": _ORDER, "value": f"{found.response.id}#{kind}"} for kind in kinds
        },
        requisition={"system": findings.PROPOSAL, "value": f"{found.response.id}#all"},
        more={
            kind: {"reasonReference": [{"reference": concerns[kind]}]}
            for kind in kinds
            if kind in concerns
        },
    )


async def _concerns(hub: Hub, organization: int, found: Screened) -> dict[str, str]:
    """By kind, the Condition that the response gave rise to."""
    needs = screening.needs()
    numbers = [
        findings.number_of(found.response.reference, needs[one.kind.key]) for one in found.proposed
    ]
    stated = ",".join(f"{findings.SYSTEM}|{one}" for one in numbers)
    query = parse_query("Condition", [("identifier", stated)], base=hub.base, now=hub.clock())
    async with hub.engine.searches.acquire() as conn:
        view = viewer.as_organization(organization)
        page = await search.search(conn, hub.engine, view, query, limit=len(numbers) + 1)
    known = {}
    for one in page.versions:
        key = findings.key_of(parties.document(one), found.response.reference)
        if key is not None:
            known[key.rpartition("/")[2]] = one.reference
    return known
