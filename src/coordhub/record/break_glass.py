"""Opening a patient's record in an emergency: one patient, for an hour, written down, and told.

The record is hidden from who asks, so it names the patient by what it knows. No match, several, and a
patient of a victim service provider are the same answer. What is opened is all but what such a provider
wrote; substance use treatment under 42 CFR Part 2 only in a medical emergency whose nature is stated.

The rule, the row of the audit (the only place that keeps the reason) and the notice, a Communication of
the hub's that the organization that holds the record and the one that asked can see, are one commit.

https://www.ecfr.gov/current/title-42/part-2/section-2.51
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from coordhub.access import caller as callers
from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.errors import FhirError, Issue, forbidden, too_many
from coordhub.r4.search import parse_query
from coordhub.r4.sensitivity import ALL, CONFIDENTIALITY, SUD, TEST, VSP
from coordhub.record import parties
from coordhub.record.commit import apply
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.store import emergencies, resources, search
from coordhub.store.engine import Connection
from coordhub.store.parties import kind_of
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow, Batch, Grant, Rule, transact
from coordhub.store.visibility import EMERGENCY

REASONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PURPOSES: Final = {"ETREAT": "Emergency Treatment", "BTG": "break the glass"}
SPAN: Final = timedelta(hours=1)
"""In which tries are counted."""

_ALIKE: Final = 50
"""Matches that are looked through for those that count."""
_PRACTITIONERS: Final = frozenset({"Practitioner", "PractitionerRole"})


@dataclass(frozen=True, slots=True)
class Named:
    """A patient by system and value of an identifier with its birthDate, or by `Patient/<id>`."""

    identifier: tuple[str, str] | None
    birth_date: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class Emergency:
    """purpose: of PURPOSES. reason: in words. practitioner: `Type/id`, who treats. nature: of the medical
    emergency, in words; without it nothing under 42 CFR Part 2 is opened."""

    purpose: str
    reason: str
    practitioner: str
    nature: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """patient, notice: `Type/id`. covers_part2: whether what is under 42 CFR Part 2 is open, too."""

    rid: int
    patient: str
    until: datetime
    notice: str
    covers_part2: bool


async def open_record(
    hub: Hub, caller: Caller, named: Named, emergency: Emergency
) -> Opened | None:
    """Open it; None, already in the audit, if nobody is meant who could be opened.

    403 for who may not, 422 for a practitioner that the caller does not see, 429 beyond the tries of
    an hour.
    """
    if not caller.break_glass:
        raise forbidden(
            "This client may not open records in an emergency. An operator allows it: "
            "coordhub client --break-glass."
        )
    now = hub.clock()
    async with hub.engine.transaction() as conn:
        if await kind_of(conn, caller.organization) != "treatment":
            raise forbidden("Only who treats may open a record in an emergency.")
        tried = await emergencies.tries(conn, caller.organization, now - SPAN)
        if tried >= hub.safeguards.break_glass_attempts:
            raise too_many(
                "Your organization has tried to open too many records in this hour. Ask the operator.",
                int(SPAN.total_seconds()),
            )
        await _require_practitioner(conn, caller, emergency.practitioner)
        found = await _meant(hub, conn, caller, named)
        if found is None:
            await transact(conn, Batch(audit=[_row(caller, named, emergency, None, ())]), now=now)
            return None
        return await _open(hub, conn, caller, (named, emergency), found, now)


async def _require_practitioner(conn: Connection, caller: Caller, text: str) -> None:
    kind, _, fhir_id = text.partition("/")
    found = (
        await resources.read(conn, viewer.of(caller), kind, fhir_id)
        if kind in _PRACTITIONERS
        else None
    )
    if found is None or found.body is None:
        raise FhirError(
            422,
            Issue(
                "not-found",
                "Who treats? Name a Practitioner or PractitionerRole that you see here, by Type/id.",
                "Parameters.parameter.where(name='practitioner')",
            ),
        )


async def _meant(hub: Hub, conn: Connection, caller: Caller, named: Named) -> Version | None:
    """The one Patient that is meant and may be opened; looked for with the hub's own eyes."""
    view = viewer.deciding()
    if named.reference is not None:
        kind, _, fhir_id = named.reference.partition("/")
        found = await resources.read(conn, view, kind, fhir_id) if kind == "Patient" else None
        matches = [] if found is None or found.body is None else [found]
        if named.birth_date is not None:
            matches = [
                one for one in matches if parties.document(one).get("birthDate") == named.birth_date
            ]
    else:
        assert named.identifier is not None
        system, value = (_escaped(part) for part in named.identifier)
        query = parse_query(
            "Patient", [("identifier", f"{system}|{value}"), ("birthdate", f"eq{named.birth_date}")]
        )
        async with hub.engine.searches.acquire() as searching:
            page = await search.search(searching, hub.engine, view, query, limit=_ALIKE)
        matches = [one for one in page.versions if one.source != caller.organization]
    may = [
        one
        for one in matches
        if not one.labels & (VSP | TEST) and await kind_of(conn, one.source) != "vsp"
    ]
    if len(may) != 1:
        return None
    held = await resources.locate(conn, view, [("Patient", may[0].id)])
    return None if any(one.quarantined for one in held.values()) else may[0]


