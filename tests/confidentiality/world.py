"""Organizations around a hub, patients with records and Consents, and referrals in every state.

Made by who acts in it, through `record.commit`, as anybody would. What is stored is then read with
the owner's eyes for the oracle: bodies, and who wrote them first; no grant, rule, label or projection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
from open_hub import BASE, PROVIDER
from oracle import ACT, ICD10, LEVEL, OVER, SERVICE_TYPE, Document, Held, Oracle
from pydantic import SecretStr

from coordhub.access import scopes, viewer
from coordhub.access.caller import Caller
from coordhub.access.token import Tokens, digest, random_token
from coordhub.admin.acts import Operator, bind_person
from coordhub.app import build
from coordhub.r4 import document as fhir_json
from coordhub.r4 import types
from coordhub.record.bootstrap import open_hub
from coordhub.record.break_glass import Emergency, Named, open_record
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, system_clock
from coordhub.record.operations import Create, Operation, Update, Written
from coordhub.routing import relay
from coordhub.settings import Settings
from coordhub.store import apps, clients, resources, roles, sandboxes, tokens
from coordhub.store.apps import Code, Permission
from coordhub.store.engine import Engine
from coordhub.store.tokens import Given
from coordhub.store.visibility import DIRECTORY, HUB

KEY = "a test key that is long enough for it"
POLICIES = ("opt-in", "opt-out", "by-purpose")
HOUSEHOLD = "63512-8"
LOINC = "http://loinc.org"

CAST = {
    "clinic": True, "asked": True, "accepted": True, "declined": True, "completed": True,
    "rival": True, "rival_social": False, "winner": True, "loser": True, "winner_social": False,
    "food": False, "food_accepted": False, "member": True, "doctor": True, "stranger": True, "stranger_social": False,
}  # fmt: skip
"""Who acts, and whether it treats."""

SANDBOX = {"tester": True, "tested": False}
"""Who acts in the sandbox: the one refers to the other."""

CLASSES: dict[str, Document] = {
    "none": {"code": "J45.20"}, "SUD": {"code": "F11.20"}, "HIV": {"code": "B20"},
    "PSY": {"code": "F32.1"}, "SEX": {"code": "A51.0"}, "SDV": {"code": "T74.11XA"},
    "RESTRICTED": {"code": "J45.20", "security": {"system": LEVEL, "code": "R"}},
    "VSP": {"code": "J45.20", "security": {"system": "urn:coordhub:sensitivity", "code": "VSP"}},
}  # fmt: skip
"""A Condition of each sensitivity class: by its code, or by the label that its author wrote."""


@dataclass(frozen=True, slots=True)
class Actor:
    name: str
    rid: int
    reference: str
    service: str
    caller: Caller


@dataclass(slots=True)
class World:
    """hub: the one it is written through; others on the same database are opened to read it."""

    hub: Hub
    url: str
    steward: Caller
    actors: dict[str, Actor] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    """By name of the record: its `Patient/x`."""
    emergencies: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Who broke the glass of which patient, and whether for a medical emergency."""

    async def commit(self, who: Caller, *operations: Operation) -> Sequence[Written]:
        done = await commit(self.hub, who, operations, interaction="transaction")
        return done.written

    async def join(self, cast: dict[str, bool], *, sandbox: Sequence[str] = ()) -> None:
        """sandbox: in whose places these are, if they are of the sandbox."""
        operations: list[Operation] = []
        for name, treats in cast.items():
            kind = {"type": PROVIDER["type"]} if treats else {}
            organization = {"resourceType": "Organization", "active": True, "name": name, **kind}
            service: Document = {
                "resourceType": "HealthcareService", "active": True, "name": f"service of {name}",
                "providedBy": {"reference": f"urn:uuid:{name}"},
            }  # fmt: skip
            if name.startswith("food"):
                service["type"] = [{"coding": [{"system": SERVICE_TYPE, "code": "548"}]}]
            operations += [
                Create("Organization", organization, full_url=f"urn:uuid:{name}"),
                Create("HealthcareService", service),
            ]
        steward = dataclasses.replace(self.steward, sandbox=bool(sandbox))
        written = await self.commit(steward, *operations)
        async with self.hub.engine.pool.acquire() as conn:
            for number, name in enumerate(cast):
                one, service_of = written[number * 2 : number * 2 + 2]
                await clients.register(
                    conn, name, one.rid, "system/*.cruds", update_as_create=False,
                    now=self.hub.clock(), role="privacy-officer",
                )  # fmt: skip
                if sandbox:
                    await sandboxes.make(conn, one.rid, self.actors[sandbox[number]].rid)
                    self.hub.lists.forget()
                who = Caller(name, one.rid, one.reference, scopes.EVERYTHING, sandbox=bool(sandbox))
                self.actors[name] = Actor(name, one.rid, one.reference, service_of.reference, who)

    async def record(self, *names: str, holder: str = "clinic") -> list[dict[str, str]]:
        """Patients' records, with a Condition of each class; of each its references by what they are."""
        operations = [operation for name in names for operation in chart(name)]
        written = await self.commit(self.actors[holder].caller, *operations)
        parts = ["patient", *CLASSES, "household", "result", "report", "team"]
        width = len(parts)
        made = [
            dict(zip(parts, (one.reference for one in written[at : at + width]), strict=True))
            for at in range(0, len(written), width)
        ]
        self.records |= {name: one["patient"] for name, one in zip(names, made, strict=True)}
        return made

    async def refer(
        self, *wishes: tuple[dict[str, str], Sequence[str], Sequence[str]], who: str = "clinic"
    ) -> list[str]:
        """`who` refers patients: record, who is asked, which parts of the record are named. Its Tasks."""
        operations: list[Operation] = []
        for number, (record, asked, parts) in enumerate(wishes):
            about = {"reference": record["patient"]}
            requester = {"reference": self.actors[who].reference}
            order = {
                "resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": about,
                "code": {"coding": [{"system": "urn:test:need", "code": "help"}]},
                "authoredOn": "2026-01-02T08:00:00Z", "requester": requester,
                "performer": [{"reference": self.actors[one].service} for one in asked],
                "supportingInfo": [{"reference": record[each]} for each in parts],
                "note": [{"text": "said between us"}],
            }  # fmt: skip
            task = {
                "resourceType": "Task", "status": "requested", "intent": "order",
                "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
                "focus": {"reference": f"urn:uuid:order-{number}"}, "for": about,
                "authoredOn": "2026-01-02T08:00:00Z", "requester": requester,
            }  # fmt: skip
            operations += [
                Create("ServiceRequest", order, full_url=f"urn:uuid:order-{number}"),
                Create("Task", task),
            ]
        written = await self.commit(self.actors[who].caller, *operations)
        await self.relay()
        return [one.reference for one in written[1::2]]

    async def bind(self, name: str, person: str) -> None:
        """An app that acts for a `Patient/x` or `RelatedPerson/x`."""
        await bind_person(self.hub, Operator("operator"), name, person, "system/*.cruds")
        [[rid]] = await self.owner("select organization from client where id = $1", name)
        who = Caller(name, rid, person, scopes.EVERYTHING, role="person")
        self.actors[name] = Actor(name, rid, person, "", who)

    async def break_glass(self, name: str, patient: str, nature: str | None) -> None:
        who = self.actors[name].caller
        [practitioner] = await self.commit(
            who, Create("Practitioner", {"resourceType": "Practitioner"})
        )
        emergency = Emergency(
            "ETREAT" if nature else "BTG", "unconscious", practitioner.reference, nature
        )
        allowed = dataclasses.replace(who, break_glass=True)
        opened = await open_record(self.hub, allowed, Named(None, None, patient), emergency)
        assert opened is not None
        assert opened.covers_part2 == (nature is not None)
        self.emergencies[self.actors[name].reference, patient] = opened.covers_part2

    async def relay(self) -> None:
        while await relay.relay(self.hub, uuid4):
            pass

    async def questions(self, name: str, sent: Sequence[str]) -> dict[str, Question]:
        """How the hub asks `name` for these Tasks of senders; of those for which it does."""
        rows = await self.owner(
            "select e.fhir_id, t.body, s.fhir_id from candidate c join resource t on t.rid = c.task"
            " join resource s on s.rid = c.request join resource e on e.rid = c.episode"
            " where e.fhir_id = any($1::text[]) and c.organization = $2 order by e.rid",
            [one.partition("/")[2] for one in sent], self.actors[name].rid,
        )  # fmt: skip
        return {
            f"Task/{fhir_id}": Question(fhir_json.parse(body.encode()), f"ServiceRequest/{request}")
            for fhir_id, body, request in rows
        }

    async def answer(self, name: str, sent: Sequence[str], status: str, **elements: Any) -> None:
        """`name` sets the status of the Tasks that ask it, as far as they still wait for it."""
        operations = [
            Update("Task", one.task["id"], {**one.task, "status": status, **elements})
            for one in (await self.questions(name, sent)).values()
            if one.task["status"] not in OVER
        ]
        if operations:
            await self.commit(self.actors[name].caller, *operations)

    async def owner(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        conn = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await conn.fetch(sql, *arguments)]
        finally:
            await conn.close()

    async def held(self) -> list[Held]:
        """Everything there is, and who wrote it first."""
        rows = await self.owner(
            "select r.rid, r.type, r.fhir_id, r.source, r.body, array(select v.body from resource_version v"
            " where v.rid = r.rid order by v.version) from resource r order by r.rid"
        )
        names = {row[0]: f"{types.name_of(row[1])}/{row[2]}" for row in rows}
        return [
            Held(names[row[0]], names[row[3]], tuple(
                None if body is None else fhir_json.parse(body.encode()) for body in (*row[5], row[4])))
            for row in rows
        ]  # fmt: skip

    async def oracle(self, policy: str) -> Oracle:
        rows = await self.owner(
            "select rid, fhir_id from resource where rid = any($1::bigint[])", [HUB, DIRECTORY]
        )
        names = {rid: f"Organization/{fhir_id}" for rid, fhir_id in rows}
        return Oracle(
            await self.held(), steward=names[DIRECTORY], hub=names[HUB], policy=policy,
            now=system_clock(), emergencies=self.emergencies, read_after=self.hub.safeguards.read_after,
            sandbox=[self.actors[name].reference for name in SANDBOX if name in self.actors],
        )  # fmt: skip

    @asynccontextmanager
    async def open(self, policy: str) -> AsyncIterator[Opened]:
        """The hub as a server with this policy has it, over HTTP."""
        async with AsyncExitStack() as stack:
            engine = await Engine.open(
                await roles.application(self.url), size=6, consent_policy=policy
            )
            stack.push_async_callback(engine.close)
            hub = await open_hub(engine, BASE)
            settings = Settings.model_validate(
                {"DATABASE_URL": self.url, "token_key": SecretStr(KEY), "base_url": BASE,
                 "max_entries": 5000, "max_body_bytes": 16 << 20}
            )  # fmt: skip
            app = build(settings, hub)
            await stack.enter_async_context(app.router.lifespan_context(app))
            http = await stack.enter_async_context(
                httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(app=app),
                    base_url=BASE.removesuffix("/fhir"),
                    timeout=60,
                )
            )
            yield Opened(hub, http, Tokens(KEY.encode(), engine))


