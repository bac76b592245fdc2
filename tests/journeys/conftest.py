"""A running house: the hub over HTTP, its worker, its Postgres, and partners that really receive.

A journey tells what organizations do to each other. Its verbs are here; what they say to each
other is made by the demo of the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from random import random
from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.access.token import Tokens
from coordhub.app import build
from coordhub.outbound.client import Outbound, Timeouts
from coordhub.outbound.relay import Relay
from coordhub.outbound.smtp import Post
from coordhub.r4 import document as fhir_json
from coordhub.r4 import types
from coordhub.record import vsp_acts
from coordhub.record.bootstrap import open_hub
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, system_clock
from coordhub.record.label_acts import Act
from coordhub.record.operations import Create, Update
from coordhub.referral import same_kind, strategies
from coordhub.routing.breaker import BreakerPolicy
from coordhub.routing.channels.channel import Channel
from coordhub.routing.channels.email_notice import EmailNotice
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
from coordhub.routing.deliver import Sending
from coordhub.routing.resolve import MAILED, OWN_TYPES, SERVED
from coordhub.routing.retry import RetryPolicy
from coordhub.routing.worker import Pace, Worker
from coordhub.sandbox import community, demo, simulator
from coordhub.sandbox.community import Seat
from coordhub.sandbox.members import MEMBERS, ORGANIZATION_TYPE, SYSTEM
from coordhub.settings import Settings
from coordhub.store import clients, counterparts, roles, vault
from coordhub.store.counterparts import Custom
from coordhub.store.engine import Engine
from coordhub.store.visibility import DIRECTORY
from coordhub.wire import InOnePiece

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from mail_relay import MailRelay

strategies.use(
    strategies.read(b'{"kind": {"": {"default": {"strategy": "broadcast"}}}}')
)  # what no code says the kind of is asked of all at once

Document = dict[str, Any]

KEY = "a test key that is long enough for it"
NO_TLS = False
"""The hub of a journey is spoken to by http; to read whom the world trusts takes longer than to start."""

PATIENCE = 60.0
FHIR = "application/fhir+json"
LARGEST_BODY = 1024 * 1024
LARGEST_BUNDLE = 200


def part(bundle: Document, kind: str) -> Document:
    """The resource of this type in a Bundle."""
    found: Document = next(
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind
    )
    return found


def _values(parameters: list[Document]) -> Document:
    return {
        each["name"]: value
        for each in parameters
        for name, value in each.items()
        if name.startswith("value")
    }


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What $status-of-referral says, each part as name -> value."""

    itself: Document
    asked: list[Document]
    events: list[Document]
    next: list[Document]
    needs: list[Document]

    @classmethod
    def of(cls, parameters: Document) -> Whereabouts:
        parts: dict[str, list[Document]] = {"asked": [], "event": [], "next": [], "need": []}
        for each in parameters["parameter"]:
            if "part" in each:
                parts[each["name"]].append(_values(each["part"]))
        return cls(_values(parameters["parameter"]), *parts.values())


@dataclass(frozen=True, slots=True)
class Referral:
    """What a sender's Bundle became at the hub: `Type/id` of each."""

    patient: str
    prior: str
    order: str
    task: str


