"""What an app asks a person for, in plain words, and whom it may be about.

http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.access import viewer, wishes
from coordhub.access.scopes import Grant
from coordhub.access.wishes import Wish
from coordhub.errors import FhirError
from coordhub.portal.language import Words
from coordhub.portal.sheets import name_of
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.store import resources, search
from coordhub.store.resources import Version

MOST: Final = 20
"""Patients that are listed."""

_BORN: Final = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")
ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_SAID: Final = {
    wishes.OPENID: "Know that it is you",
    wishes.FHIR_USER: "Know which record of this hub is yours",
    wishes.LAUNCH: "Know what you were looking at when you opened it",
    wishes.LAUNCH_PATIENT: "Know whose record is chosen",
    wishes.OFFLINE: "Keep this also while you are away, until you take it back",
    wishes.ONLINE: "Keep this for up to twelve hours",
}
_DOES: Final = {"r": "see", "s": "search", "c": "add", "u": "change", "d": "delete"}
KINDS: Final = {
    None: "everything",
    "AllergyIntolerance": "allergies",
    "Appointment": "appointments",
    "Basic": "other entries",
    "CarePlan": "care plans",
    "CareTeam": "care teams",
    "Communication": "messages",
    "CommunicationRequest": "messages to be sent",
    "Composition": "summaries",
    "Condition": "conditions",
    "Consent": "consents",
    "Coverage": "insurance",
    "Device": "devices",
    "DiagnosticReport": "reports",
    "DocumentReference": "documents",
    "Encounter": "visits",
    "EpisodeOfCare": "times of care",
    "FamilyMemberHistory": "illnesses in the family",
    "Flag": "warnings",
    "Goal": "goals",
    "HealthcareService": "services",
    "ImagingStudy": "images",
    "Immunization": "vaccinations",
    "Location": "places",
    "Media": "pictures and recordings",
    "MedicationAdministration": "medications that were given",
    "MedicationDispense": "medications that were handed out",
    "MedicationRequest": "prescriptions",
    "MedicationStatement": "medications that are taken",
    "NutritionOrder": "diets",
    "Observation": "results and measurements",
    "Organization": "organizations",
    "Patient": "name, birth date, address and other personal details",
    "Practitioner": "staff",
    "Procedure": "what was done",
    "Provenance": "notes on who wrote something",
    "QuestionnaireResponse": "answers to questionnaires",
    "RelatedPerson": "relatives and representatives",
    "RiskAssessment": "assessments of risks",
    "ServiceRequest": "referrals and orders",
    "Specimen": "samples",
    "Task": "requests and how they go",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One scope, that may be allowed or not. scope: as stated; said: what it means."""

    scope: str
    said: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A patient to choose. born: as written; empty: not known."""

    id: str
    name: str
    born: str


def points(wish: Wish, t: Words) -> list[Point]:
    words = [each for each in wish.each() if each in _SAID]
    return [
        *(Point(each, t(_SAID[each])) for each in words),
        *(Point(one.stated(), _said(one, t)) for one in wish.on.grants),
    ]


def _said(one: Grant, t: Words) -> str:
    does = ", ".join(t(word) for letter, word in _DOES.items() if letter in one.letters)
    kind = t(KINDS[one.type]) if one.type in KINDS else str(one.type)
    whole = (
        t("{does}: {kind}, of the chosen person only", does=does, kind=kind)
        if one.level == "patient"
        else t("{does}: {kind}, of all that you may see", does=does, kind=kind)
    )
    query = "&".join(each.text for each in one.only)
    return f"{whole[:1].upper()}{whole[1:]}{f' ({query})' if query else ''}"


async def choices(hub: Hub, organization: int, words: str, now: datetime) -> list[Version]:
    """Patients that the organization may see, of a name or birth date like these words; the newest, if none."""
    text = "".join(each for each in words.strip()[:100] if each.isprintable())
    for special in "\\,$|":
        text = text.replace(special, f"\\{special}")
    pairs = [("birthdate" if _BORN.fullmatch(each) else "name", each) for each in text.split()[:5]]
    try:
        query = parse_query("Patient", pairs, base=hub.base, now=now)
        async with hub.engine.searches.acquire() as conn:
            page = await search.search(
                conn, hub.engine, viewer.as_organization(organization), query, limit=MOST
            )
    except FhirError as error:
        if error.status >= 500:
            raise
        return []
    return page.versions


def choice(found: Version) -> Choice:
    document = parties.document(found)
    names = document.get("name") or [{}]
    return Choice(found.id, name_of(names[0]) or found.id, str(document.get("birthDate", "")))


async def seen(hub: Hub, organization: int, rid: int) -> Version | None:
    """The Patient (rid), if the organization may see it."""
    async with hub.engine.pool.acquire() as conn:
        view = viewer.as_organization(organization)
        found = (await resources.read_rids(conn, view, [rid])).get(rid)
    return found if found is not None and found.body is not None else None


async def chosen(hub: Hub, organization: int, fhir_id: str) -> Version | None:
    """The one with this id, if the organization may see it."""
    if not ID.fullmatch(fhir_id):
        return None
    async with hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, viewer.as_organization(organization), "Patient", fhir_id)
    return found if found is not None and found.body is not None else None
