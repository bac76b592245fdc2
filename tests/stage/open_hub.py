"""A hub on a fresh database and a few organizations that act in it, for tests below the doors.

The conftest of each folder that needs it finds this module on `sys.path`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from coordhub.access import scopes, viewer
from coordhub.access.caller import Caller
from coordhub.r4 import document as fhir_json
from coordhub.record.bootstrap import open_hub
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, system_clock
from coordhub.record.operations import Create, Idempotency, Operation, Update, Written
from coordhub.referral import same_kind, strategies
from coordhub.routing import circle, deliver, relay
from coordhub.routing.retry import RetryPolicy
from coordhub.store import clients, counterparts, deliveries, resources, roles
from coordhub.store.counterparts import Custom
from coordhub.store.engine import Engine
from coordhub.store.pooling import Pooled
from coordhub.store.visibility import DIRECTORY, Viewer

strategies.use(
    strategies.read(b'{"kind": {"": {"default": {"strategy": "broadcast"}}}}')
)  # what no code says the kind of is asked of all at once

BASE = "http://hub.example/fhir"
PROVIDER = {
    "resourceType": "Organization",
    "active": True,
    "type": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/organization-type",
                    "code": "prov",
                }
            ]
        }
    ],
}
"""Of the directory, and known to treat."""
LOINC = "http://loinc.org"

Document = dict[str, Any]


@dataclass(slots=True)
class Clock:
    """The hub's time: the machine's, moved by `ahead`."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@dataclass(frozen=True, slots=True)
class Party:
    """An organization that acts. service: its HealthcareService, the address it is asked at."""

    name: str
    rid: int
    reference: str
    service: str
    caller: Caller

    @property
    def viewer(self) -> Viewer:
        return viewer.of(self.caller)

    def with_scopes(self, text: str) -> Caller:
        return dataclasses.replace(self.caller, scopes=scopes.parse(text))

    def choosing_ids(self) -> Caller:
        return dataclasses.replace(self.caller, update_as_create=True)


@dataclass(frozen=True, slots=True)
class House:
    """hub: open. clinic refers; kitchen, pantry and van are asked; stranger shares nothing."""

    hub: Hub
    clock: Clock
    steward: Caller
    clinic: Party
    kitchen: Party
    pantry: Party
    van: Party
    stranger: Party
    url: str

    @property
    def engine(self) -> Engine:
        return self.hub.engine

    async def commit(
        self,
        who: Party | Caller,
        *operations: Operation,
        key: str | None = None,
        fingerprint: bytes = b"same",
    ) -> Sequence[Written]:
        caller = who if isinstance(who, Caller) else who.caller
        given = None if key is None else Idempotency(key, fingerprint)
        done = await commit(
            self.hub, caller, operations, interaction="transaction", idempotency=given
        )
        return done.written

    async def create(self, who: Party | Caller, document: Document) -> Written:
        [written] = await self.commit(who, Create(document["resourceType"], document))
        return written

    async def update(
        self, who: Party | Caller, fhir_id: str, document: Document, if_match: int | None = None
    ) -> Written:
        update = Update(document["resourceType"], fhir_id, document, if_match=if_match)
        [written] = await self.commit(who, update)
        return written

    async def read(self, who: Party | Viewer, reference: str) -> resources.Version | None:
        kind, _, fhir_id = reference.partition("/")
        view = who if isinstance(who, Viewer) else who.viewer
        async with self.engine.pool.acquire() as conn:
            return await resources.read(conn, view, kind, fhir_id)

    async def document(self, reference: str) -> Document:
        """What is stored under this `Type/id`, whoever may see it."""
        found = await self.read(viewer.deciding(), reference)
        assert found is not None
        assert found.body is not None
        return fhir_json.parse(found.body.encode())

    async def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        async with self.engine.pool.acquire() as conn:
            return [tuple(row) for row in await conn.fetch(sql, *arguments)]

    async def value(self, sql: str, *arguments: object) -> Any:
        async with self.engine.pool.acquire() as conn:
            return await conn.fetchval(sql, *arguments)

    async def by_owner(self, sql: str) -> str:
        """What the application itself may not do; how many rows it was done to, as Postgres says it."""
        conn = await asyncpg.connect(self.url)
        done: str = await conn.execute(sql)
        await conn.close()
        return done

    async def agree(self, who: Party, **custom: Any) -> None:
        """How it is with the server of `who`: fields of Custom."""
        async with self.engine.pool.acquire() as conn:
            await counterparts.agree(conn, who.rid, Custom(**custom))

    async def relay(self) -> None:
        """Let the hub do its part in all referrals that wait for it."""
        while await relay.relay(self.hub, uuid4):
            pass
        while await circle.tell(self.hub, uuid4):
            pass

    async def deliver(self) -> None:
        """Everything to the inbox of whom it is for: nobody here has an Endpoint."""
        sending = deliver.Sending(self.hub, {}, RetryPolicy(), Random(1).random)
        while True:
            async with self.engine.pool.acquire() as conn:
                held = await deliveries.claim(conn, self.clock(), 10, timedelta(seconds=60))
            if not held:
                return
            for one in held:
                await deliver.deliver(sending, one)

    async def refer(
        self, *asked: str, who: Party | None = None, kind: str = "", **task: Any
    ) -> Referral:
        """The clinic refers a patient, with a prior result, to `asked` as performers.

        kind: of the need, a domain of SDOH Clinical Care.
        """
        who = who or self.clinic
        written = await self.commit(
            who, *referral(asked, requester=who.reference, kind=kind, **task)
        )
        return Referral(self, *(one.reference for one in written))

    async def asking(self, *asked: str, **task: Any) -> Referral:
        """The same, and the hub has asked."""
        sent = await self.refer(*asked, **task)
        await self.relay()
        return sent