@dataclass(frozen=True, slots=True)
class Opened:
    hub: Hub
    http: httpx2.AsyncClient
    tokens: Tokens

    def token(self, client: str, scope: str = "system/*.cruds") -> str:
        return self.tokens.issue(client, scope, now=self.hub.clock(), lifetime=timedelta(hours=1))

    async def app_token(self, actor: Actor, patient: str, scope: str) -> str:
        """Of an app that somebody of the actor's let in for this patient (`Patient/x`)."""
        now, token, app = self.hub.clock(), random_token(), uuid4().hex
        kind, _, fhir_id = patient.partition("/")
        async with self.hub.engine.transaction() as conn:
            subject = await resources.read(conn, viewer.deciding(), kind, fhir_id)
            assert subject is not None
            await clients.register(conn, app, actor.rid, scope, update_as_create=False, now=now)
            await clients.set_app(conn, app, ["https://app.example/back"], "App")
            one = Permission(uuid4(), app, "ana", actor.rid, subject.rid, scope, scope, now)
            await apps.allow(conn, one, digest(token), Code(one.id, "", "", None, now))
            until = now + timedelta(hours=1)
            await tokens.give(conn, digest(token), Given(app, actor.rid, scope, now, until, one.id))
        return token


@dataclass(frozen=True, slots=True)
class Question:
    """task: the hub's, as it stands. request: its ServiceRequest."""

    task: Document
    request: str


