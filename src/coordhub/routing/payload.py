"""What a delivery carries: the change, and what its recipient needs to act on it.

A transaction Bundle with `PUT Type/<id of the hub>` entries: applied twice it says the same. Whatever
it holds is read with the recipient's own view at this moment; what the recipient wrote itself is not
sent back. The state of a Task is put into the words of the recipient's profile; what it reads at the
hub is what is stored.

http://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference, sensitivity
from coordhub.r4.types import NUMBER
from coordhub.record import parties
from coordhub.record.hub import Hub, instant
from coordhub.referral import profiles, wording
from coordhub.referral import results as pure_results
from coordhub.referral import task_machine as machine
from coordhub.referral.profiles import Profile
from coordhub.routing import results
from coordhub.routing.translate import Tongue, sought
from coordhub.store import counterparts, resources
from coordhub.store import results as results_store
from coordhub.store.counterparts import Custom, Told
from coordhub.store.deliveries import INBOX, Claimed
from coordhub.store.engine import Connection
from coordhub.store.mendings import Mending
from coordhub.store.resources import Version
from coordhub.store.visibility import DIRECTORY, HUB, Viewer

DELIVERY_SYSTEM = "urn:coordhub:delivery"
"""System of Bundle.identifier: the delivery's id, the same at every attempt."""

LEVELS = 3
"""Task -> ServiceRequest -> report -> its observations."""


@dataclass(frozen=True, slots=True)
class Payload:
    """body: the rendered Bundle. rids: what it discloses, in the order of its entries.

    targets: where each entry is written, as in request.url. custom: how it is with that server.
    """

    body: bytes
    rids: tuple[int, ...]
    targets: tuple[str, ...]
    custom: Custom

    def told(self, answered: Sequence[str]) -> list[Told]:
        """What the server says it has under another id than it was sent to, of the same type.

        answered: its `Type/id` of each entry, "" where it told none.
        """
        if len(answered) != len(self.rids):
            return []
        return [
            Told(rid, name)
            for rid, target, name in zip(self.rids, self.targets, answered, strict=True)
            if name and name != target and name.partition("/")[0] == target.partition("/")[0]
        ]


@dataclass(frozen=True, slots=True)
class Withheld:
    """Nothing is sent. reason: for the ledger, without content."""

    reason: str


HIDDEN = Withheld("the recipient may not see it (any more)")
WITHDRAWN = Withheld(machine.REASONS["consent-withdrawn"].text)
"""As it is suppressed at once by the withdrawal, unless an attempt is under way then."""
OVERTAKEN = Withheld("it was corrected before it was sent")


def not_agreed(what: str) -> Withheld:
    """what: a resource type or a channel."""
    return Withheld(f"not agreed with the recipient: {what}")


