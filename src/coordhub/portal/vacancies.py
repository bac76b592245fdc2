"""Whether an organization's services have places, as it last said: shown on its desk, and said anew by one press.

http://hl7.org/fhir/us/sdoh-clinicalcare (capacity status), docs/matching.md (Capacity)

The entry of the directory is written by the same door as any other: as its steward where the steward keeps it, on
the word of a person of the organization whose service it is. A victim service provider is asked nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.portal import answering, occurrences
from coordhub.portal.guests import Guest
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Update
from coordhub.referral import offered, same_kind
from coordhub.referral import weights as weighing
from coordhub.store import offers, search, vsp
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import DIRECTORY

STATES: Final = {
    "capacity": "Has places",
    "limited": "Few places",
    "waitlist": "Waiting list",
    "no-capacity": "Full",
}
"""Code of SDOH Clinical Care -> what is pressed."""

MOST: Final = 20
"""Services of an organization that are listed."""

_SCOPES: Final = parse("system/*.rs system/HealthcareService.u")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A service. state: code of STATES, "" where it says nothing; since: when it was said; old: too long ago to count.

    refused: when it last declined for want of places, where that counts more; lasts: until when that counts.
    """

    id: str
    name: str
    state: str
    since: datetime | None
    old: bool
    refused: datetime | None
    lasts: datetime | None
    version: Version


async def vacancies(hub: Hub, conn: Connection, own: Version) -> list[Vacancy]:
    """Those of its services that it may say it of, by name."""
    if own.rid in await vsp.marked(conn):
        return []
    query = parse_query(
        "HealthcareService", [("organization", own.reference), ("active", "true")],
        base=hub.base, now=hub.clock(),
    )  # fmt: skip
    async with hub.engine.searches.acquire() as searching:
        view = viewer.as_organization(own.rid)
        found = (await search.search(searching, hub.engine, view, query, limit=MOST)).versions
    listed = [
        await _vacancy(hub, conn, own, one) for one in found if one.source in (DIRECTORY, own.rid)
    ]
    return sorted(listed, key=lambda one: (one.name.casefold(), one.id))


async def _vacancy(hub: Hub, conn: Connection, own: Version, service: Version) -> Vacancy:
    now, weights = hub.clock(), weighing.in_use()
    said = offered.offered(
        parties.document(service), service.reference, own.rid, updated=service.updated
    )
    lasts = timedelta(hours=weights.rejection_hours)
    answers = await offers.answers(
        conn, [own.rid], said.kinds, since=now - lasts, lately=now - lasts
    )
    refused = max(
        (
            one.refused
            for one in answers
            if one.refused is not None
            and one.recipient in (service.reference, own.reference)
            and (said.capacity is None or said.capacity.since <= one.refused)
            and now - one.refused < lasts
        ),
        default=None,
    )
    hours = min(
        (
            weights.capacity_hours_by_kind[one]
            for one in same_kind.domains(said.kinds)
            if one in weights.capacity_hours_by_kind
        ),
        default=weights.capacity_hours,
    )
    stated = said.capacity if said.capacity is not None and said.capacity.status in STATES else None
    return Vacancy(
        service.id,
        occurrences.name_in(service),
        stated.status if stated is not None else "",
        stated.since if stated is not None else None,
        stated is not None and now - stated.since > timedelta(hours=hours),
        refused,
        refused + lasts if refused is not None else None,
        service,
    )


def saying(document: Document, state: str, now: str) -> Document:
    """The entry, with what is said of its places, and of when that is; numbers that were left before say it no more."""
    kept, numbers = [], []
    for one in document.get("extension") or []:
        if one.get("url") == offered.CAPACITY:
            parts = [
                each
                for each in one.get("extension") or []
                if each.get("url") not in ("available", "updated")
            ]
            numbers.append(parts)
        elif one.get("url") != offered.CAPACITY_STATUS:
            kept.append(one)
    dated = {"url": "updated", "valueDateTime": now}
    coding = {"system": same_kind.SDOHCC, "code": state, "display": STATES[state]}
    status = {"url": "capacityStatus", "valueCodeableConcept": {"coding": [coding]}}
    return {
        **document,
        "extension": [
            *kept,
            *(
                {"url": offered.CAPACITY, "extension": [*parts, dated]}
                for parts in (numbers or [[]])
            ),
            {"url": offered.CAPACITY_STATUS, "extension": [status]},
        ],
    }


async def say(hub: Hub, guest: Guest, found: Vacancy, state: str, request_id: str | None) -> None:
    """Write it; FhirError where the hub refuses."""
    now = instant(hub.clock())
    keeper = (
        found.version.source,
        "" if found.version.source == DIRECTORY else guest.own.reference,
    )
    caller = Caller(
        answering.PERSON + guest.session.person.id, *keeper, _SCOPES, request_id=request_id
    )
    changed = saying(parties.document(found.version), state, now)
    update = Update("HealthcareService", found.id, changed, if_match=found.version.version)
    await commit(hub, caller, [update], interaction="update")
