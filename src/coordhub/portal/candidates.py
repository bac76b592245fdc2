"""Who could help a person with one kind of need, why, what would go along, and what is known already.

http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/us/sdoh-clinicalcare (referral management)

It asks what `ServiceRequest/$route` asks (directory.matching). Consents are no criterion: the person is asked now.
Nothing is offered here for what is a matter of safety. What is chosen is sent by `agreed`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from coordhub.access import viewer
from coordhub.directory.matching import prospects
from coordhub.insight import duplicates, enclosing, kits
from coordhub.insight.duplicates import Duplicate
from coordhub.portal import listed, occurrences
from coordhub.portal.occurrences import Paper, Wall
from coordhub.portal.reasons import REASONS, WARNINGS
from coordhub.portal.sheets import name_of, words
from coordhub.r4 import datasets
from coordhub.record import parties
from coordhub.record.hub import Hub, instant
from coordhub.record.recipients import dataset_of
from coordhub.referral import same_kind, screening
from coordhub.referral.matching import Finding
from coordhub.referral.same_kind import SDOHCC
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

MOST: Final = 6
"""Services to choose from."""
MOST_OUT: Final = 10
"""Services of which it is said why they are not among them."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What may be asked for. code: of the order; category: of SDOH Clinical Care, "" for a specialty."""

    key: str
    title: str
    code: tuple[str, str]
    category: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """known, ask: what speaks for it, and what is to be asked, in English. whole: it treats, and is shown the
    whole record; along: what would go with the referral."""

    reference: str
    name: str
    organization: str
    known: tuple[str, ...]
    ask: tuple[str, ...]
    whole: bool
    along: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """out: who cannot, each with why. warnings: what is known already that speaks against sending, with since when
    and who says so; evidence: the same, as it stands. back: what is to come back. rids: what is shown."""

    kind: Kind
    patient: Version
    person: str
    candidates: tuple[Candidate, ...]
    out: tuple[tuple[str, tuple[str, ...]], ...]
    warnings: tuple[tuple[str, str, str], ...]
    evidence: tuple[Duplicate, ...]
    back: tuple[str, ...]
    rids: tuple[int, ...]


def kinds() -> dict[str, Kind]:
    """By key: needs that a screening finds, and what there is a kit for."""
    found = {
        one.kind: Kind(one.kind, one.text, (screening.SNOMED, "410606002"), one.kind)
        for one in screening.needs().values()
        if not one.sensitive
    }
    for kit in kits.in_use():
        found.setdefault(kit.name, Kind(kit.name, kit.title or kit.name, sorted(kit.kinds)[0], ""))
    return found


def codes(kind: Kind) -> frozenset[tuple[str, str]]:
    """Of services that give it."""
    return same_kind.kinds([(SDOHCC, kind.category) if kind.category else kind.code])


def order(
    kind: Kind, patient: str, requester: str, recipients: Sequence[str], now: str, urgent: bool
) -> Document:
    system, code = kind.code
    found: Document = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "priority": "urgent" if urgent else "routine",
        "code": {"coding": [{"system": system, "code": code}], "text": kind.title},
        "subject": {"reference": patient},
        "authoredOn": now,
        "requester": {"reference": requester},
    }
    if kind.category:
        found["category"] = [{"coding": [{"system": SDOHCC, "code": kind.category}]}]
    if recipients:
        found["performer"] = [{"reference": one} for one in recipients]
    return found


async def found(
    hub: Hub,
    conn: Connection,
    own: Version,
    patient: Version,
    kind: Kind,
    urgent: bool,
    wall: Wall,
    *,
    meant: str = "",
    ending: Collection[int] = (),
) -> Found:
    """Who could help this Patient, whom the organization sees. meant: `HealthcareService/id` that is told of first.

    ending: rids of orders that end when this is sent, which are nothing that is known already.
    """
    view, now, base = viewer.as_organization(own.rid), hub.clock(), hub.base
    request = order(kind, patient.reference, own.reference, (), instant(now), urgent)
    evidence = await duplicates.found(conn, view, request, patient.rid, base=base, now=now)
    evidence = [one for one in evidence if one.evidence.rid not in ending]
    ranked = await prospects(
        conn, request, parties.document(patient), sender=own.rid, now=now,
        received=duplicates.received(evidence), zone=hub.zone,
    )  # fmt: skip
    ranked = [one for one in ranked if one.recipient and one.organization != own.rid]
    ranked.sort(key=lambda one: one.recipient != meant)
    first = [one for one in ranked if one.verdict == "in"][:MOST]
    out = [one for one in ranked if one.verdict == "out" and "wrong-service" not in one.reasons]
    known = await listed.shown(conn, view, [one.recipient for one in (*first, *out[:MOST_OUT])])
    owners = await resources.read_rids(
        conn, view,
        sorted({one.organization for one in first} | {one.evidence.source for one in evidence}),
    )  # fmt: skip
    first = [one for one in first if one.recipient in known and one.organization in owners]
    shares = {
        one.organization: await dataset_of(conn, one.organization, one.recipient, request, base)
        for one in first
    }
    kit = kits.of(request)
    along: Mapping[int, list[str]] = {}
    if kit is not None and shares:
        along = await enclosing.enclosed(
            conn, hub.engine, kit, shares, view=view, patient=patient.rid, base=base, now=now,
            zone=hub.zone or UTC,
        )  # fmt: skip
    enclosed = await listed.shown(conn, view, {text for each in along.values() for text in each})
    names = parties.document(patient).get("name") or [{}]
    return Found(
        kind,
        patient,
        name_of(names[0]),
        tuple(
            Candidate(
                one.recipient,
                occurrences.name_in(known[one.recipient]),
                owners[one.organization].reference,
                _said(one.findings, "met"),
                _said(one.findings, "unknown"),
                shares[one.organization] == datasets.WHOLE,
                _titles(along.get(one.organization, ()), enclosed),
            )
            for one in first
        ),
        tuple(
            (occurrences.name_in(known[one.recipient]), _said(one.findings, "failed"))
            for one in out[:MOST_OUT]
            if one.recipient in known
        ),
        tuple(_warning(one, owners, wall) for one in evidence),
        tuple(evidence),
        tuple(one.title for one in kit.back) if kit is not None else (),
        tuple(dict.fromkeys([
            patient.rid, *(one.evidence.rid for one in evidence),
            *(one.rid for one in enclosed.values()),
        ])),
    )  # fmt: skip


def _said(findings: Collection[Finding], outcome: str) -> tuple[str, ...]:
    return tuple(
        REASONS[one.code] for one in findings if one.outcome == outcome and one.code in REASONS
    )


def _titles(references: Collection[str], known: Mapping[str, Version]) -> tuple[str, ...]:
    """What goes along, each name once."""
    found = []
    for text in references:
        if text not in known:
            continue
        paper = Paper.of(known[text])
        named = paper.document.get("medicationCodeableConcept") or paper.document.get("code")
        found.append(words(named) or paper.version.type)
    return tuple(dict.fromkeys(found))


def _warning(one: Duplicate, owners: Mapping[int, Version], wall: Wall) -> tuple[str, str, str]:
    by = owners.get(one.evidence.source)
    return (
        WARNINGS[one.code],
        wall.dated(one.since) if one.since is not None else "",
        occurrences.name_in(by) if by is not None else "",
    )