def chart(name: str) -> list[Operation]:
    """What a clinic writes of a patient; `name` is of the record."""
    urn = f"urn:uuid:{name}-"
    about = {"reference": f"{urn}patient"}
    documents: dict[str, Document] = {
        "patient": {
            "resourceType": "Patient", "active": True, "birthDate": "1980-02-03",
            "identifier": [{"system": "urn:test:mrn", "value": name}],
            "name": [{"family": f"Water-{name}", "given": ["Ada"]}],
            "telecom": [{"system": "phone", "value": "555-0100"}],
            "address": [{"line": ["1 Hidden Way"], "postalCode": "12345"}],
        },
        **{each: condition(about, each) for each in CLASSES},
        "household": {
            **measured(about, HOUSEHOLD, "2025-05-01T08:00:00Z"), "note": [{"text": "household"}],
        },
        "result": measured(about, "4548-4", "2024-05-01T08:00:00Z"),
        "report": {
            "resourceType": "DiagnosticReport", "status": "final", "subject": about,
            "code": {"coding": [{"system": LOINC, "code": "24331-1"}]},
            "result": [{"reference": f"{urn}result"}],
        },
        "team": {"resourceType": "CareTeam", "status": "active", "subject": about},
    }  # fmt: skip
    return [
        Create(document["resourceType"], document, full_url=f"{urn}{part}")
        for part, document in documents.items()
    ]


