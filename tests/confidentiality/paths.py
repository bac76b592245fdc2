"""Every way to read over HTTP, and what each should give to a viewer by the oracle.

A path is a function of a Looker; it yields what was asked, what came and what should have come, each as
a value to compare. What is trimmed is marked, so that seeing too much of a resource is a difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
from oracle import ACT, LEVEL, SHOWN, WHOLE, Document, Held, Oracle, codings, references
from world import KEY, Actor, Opened, World

from coordhub.portal import sheets
from coordhub.portal.language import words
from coordhub.r4 import document as fhir_json
from coordhub.r4 import types
from coordhub.record import notifying
from coordhub.store import subscription_events
from coordhub.store.clients import Bounds
from coordhub.store.links import Visit
from coordhub.store.subscription_events import Event, Followed
from coordhub.store.subscriptions import Config, Subscribed

Difference = tuple[str, Any, Any]

TYPES = (
    "Patient", "Condition", "Observation", "DiagnosticReport", "ServiceRequest", "Task", "Consent",
    "CareTeam", "Provenance", "Communication", "RelatedPerson", "Organization", "HealthcareService",
)  # fmt: skip
PAGE = 40
LOINC = "http://loinc.org"


ALL = Bounds("system/*.cruds", "system/*.cruds")


@dataclass(frozen=True, slots=True)
class Looker:
    """One organization that looks, with one token. types: what the token's scopes let it read.

    only: of these types, what fits, found by these parameters: what granular scopes leave of them.
    bounds: the same token's, by which its Subscriptions are told.
    """

    world: World
    oracle: Oracle
    opened: Opened
    actor: Actor
    token: str
    types: frozenset[str] | None = None
    only: Mapping[str, tuple[Callable[[Held], bool], tuple[str, ...]]] = field(default_factory=dict)
    bounds: Bounds = ALL
    every: int = 1
    """Of what is asked for one by one: only each so-manieth, another one for each who looks."""

    def some(self, kind: str | None, step: int) -> list[Held]:
        start = sorted(self.world.actors).index(self.actor.name)
        return [*self.all_of(kind)][start % step :: step]

    async def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx2.Response:
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        content = None
        if body is not None:
            content = fhir_json.encode(body)
            sent["Content-Type"] = "application/fhir+json"
        return await self.opened.http.request(method, f"/fhir{path}", content=content, headers=sent)

    async def pages(self, path: str) -> AsyncIterator[Document]:
        """The Bundles of a search or history, to the last."""
        while path:
            answered = await self.ask("GET", path)
            assert answered.status_code == 200, (path, answered.text)
            page = answered.json()
            yield page
            links = {link["relation"]: link["url"] for link in page.get("link", ())}
            path = links.get("next", "").partition("/fhir")[2]

    async def found(self, path: str, mode: str | None = None) -> list[str]:
        """What a search gives, marked; each once or it is in the list twice."""
        return sorted([
            marked(entry["resource"])
            async for page in self.pages(path) for entry in page.get("entry", ())
            if mode is None or entry["search"]["mode"] == mode
        ])  # fmt: skip

    # ---- what should come

    def sees(self, reference: str) -> str | None:
        if self.types is not None and reference.partition("/")[0] not in self.types:
            return None
        narrowed = self.only.get(reference.partition("/")[0])
        if narrowed is not None:
            fits, parameters = narrowed
            one = self.oracle.held[reference]
            is_found = self.oracle.finds(self.actor.reference, reference, *parameters)
            if not is_found or not fits(one):
                return None
        return self.oracle.sees(self.actor.reference, reference)

    def mark(self, reference: str) -> str:
        return expected_mark(self.oracle.held[reference], self.sees(reference))

    def finds(self, one: Held, *parameters: str) -> bool:
        if self.sees(one.reference) is None:
            return False
        return self.oracle.finds(self.actor.reference, one.reference, *parameters)

    def all_of(self, kind: str | None = None) -> Iterable[Held]:
        return (each for each in self.oracle.held.values() if kind is None or each.type == kind)

    def expected(
        self, kind: str, fits: Callable[[Held], bool] = lambda one: True, *parameters: str
    ) -> list[str]:
        return sorted(
            self.mark(one.reference)
            for one in self.all_of(kind)
            if self.finds(one, *parameters) and fits(one)
        )

    def readable(self, kind: str) -> bool:
        return self.types is None or kind in self.types


def marked(document: Document) -> str:
    """`Type/id`, and that it is trimmed."""
    tags = {tag.get("code") for tag in document.get("meta", {}).get("tag", ())}
    trimmed = " trimmed" if "SUBSETTED" in tags else ""
    return f"{document['resourceType']}/{document['id']}{trimmed}"


def expected_mark(one: Held, shown: str | None) -> str:
    # A question is told so that nothing of it is left out: it can be sent back.
    is_trimmed = shown != WHOLE and one.type != "Task"
    return f"{one.reference}{' trimmed' if is_trimmed else ''}"


def too_much(document: Document, shown: str | None) -> set[str]:
    """Elements that the data set does not have and are there all the same, not masked."""
    if shown in (None, WHOLE):
        return set()
    if document["resourceType"] == "Task":
        return {"for"} & document.keys() if shown == "blind" else set()
    allowed = SHOWN[str(shown)].get(document["resourceType"]) or set()
    return {
        name for name, value in document.items()
        if name not in allowed | {"resourceType", "id", "meta"} and not _is_masked(value)
    }  # fmt: skip


def _is_masked(value: Any) -> bool:
    return "masked" in str(value) and not any(code for _, code in codings(value))


# ---- the paths


async def by_type(looker: Looker) -> AsyncIterator[Difference]:
    """All of a type in pages, its two totals, and its history."""
    for kind in TYPES:
        if not looker.readable(kind):
            assert (await looker.ask("GET", f"/{kind}")).status_code == 403
            continue
        expected = looker.expected(kind)
        size = PAGE if kind == "Condition" else 1000
        entries = [
            entry["resource"]
            async for page in looker.pages(f"/{kind}?_count={size}") for entry in page.get("entry", ())
        ]  # fmt: skip
        yield f"{kind}?", sorted(map(marked, entries)), expected
        for each in entries:
            reference = f"{each['resourceType']}/{each['id']}"
            cut = too_much(each, looker.sees(reference))
            if cut:
                yield f"elements of {reference}", cut, set()
        counted = (await looker.ask("GET", f"/{kind}?_summary=count")).json()["total"]
        yield f"{kind}?_summary=count", counted, len(expected)
        page = (await looker.ask("GET", f"/{kind}?_total=accurate&_count=1")).json()
        yield f"{kind}?_total=accurate", page["total"], len(expected)
        versions = [
            name async for page in looker.pages(f"/{kind}/_history?_count=500") for name in _versions(page)
        ]  # fmt: skip
        yield f"{kind}/_history", sorted(versions), _past(looker, looker.all_of(kind))


def _versions(page: Document) -> list[str]:
    return [
        f"{entry['fullUrl'].partition('/fhir/')[2]} {entry['response']['etag']}"
        for entry in page.get("entry", ())
    ]


def _past(looker: Looker, held: Iterable[Held]) -> list[str]:
    return sorted(
        f'{one.reference} W/"{number}"'
        for one in held
        if looker.sees(one.reference) is not None
        for number in range(1, len(one.versions) + 1)
    )


async def by_id(looker: Looker) -> AsyncIterator[Difference]:
    """Reads, as entries of a batch: of what is there, of its first version, of its history."""
    names = [each.reference for each in looker.some(None, looker.every)]
    for suffix in ("", "/_history/1"):
        entries = [{"request": {"method": "GET", "url": f"{name}{suffix}"}} for name in names]
        answered = await looker.ask(
            "POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries}
        )
        statuses, expected = {}, {}
        for name, entry in zip(names, answered.json()["entry"], strict=True):
            shown = looker.sees(name)
            statuses[name] = entry["response"]["status"][:3]
            expected[name] = (
                "200" if shown else "403" if not looker.readable(name.partition("/")[0]) else "404"
            )
            if shown and "resource" in entry:
                statuses[name] += " trimmed" if marked(entry["resource"]) != name else ""
                expected[name] += " trimmed" if looker.mark(name) != name else ""
        yield f"GET [id]{suffix}", statuses, expected


async def by_parameters(looker: Looker) -> AsyncIterator[Difference]:
    """Searches by id, patient, code, name and date; by what is trimmed away."""
    patients = [each.reference for each in looker.all_of("Patient")]
    half = patients[::2]
    by_patient = ",".join(half)

    def of_half(one: Held) -> bool:
        return looker.oracle.patient(one) in half

    for kind in ("Condition", "Observation", "ServiceRequest", "Task"):
        if looker.readable(kind):
            path = f"/{kind}?patient={by_patient}&_count=1000"
            yield path[:60], await looker.found(path), looker.expected(kind, of_half, "patient")
    one = half[0]
    for kind in ("Condition", "Observation", "ServiceRequest"):
        if looker.readable(kind):
            path = f"/{kind}?subject={one}&_count=7"
            yield (
                path,
                await looker.found(path),
                looker.expected(kind, lambda each: looker.oracle.patient(each) == one, "subject"),
            )
    ids = [each.id for each in looker.all_of("Condition")][::3]
    if not looker.readable("Condition"):
        return
    path = f"/Condition?_id={','.join(ids)}&_count=1000"
    yield (
        "Condition?_id",
        await looker.found(path),
        looker.expected("Condition", lambda each: each.id in ids, "_id"),
    )
    for code in ("F11.20", "B20", "J45.20"):
        yield f"Condition?code={code}", await looker.found(f"/Condition?code={code}&_count=1000"), looker.expected(
            "Condition", lambda each, code=code: code in [one for _, one in codings(each.last["code"])], "code"
        )  # fmt: skip
    yield "Patient?name", await looker.found("/Patient?name=water-p&_sort=family&_count=9"), looker.expected(
        "Patient", lambda each: each.last["name"][0]["family"].startswith("Water-p"), "name", "family"
    )  # fmt: skip
    yield "Patient?birthdate", await looker.found("/Patient?birthdate=1980-02-03&_count=500"), looker.expected(
        "Patient", lambda each: True, "birthdate"
    )  # fmt: skip
    yield "Patient?identifier", await looker.found("/Patient?identifier=urn:test:mrn|&_count=500"), looker.expected(
        "Patient", lambda each: True, "identifier"
    )  # fmt: skip
    yield "Observation?date", await looker.found("/Observation?date=ge2025&_sort=date&_count=50"), looker.expected(
        "Observation", lambda each: each.last["effectiveDateTime"] >= "2025", "date"
    )  # fmt: skip
    yield "Task?status", await looker.found("/Task?status=accepted&_count=100"), looker.expected(
        "Task", lambda each: each.last["status"] == "accepted", "status"
    )  # fmt: skip
    yield "ServiceRequest?code", await looker.found("/ServiceRequest?code=help&_count=100"), looker.expected(
        "ServiceRequest", lambda each: True, "code"
    )  # fmt: skip


async def by_links(looker: Looker) -> AsyncIterator[Difference]:
    """Chains and _has: what is hidden links nothing, nor does what a data set leaves out."""
    oracle = looker.oracle

    def found_by_name(one: Held) -> bool:
        patient = oracle.held[str(oracle.patient(one))]
        return looker.finds(patient, "family")

    path = "/Condition?patient.family=water&_count=1000"
    yield path, await looker.found(path), looker.expected("Condition", found_by_name, "patient")
    path = "/ServiceRequest?subject:Patient.birthdate=1980-02-03&_count=1000"
    yield path, await looker.found(path), looker.expected(
        "ServiceRequest", lambda one: looker.finds(oracle.held[str(oracle.patient(one))], "birthdate"), "subject"
    )  # fmt: skip
    path = "/Task?focus:ServiceRequest.status=active&_count=1000"
    yield path, await looker.found(path), looker.expected(
        "Task", lambda one: one.last["focus"]["reference"] in oracle.held and looker.finds(
            oracle.held[one.last["focus"]["reference"]], "status")
        and one.last["focus"]["reference"].startswith("ServiceRequest"), "focus"
    )  # fmt: skip
    for kind, code, name, value in (
        ("Condition", "patient", "code", "F11.20"), ("Condition", "patient", "code", "J45.20"),
        ("ServiceRequest", "subject", "code", "help"), ("Task", "patient", "status", "accepted"),
    ):  # fmt: skip
        with_one = {
            oracle.patient(one)
            for one in looker.all_of(kind)
            if looker.finds(one, code, name)
            and value
            in (
                [one.last[name]]
                if name == "status"
                else [each for _, each in codings(one.last[name])]
            )
        }
        path = f"/Patient?_has:{kind}:{code}:{name}={value}&_count=1000"
        yield path, await looker.found(path), looker.expected(
            "Patient", lambda one, these=with_one: one.reference in these
        )  # fmt: skip


async def by_inclusion(looker: Looker) -> AsyncIterator[Difference]:
    """What pages bring along, forwards, backwards and on from there."""
    oracle = looker.oracle
    a_third = list(looker.all_of("Patient"))[::3]
    ids = ",".join(each.id for each in a_third)
    names = {each.reference for each in a_third}

    def marks(held: Iterable[Held]) -> list[str]:
        return sorted({looker.mark(one.reference) for one in held})

    path = f"/Condition?patient={ids}&_include=Condition:patient&_count=1000"
    matches = [one for one in looker.all_of("Condition")
               if oracle.patient(one) in names and looker.finds(one, "patient")]  # fmt: skip
    brought = {str(oracle.patient(one)) for one in matches}
    yield path[-50:], await looker.found(path, "include"), marks(
        oracle.held[name] for name in brought if looker.sees(name)
    )  # fmt: skip
    path = f"/Patient?_id={ids}&_revinclude=Condition:patient&_revinclude=Observation:subject&_count=200"
    seen = {name for name in names if looker.sees(name)}
    yield path[-50:], await looker.found(path, "include"), marks(
        one for one in looker.all_of()
        if one.type in ("Condition", "Observation") and oracle.patient(one) in seen and looker.finds(one, "patient")
    )  # fmt: skip
    path = (
        f"/Patient?_id={ids}&_revinclude=ServiceRequest:subject&_revinclude:iterate=Task:focus"
        "&_include:iterate=ServiceRequest:requester&_count=200"
    )
    ways = ("subject", "requester")
    orders = [one for one in looker.all_of("ServiceRequest")
              if oracle.patient(one) in seen and looker.finds(one, *ways)]  # fmt: skip
    known = {one.reference for one in orders}
    tasks = [one for one in looker.all_of("Task")
             if one.last["focus"]["reference"] in known and looker.finds(one, "focus")]  # fmt: skip
    asking = [oracle.held[one.last["requester"]["reference"]] for one in orders]
    yield path[-80:], await looker.found(path, "include"), marks([*orders, *tasks, *asking])


async def by_patient(looker: Looker) -> AsyncIterator[Difference]:
    """$everything, the compartment and $lastn of some patients, seen or not."""
    oracle = looker.oracle
    for patient in [each.reference for each in looker.some("Patient", 3 * looker.every)]:
        answered = await looker.ask("GET", f"/{patient}/$everything?_count=1000")
        shown = looker.sees(patient)
        yield f"{patient}/$everything", answered.status_code, 200 if shown else 404
        if shown:
            entries = answered.json().get("entry", ())
            matches = sorted(marked(each["resource"]) for each in entries
                             if each["search"]["mode"] == "match")  # fmt: skip
            expected = sorted(
                looker.mark(one.reference) for one in looker.all_of()
                if (one.reference == patient and shown)
                or (_in_compartment(oracle, one) == patient and looker.finds(one, _leading(one.type)))
            )  # fmt: skip
            yield f"{patient}/$everything matches", matches, expected
        for kind in ("Condition", "Task"):
            path = f"/{patient}/{kind}?_count=500"
            yield path, await looker.found(path), looker.expected(
                kind, lambda one, patient=patient: oracle.patient(one) == patient, _leading(kind)
            )  # fmt: skip
        path = f"/Observation/$lastn?patient={patient}&max=3"
        yield path, await looker.found(path), looker.expected(
            "Observation", lambda one, patient=patient: oracle.patient(one) == patient,
            "patient", "code", "date",
        )  # fmt: skip


def _leading(kind: str) -> str:
    return "_id" if kind == "Patient" else "patient"


def _in_compartment(oracle: Oracle, one: Held) -> str | None:
    """By R4 a hub's Provenance, which is about a Task, is in no patient's compartment."""
    return None if one.type == "Provenance" and one.writer == oracle.hub else oracle.patient(one)


async def by_labels(looker: Looker) -> AsyncIterator[Difference]:
    """$meta of a type: labels in use; and what is found by them."""
    for kind in ("Condition", "Patient"):
        seen = [one for one in looker.all_of(kind) if looker.finds(one)]
        said = {
            label
            for one in seen
            for each in looker.oracle.classes(one.reference)
            for label in LABELS[each]
        }
        if any(looker.oracle.is_test(one) for one in seen):
            said |= {("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST")}
        meta = (
            (await looker.ask("GET", f"/{kind}/$meta"))
            .json()
            .get("parameter", [{}])[0]
            .get("valueMeta", {})
        )
        yield (
            f"{kind}/$meta",
            {(each["system"], each["code"]) for each in meta.get("security", ())},
            said,
        )
    for code, named in (("R", "RESTRICTED"), ("NORDSCLCD", "SUD"), ("HIV", "HIV")):
        path = f"/Condition?_security={code}&_count=500"
        yield path, await looker.found(path), looker.expected(
            "Condition", lambda one, named=named: named in looker.oracle.classes(one.reference), "_security"
        )  # fmt: skip


LABELS = {
    "SUD": [(ACT, "SUD"), (ACT, "42CFRPart2"), (ACT, "NORDSCLCD"), ("urn:coordhub:notice", "42CFRPart2")],
    "HIV": [(ACT, "HIV")], "PSY": [(ACT, "PSY")], "SEX": [(ACT, "SEX")], "SDV": [(ACT, "SDV")],
    "VSP": [("urn:coordhub:sensitivity", "VSP")], "RESTRICTED": [(LEVEL, "R")],
}  # fmt: skip
"""How a reader is told of a class, whoever found it."""


async def by_asking_about(looker: Looker) -> AsyncIterator[Difference]:
    """$status-of-referral is told to who referred and, of its own Task, to who is asked and no victim service
    provider; $why to whose it is; $route to who wrote the request; $accounting to whose Patient it is; the
    audit names to others nothing they cannot see; a reference to what is hidden is one to nothing."""
    oracle, me = looker.oracle, looker.actor.reference
    for one in looker.some("Task", 3 * looker.every):
        answered = await looker.ask("GET", f"/{one.reference}/$status-of-referral")
        opened = one.writer == me and one.last["intent"] == "order" and one.writer != oracle.hub
        if one.writer == oracle.hub and "partOf" in one.last and looker.sees(one.reference):
            asked = oracle.organization(one.last["owner"]["reference"])
            opened = asked == me and not oracle.is_provider(me)
        told = opened or (oracle.is_asked_by(one, me) and looker.sees(one.reference))
        yield f"{one.reference}/$status-of-referral", answered.status_code, 200 if told else 404
    for one in looker.some("Condition", 3 * looker.every):
        answered = await looker.ask("GET", f"/{one.reference}/$why?recipient={oracle.hub}")
        shown = looker.sees(one.reference)
        told = 404 if not shown else 200 if one.writer == me else 403
        yield f"{one.reference}/$why", answered.status_code, told
    for one in looker.some("ServiceRequest", 3 * looker.every):
        answered = await looker.ask("GET", f"/{one.reference}/$route")
        told = 404 if not looker.sees(one.reference) else 403
        if told == 403 and one.writer == me:  # who asks for what no code says is told that
            told = answered.status_code if answered.status_code in (200, 422) else 200
        yield f"{one.reference}/$route", answered.status_code, told
        for part in answered.json().get("parameter", []) if answered.status_code == 200 else []:
            for inner in part.get("part", []):
                if inner["name"] == "evidence":
                    named = inner["valueReference"]["reference"]
                    yield f"{one.reference}/$route {named}", looker.sees(named) is not None, True
    for one in looker.some("Patient", 2 * looker.every):
        answered = await looker.ask("GET", f"/{one.reference}/$accounting-of-disclosures")
        yield f"{one.reference}/$accounting", answered.status_code, 200 if one.writer == me else 404
        if not me.startswith("Organization/"):
            continue  # a person writes about itself only, and in its own name
        entry = {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                 "subject": {"reference": one.reference}}  # fmt: skip
        answered = await looker.ask("POST", "/Observation/$validate", entry)
        fine = answered.json()["issue"][0]["severity"] == "information"
        yield f"reference to {one.reference}", fine, looker.sees(one.reference) is not None


async def by_subscription(looker: Looker) -> AsyncIterator[Difference]:
    """Which of all changes a Subscription of its would be told of: those that a search would find."""
    oracle = looker.oracle
    half = [each.reference for each in looker.all_of("Patient")][::2]

    def born(one: Held) -> bool:
        return looker.finds(oracle.held[str(oracle.patient(one))], "birthdate")

    for query, fits, parameters in (
        ("Task", lambda one: True, ()),
        ("Task?patient=" + ",".join(half), lambda one: oracle.patient(one) in half, ("patient",)),
        ("ServiceRequest?subject:Patient.birthdate=1980-02-03", born, ("subject",)),
        ("Patient?birthdate=1980-02-03", lambda one: True, ("birthdate",)),
        ("Condition?code=F11.20",
         lambda one: "F11.20" in [code for _, code in codings(one.last["code"])], ("code",)),
    ):  # fmt: skip
        kind = query.partition("?")[0]
        yield (
            f"Subscription {query[:50]}",
            await _told_of(looker, query),
            sorted(
                one.reference
                for one in looker.all_of(kind)
                if looker.finds(one, *parameters) and fits(one)
            ),
        )


async def _told_of(looker: Looker, query: str) -> list[str]:
    hub, now = looker.opened.hub, looker.opened.hub.clock()
    kind = query.partition("?")[0]
    config = Config("", (query,), "https://subscriber.example", (), "id-only", 0, 0, 1)
    since = datetime(2000, 1, 1, tzinfo=UTC)
    held = Subscribed(
        0, looker.actor.rid, "active", config, None, 0, 0, 0, since, bounds=looker.bounds
    )
    async with hub.engine.pool.acquire() as conn:
        changes = await conn.fetch(
            "select c.seq, c.at, r.fhir_id from change c join resource r on r.rid = c.rid where r.type = $1",
            types.NUMBER[kind],
        )
        seqs = await subscription_events.matching(
            conn, hub.engine, notifying.viewer_of(held), [held],
            [Followed(row["seq"], row["at"], kind) for row in changes], hub.base, now,
        )  # fmt: skip
    told = {*seqs.get(0, ())}
    return sorted({f"{kind}/{row['fhir_id']}" for row in changes if row["seq"] in told})


async def by_feed(looker: Looker) -> AsyncIterator[Difference]:
    """The change feed of a type, and of all: every version of what is seen, each shown as that is."""
    for kind in (None, *TYPES):
        path = f"/{kind}/_history" if kind else "/_history"
        if kind and not looker.readable(kind):
            continue
        if kind is None and looker.types is not None:
            continue
        told: set[str] = set()
        async for page in looker.pages(f"{path}?_sort=_lastUpdated&_count=700"):
            told.update(_versions(page))
            for entry in page.get("entry", ()):
                document = entry["resource"]
                shown = looker.sees(f"{document['resourceType']}/{document['id']}")
                if cut := too_much(document, shown):
                    yield f"feed: elements of {entry['fullUrl']}", cut, set()
        if kind:
            yield f"{kind} feed", sorted(told), _past(looker, looker.all_of(kind))
        else:
            held = {name.partition(" ")[0] for name in told}
            yield "feed", held & looker.oracle.held.keys(), {
                one.reference for one in looker.all_of() if looker.sees(one.reference) is not None
            }  # fmt: skip


async def by_notification(looker: Looker) -> AsyncIterator[Difference]:
    """What a notification with full resources holds, by whatever channel, of events that it may see no more."""
    hub, held = looker.opened.hub, list(looker.some(None, looker.every))
    told = Subscribed(
        0, looker.actor.rid, "active", FULL, None, len(held), 0, 0, None, bounds=looker.bounds
    )
    rids = dict(
        await looker.world.owner(
            "select t.name, r.rid from unnest($1::text[], $2::smallint[], $3::text[]) t(name, type, fhir_id)"
            " join resource r on r.type = t.type and r.fhir_id = t.fhir_id",
            [one.reference for one in held],
            [types.NUMBER[one.type] for one in held],
            [one.id for one in held],
        )
    )
    events = [
        Event(number, hub.clock(), rids[one.reference], 1) for number, one in enumerate(held, 1)
    ]
    async with hub.engine.pool.acquire() as conn:
        composed = await notifying.compose(
            hub, conn, told, "Subscription/x", "active", "event-notification", events, UUID(int=1)
        )
    body = fhir_json.parse(composed.body)
    entries = [entry["resource"] for entry in body["entry"][1:]]
    oracle = looker.oracle
    seen = [
        one
        for one in held
        if looker.sees(one.reference) is not None
        # the sandbox's own directory is told by no Subscription: less than may be seen, never more
        and not (oracle.is_test(one) and one.writer == oracle.steward)
    ]
    yield (
        "notification",
        sorted(map(marked, entries)),
        sorted(looker.mark(one.reference) for one in seen),
    )
    named = {one.reference for one in held if one.reference.encode() in composed.body}
    yield (
        "named in a notification",
        named - {one.reference for one in seen} - _named_in(entries),
        set(),
    )
    for document in entries:
        shown = looker.sees(f"{document['resourceType']}/{document['id']}")
        yield "elements in a notification", too_much(document, shown), set()


def _named_in(entries: Iterable[Document]) -> set[str]:
    """What is named by resources themselves."""
    return {name for document in entries for name in references(document)}


FULL = Config("urn:topic", (), "https://subscriber.example", (), "full-resource", 0, 0, 1000)


async def by_page(looker: Looker) -> AsyncIterator[Difference]:
    """The page behind a link, of any Task, were there a link to it: no more than its organization is shown."""
    hub = looker.opened.hub
    tasks = list(looker.some("Task", 2 * looker.every))
    async with hub.engine.pool.acquire() as conn:
        for one in tasks:
            rid = await conn.fetchval(
                "select rid from resource where type = $1 and fhir_id = $2",
                types.NUMBER["Task"],
                one.id,
            )
            sheet = await sheets.sheet(hub, conn, Visit(looker.actor.rid, rid), words("en"))
            yield (
                f"page of {one.reference}",
                rid in sheet.rids,
                looker.sees(one.reference) is not None,
            )
            rows = await conn.fetch(
                "select type, fhir_id from resource where rid = any($1::bigint[])", list(sheet.rids)
            )
            names = [f"{types.name_of(row['type'])}/{row['fhir_id']}" for row in rows]
            yield f"behind {one.reference}", [name for name in names if not looker.sees(name)], []
            patient = looker.oracle.patient(one)
            shown = looker.sees(patient) if patient else None
            labels = {label for label, _ in sheet.person}
            yield f"person of {one.reference}", labels - _said_of_a_person(shown), set()


def _said_of_a_person(shown: str | None) -> set[str]:
    everything = {
        "Name": "name",
        "Born": "birthDate",
        "Address": "address",
        "Language": "communication",
    }
    everything |= dict.fromkeys(("Phone", "Text message", "E-mail", "Contact"), "telecom")
    allowed = set(everything.values())
    if shown != WHOLE:
        allowed = SHOWN[str(shown)].get("Patient") or set() if shown else set()
    return {label for label, element in everything.items() if element in allowed}


PATHS = (
    by_type, by_id, by_parameters, by_links, by_inclusion, by_patient, by_labels, by_asking_about,
    by_subscription, by_feed, by_notification, by_page,
)  # fmt: skip

__all__ = ["KEY", "PATHS", "Looker"]