async def compose(
    hub: Hub, conn: Connection, held: Claimed, now: datetime, otherwise: Sequence[Mending] = ()
) -> Payload | Withheld:
    """The Bundle for this delivery, or why its recipient does not get it: it may not see the change (any
    more), or it does not count any more and the recipient never had it.

    otherwise: what is said in another way than before, since its copy was read.
    """
    custom = await counterparts.custom(conn, held.organization, held.endpoint)
    view = viewer.as_organization(held.organization, sandbox=custom.sandbox)
    found = await resources.read_written(conn, view, [(held.rid, held.version)])
    changed = found.get((held.rid, held.version))
    if changed is None or changed.body is None:
        gone = await results.calls_back(conn, held)
        if gone is not None:
            return await _call_back(conn, held, gone, now)
        return WITHDRAWN if await _withdrawn(conn, held) else HIDDEN
    if (
        changed.type == "Task"
        and changed.source != held.organization
        and await _withdrawn(conn, held)
    ):
        return WITHDRAWN
    if await results.is_overtaken(conn, changed):
        return OVERTAKEN
    takes = custom.terms.receives
    if takes is not None and changed.type not in takes and held.endpoint != INBOX:
        return not_agreed(changed.type)
    gathered: dict[int, Version] = {changed.rid: changed}
    asked = {(changed.type, changed.id)}
    frontier: Sequence[Version] = [changed]
    for _ in range(LEVELS):
        frontier = await _named_by(hub, conn, view, frontier, asked)
        if not frontier:
            break
        gathered.update((each.rid, each) for each in frontier)
    entries = [
        each
        for each in gathered.values()
        if each.rid == changed.rid
        or (each.source != held.organization and (takes is None or each.type in takes))
    ]
    anew = {one.rid for one in otherwise if one.kind == "gone"}
    tongue = await _tongue(hub, conn, held, custom, entries, anew)
    profile = profiles.named(custom.terms.profile)
    rendered = [
        _as_it_is(hub.base, each, profile)
        if tongue is None
        else tongue.entry(each, fhir_json.parse(_worded(each, profile, hub.base)))
        for each in entries
    ]
    tags = {one.rid: one.tag for one in otherwise if one.kind == "conflict"}
    for each, entry in zip(entries, rendered, strict=True):
        if (tag := tags.get(each.rid)) and entry["request"]["method"] == "PUT":
            entry["request"]["ifMatch"] = tag
    return Payload(
        render(held.key, entries, rendered, now),
        tuple(each.rid for each in entries),
        tuple(each["request"]["url"] for each in rendered),
        custom,
    )


async def _tongue(
    hub: Hub,
    conn: Connection,
    held: Claimed,
    custom: Custom,
    entries: Sequence[Version],
    anew: Collection[int],
) -> Tongue | None:
    """How to say it in the ids of the recipient's server; None where these are the hub's."""
    if not (custom.known or custom.own_ids or anew) or held.endpoint == INBOX:
        return None
    names = {name for each in entries for name in _names(hub, parties.document(each), None)}
    names |= {(each.type, each.id) for each in entries}
    known = sorted(name for name in names if name[0] in NUMBER)
    found = await resources.locate(conn, viewer.deciding(), known)
    theirs = await counterparts.names_at(
        conn, held.organization, held.endpoint, [each.rid for each in found.values()]
    )
    return Tongue(
        hub.base,
        {
            f"{kind}/{fhir_id}": theirs[each.rid]
            for (kind, fhir_id), each in found.items()
            if each.rid in theirs
        },
        custom.own_ids,
        {each.reference for each in entries if each.rid in anew},
    )


async def _withdrawn(conn: Connection, held: Claimed) -> bool:
    """Whether this is what was asked before its patient withdrew; its recipient is told that alone."""
    current = (await resources.read_rids(conn, viewer.deciding(), [held.rid])).get(held.rid)
    if current is None or current.body is None or current.version == held.version:
        return False
    if current.type != "Task" or current.source == held.organization:
        return False
    reason = parties.document(current).get("statusReason") or {}
    codes = {coding.get("code") for coding in reason.get("coding") or ()}
    return "consent-withdrawn" in codes


async def _named_by(
    hub: Hub,
    conn: Connection,
    view: Viewer,
    versions: Iterable[Version],
    asked: set[tuple[str, str]],
) -> list[Version]:
    """What these refer to and was not asked for yet, as far as the recipient may see it; directory entries
    lead no further, and results that it is owed by themselves are not sent beside a Task."""
    names: set[tuple[str, str]] = set()
    for version in versions:
        if version.type in _FOLLOWED and version.body is not None:
            document = parties.document(version)
            names.update(_names(hub, document, _FOLLOWED[version.type]))
            names.update(
                ("Binary", text.partition("/")[2])
                for text in pure_results.attached(document, hub.base)
            )
    names -= asked
    asked |= names
    known = sorted(name for name in names if name[0] in NUMBER)
    if not known:
        return []
    found = (await resources.read_names(conn, view, known)).values()
    named = {each.rid: each for each in found if each.body is not None}
    if any(version.type == "Task" for version in versions):
        perhaps = [
            each.rid
            for each in named.values()
            if each.type != "Patient" and each.source not in (HUB, DIRECTORY, view.organization)
        ]
        if perhaps:
            for rid in await results_store.owed(conn, view.organization, perhaps):
                del named[rid]
    return list(named.values())