def _escaped(text: str) -> str:
    """As a search parameter takes it literally."""
    for sign in ("\\", "|", ",", "$"):
        text = text.replace(sign, f"\\{sign}")
    return text


async def _open(
    hub: Hub,
    conn: Connection,
    caller: Caller,
    said: tuple[Named, Emergency],
    patient: Version,
    now: datetime,
) -> Opened:
    named, emergency = said
    until = now + hub.safeguards.break_glass
    holders = await resources.read_rids(conn, viewer.deciding(), [patient.source])
    told = [one.reference for one in holders.values()]
    document = _notice(hub, caller, patient, told, emergency.purpose, now, until)
    me = callers.hub(hub.organization)
    [notice], _ = await apply(
        hub, conn, me, [Create("Communication", document)], interaction="create"
    )
    part2 = emergency.purpose == "ETREAT" and emergency.nature is not None
    covers = ALL & ~VSP if part2 else ALL & ~(VSP | SUD)
    batch = Batch(
        rules=[
            Rule(
                caller.organization, patient.rid, True, EMERGENCY, now, notice.rid, "break-glass",
                until, covers=covers,
            )
        ],
        grants=[
            Grant(organization, notice.rid, notice.rid, "party", ALL & ~VSP)
            for organization in sorted({patient.source, caller.organization})
        ],
        audit=[_row(caller, named, emergency, patient, (patient.rid, notice.rid))],
    )  # fmt: skip
    await transact(conn, batch, now=now)
    return Opened(patient.rid, patient.reference, until, notice.reference, part2)


def _notice(
    hub: Hub,
    caller: Caller,
    patient: Version,
    holders: list[str],
    purpose: str,
    now: datetime,
    until: datetime,
) -> dict[str, Any]:
    """For the privacy officers: who opened whose record, when, until when, for what. Not the reason, and
    restricted: it would tell others of the patient's record that the patient is in an emergency."""
    recipients = dict.fromkeys((*holders, caller.reference))
    return {
        "resourceType": "Communication",
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
        "status": "completed",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/communication-category",
                        "code": "alert",
                    }
                ],
                "text": "Emergency access to a record",
            }
        ],
        "priority": "urgent",
        "subject": {"reference": patient.reference},
        "about": [{"reference": caller.reference}],
        "sent": instant(now),
        "recipient": [{"reference": one} for one in recipients],
        "sender": {"reference": hub.organization},
        "reasonCode": [
            {"coding": [{"system": REASONS, "code": purpose, "display": PURPOSES[purpose]}]}
        ],
        "payload": [
            {
                "contentString": f"The record was opened to {caller.reference} until {instant(until)}. "
                "Why is in the audit."
            }
        ],
    }


def _row(
    caller: Caller,
    named: Named,
    emergency: Emergency,
    patient: Version | None,
    rids: tuple[int, ...],
) -> AuditRow:
    said = {
        "identifier": "|".join(named.identifier) if named.identifier else None,
        "birthDate": named.birth_date,
        "patient": named.reference,
        "purpose": emergency.purpose,
        "reason": emergency.reason,
        "practitioner": emergency.practitioner,
        "emergency": emergency.nature,
    }
    return AuditRow(
        caller.client,
        caller.organization,
        emergencies.INTERACTION,
        404 if patient is None else 200,
        "Patient",
        patient.id if patient else None,
        rids,
        urlencode({name: value for name, value in said.items() if value is not None}),
        request_id=caller.request_id,
        person=caller.person,
    )