@dataclass(frozen=True, slots=True)
class Organization:
    """Acts at the hub as one organization. own: where its server can be looked into."""

    key: str
    id: str
    token: str
    hub: httpx2.AsyncClient
    own: str

    @property
    def reference(self) -> str:
        return f"Organization/{self.id}"

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """`path` is below the FHIR base: `/Task/1`, `?_id=1`, or empty."""
        sent = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            content = fhir_json.encode(body)
        if content is not None:
            sent["Content-Type"] = FHIR
        return await self.hub.request(
            method, f"/fhir{path}", content=content, headers={**sent, **(headers or {})}
        )

    def through(self, hub: httpx2.AsyncClient) -> Organization:
        """The same, by another server of the hub."""
        return replace(self, hub=hub)

    async def read(self, reference: str) -> Document:
        found = await self.ask("GET", f"/{reference}")
        assert found.status_code == 200, found.text
        return fhir_json.parse(found.content)

    async def sees(self, reference: str) -> bool:
        found = await self.ask("GET", f"/{reference}")
        assert found.status_code in (200, 404), found.text
        return found.status_code == 200

    async def find(self, query: str) -> list[Document]:
        """All pages of `Type?criteria`."""
        found: list[Document] = []
        path: str | None = f"/{query}"
        while path is not None:
            answered = await self.ask("GET", path)
            assert answered.status_code == 200, answered.text
            page = answered.json()
            found.extend(entry["resource"] for entry in page.get("entry", []))
            links = {link["relation"]: link["url"] for link in page["link"]}
            path = links["next"].partition("/fhir")[2] if "next" in links else None
        return found

    async def posts(self, bundle: Document, key: str | None = None) -> httpx2.Response:
        return await self.ask(
            "POST", "", bundle, headers={"Idempotency-Key": key} if key is not None else None
        )

    async def refers(self, bundle: Document, key: str | None = None) -> Referral:
        answered = await self.posts(bundle, key)
        assert answered.status_code == 200, answered.text
        return self.made(answered)

    @staticmethod
    def made(answered: httpx2.Response) -> Referral:
        """What a transaction-response says was made of a referral."""
        found = demo.located(answered.json())
        return Referral(
            found["Patient"], found.get("Observation", ""), found["ServiceRequest"], found["Task"]
        )

    async def asked(self, referral: Referral) -> str | None:
        """The hub's Task that asks this organization, if there is one."""
        found = await self.find(f"Task?part-of={referral.task}")
        assert len(found) <= 1
        return f"Task/{found[0]['id']}" if found else None

    async def tries(
        self, task: str, status: str, *, output: str | None = None, match: str | None = None
    ) -> httpx2.Response:
        """Read the Task, put it back with another status; whatever the hub says to that."""
        known = await self.read(task)
        changed = demo.moved(known, status, datetime.now(UTC), output)
        headers = {"If-Match": match} if match is not None else None
        return await self.ask("PUT", f"/{task}", changed, headers=headers)

    async def answers(self, task: str, status: str, *, output: str | None = None) -> Document:
        done = await self.tries(task, status, output=output)
        assert done.status_code == 200, done.text
        document: Document = done.json()
        return document

    async def whereabouts(self, referral: Referral) -> tuple[Document, list[Document]]:
        """What the hub says of where a referral is: of itself, and of each that was asked."""
        told = await self.told(referral.task)
        return told.itself, told.asked

    async def told(self, reference: str) -> Whereabouts:
        """What the hub says to this organization of where a referral is."""
        found = await self.ask("GET", f"/{reference}/$status-of-referral")
        assert found.status_code == 200, found.text
        return Whereabouts.of(found.json())

    async def reports(self, patient: str, based_on: str | None, value: str = "7.10") -> str:
        """Create an HbA1c result; its reference."""
        result = demo.observation(patient, self.reference, datetime.now(UTC), value, based_on)
        made = await self.ask("POST", "/Observation", result)
        assert made.status_code == 201, made.text
        return f"Observation/{made.json()['id']}"

    # ---- its own server

    async def behaves(self, *habits: Document) -> None:
        """What its server does from now on; nothing: as FHIR says."""
        told = await self.hub.put(f"{self.own}/behaviour", json=list(habits))
        assert told.status_code == 200, told.text

    async def received(self) -> list[Document]:
        """All that arrived at its server, in order, with what it was and how it was answered."""
        entries: list[Document] = (await self.hub.get(f"{self.own}/received")).json()
        return entries

    async def holds(self, reference: str) -> Document | None:
        """What its server has of a resource of the hub."""
        found = await self.hub.get(f"{self.own}/fhir/{reference}")
        return found.json() if found.status_code == 200 else None

    async def history_at_own_server(self, reference: str) -> list[Document]:
        """All versions that its server was given, oldest first."""
        versions: list[Document] = []
        while True:
            url = f"{self.own}/fhir/{reference}/_history/{len(versions) + 1}"
            found = await self.hub.get(url)
            if found.status_code != 200:
                return versions
            versions.append(found.json())

    async def statuses_received(self, task: str) -> list[str]:
        """Each status that its server was told of this Task, repetitions left out."""
        told: list[str] = []
        for version in await self.history_at_own_server(task):
            if not told or told[-1] != version["status"]:
                told.append(version["status"])
        return told


