"""Who of the directory can help with what a ServiceRequest asks for, best first, and who cannot and why.

http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/R4/healthcareservice.html

A handful of statements for any number of services; the judgement itself is `referral.matching`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from coordhub.r4 import document as fhir_json
from coordhub.referral import weights as weighing
from coordhub.referral.matching import Offered, Prospect, Wanted, ranked
from coordhub.referral.offered import offered
from coordhub.referral.wanted import wanted
from coordhub.store import consents, offers
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
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
) -> list[Prospect]:
    """Who is in, best first, then who is out; nobody where the request says no kind of service by code.

    patient: as the decision may read it; None: nothing is known. subject: rid of the Patient, whose
    Consents count; None: nobody in particular, so that consent is no criterion. sender: rid of the
    organization that refers. besides: rids of organizations that are not to be found. urgent: beside
    what the request's priority says.
    """
    asked = wanted(request, patient, now, urgent=urgent)
    if not asked.kinds:
        return []
    found = [one for one in await _offers(conn, asked, sender) if one.organization not in besides]
    if subject is not None:
        organizations = sorted({one.organization for one in found})
        said = await consents.said_of(conn, subject, organizations)
        found = [replace(one, consent=said.get(one.organization, "unsaid")) for one in found]
    return ranked(asked, found, weighing.in_use())


async def _offers(conn: Connection, asked: Wanted, sender: int) -> list[Offered]:
    services = await offers.services(conn, EVERYONE, asked.kinds, sender, asked.now)
    services = [one for one in services if asked.theirs or not one.apart]
    places = {
        rid: _document(version)
        for rid, version in (
            await offers.places(
                conn,
                EVERYONE,
                (rid for one in services if not one.apart for rid in (*one.locations, *one.areas)),
            )
        ).items()
    }
    return [_offered(one, places) for one in services]


def _offered(service: offers.Service, places: Mapping[int, Document]) -> Offered:
    found = offered(
        _document(service.version),
        service.version.reference,
        service.organization,
        updated=service.version.updated,
        locations=[places[rid] for rid in service.locations if rid in places],
        areas=[places[rid] for rid in service.areas if rid in places],
        apart=service.apart,
    )
    return replace(
        found,
        active=found.active and service.organization_active,
        agreed=service.agreed,
        away=service.away,
    )


def _document(version: Version) -> Document:
    assert version.body is not None
    return fhir_json.parse(version.body.encode())
