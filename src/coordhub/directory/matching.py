"""Who of the directory can help with what a ServiceRequest asks for, best first, and who cannot and why.

http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/R4/healthcareservice.html

A handful of statements for any number of services; the judgement itself is `referral.matching`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from coordhub.directory import services as entries
from coordhub.referral import weights as weighing
from coordhub.referral.matching import Known, Offered, Prospect, Received, Record, ranked
from coordhub.referral.offered import read
from coordhub.referral.same_kind import NO_KIND
from coordhub.referral.wanted import wanted
from coordhub.store import consents, offers
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

Document = Mapping[str, Any]

NOTHING: Final = Received()


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
    received: Received = NOTHING,
    zone: ZoneInfo | None = None,
) -> list[Prospect]:
    """Who is in, best first, then who is out; nobody where the request says no kind of service by code.

    patient: as the decision may read it; None: nothing is known. subject: rid of the Patient, whose
    Consents count; None: nobody in particular, so that consent is no criterion. sender: rid of the
    organization that refers. besides: rids of organizations that are not to be found. urgent: beside
    what the request's priority says. by: it is of no use later. received:
    what the person has already (insight.duplicates). zone: of services that do not say theirs.
    """
    asked = replace(wanted(request, patient, now, urgent=urgent, by=by), received=received)
    if not asked.kinds:
        return []
    found = [
        one
        for one in await offers.services(conn, EVERYONE, asked.kinds, NO_KIND, sender, now)
        if one.organization not in besides
        and (asked.theirs or not one.apart)
        and entries.is_met(one.labels)
    ]
    places = await offers.places(
        conn,
        EVERYONE,
        {rid for one in found if not one.apart for rid in (*one.locations, *one.areas)},
    )
    organizations = sorted({one.organization for one in found})
    said: Mapping[int, str] = {}
    if subject is not None:
        said = await consents.said_of(conn, subject, organizations)
    unsaid = "permitted" if subject is None else "unsaid"
    weights = weighing.in_use()
    known = _Record(
        await offers.answers(
            conn,
            {one.organization for one in found if not one.apart},
            asked.kinds,
            since=now - timedelta(days=weights.record_days),
            lately=now - timedelta(days=weights.load_days),
        )
    )
    return ranked(
        asked,
        [
            (
                offered_of(one, places, zone),
                Known(
                    one.organization_active,
                    one.agreed,
                    one.away,
                    said.get(one.organization, unsaid),
                    known.refused(one),
                    known.of(one.organization),
                ),
            )
            for one in found
        ],
        weights,
    )


class _Record:
    """How those who are asked have answered, by organization; a refusal counts for who was addressed."""

    def __init__(self, answers: Iterable[offers.Answers]) -> None:
        self._records: dict[int, Record] = {}
        self._refused: dict[int, dict[str, datetime]] = {}
        for one in answers:
            so_far = self._records.get(one.organization, _NO_RECORD)
            self._records[one.organization] = Record(
                so_far.answered + one.answered,
                so_far.accepted + one.accepted,
                so_far.waited + one.waited,
                so_far.lately + one.lately,
            )
            if one.refused is not None:
                self._refused.setdefault(one.organization, {})[one.recipient] = one.refused

    def of(self, organization: int) -> Record:
        return self._records.get(organization, _NO_RECORD)

    def refused(self, one: offers.Service) -> datetime | None:
        """By this service, or by its organization where that was addressed as such."""
        refusals = [
            at
            for recipient, at in self._refused.get(one.organization, {}).items()
            if recipient == one.reference or not recipient.startswith("HealthcareService/")
        ]
        return max(refusals, default=None)


_NO_RECORD = Record()


def offered_of(one: offers.Service, places: Mapping[int, str], zone: ZoneInfo | None) -> Offered:
    """What it offers; `places`: texts of Locations by rid."""
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