class Routing:
    """The routing worker, which can die and be started again."""

    def __init__(self, sending: Sending, pace: Pace) -> None:
        self._sending = sending
        self._pace = pace
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def speaks(self, kind: str, channel: Channel) -> None:
        """By one channel more."""
        self._sending = replace(self._sending, channels={**self._sending.channels, kind: channel})

    def start(self) -> None:
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(Worker(self._sending, self._pace).run(self._stop))

    async def die(self) -> None:
        """At once, with the attempts that are under way: nothing is settled, leases stay."""
        doomed = [
            task
            for task in asyncio.all_tasks()
            if getattr(task.get_coro(), "__qualname__", "").startswith("Worker.")
        ]
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)
        self._running = None

    async def end(self) -> None:
        if self._running is not None:
            self._stop.set()
            await self._running
            self._running = None


@dataclass(frozen=True, slots=True)
class House:
    hub: Hub
    routing: Routing
    http: httpx2.AsyncClient
    partners: str
    tokens: Tokens
    settings: Settings
    members: dict[str, Organization] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Organization:
        """An organization of the sample community by its key: `house.riverside`."""
        try:
            return self.members[name]
        except KeyError:
            raise AttributeError(name) from None

    def seat(self, seat: Seat) -> Organization:
        token = self.tokens.issue(
            seat.key, community.MEMBER_SCOPES, now=system_clock(), lifetime=timedelta(hours=1)
        )
        own = f"{self.partners}/partners/{seat.key}"
        self.members[seat.key] = Organization(seat.key, seat.id, token, self.http, own)
        return self.members[seat.key]

    async def joins(self, key: str, *, treats: bool = False) -> Organization:
        """One more organization, without a server. treats: it provides health care."""
        steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
        document: Document = {"resourceType": "Organization", "active": True, "name": key}
        if treats:
            document["type"] = [{"coding": [{"system": ORGANIZATION_TYPE, "code": "prov"}]}]
        done = await commit(
            self.hub, steward, [Create("Organization", document)], interaction="create"
        )
        made = done.written[0]
        async with self.hub.engine.pool.acquire() as conn:
            await clients.register(
                conn, key, made.rid, community.MEMBER_SCOPES, update_as_create=False,
                now=self.hub.clock(), role="privacy-officer",
            )  # fmt: skip
        return self.seat(Seat(key, made.id, made.rid))

    async def agree(self, organization: Organization, **custom: Any) -> None:
        """How it is with the server of an organization: fields of Custom."""
        async with self.hub.engine.pool.acquire() as conn:
            rid = await conn.fetchval(
                "select rid from resource where fhir_id = $1", organization.id
            )
            await counterparts.agree(conn, rid, Custom(**custom))

    async def is_reached_at(self, organization: Organization, mailbox: str) -> None:
        """From now on it has no server, and this mailbox."""
        steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
        query = f"Endpoint?identifier={SYSTEM}%7C{organization.key}-endpoint"
        [found] = await self.riverside.find(query)
        kind = {"system": OWN_TYPES, "code": MAILED}
        document = {**found, "connectionType": kind, "address": f"mailto:{mailbox}"}
        update = Update("Endpoint", found["id"], document)
        await commit(self.hub, steward, [update], interaction="update")

    async def offers(self, organization: Organization, kind: str, name: str = "") -> str:
        """`HealthcareService/id` of a service of this kind, a domain of SDOH Clinical Care, in the directory."""
        steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
        document: Document = {
            "resourceType": "HealthcareService",
            "active": True,
            "providedBy": {"reference": organization.reference},
            "category": [{"coding": [{"system": same_kind.SDOHCC, "code": kind}]}],
            "name": name or f"{kind} by {organization.key}",
        }
        done = await commit(
            self.hub, steward, [Create("HealthcareService", document)], interaction="create"
        )
        return done.written[0].reference

    @staticmethod
    def type_name(number: int) -> str:
        return types.name_of(number)

    @staticmethod
    def type_number(name: str) -> int:
        return types.NUMBER[name]

    @staticmethod
    def target(element: Document) -> str:
        """`Type/id` of a Reference, relative or absolute."""
        return "/".join(str(element["reference"]).split("/")[-2:])

    async def service_of(self, organization: Organization) -> str:
        found = await self.riverside.find(
            f"HealthcareService?identifier={SYSTEM}%7C{organization.key}-service"
        )
        return f"HealthcareService/{found[0]['id']}"

    @contextlib.asynccontextmanager
    async def another_server(
        self, settings: Settings | None = None, app: Any = None
    ) -> AsyncIterator[httpx2.AsyncClient]:
        """A second server of the same hub, with connections of its own, or of an application that has them."""
        with listener() as listening:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            async with (
                serving(app or build(settings or self.settings), listening),
                httpx2.AsyncClient(base_url=address, timeout=30, verify=NO_TLS) as client,
            ):
                yield client

    def referral(
        self,
        sender: Organization,
        *recipients: str,
        run: str | None = None,
        agreed: bool = True,
        kind: str = "",
    ) -> Document:
        """Patient, prior HbA1c, ServiceRequest and Task, addressed to these.

        agreed: with the patient's Consent, where one of them is a social service. kind: of the need, a
        domain of SDOH Clinical Care, asked for in place of a specialist.
        """
        run = run or uuid.uuid4().hex[:12]
        bundle = demo.referral(run, sender.reference, recipients[0], self.hub.clock())
        performers = [{"reference": recipient} for recipient in recipients]
        part(bundle, "ServiceRequest")["performer"] = performers
        if kind:
            asked = {"coding": [{"system": same_kind.SDOHCC, "code": kind}]}
            part(bundle, "ServiceRequest").update(category=[asked], code=asked)
        treating = {self.members[one.key].reference for one in MEMBERS if one.kind == "prov"}
        if agreed and any(
            one.startswith("Organization/") and one not in treating for one in recipients
        ):
            self.permitted(bundle, sender, *recipients)
        return bundle

    def permitted(self, bundle: Document, sender: Organization, *recipients: str) -> Document:
        """The Bundle with the patient's Consent that these `Organization/id` are shown what they need."""
        patient = next(
            entry["fullUrl"]
            for entry in bundle["entry"]
            if entry["resource"]["resourceType"] == "Patient"
        )
        moment = self.hub.clock().isoformat(timespec="milliseconds")
        consent = demo.consent(patient, sender.reference, recipients, moment)
        bundle["entry"].append(
            {"resource": consent, "request": {"method": "POST", "url": "Consent"}}
        )
        return bundle

    async def given_asked(
        self, sender: Organization, recipient: Organization
    ) -> tuple[Referral, str]:
        """A referral that has arrived: what was sent, and the Task that asks the recipient."""
        referral = await sender.refers(self.referral(sender, recipient.reference))
        task: str = await self.until(lambda: recipient.asked(referral))
        return referral, task

    async def all_asked(self, recipients: list[Organization], referral: Referral) -> list[str]:
        """Wait for the Task that asks each of them."""
        return [
            await self.until(functools.partial(recipient.asked, referral))
            for recipient in recipients
        ]

    async def until(self, look: Callable[[], Awaitable[Any]], within: float = PATIENCE) -> Any:
        """Look until there is something."""
        deadline = time.monotonic() + within
        while not (found := await look()):
            assert time.monotonic() < deadline, f"nothing came within {within} s"
            await asyncio.sleep(0.02)
        return found

    async def settled(self, within: float = PATIENCE) -> None:
        """Wait until every change is relayed and every delivery has ended."""

        async def nothing_open() -> bool:
            return not await self.value(
                "select exists"
                " (select from change where relayed_at is null and episode is not null)"
                " or exists (select from delivery where state in ('queued', 'leased', 'parked'))"
            )

        await self.until(nothing_open, within)

    async def value(self, query: str, *arguments: Any) -> Any:
        async with self.hub.engine.pool.acquire() as conn:
            return await conn.fetchval(query, *arguments)

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.hub.engine.pool.acquire() as conn:
            return [dict(row) for row in await conn.fetch(query, *arguments)]

    async def stored(self) -> dict[str, int]:
        """How many rows there are of whatever a write can leave behind."""
        tables = (
            "resource", "resource_version", "change", "episode", "candidate", "access_grant",
            "delivery", "timer", "idempotency", "assigned_id", "idx_token", "idx_string",
            "idx_reference", "idx_date",
        )  # fmt: skip
        return {table: await self.value(f"select count(*) from {table}") for table in tables}

    async def timelines(self, most: int = 5) -> None:
        """Print what the first senders of this journey are told of their referrals (`pytest -rP` shows it).

        Whatever the journey was: what happened is told in its order, and who has not ended waits for
        somebody. Not of what stands under the key of a victim service provider, which is put away by now.
        """
        opened = await self.rows(
            "select r.fhir_id, o.fhir_id as sender from episode e join resource r on r.rid = e.id"
            " join resource o on o.rid = e.requester where r.body like '{%' order by e.id limit $1",
            most,
        )
        senders = {one.id: one for one in self.members.values()}
        for one in opened:
            sender = senders[one["sender"]]
            told = await sender.told(f"Task/{one['fhir_id']}")
            print(f"\n{sender.key} is told of its Task/{one['fhir_id']}:")
            print("\n".join([line async for line in self._lines(sender, told)]))
            times = [event["at"] for event in told.events]
            assert times == sorted(times)
            assert told.next or "closed" in told.itself

    async def _lines(self, sender: Organization, told: Whereabouts) -> AsyncIterator[str]:
        names: dict[str, str] = {}

        async def called(element: Document | None) -> str:
            reference = element.get("reference", "") if element else ""
            if reference and reference not in names:
                found = await sender.ask("GET", f"/{reference}")
                names[reference] = str(found.json().get("name", reference))
            return names.get(reference) or (element or {}).get("display", "")

        for event in told.events:
            words = [event["at"][11:23], await called(event.get("recipient")), event["what"]]
            words += [event[name] for name in ("timer", "errand") if name in event]
            words += [await called(event.get("owner"))]
            words += [event["status"]] if event["what"] in ("status", "closed") else []
            for name in ("businessStatus", "reason"):
                words += [f"({event[name]['text']})"] if name in event else []
            words += [event["resource"]["reference"]] if "resource" in event else []
            yield "  " + " ".join(word for word in words if word)
        for step in told.next:
            by = f" by {step['by'][:16]}" if "by" in step else ""
            yield f"  next: {step['what']}, {await called(step['from'])}{by}"


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    """A free port. Of TCP by name: asyncio asks for it before it forgoes Nagle's delay of 40 ms."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        listening.setblocking(False)
        yield listening


@contextlib.asynccontextmanager
async def serving(application: Any, listening: socket.socket) -> AsyncIterator[None]:
    """Serve on a socket while the block runs."""
    config = uvicorn.Config(
        application, http=InOnePiece, log_config=None, access_log=False, ws="none",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not running.done(), "the hub did not start"
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await running


@pytest.fixture
def consent_policy() -> str:
    """What absent consent means in this community."""
    return "by-purpose"


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """The hub's time; a journey that is about time has one of its own."""
    return system_clock