def measured(about: Document, code: str, at: str) -> Document:
    return {
        "resourceType": "Observation", "status": "final", "subject": about,
        "code": {"coding": [{"system": LOINC, "code": code}]}, "effectiveDateTime": at,
        "valueQuantity": {"value": 4},
    }  # fmt: skip


def condition(about: Document, name: str) -> Document:
    """A Condition of a class of CLASSES."""
    spec = CLASSES[name]
    meta = {"meta": {"security": [spec["security"]]}} if "security" in spec else {}
    return {
        "resourceType": "Condition", **meta, "subject": about,
        "code": {"coding": [{"system": ICD10, "code": spec["code"]}]},
        "recordedDate": "2025-06-01",
        "note": [{"text": f"of class {name}"}],
    }  # fmt: skip


def label(name: str) -> Document:
    return {"system": LEVEL, "code": "R"} if name == "RESTRICTED" else {"system": ACT, "code": name}


def consent(
    patient: str, provision: Document | None = None, *, policy: str = "OPTIN",
    given: str = "2026-01-01T10:00:00Z", **elements: Any,
) -> Document:  # fmt: skip
    document: Document = {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                              "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": ACT, "code": "IDSCL"}]}],
        "patient": {"reference": patient}, "dateTime": given,
        "policyRule": {"coding": [{"system": ACT, "code": policy}]},
    }  # fmt: skip
    if provision is not None:
        document["provision"] = provision
    return {**document, **elements}


def actors(*references: str) -> list[Document]:
    role = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
        ]
    }
    return [{"role": role, "reference": {"reference": one}} for one in references]


@asynccontextmanager
async def bare(url: str, policy: str, cast: dict[str, bool]) -> AsyncIterator[World]:
    """A hub with these organizations, and nothing else yet."""
    engine = await Engine.open(await roles.application(url), size=4, consent_policy=policy)
    try:
        hub = await open_hub(engine, BASE)
        steward = Caller("steward", DIRECTORY, "Organization/steward", scopes.EVERYTHING)
        world = World(hub, url, steward)
        await world.join(cast)
        yield world
    finally:
        await engine.close()


@asynccontextmanager
async def listed(url: str) -> AsyncIterator[World]:
    """One record for each state of Consent, each with referrals in every state.

    Written where absent Consent shares, so that all are asked whom no Consent denies.
    """
    async with bare(url, "opt-out", CAST) as world:
        clinic = world.actors["clinic"].caller
        before, after = _consents(world), _later(world)
        records = await world.record(*before, *after)
        for record in records:
            team = {
                "resourceType": "CareTeam", "id": record["team"].partition("/")[2], "status": "active",
                "subject": {"reference": record["patient"]},
                "participant": [{"member": {"reference": world.actors["member"].reference}}],
            }  # fmt: skip
            await world.commit(clinic, Update("CareTeam", team["id"], team))
        states = [*before.values(), *(_one(first) for first, _ in after.values())]
        given = [state(record) for state, record in zip(states, records, strict=True)]
        made: list[Written] = []
        for turn in range(2):
            made += await world.commit(
                clinic, *(Create("Consent", each[turn]) for each in given if len(each) > turn)
            )
        await _referrals(world, records)
        for (_, then), record in zip(after.values(), records[len(before) :], strict=True):
            [consent_of] = [
                one for one in made
                if record["patient"] in (one.body or "")
            ]  # fmt: skip
            await then(record, consent_of.id)
        await world.relay()
        await _persons(world)
        await _sandbox(world)
        yield world


