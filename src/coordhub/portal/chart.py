"""The chart of a person: what an organization may see of all its records, as one page tells it.

http://hl7.org/fhir/R4/operation-patient-everything.html

Everything is read with the Viewer of the organization, of the Patient and of those that are the same person
(store.people), in as many statements as it takes for anybody. What is sensitive for domestic violence, or of a
victim service provider, is on no such page, whoever looks.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from coordhub.access import viewer
from coordhub.insight import current_medications, medications, prior_results, priors
from coordhub.insight.current_medications import Current
from coordhub.portal import course, listed, occurrences, sheets, trends
from coordhub.portal.board import Step
from coordhub.portal.course import Asked, Course
from coordhub.portal.occurrences import Entry, Paper, Wall
from coordhub.portal.sheets import Row, name_of, words
from coordhub.portal.trends import Line
from coordhub.r4 import reference, sensitivity
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.store import chart as stored
from coordhub.store import narrowing, people, resources
from coordhub.store import priors as kept
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import EVERYONE, Viewer

CARE: Final = (
    "CareTeam", "Condition", "DocumentReference", "Encounter", "Procedure",
    "QuestionnaireResponse", "ServiceRequest", "Task",
)  # fmt: skip
RESULTS: Final = ("DiagnosticReport", "ImagingStudy", "Observation", "Specimen")

MOST_ENTRIES: Final = 250
"""Lines of the time line: the newest, and all that is ahead."""
MOST_NOTES: Final = 30
LONGEST_NOTE: Final = 6000
"""Letters of a note that stand on the page."""

FINDINGS: Final = {
    medications.DUPLICATE: "{ingredient} is on the list twice",
    medications.STATUS: "one says that {ingredient} was stopped, another that it is taken",
    medications.DOSE: "{ingredient} is on the list in different doses",
    medications.ALLERGY: "an allergy to {ingredient} is on record",
}


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of the team. roles: what as. steps: what it has agreed to do next, or is asked to."""

    name: str
    roles: tuple[str, ...]
    steps: tuple[tuple[str, Step], ...]


@dataclass(frozen=True, slots=True)
class Drug:
    """beside: dose, and that it is on hold. since: when that was said; who: by whom."""

    name: str
    beside: str
    since: str
    who: str


@dataclass(frozen=True, slots=True)
class Chart:
    """rids: what is shown, for the audit. holders: whose records of the person these are."""

    id: str
    name: str
    person: tuple[Row, ...]
    holders: tuple[str, ...]
    needs: tuple[str, ...]
    courses: tuple[Course, ...]
    team: tuple[Member, ...]
    drugs: tuple[Drug, ...]
    allergies: tuple[Drug, ...]
    warnings: tuple[str, ...]
    results: tuple[Line, ...]
    ahead: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    cut: bool
    notices: tuple[str, ...]
    rids: tuple[int, ...]

    @property
    def months(self) -> list[tuple[str, list[Entry]]]:
        """What happened, by months, newest first."""
        found: list[tuple[str, list[Entry]]] = []
        for one in self.entries:
            if not found or found[-1][0] != one.month:
                found.append((one.month, []))
            found[-1][1].append(one)
        return found


async def patient(conn: Connection, view: Viewer, fhir_id: str) -> Version | None:
    """The Patient, if there is one that this viewer may have a page about."""
    found = await resources.read(conn, view, "Patient", fhir_id)
    return found if found is not None and found.body is not None and not is_apart(found) else None


def is_apart(found: Version) -> bool:
    """Whether a victim service provider keeps it: of that there is no page."""
    return bool(found.labels & sensitivity.VSP)


async def chart(
    hub: Hub, conn: Connection, organization: int, fhir_id: str, wall: Wall
) -> Chart | None:
    """Of a Patient whom the organization may see; None for all others."""
    view = viewer.as_organization(organization)
    whose = await patient(conn, view, fhir_id)
    if whose is None:
        return None
    rids = await people.same(conn, view, whose.rid)
    records = [whose, *(
        one for rid, one in sorted((await resources.read_rids(conn, view, rids[1:])).items())
        if rid != whose.rid
    )]  # fmt: skip
    sources = await resources.read_rids(conn, EVERYONE, sorted({one.source for one in records}))
    eyes = narrowing.of_compartment(view, (*CARE, *RESULTS))
    care = [Paper.of(one) for one in await kept.of_types(conn, eyes, rids, CARE)]
    measured = await kept.of_types(conn, eyes, rids, RESULTS)
    met = [Paper.of(one) for one in await stored.appointments(conn, view, rids)]
    current = await current_medications.found(conn, view, whose.rid, base=hub.base)
    asked = await course.asked(conn, view, [one for one in care if one.version.type == "Task"])
    return await _told(
        hub, conn, view, records, sources, [*care, *met], measured, current, asked, wall
    )