@pytest.fixture
async def house(
    database_url: str, consent_policy: str, clock: Callable[[], datetime]
) -> AsyncIterator[House]:
    """The sample community around a running hub."""
    async with contextlib.AsyncExitStack() as stack:
        listening = stack.enter_context(listener())
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        url = await roles.application(database_url)
        engine = await Engine.open(url, size=10, consent_policy=consent_policy)
        stack.push_async_callback(engine.close)
        hub = replace(await open_hub(engine, f"{address}/fhir"), clock=clock)
        partners = await stack.enter_async_context(simulator.serving("127.0.0.1", 0))
        seats = await community.found(hub, partners, f"{address}/portal")
        settings = Settings.model_validate(
            {
                "DATABASE_URL": database_url,
                "token_key": SecretStr(KEY),
                "base_url": hub.base,
                "max_body_bytes": LARGEST_BODY,
                "max_entries": LARGEST_BUNDLE,
            }
        )
        await stack.enter_async_context(serving(build(settings, hub), listening))
        outbound = await stack.enter_async_context(
            Outbound(
                allowed_networks=(ip_network("127.0.0.0/8"),),
                timeouts=Timeouts(timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=3)),
            )
        )
        policy = RetryPolicy(
            base=timedelta(milliseconds=200), cap=timedelta(seconds=1), park=timedelta(seconds=1)
        )
        breaker = BreakerPolicy(
            first=timedelta(milliseconds=200),
            cap=timedelta(seconds=1),
            mending=timedelta(seconds=1),
        )
        sending = Sending(hub, {SERVED: HL7FhirRest(outbound, hub.clock)}, policy, random, breaker)
        pace = Pace(timedelta(milliseconds=200), timedelta(seconds=4))
        routing = Routing(sending, pace)
        routing.start()
        stack.push_async_callback(routing.end)
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=50)
        http = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=address, limits=limits, timeout=30, verify=NO_TLS)
        )
        running = House(hub, routing, http, partners, Tokens(KEY.encode(), engine), settings)
        for seat in seats.values():
            running.seat(seat)
        yield running
        await running.timelines()