async def _sandbox(world: World) -> None:
    """A record that its Consent opens to everyone and to who is outside, referred, taken on and answered there."""
    await world.join(SANDBOX, sandbox=("stranger", "stranger_social"))
    tester, outside = world.actors["tester"].caller, world.actors["accepted"].reference
    [record] = await world.record("test", holder="tester")
    permit = {"type": "permit", "securityLabel": [label("SUD"), label("HIV")]}
    opening = consent(
        record["patient"],
        {"type": "permit", "provision": [permit, {**permit, "actor": actors(outside)}]},
    )
    await world.commit(tester, Create("Consent", opening))
    parts = [*CLASSES, "household", "report"]
    sent = await world.refer((record, ["tested"], parts), who="tester")
    await world.answer("tested", sent, "accepted")
    await world.relay()


async def _persons(world: World) -> None:
    """Patients and their representatives with apps, and a doctor in three emergencies."""
    clinic = world.actors["clinic"].caller
    await world.bind("patient", world.records["deny-everyone"])
    for name, record in (("guardian", "absent"), ("guardian_permitted", "permit-everyone-classes")):
        person = {
            "resourceType": "RelatedPerson", "active": True,
            "patient": {"reference": world.records[record]},
            "relationship": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "HPOWATT"}]}],
        }  # fmt: skip
        [made] = await world.commit(clinic, Create("RelatedPerson", person))
        await world.bind(name, made.reference)
    for record, nature in (
        ("deny-everyone", "overdose"), ("absent", None), ("permit-some-classes", "coma"),
    ):  # fmt: skip
        await world.break_glass("doctor", world.records[record], nature)


def _one(state: Any) -> Any:
    return lambda record: [state(record)]


async def _referrals(world: World, records: Sequence[dict[str, str]]) -> None:
    """Of each record to each of the cast as its name says."""
    parts = [*CLASSES, "household", "report"]

    async def sent(*asked: str) -> list[str]:
        return await world.refer(*((record, asked, parts) for record in records))

    await sent("asked")
    await sent("food")
    await sent("rival", "rival_social")
    for status, *asked in (
        ("accepted", "accepted"), ("rejected", "declined"), ("accepted", "food_accepted"),
        ("accepted", "winner", "loser"), ("accepted", "winner_social", "loser"),
    ):  # fmt: skip
        await world.answer(asked[0], await sent(*asked), status)
    await _complete(world, await sent("completed"))


async def _complete(world: World, sent: Sequence[str]) -> None:
    """Who is asked writes a result on the order, one beside it and two as output, and completes."""
    for status in ("accepted", "in-progress"):
        await world.answer("completed", sent, status)
    asked = await world.questions("completed", sent)
    operations: list[Operation] = []
    for one in asked.values():
        about = one.task["for"]
        result = measured(about, "718-7", "2026-01-05T08:00:00Z")
        operations += [
            Create("Observation", {**result, "basedOn": [{"reference": one.request}]}),
            Create("Observation", measured(about, "2345-7", "2026-01-05T08:00:00Z")),
            Create("Condition", condition(about, "SUD")),
            Create("Condition", condition(about, "HIV")),
        ]
    who = world.actors["completed"].caller
    written = await world.commit(who, *operations)
    updates = []
    for number, one in enumerate(asked.values()):
        output = [
            {"type": {"text": "outcome"}, "valueReference": {"reference": each.reference}}
            for each in written[number * 4 + 2 : number * 4 + 4]
        ]
        task = {**one.task, "status": "completed", "output": output}
        updates.append(Update("Task", task["id"], task))
    await world.commit(who, *updates)


