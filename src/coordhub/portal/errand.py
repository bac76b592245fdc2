"""What the hub asks a person besides meeting a need, on a page: what can be answered, and the answer.

docs/referrals.md (Errands), http://hl7.org/fhir/R4/task.html

What may be chosen from is what the errand names in its inputs, as far as the organization sees it; whom the hub has
not found for a need, a person finds in the directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.directory.matching import prospects
from coordhub.errors import FhirError
from coordhub.portal import listed
from coordhub.portal.sheets import Sheet, name_of, words
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Update
from coordhub.referral import wanted
from coordhub.store import desk, resources, search
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

MOST: Final = 20
"""Of the directory, or of its orders, that are listed."""

LOOKED_THROUGH: Final = 300
"""Tasks of an organization among which it looks for one: what is open, and the newest."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """An answer that can be given: act, as the form says it. chooses: one of the choices goes with it."""

    act: str
    label: str
    status: str
    chooses: bool = False


WAYS: Final[dict[str, tuple[Way, ...]]] = {
    "review": (Way("did", "I have looked after it", "completed"),),
    "not-received": (Way("did", "I have looked after it", "completed"),),
    "overdue": (Way("did", "I have looked after it", "completed"),),
    "send-again": (Way("did", "I have looked after it", "completed"),),
    "make-contact": (Way("did", "I have looked after it", "completed"),),
    "unacknowledged": (Way("did", "I have called", "completed"),),
    "acknowledge": (Way("did", "I have seen it", "completed"),),
    "re-confirm": (
        Way("did", "It can be done as changed", "completed"),
        Way("not", "It cannot be done so: give it back", "rejected"),
    ),
    "service-note": (
        Way("did", "It is corrected in the directory", "completed"),
        Way("not", "There is nothing to correct", "rejected"),
    ),
    "abort": (
        Way("did", "We have stopped", "completed"),
        Way("not", "It cannot be stopped any more", "rejected"),
    ),
    "find-provider": (
        Way("did", "Ask this one", "completed", chooses=True),
        Way("not", "There is nobody: end it", "rejected"),
    ),
    "choose": (
        Way("did", "Take this offer", "completed", chooses=True),
        Way("not", "Take none of them", "rejected"),
    ),
    "match-result": (
        Way("did", "It answers this one", "completed", chooses=True),
        Way("not", "It answers none of them", "rejected"),
    ),
}
"""By kind of errand. One of a kind that is not here is answered by the API only."""


@dataclass(frozen=True, slots=True)
class Choice:
    """reference: `Type/id`. beside: what helps to choose."""

    reference: str
    name: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """kind: of the errand. looked: words by which the directory was searched; None: it is no search."""

    kind: str
    ways: tuple[Way, ...]
    choices: tuple[Choice, ...]
    looked: str | None
    rids: tuple[int, ...]


async def asked(
    hub: Hub, conn: Connection, organization: int, found: Sheet, looked: str
) -> Asked | None:
    """What can be answered to it; None where nothing can, any more or here."""
    document = found.document
    ways = WAYS.get(found.errand, ())
    if not ways or document is None or document.get("status") not in ("requested", "received"):
        return None
    if parties.local(document.get("owner"), hub.base) is None:
        return None
    view = viewer.as_organization(organization)
    if found.errand == "find-provider":
        offered = await _in_directory(hub, conn, view, document, looked)
        return Asked(found.errand, ways, tuple(offered), looked, ())
    named = parties.locals_of(
        [one.get("valueReference") for one in document.get("input") or ()], hub.base
    )
    pairs = sorted((kind, fhir_id) for kind, _, fhir_id in (one.partition("/") for one in named))
    known = await resources.read_names(conn, view, pairs) if pairs else {}
    versions = [one for one in known.values() if one.body is not None]
    choices = [_choice(one) for one in versions] if any(way.chooses for way in ways) else []
    if found.errand == "match-result" and (looked.strip() or not choices):
        choices, shown = await _asked_with(hub, conn, view, looked)
        return Asked(found.errand, ways, tuple(choices), looked, shown)
    if found.errand == "match-result":
        return Asked(found.errand, ways, tuple(choices), "", tuple(one.rid for one in versions))
    return Asked(found.errand, ways, tuple(choices), None, tuple(one.rid for one in versions))


async def _asked_with(
    hub: Hub, conn: Connection, view: Viewer, looked: str
) -> tuple[list[Choice], tuple[int, ...]]:
    """Orders that the organization was asked with, of a name or a person like these words; none without words."""
    sought = [each.casefold() for each in looked.split()[:5]]
    if not sought:
        return [], ()
    lines = [one for one in await desk.inbox(conn, view, LOOKED_THROUGH) if not one.errand]
    documents = [parties.document(one.task) for one in lines]
    known = await listed.named(hub, conn, view, documents)
    choices: list[Choice] = []
    rids: list[int] = []
    for line, document in zip(lines, documents, strict=True):
        name = listed.title(document, known, hub.base)
        person = listed.person(document, known, hub.base)
        told = f"{name} {person}".casefold()
        if all(each in told for each in sought) and len(choices) < MOST:
            beside = ", ".join(one for one in (person, f"{line.since:%Y-%m-%d}") if one)
            choices.append(Choice(line.task.reference, name, beside))
            rids.append(line.task.rid)
    return choices, tuple(rids)


async def _in_directory(
    hub: Hub, conn: Connection, view: Viewer, errand: Document, looked: str
) -> Sequence[Choice]:
    """Services of a name like these words; where there are none, those that offer what is asked for."""
    if looked.strip():
        return [_choice(one) for one in await of_name(hub, view, looked)]
    text = parties.local(errand.get("focus"), hub.base) or ""
    kind, _, fhir_id = text.partition("/")
    order = await resources.read(conn, view, kind, fhir_id) if fhir_id else None
    if order is None or order.body is None:
        return []
    request, now = parties.document(order), hub.clock()
    if wanted.wanted(request, None, now).theirs:
        return []
    ranked = await prospects(conn, request, None, sender=view.organization, now=now, zone=hub.zone)
    first = [one for one in ranked if one.recipient][:MOST]
    pairs = sorted((k, i) for k, _, i in (one.recipient.partition("/") for one in first))
    known = await resources.read_names(conn, view, pairs) if pairs else {}
    return [
        _choice(version)
        for one in first
        for version in [known.get(_pair(one.recipient))]
        if version is not None and version.body is not None
    ]


def _pair(reference: str) -> tuple[str, str]:
    kind, _, fhir_id = reference.partition("/")
    return kind, fhir_id


async def of_name(hub: Hub, view: Viewer, looked: str) -> list[Version]:
    text = "".join(each for each in looked.strip()[:100] if each.isprintable())
    for special in "\\,$|":
        text = text.replace(special, f"\\{special}")
    pairs = [("name:contains", each) for each in text.split()[:5]]
    try:
        query = parse_query("HealthcareService", pairs, base=hub.base, now=hub.clock())
        async with hub.engine.searches.acquire() as conn:
            page = await search.search(conn, hub.engine, view, query, limit=MOST)
    except FhirError as error:
        if error.status >= 500:
            raise
        return []
    return page.versions


def _choice(version: Version) -> Choice:
    document = parties.document(version)
    name = document.get("name")
    if isinstance(name, list):
        name = name_of(name[0]) if name else ""
    kinds = (
        [words(one) for one in (*(document.get("category") or ()), *(document.get("type") or ()))]
        if isinstance(document.get("type"), list)
        else []
    )
    about = str(name or "") or words(document.get("code")) or version.reference
    beside = (
        ", ".join(dict.fromkeys(one for one in kinds if one))
        or str(document.get("authoredOn") or "")[:10]
    )
    return Choice(version.reference, about, beside)


def lacks(asked: Asked, way: Way, chosen: str) -> str | None:
    """What still has to be said before this can be."""
    if way.chooses and chosen not in {one.reference for one in asked.choices}:
        return "Choose one of them."
    return None


async def answer(
    hub: Hub, caller: Caller, found: Sheet, way: Way, chosen: str, said: str, seen: int | None
) -> None:
    """Say it; FhirError where the hub refuses. said: words for whoever reads the referral."""
    assert found.task is not None
    assert found.document is not None
    now = instant(hub.clock())
    changed: Document = {**found.document, "status": way.status, "lastModified": now}
    if way.chooses:
        output = {"type": {"text": "chosen"}, "valueReference": {"reference": chosen}}
        changed["output"] = [*(found.document.get("output") or []), output]
    if said:
        changed["note"] = [*(found.document.get("note") or []), {"time": now, "text": said}]
    update = Update("Task", found.task.id, changed, if_match=seen or found.task.version)
    await commit(hub, caller, [update], interaction="update")
