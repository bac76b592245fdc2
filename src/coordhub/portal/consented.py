"""The Consents of a patient's record as a page tells them: what each says, whether it is in force, and why not.

http://hl7.org/fhir/R4/consent.html, http://hl7.org/fhir/R4/provenance.html

What is ended here is a new version of the Consent that is inactive, so that all that hangs on it ends in the same
commit (`record.withdrawal`). Why, R4 has no element for in a Consent: that is a Provenance about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

from coordhub.access import consent, viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.portal import listed
from coordhub.portal.answering import PERSON
from coordhub.portal.occurrences import Wall
from coordhub.portal.provisions import Clause, Telling
from coordhub.portal.sheets import name_of, words
from coordhub.r4.interval import parse_instant
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Update
from coordhub.store import consents, resources, search
from coordhub.store.accounts import Person
from coordhub.store.consents import Followed
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

SCOPES: Final = parse("system/*.rs system/Consent.u system/Provenance.c")

MOST: Final = 100
"""Consents of one patient that are told: the newest."""

_TERMS: Final = "http://terminology.hl7.org/CodeSystem"

STATES: Final = {
    "active": "In force",
    "inactive": "Ended",
    "entered-in-error": "Written by mistake",
    "draft": "A draft",
    "proposed": "Only proposed",
    "rejected": "Refused by the patient",
}
"""Consent.status."""

ASLEEP: Final = {
    "scope": ("Not about seeing", "It is not about who sees the record, so nothing follows from it here."),
    "ahead": ("Not yet in force", "Its time has not come yet."),
    "over": ("Run out", "Its time is over."),
    "void": (
        "Not followed",
        (
            "Nothing of it can be followed here: its terms stand in a document, name nobody the hub knows, "
            "or are not this organization's to give."
        ),
    ),
}  # fmt: skip
"""Why an active one has no effect: mark, and sentence."""

WITHDRAWN: Final = {
    "patient": "The patient has withdrawn it",
    "newer": "Another Consent takes its place",
    "mistake": "It was written by mistake",
}
"""Why somebody ends one, as it can be chosen."""

LESS: Final = "What it permits is not followed: only what it denies is."


@dataclass(frozen=True, slots=True)
class Told:
    """One Consent. state, why: to be translated. own: it was written here, and may be ended here.

    given: when, as it is said. by: who agreed. writer: whose system wrote it. ended: why it was ended, in words.
    """

    version: Version
    state: str
    why: str
    in_force: bool
    own: bool
    clause: Clause
    followed: Followed | None
    given: str
    by: str
    writer: str
    kinds: tuple[str, ...]
    ended: str = ""

    @property
    def id(self) -> str:
        return self.version.id

    @property
    def status(self) -> str:
        return str(parties.document(self.version).get("status"))


async def of_patient(hub: Hub, organization: int, patient: Version, wall: Wall) -> list[Told]:
    """What its organization may see of them; in force first, then the newest."""
    view = viewer.as_organization(organization)
    query = parse_query("Consent", [("patient", patient.reference)], base=hub.base, now=hub.clock())
    async with hub.engine.searches.acquire() as conn:
        page = await search.search(conn, hub.engine, view, query, limit=MOST)
    told = await _told(hub, view, page.versions, wall)
    return sorted(told, key=lambda one: (not one.in_force, -one.version.updated.timestamp()))


async def one_of(
    hub: Hub, organization: int, patient: Version, fhir_id: str, wall: Wall
) -> Told | None:
    """The one with this id, if it is of this patient's record and may be seen."""
    view = viewer.as_organization(organization)
    async with hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, view, "Consent", fhir_id)
    if found is None or found.body is None or not _is_of(hub, found, patient):
        return None
    [told] = await _told(hub, view, [found], wall)
    return told


def _is_of(hub: Hub, found: Version, patient: Version) -> bool:
    whose = parties.document(found).get("patient")
    return parties.local(whose, hub.base) == patient.reference


async def _told(hub: Hub, view: Viewer, found: list[Version], wall: Wall) -> list[Told]:
    async with hub.engine.pool.acquire() as conn:
        followed = await consents.followed(conn, [one.rid for one in found])
        writers = await resources.read_rids(conn, view, sorted({one.source for one in found}))
        known = await _names(hub, conn, view, map(parties.document, found))
    telling = Telling(wall.t, lambda element: _name(element, known, hub.base), partial(_day, wall))
    ended = await _reasons(hub, view, found)
    told = []
    for one in found:
        document = parties.document(one)
        rules = followed.get(one.rid)
        mark, why, in_force = state(one, document, rules)
        writer = writers.get(one.source)
        told.append(
            Told(
                one, mark, why, in_force, one.source == view.organization,
                telling.clause(document), rules,
                telling.day(str(document["dateTime"])) if document.get("dateTime") else "",
                ", ".join(filter(None, map(telling.name, document.get("performer") or ()))),
                title(writer) if writer is not None else "",
                tuple(filter(None, map(words_of, document.get("category") or ()))),
                ended.get(one.reference, ""),
            )
        )  # fmt: skip
    return told