def _consents(world: World) -> dict[str, Any]:
    """States of Consent that stand before anybody is asked: name -> record -> Consents in the order written."""

    def of(*names: str) -> list[Document]:
        return actors(*(world.actors[one].reference for one in names))

    some = of(
        "accepted", "food_accepted", "winner", "rival", "stranger", "stranger_social", "completed"
    )
    others = of("asked", "food", "declined", "loser", "rival_social", "winner_social", "member")
    permit: Document = {"type": "permit"}
    deny: Document = {"type": "deny"}
    classes = [label(each) for each in ("SUD", "HIV", "PSY", "SEX", "SDV", "RESTRICTED")]
    later = "2026-02-01T10:00:00Z"

    def one(provision: Document, **elements: Any) -> Any:
        policy = "OPTIN" if provision["type"] == "permit" else "OPTOUT"
        return lambda record: [consent(record["patient"], provision, policy=policy, **elements)]

    def types_of(*names: str) -> list[Document]:
        return [{"system": "http://hl7.org/fhir/resource-types", "code": each} for each in names]

    asthma = [{"coding": [{"system": ICD10, "code": "J45.20"}]}]
    purpose = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
    return {
        "absent": lambda record: [],
        "permit-some": one({**permit, "actor": some}),
        "permit-others": one({**permit, "actor": others}),
        "permit-some-classes": one({**permit, "actor": some, "provision": [
            {**permit, "securityLabel": [label("SUD"), label("HIV")]}]}),
        "permit-others-all-classes": one({**permit, "actor": others, "provision": [
            {**permit, "securityLabel": classes}]}),
        "permit-everyone": one(permit),
        "permit-everyone-classes": one({**permit, "provision": [{**permit, "securityLabel": classes}]}),
        "permit-team": lambda record: [consent(record["patient"], {**permit, "actor": actors(record["team"])})],
        "permit-part-2": lambda record: [
            {**consent(record["patient"], {**permit, "actor": some}),
             "policy": [{"uri": "https://www.ecfr.gov/current/title-42/part-2"}]}],
        "deny-some": one({**deny, "actor": some}),
        "deny-class-to-others": lambda record: [
            consent(record["patient"], {**permit, "provision": [
                {**permit, "securityLabel": classes},
                {**deny, "actor": others, "securityLabel": [label("HIV"), label("PSY")]}]})],
        "deny-restricted-to-others": lambda record: [
            consent(record["patient"], {**permit, "provision": [
                {**permit, "securityLabel": classes},
                {**deny, "actor": others, "securityLabel": [label("RESTRICTED")]}]})],
        "deny-everyone": one(deny),
        "expired": one({**permit, "actor": some, "period": {"end": "2026-01-31"}}),
        "not-yet": one({**permit, "period": {"start": "2099-01-01"}}),
        "inactive": one({**permit, "actor": some}, status="inactive"),
        "superseded": lambda record: [
            consent(record["patient"], {**permit, "actor": some}),
            consent(record["patient"], {**deny, "actor": some}, policy="OPTOUT", given=later)],
        "superseded-written-first": lambda record: [
            consent(record["patient"], {**permit, "actor": some}, given=later),
            consent(record["patient"], deny, policy="OPTOUT")],
        "by-type": one({**permit, "actor": some, "class": types_of("Patient", "Condition", "Task")}),
        "by-code": one({**deny, "provision": [
            {**permit, "class": types_of("Patient")}, {**permit, "actor": others, "code": asthma}]}),
        "by-date-of-care": one({**permit, "actor": some, "dataPeriod": {"start": "2025-01-01", "end": "2025-12-31"}}),
        "deny-date-of-care": one({**permit, "provision": [
            {**deny, "actor": some, "dataPeriod": {"start": "2025-01-01", "end": "2025-12-31"}}]}),
        "for-treatment": one({**permit, "purpose": [purpose]}),
    }  # fmt: skip


def _later(world: World) -> dict[str, Any]:
    """A Consent, and what becomes of it when everybody has been asked."""
    clinic = world.actors["clinic"].caller

    def permit(record: dict[str, str]) -> Document:
        return consent(record["patient"], {"type": "permit"})

    async def withdrawn(record: dict[str, str], fhir_id: str) -> None:
        document = {**permit(record), "id": fhir_id, "status": "inactive"}
        await world.commit(clinic, Update("Consent", fhir_id, document))

    async def denied(record: dict[str, str], fhir_id: str) -> None:
        given = "2026-03-01T10:00:00Z"
        document = consent(record["patient"], {"type": "deny"}, policy="OPTOUT", given=given)
        await world.commit(clinic, Create("Consent", document))

    async def denied_by_another(record: dict[str, str], fhir_id: str) -> None:
        names = actors(world.actors["food_accepted"].reference)
        for kind, who in (("deny", names), ("permit", actors(world.actors["stranger"].reference))):
            document = consent(
                record["patient"], {"type": kind, "actor": who}, given="2026-03-01T10:00:00Z",
                policy="OPTIN" if kind == "permit" else "OPTOUT",
            )  # fmt: skip
            await world.commit(world.actors["accepted"].caller, Create("Consent", document))

    return {
        "withdrawn": (permit, withdrawn), "denied-later": (permit, denied),
        "denied-by-another": (permit, denied_by_another),
    }  # fmt: skip