@dataclass(frozen=True, slots=True)
class Referral:
    """What a sender sent, as references."""

    house: House
    patient: str
    result: str
    request: str
    task: str

    async def tasks(self) -> dict[str, str]:
        """The hub's Tasks of this referral: organization's name -> `Task/id`."""
        rows = await self.house.rows(
            "select c.organization, t.fhir_id from candidate c join resource t on t.rid = c.task"
            " join resource e on e.rid = c.episode where e.fhir_id = $1 order by c.ordinal",
            self.task.removeprefix("Task/"),
        )
        house = self.house
        names = {
            one.rid: one.name for one in (house.clinic, house.kitchen, house.pantry, house.van)
        }
        return {names[rid]: f"Task/{fhir_id}" for rid, fhir_id in rows}

    async def answer(self, who: Party, status: str, **elements: Any) -> Written:
        """`who` sets the status of the Task that asks it."""
        reference = (await self.tasks())[who.name]
        document = {**await self.house.document(reference), "status": status, **elements}
        return await self.house.update(who, document["id"], document)

    async def withdraw(self, status: str = "cancelled", **elements: Any) -> Written:
        document = {**await self.house.document(self.task), "status": status, **elements}
        return await self.house.update(self.house.clinic, document["id"], document)

    async def status(self, reference: str | None = None) -> str:
        return str((await self.house.document(reference or self.task))["status"])


async def connect_all(house: House) -> None:
    """Open every connection of the pool, so that what is then begun at once meets at once."""
    pool = house.engine.pool
    held = await asyncio.gather(*(pool.acquire() for _ in range(pool.get_max_size())))
    await asyncio.gather(*(pool.release(conn) for conn in held))


def patient(value: str = "1", **elements: Any) -> Document:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:test:mrn", "value": value}],
        "name": [{"family": "Water", "given": ["Ada"]}],
        **elements,
    }


def observation(subject: str | None = None, code: str = "4548-4", **elements: Any) -> Document:
    document: Document = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        **elements,
    }
    if subject is not None:
        document["subject"] = {"reference": subject}
    return document


def service_request(subject: str, requester: str, *performers: str, **elements: Any) -> Document:
    document: Document = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "food"},
        "subject": {"reference": subject},
        "requester": {"reference": requester},
        **elements,
    }
    if performers:
        document["performer"] = [{"reference": one} for one in performers]
    return document


def task(focus: str, subject: str, requester: str, **elements: Any) -> Document:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]
        },
        "focus": {"reference": focus},
        "for": {"reference": subject},
        "requester": {"reference": requester},
        **elements,
    }