def state(
    found: Version, document: Mapping[str, Any], rules: Followed | None
) -> tuple[str, str, bool]:
    """Mark, why, and whether it is in force."""
    status = str(document.get("status"))
    if status != "active":
        return STATES.get(status, STATES["draft"]), "", False
    if not consent.in_force(document):
        return *ASLEEP["scope"], False
    if rules is not None and (rules.permits or rules.denies):
        only = not rules.permits and _permits(document.get("provision"))
        return STATES["active"], LESS if only else "", True
    if rules is not None and rules.begins is not None:
        return *ASLEEP["ahead"], False
    if rules is not None and rules.ended is not None and rules.ended > found.updated:
        return *ASLEEP["over"], False
    return *ASLEEP["void"], False


def _permits(provision: object) -> bool:
    """Whether anything in it says permit."""
    waiting = [provision]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if one.get("type") == "permit":
                return True
            waiting += one.get("provision") or ()
    return False


async def _reasons(hub: Hub, view: Viewer, found: Iterable[Version]) -> dict[str, str]:
    """Of those that are not active, what the newest note about them gives as the reason."""
    over = [one.reference for one in found if parties.document(one).get("status") != "active"]
    if not over:
        return {}
    query = parse_query("Provenance", [("target", ",".join(over))], base=hub.base, now=hub.clock())
    async with hub.engine.searches.acquire() as conn:
        page = await search.search(conn, hub.engine, view, query, limit=MOST)
    told: dict[str, str] = {}
    for note in page.versions:  # the newest first
        document = parties.document(note)
        said = next(filter(None, map(words, document.get("reason") or ())), "")
        for text in parties.locals_of(document.get("target"), hub.base):
            if said:
                told.setdefault(text, said)
    return told


def title(found: Version) -> str:
    """The name that something goes by."""
    name = parties.document(found).get("name")
    said = name_of(name[0]) if isinstance(name, list) and name else str(name or "")
    return said or words(parties.document(found).get("code"))


def words_of(concept: Mapping[str, Any]) -> str:
    """Of a concept, what a person has written or a list displays, and no code."""
    displays = (one.get("display") for one in concept.get("coding") or ())
    return next((str(one) for one in (concept.get("text"), *displays) if one), "")


async def _names(
    hub: Hub, conn: Connection, view: Viewer, documents: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """What those go by whom Consents name, as far as they are shown; by `Type/id`."""
    texts: set[str] = set()
    for document in documents:
        texts |= {text for one in _references(document) if (text := parties.local(one, hub.base))}
    found = await listed.shown(conn, view, texts)
    return {text: said for text, one in found.items() if (said := title(one))}


def _references(part: object) -> Iterator[Mapping[str, Any]]:
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if isinstance(one.get("reference"), str):
                yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _name(element: object, known: Mapping[str, str], base: str) -> str:
    """As it is known here; else as the Consent says it."""
    if not isinstance(element, Mapping):
        return ""
    return known.get(parties.local(element, base) or "") or str(element.get("display") or "")


def _day(wall: Wall, text: str) -> str:
    found = parse_instant(text)
    if found is None:
        return text
    day = wall.dated(found.low, text)
    return f"{day}, {wall.calendar.local(found.low):%H:%M}" if "T" in text else day


def caller(organization: Version, request_id: str | None, person: Person) -> Caller:
    return Caller(
        PERSON + person.id, organization.rid, organization.reference, SCOPES, request_id=request_id
    )


async def end(hub: Hub, caller: Caller, found: Version, reason: str, seen: int | None) -> None:
    """It is inactive from now on. FhirError where the hub refuses. seen: the version that was looked at."""
    now = instant(hub.clock())
    note = {
        "resourceType": "Provenance",
        "target": [{"reference": found.reference}],
        "recorded": now,
        "activity": {"coding": [{"system": f"{_TERMS}/v3-DataOperation", "code": "UPDATE"}]},
        "reason": [{"text": reason}],
        "agent": [
            {
                "type": {
                    "coding": [
                        {"system": f"{_TERMS}/provenance-participant-type", "code": "author"}
                    ]
                },
                "who": {"reference": caller.reference},
            }
        ],
    }
    changed = {**parties.document(found), "status": "inactive"}
    await commit(
        hub,
        caller,
        [
            Update("Consent", found.id, changed, if_match=seen or found.version),
            Create("Provenance", note, full_url=uuid4().urn),
        ],
        interaction="transaction",
    )
