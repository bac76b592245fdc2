"""The work items, asked of a FHIR server over HTTP.

http://hl7.org/fhir/R4/http.html

They need nothing of this hub in particular: any server that creates, searches and transacts can be
asked, so that peers are measured at the same work.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench import documents
from bench.drive import Refused
from bench.wire import Answer, Server, Wire
from coordhub.r4 import document as fhir_json

PER_BUNDLE = 200
IN_TRANSACTION = 100
PATIENTS = 20

NAMES = {
    "a": "create an Observation of 1.4 kB",
    "b": "read by id",
    "c": "newest 10 of a patient and code",
    "d": "transaction of 100",
    "e": "update a Task with If-Match",
    "f": "ServiceRequest with _include and _revinclude",
}


@dataclass(slots=True)
class Store:
    """What was put into a server before measuring, as references."""

    patients: list[str] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    tasks: list[tuple[str, documents.Document]] = field(default_factory=list)


class Asker:
    """Requests to one server, each client over a connection of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._wires: dict[int, Wire] = {}
        self._numbers = itertools.count(1_000_000)
        self._etags: dict[int, str] = {}
        self.store = Store()

    async def fill(self, observations: int) -> None:
        """Patients, `observations` of them, orders and tasks; what the items are asked about."""
        patients = [documents.patient(number) for number in range(PATIENTS)]
        self.store.patients = await self._transact(patients)
        numbers = range(observations)
        for position in range(0, observations, PER_BUNDLE):
            made = await self._transact(
                [
                    documents.observation(number, self._patient(number // len(documents.TESTS)))
                    for number in numbers[position : position + PER_BUNDLE]
                ]
            )
            self.store.observations += made[:10]
        self.store.orders = await self._transact(
            [documents.order(self._patient(number)) for number in range(50)]
        )
        tasks = [
            documents.task(order, self._patient(number), "begun")
            for number, order in enumerate(self.store.orders)
        ]
        self.store.tasks = list(zip(await self._transact(tasks), tasks, strict=True))

    def _patient(self, number: int) -> str:
        return self.store.patients[number % len(self.store.patients)]

    async def _transact(self, made: list[documents.Document]) -> list[str]:
        body = documents.transaction(made)
        answer = await self.ask(0, self._server.request("POST", "", body), 200)
        return located(answer)

    async def ask(self, client: int, request: bytes, expected: int) -> Answer:
        """The answer; Refused if its status is another than `expected`."""
        wire = self._wires.get(client)
        if wire is None or wire.closed:  # servers hang up on who is silent for some seconds
            wire = self._wires[client] = await self._server.connect()
        answer = await wire.ask(request)
        if answer.status != expected:
            raise Refused(f"{answer.status} {_said(answer)}")
        return answer

    def close(self) -> None:
        for wire in self._wires.values():
            wire.close()

    async def create(self, client: int) -> None:
        number = next(self._numbers)
        body = fhir_json.encode(documents.observation(number, self._patient(number)))
        await self.ask(client, self._server.request("POST", "/Observation", body), 201)

    async def read(self, client: int) -> None:
        known = self.store.observations
        reference = known[next(self._numbers) * 7919 % len(known)]
        await self.ask(client, self._server.request("GET", f"/{reference}"), 200)

    async def newest(self, client: int) -> None:
        number = next(self._numbers)
        code = documents.TESTS[number % len(documents.TESTS)][0]
        path = (
            f"/Observation?patient={self._patient(number // 10)}"
            f"&code={documents.LOINC}%7C{code}&_sort=-date&_count=10"
        )
        answer = await self.ask(client, self._server.request("GET", path), 200)
        if answer.body.count(b'"fullUrl"') < 1:
            raise Refused("nothing was found")

    async def transact(self, client: int) -> None:
        numbers = [next(self._numbers) for _ in range(IN_TRANSACTION)]
        body = documents.transaction(
            documents.observation(number, self._patient(number)) for number in numbers
        )
        await self.ask(client, self._server.request("POST", "", body), 200)

    async def update(self, client: int) -> None:
        """Each client has a Task of its own, so that every update is right at the first try."""
        reference, task = self.store.tasks[client % len(self.store.tasks)]
        etag = self._etags.get(client)
        if etag is None:
            found = await self.ask(client, self._server.request("GET", f"/{reference}"), 200)
            etag = found.headers["etag"]
        said = f"step {next(self._numbers)}"
        body = fhir_json.encode({**task, "id": reference.split("/")[1], "description": said})
        request = self._server.request("PUT", f"/{reference}", body, {"If-Match": etag})
        answer = await self.ask(client, request, 200)
        self._etags[client] = answer.headers["etag"]

    async def included(self, client: int) -> None:
        order = self.store.orders[next(self._numbers) % len(self.store.orders)]
        path = (
            f"/ServiceRequest?_id={order.split('/')[1]}"
            "&_include=ServiceRequest:patient&_revinclude=Task:focus"
        )
        answer = await self.ask(client, self._server.request("GET", path), 200)
        if answer.body.count(b'"fullUrl"') != 3:
            raise Refused("not all three were found")

    def works(self) -> dict[str, Any]:
        """Letter -> the work."""
        return {
            "a": self.create,
            "b": self.read,
            "c": self.newest,
            "d": self.transact,
            "e": self.update,
            "f": self.included,
        }


class Referrals:
    """Referrals from submission to arrival at a partner of the simulator."""

    def __init__(self, asker: Asker, server: Server, sender: str, recipient: str) -> None:
        self._asker = asker
        self._server = server
        self._sender = sender
        self._recipient = recipient
        self._arrived: dict[str, asyncio.Future[None]] = {}

    async def refer(self, client: int) -> None:
        """Send one; return when the partner has it."""
        from coordhub.sandbox import demo

        run = uuid.uuid4().hex[:12]
        bundle = demo.referral(run, self._sender, self._recipient, datetime.now(UTC))
        arrived = self._arrived[run] = asyncio.get_running_loop().create_future()
        request = self._server.request("POST", "", fhir_json.encode(bundle))
        await self._asker.ask(client, request, 200)
        try:
            async with asyncio.timeout(20):
                await arrived
        except TimeoutError:
            raise Refused("not delivered within 20 s") from None

    async def watch(self, simulator: Server, path: str) -> None:
        """Ask the simulator what came, every 5 ms, until cancelled."""
        wire = await simulator.connect()
        after = 0
        while True:
            answer = await wire.ask(simulator.request("GET", f"{path}?after={after}"))
            for entry in received(fhir_json.parse(b'{"all":' + answer.body + b"}")["all"]):
                after = max(after, entry["sequence"])
                for resource in entry["resources"]:
                    for identifier in resource.get("identifiers", ()):
                        waiting = self._arrived.get(identifier.rpartition("|demo-")[2])
                        if waiting is not None and not waiting.done():
                            waiting.set_result(None)
            await asyncio.sleep(0.005)


def received(document: Any) -> list[dict[str, Any]]:
    """The entries of the simulator's list, however it is wrapped."""
    return list(document) if isinstance(document, list) else list(document.get("received", ()))


def located(answer: Answer) -> list[str]:
    """`Type/id` of each entry of a transaction's answer."""
    entries = fhir_json.parse(answer.body)["entry"]
    locations = (entry["response"]["location"].split("/_history/")[0] for entry in entries)
    return ["/".join(location.split("/")[-2:]) for location in locations]


def _said(answer: Answer) -> str:
    """Codes of the outcome's issues: enough to see why."""
    try:
        issues = fhir_json.parse(answer.body)["issue"]
        return ", ".join(str(issue.get("diagnostics", issue["code"]))[:100] for issue in issues[:2])
    except Exception:
        return answer.body[:60].decode("latin-1")