def referral(
    asked: Sequence[str], *, requester: str, kind: str = "", **of_task: Any
) -> list[Operation]:
    """A transaction: patient, a prior result, the order that names `asked`, and the Task."""
    who, prior, order = "urn:uuid:patient", "urn:uuid:result", "urn:uuid:order"
    sent = service_request(who, requester, *asked, supportingInfo=[{"reference": prior}])
    if kind:
        sent["category"] = [{"coding": [{"system": same_kind.SDOHCC, "code": kind}]}]
    return [
        Create("Patient", patient(), full_url=who, at="Bundle.entry[0].resource"),
        Create("Observation", observation(who), full_url=prior, at="Bundle.entry[1].resource"),
        Create("ServiceRequest", sent, full_url=order, at="Bundle.entry[2].resource"),
        Create("Task", task(order, who, requester, **of_task), at="Bundle.entry[3].resource"),
    ]


@asynccontextmanager
async def opened(url: str, *, size: int = 8, pooled: Pooled | None = None) -> AsyncIterator[House]:
    """The house on the migrated database at `url`; pooled: where that is a pooler's."""
    engine = await Engine.open(
        url if pooled else await roles.application(url), size=size, pooled=pooled
    )
    try:
        clock = Clock()
        hub = dataclasses.replace(await open_hub(engine, BASE), clock=clock)
        steward = Caller(None, DIRECTORY, "Organization/steward", scopes.EVERYTHING)
        steward = dataclasses.replace(steward, client="steward")
        names = ("clinic", "kitchen", "pantry", "van", "stranger")
        operations: list[Operation] = []
        for name in names:
            organization = {**PROVIDER, "name": name}
            service = {
                "resourceType": "HealthcareService",
                "active": True,
                "providedBy": {"reference": f"urn:uuid:{name}"},
                "name": f"service of {name}",
            }
            operations += [
                Create("Organization", organization, full_url=f"urn:uuid:{name}"),
                Create("HealthcareService", service),
            ]
        done = await commit(hub, steward, operations, interaction="transaction")
        parties = [
            await _party(hub, name, *done.written[number * 2 : number * 2 + 2])
            for number, name in enumerate(names)
        ]
        yield House(hub, clock, steward, *parties, url=pooled.direct if pooled else url)
    finally:
        await engine.close()


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """The house, of one test alone."""
    async with opened(database_url) as house:
        yield house


async def _party(hub: Hub, name: str, organization: Written, service: Written) -> Party:
    async with hub.engine.pool.acquire() as conn:
        client = name if await clients.read(conn, name) is None else f"{name}-{organization.rid}"
        await clients.register(
            conn,
            client,
            organization.rid,
            "system/*.cruds",
            update_as_create=False,
            now=hub.clock(),
        )
    caller = Caller(client, organization.rid, organization.reference, scopes.EVERYTHING)
    return Party(name, organization.rid, organization.reference, service.reference, caller)


@dataclass(frozen=True, slots=True)
class Statements:
    """What connections were asked, in order: each is a round trip."""

    queries: list[str] = field(default_factory=list)

    def add(self, record: Any) -> None:
        query = " ".join(record.query.split())
        if query != "select clock_timestamp()":  # the engine's own, when its time has come
            self.queries.append(query)

    def __len__(self) -> int:
        return len(self.queries)


@asynccontextmanager
async def counted(*pools: Any) -> AsyncIterator[Statements]:
    """The statements that the open connections of these idle pools are asked inside the block."""
    statements = Statements()
    async with AsyncExitStack() as stack:
        held = [
            await stack.enter_async_context(pool.acquire())
            for pool in pools
            for _ in range(pool.get_size())
        ]
        for conn in held:
            conn.add_query_logger(statements.add)
    await asyncio.sleep(0)
    statements.queries.clear()
    yield statements
    await asyncio.sleep(0)  # asyncpg tells of a statement in the next turn of the loop
    async with AsyncExitStack() as stack:
        for pool in pools:
            for _ in range(pool.get_size()):
                conn = await stack.enter_async_context(pool.acquire())
                conn.remove_query_logger(statements.add)