async def _told(
    hub: Hub,
    conn: Connection,
    view: Viewer,
    records: Sequence[Version],
    sources: Mapping[int, Version],
    papers: Sequence[Paper],
    measured: Sequence[Version],
    current: Current,
    asked: Asked,
    wall: Wall,
) -> Chart:
    orders = {one.version.reference: one for one in papers if one.version.type == "ServiceRequest"}
    named = {course.focus(one.document, hub.base) for one in papers if one.version.type == "Task"}
    teams = [one for one in papers if one.version.type == "CareTeam" and one.stands]
    first = parties.document(records[0])
    known = await listed.shown(
        conn, view, asked.names | _members(teams, first, hub.base) | _owners(asked, hub.base)
    )
    results = [Paper.of(one) for one in measured if one.type != "Specimen"]
    lone = [
        one
        for one in papers
        if one.version.type not in ("CareTeam", "Task")
        and not (one.version.type == "ServiceRequest" and (
            one.version.reference in named or one.document.get("intent") == "filler-order"
        ))
    ]  # fmt: skip
    happened = [*lone, *results]
    makers = await prior_results.holders(conn, view, happened, hub.base)
    texts = await _texts(
        conn, view, [one for one in lone if one.version.type == "DocumentReference"], hub.base
    )
    rejected = {
        one.reference for one in measured
        if one.type == "Specimen" and priors.is_bad_specimen(priors.document_of(one))
    }  # fmt: skip
    courses = course.courses(
        hub, asked, known, {name: one.document for name, one in orders.items()}, wall
    )
    entries = occurrences.entries(happened, makers=makers, texts=texts, wall=wall)
    entries += [entry for one in courses for entry in one.entries]
    entries.sort(key=lambda one: one.at, reverse=True)
    past = [one for one in entries if not one.ahead]
    shown = [*records, *(one.version for one in (*papers, *results)), *known.values()]
    shown = [one for one in shown if one.rid not in asked.hidden]
    bits = 0
    for one in shown:
        bits |= one.labels
    names = first.get("name") or [{}]
    rids = [one.rid for one in shown] + list(current.rids)
    return Chart(
        records[0].id,
        name_of(names[0]),
        tuple(sheets.person_of(first)),
        tuple(sorted({
            occurrences.name_in(sources[one.source]) for one in records if one.source in sources
        })),
        tuple(_needs(papers)),
        tuple(sorted(courses, key=lambda one: one.over)),
        tuple(_team(teams, first, courses, known, hub.base, wall)),
        tuple(_drugs(current, wall)),
        tuple(_allergies(current, wall)),
        tuple(
            wall.t(FINDINGS[one.code], ingredient=one.ingredient) for one in current.findings
        ),
        tuple(trends.lines(
            measured, patients=[one.rid for one in records], rejected=rejected, makers=makers,
            base=hub.base, zone=hub.zone or UTC, wall=wall,
        )),
        tuple(reversed([one for one in entries if one.ahead])),
        tuple(past[:MOST_ENTRIES]),
        len(past) > MOST_ENTRIES or len(measured) >= kept.MOST,
        tuple(
            str(each["display"]) for each in sensitivity.codings(bits)
            if each["system"] == sensitivity.NOTICE
        ),
        tuple(dict.fromkeys(rids)),
    )  # fmt: skip


def _needs(papers: Iterable[Paper]) -> list[str]:
    """Problems and social needs that stand, each once."""
    found = []
    for one in papers:
        clinical = {code for _, code in priors.codes_of(one.document.get("clinicalStatus"))}
        if (
            one.version.type == "Condition"
            and one.stands
            and not clinical & {"inactive", "resolved", "remission"}
        ):
            found.append(occurrences.title(one))
    return list(dict.fromkeys(text for text in found if text))


def _members(teams: Iterable[Paper], person: dict[str, Any], base: str) -> set[str]:
    found = set(parties.locals_of(person.get("generalPractitioner"), base))
    for one in teams:
        for each in one.document.get("participant") or []:
            if text := parties.local(each.get("member"), base):
                found.add(text)
    return {one for one in found if not one.startswith("Patient/")}


def _owners(asked: Asked, base: str) -> set[str]:
    return {text for one in asked.tasks if (text := parties.local(one.document.get("owner"), base))}


