"""Who of the directory can help with what a ServiceRequest asks for, best first, and who cannot and why.

http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/R4/healthcareservice.html

A handful of statements for any number of services; the judgement itself is `referral.matching`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from coordhub.referral import weights as weighing
from coordhub.referral.matching import Known, Offered, Prospect, ranked
from coordhub.referral.offered import read
from coordhub.referral.same_kind import NO_KIND
from coordhub.referral.wanted import wanted
from coordhub.store import consents, offers
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

Document = Mapping[str, Any]


async def prospects(
    conn: Connection,
    request: Document,
    patient: Document | None,
    *,
    sender: int,
    now: datetime,
    subject: int | None = None,
    besides: Collection[int] = (),
    urgent: bool = False,
    by: datetime | None = None,
    zone: ZoneInfo | None = None,
) -> list[Prospect]:
    """Who is in, best first, then who is out; nobody where the request says no kind of service by code.

    patient: as the decision may read it; None: nothing is known. subject: rid of the Patient, whose
    Consents count; None: nobody in particular, so that consent is no criterion. sender: rid of the
    organization that refers. besides: rids of organizations that are not to be found. urgent: beside
    what the request's priority says. by: it is of no use later. zone: of services that do not say theirs.
    """
    asked = wanted(request, patient, now, urgent=urgent, by=by)
    if not asked.kinds:
        return []
    found = [
        one
        for one in await offers.services(conn, EVERYONE, asked.kinds, NO_KIND, sender, now)
        if one.organization not in besides and (asked.theirs or not one.apart)
    ]
    places = await offers.places(
        conn,
        EVERYONE,
        {rid for one in found if not one.apart for rid in (*one.locations, *one.areas)},
    )
    said: Mapping[int, str] = {}
    if subject is not None:
        organizations = sorted({one.organization for one in found})
        said = await consents.said_of(conn, subject, organizations)
    unsaid = "permitted" if subject is None else "unsaid"
    return ranked(
        asked,
        [
            (_offered(one, places, zone), _known(one, said.get(one.organization, unsaid)))
            for one in found
        ],
        weighing.in_use(),
    )


def _offered(one: offers.Service, places: Mapping[int, str], zone: ZoneInfo | None) -> Offered:
    return read(
        one.text,
        one.reference,
        one.organization,
        one.updated,
        tuple(places[rid] for rid in one.locations if rid in places),
        tuple(places[rid] for rid in one.areas if rid in places),
        zone=zone,
        apart=one.apart,
    )


def _known(one: offers.Service, consent: str) -> Known:
    return Known(one.organization_active, one.agreed, one.away, consent)