_FOLLOWED: dict[str, frozenset[str]] = {
    "Task": frozenset({"focus", "for", "owner", "input", "output"}),
    "ServiceRequest": frozenset(
        {
            "subject",
            "requester",
            "performer",
            "supportingInfo",
            "reasonReference",
            "specimen",
            "encounter",
            "insurance",
        }
    ),
    "DiagnosticReport": frozenset({"subject", "result", "specimen", "performer"}),
    "Observation": frozenset({"subject", "hasMember", "derivedFrom", "specimen", "performer"}),
    "Procedure": frozenset({"subject", "report", "performer"}),
    "DocumentReference": frozenset({"subject", "author"}),
    "MedicationRequest": frozenset({"subject", "medicationReference", "requester"}),
    "MedicationStatement": frozenset({"subject", "medicationReference", "informationSource"}),
    "Communication": frozenset({"payload", "sender"}),
    "Appointment": frozenset({"slot", "participant"}),
    "AppointmentResponse": frozenset({"actor"}),
    "Slot": frozenset({"schedule"}),
    "Encounter": frozenset({"subject", "serviceProvider"}),
    "CarePlan": frozenset({"subject", "goal", "careTeam"}),
    "Goal": frozenset({"subject"}),
    "PractitionerRole": frozenset({"practitioner", "organization"}),
}
"""Elements of each type whose targets travel along."""


def _names(
    hub: Hub, document: dict[str, Any], elements: frozenset[str] | None
) -> Iterable[tuple[str, str]]:
    """What it refers to in these elements (None: in any)."""
    part = {name: value for name, value in document.items() if elements is None or name in elements}
    for _, element in reference.walk({"resourceType": document["resourceType"], **part}):
        found = reference.parse_element(element, base=hub.base)
        if found is not None and found.local is not None and found.type and found.id:
            yield found.type, found.id


async def _call_back(conn: Connection, held: Claimed, gone: Version, now: datetime) -> Payload:
    """What says that the recipient's copy does not count, and nothing of what it is about."""
    theirs = await counterparts.names_at(conn, held.organization, held.endpoint, [gone.rid])
    url = theirs.get(gone.rid)
    custom = await counterparts.custom(conn, held.organization, held.endpoint)
    if url is None:
        url = sought(gone.type, gone.reference) if custom.own_ids else gone.reference
    entry = {"request": {"method": "DELETE", "url": url}}
    return Payload(render(held.key, [], [entry], now), (gone.rid,), (url,), custom)


def _as_it_is(base: str, version: Version, profile: Profile) -> dict[str, Any]:
    """The text as it is shown, and its place under the hub's own id."""
    return {
        "fullUrl": f"{base}/{version.reference}",
        "resource": msgspec.Raw(_worded(version, profile, base)),
        "request": {"method": "PUT", "url": version.reference},
    }


def render(
    delivery: UUID, entries: Sequence[Version], rendered: Sequence[dict[str, Any]], now: datetime
) -> bytes:
    """The Bundle as JSON, with the labels of all that it holds.

    Of content under 42 CFR Part 2 that is the notice which has to go with it. A Task says what the
    recipient's profile has words for.
    """
    classes = functools.reduce(operator.or_, (each.labels for each in entries), 0)
    head = {
        "resourceType": "Bundle",
        **({"meta": {"security": sensitivity.codings(classes)}} if classes else {}),
        "identifier": {"system": DELIVERY_SYSTEM, "value": str(delivery)},
        "type": "transaction",
        "timestamp": instant(now),
        "entry": list(rendered),
    }
    return msgspec.json.encode(head)


def _worded(version: Version, profile: Profile, base: str) -> bytes:
    text = (version.body or "{}").encode()
    if version.type != "Task" or version.body is None:
        return text
    document = fhir_json.parse(text)
    said = wording.told(profile, document, base)
    return text if said is document else fhir_json.encode(said)