def _team(
    teams: Iterable[Paper],
    person: dict[str, Any],
    courses: Iterable[Course],
    known: Mapping[str, Version],
    base: str,
    wall: Wall,
) -> list[Member]:
    """Who is waited for first, then the rest of the team."""
    roles: dict[str, dict[str, None]] = {}
    steps: dict[str, list[tuple[str, Step]]] = {}
    for one in courses:
        for step in one.steps:
            if step.who:
                steps.setdefault(step.who, []).append((one.title, step))
                roles.setdefault(step.who, {})
    for element in person.get("generalPractitioner") or []:
        if name := _called(element, known, base):
            roles.setdefault(name, {})[wall.t("Primary care")] = None
    for team in teams:
        for each in team.document.get("participant") or []:
            member = each.get("member") or {}
            name = (
                ""
                if str(member.get("reference")).startswith("Patient/")
                else _called(member, known, base)
            )
            if name:
                said = [text for role in each.get("role") or [] if (text := words(role))]
                roles.setdefault(name, {}).update(dict.fromkeys(said))
    found = [Member(name, tuple(said), tuple(steps.get(name, ()))) for name, said in roles.items()]
    return sorted(found, key=lambda one: not one.steps)


def _called(element: dict[str, Any], known: Mapping[str, Version], base: str) -> str:
    found = known.get(parties.local(element, base) or "")
    said = occurrences.name_in(found) if found is not None else ""
    return said or str(element.get("display") or "")


def _drugs(current: Current, wall: Wall) -> list[Drug]:
    return [
        Drug(
            words(one.concept) or wall.t("not named"),
            " · ".join(text for text in (
                one.dosage, wall.t("On hold") if one.status == "on-hold" else "",
            ) if text),
            wall.dated(one.said),
            current.by.get(one.version.rid, ""),
        )
        for one in current.medications
        if one.is_current
    ]  # fmt: skip


def _allergies(current: Current, wall: Wall) -> list[Drug]:
    found = []
    for one in current.allergies:
        reactions = [
            text
            for each in one.document.get("reaction") or []
            for said in each.get("manifestation") or []
            if (text := words(said))
        ]
        if one.document.get("criticality") == "high":
            reactions.insert(0, wall.t("high risk"))
        name = words(one.document.get("code")) or wall.t("not named")
        found.append(
            Drug(
                name,
                ", ".join(reactions),
                wall.dated(one.said),
                current.by.get(one.version.rid, ""),
            )
        )
    return found


async def _texts(
    conn: Connection, view: Viewer, notes: Sequence[Paper], base: str
) -> dict[int, str]:
    """The plain text of notes, by rid, as far as they have one: in the document, or in a Binary of this hub."""
    found: dict[int, str] = {}
    apart: dict[tuple[str, str], int] = {}
    for one in notes[:MOST_NOTES]:
        for content in one.document.get("content") or []:
            attachment = content.get("attachment") or {}
            if not str(attachment.get("contentType", "")).startswith("text/plain"):
                continue
            if attachment.get("data"):
                found[one.version.rid] = _decoded(attachment["data"])
            elif isinstance(attachment.get("url"), str):
                read = reference.parse(attachment["url"], base=base)
                if read.kind == "local" and read.type == "Binary" and read.id:
                    apart[("Binary", read.id)] = one.version.rid
    if apart:
        for pair, version in (await resources.read_names(conn, view, sorted(apart))).items():
            if (
                version.body is not None
                and version.labels & (sensitivity.SDV | sensitivity.VSP) == 0
            ):
                found[apart[pair]] = _decoded(parties.document(version).get("data", ""))
    return found


def _decoded(data: str) -> str:
    try:
        text = base64.b64decode(data, validate=False).decode("utf-8", "replace").strip()
    except (binascii.Error, ValueError):
        return ""
    return text if len(text) <= LONGEST_NOTE else f"{text[:LONGEST_NOTE]} …"


@dataclass(frozen=True, slots=True)
class Listing:
    """A Patient in a list. open: referrals that are open; since: the newest of these."""

    id: str
    name: str
    born: str
    open: int
    since: str


async def mine(
    conn: Connection, organization: int, wall: Wall, most: int
) -> tuple[list[Listing], tuple[int, ...]]:
    """Whom the organization has to do with, each person once; and what is shown of them (rids)."""
    view = viewer.as_organization(organization)
    found = await stored.known(conn, view, most)
    same = await people.same_of_each(conn, view, [one.patient.rid for one in found])
    told: set[int] = set()
    kept_: list[stored.Known] = []
    for one in sorted(found, key=lambda each: each.patient.source != organization):
        if one.patient.rid not in told:
            kept_.append(one)
            told.update(same[one.patient.rid])
    kept_.sort(key=lambda one: (one.open == 0, -one.since.timestamp()))
    listed_ = [listing(one.patient, one.open, wall.dated(one.since)) for one in kept_]
    return listed_, tuple(one.patient.rid for one in kept_)


def listing(found: Version, open_: int = 0, since: str = "") -> Listing:
    document = parties.document(found)
    names = document.get("name") or [{}]
    return Listing(found.id, name_of(names[0]), str(document.get("birthDate", "")), open_, since)