@pytest.fixture
async def by_name(house: House) -> AsyncIterator[str]:
    """The same hub by a name: browsers have no passkeys for an address of numbers."""
    with listener() as listening:
        address = f"http://localhost:{listening.getsockname()[1]}"
        hub = replace(house.hub, base=f"{address}/fhir")
        async with serving(build(house.settings, hub), listening):
            yield address


@pytest.fixture
async def relay(house: House) -> AsyncIterator[MailRelay]:
    """The mail relay that the hub hands its mail to."""
    async with MailRelay().open() as relay:
        post = Post(Relay(f"smtp+plain://127.0.0.1:{relay.port}", "hub@hub.example.org"))
        await house.routing.end()
        house.routing.speaks(MAILED, EmailNotice(post, house.hub.clock))
        house.routing.start()
        yield relay
        await house.routing.end()


OPERATOR = Act("A. Operator", "keeps its place confidential")


@pytest.fixture
async def operators(house: House, database_url: str) -> AsyncIterator[Hub]:
    """The hub as an operator's command opens it: another process, the owner of the database."""
    engine = await Engine.open(database_url, size=3)
    yield await open_hub(engine, house.hub.base)
    await engine.close()


@pytest.fixture
async def safe(house: House, operators: Hub, tmp_path: Path) -> AsyncIterator[Organization]:
    """Harbor Advocates, marked as a victim service provider."""
    vault.use(vault.Vault(tmp_path / "keys"))
    safe = house.harbor
    await vsp_acts.new_key(operators, OPERATOR, safe.reference)
    await vsp_acts.mark(operators, OPERATOR, safe.reference, others_know_after=0)
    house.hub.lists.forget()
    yield safe
    vault.use(vault.Vault())
