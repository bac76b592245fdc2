"""A partner's FHIR server at the socket, and a worker's hands that deliver to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from open_hub import House, Party

from coordhub.outbound.client import Outbound, Timeouts
from coordhub.record.operations import Update
from coordhub.routing import deliver, proving, resolve, retry
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
from coordhub.store import deliveries, proofs
from coordhub.store.deliveries import Claimed

LEASE = timedelta(seconds=60)
TAKEN = b'{"resourceType":"Bundle","type":"transaction-response"}'

Document = dict[str, Any]


@dataclass(slots=True)
class Partner:
    """A FHIR server at the socket. answer: status line and body; None: hangs up without a word.

    speaks: whether it says what it is capable of. greeted: heads of who asked.
    """

    address: str = ""
    answer: tuple[str, bytes] | None = ("200 OK", TAKEN)
    bundles: list[Document] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    before: Callable[[], Any] | None = None
    speaks: bool = True
    greeted: list[str] = field(default_factory=list)

    def named(self, number: int = -1) -> dict[str, Document]:
        """The resources of one Bundle by `Type/id`."""
        entries = self.bundles[number]["entry"]
        return {entry["request"]["url"]: entry["resource"] for entry in entries}

    def types(self, number: int = -1) -> list[str]:
        return sorted(reference.partition("/")[0] for reference in self.named(number))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if head.startswith("get /fhir/metadata "):
                self.greeted.append(head)
                body = b'{"resourceType":"CapabilityStatement"}' if self.speaks else b"<html>"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
                writer.close()
                return
            self.heads.append(head)
            length = int(head.partition("content-length: ")[2].split("\r\n")[0])
            self.bundles.append(json.loads(await reader.readexactly(length)))
            self.keys.append(head.partition("idempotency-key: ")[2].split("\r\n")[0])
            if self.before is not None:
                await self.before()
            if self.answer is not None:
                status, body = self.answer
                lines = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(lines.encode() + body)
                await writer.drain()
        writer.close()


@dataclass(frozen=True, slots=True)
class Post:
    """The house, its worker's hands, and the kitchen's server."""

    house: House
    sending: deliver.Sending
    partner: Partner
    endpoint: str

    async def claim(self, limit: int = 10) -> list[Claimed]:
        async with self.house.engine.pool.acquire() as conn:
            return await deliveries.claim(conn, self.house.hub.clock(), limit, LEASE)

    async def deliver(self) -> int:
        """All that is due, one after the other; how many attempts were made."""
        attempts = 0
        while held := await self.claim(1):
            await deliver.deliver(self.sending, held[0])
            attempts += 1
        return attempts

    async def ledger(self) -> list[tuple[Any, ...]]:
        """(organization, state) of all deliveries, in order."""
        return await self.house.rows("select organization, state from delivery order by seq")

    async def set_endpoint(self, **elements: Any) -> None:
        document = {**await self.house.document(self.endpoint), **elements}
        await self.house.commit(self.house.steward, Update("Endpoint", document["id"], document))

    async def moves_to(self, address: str) -> None:
        """Its server is there from now on, and has proved itself."""
        await self.set_endpoint(address=address)
        rid = await self.house.value(
            "select rid from resource where fhir_id = $1", self.endpoint.partition("/")[2]
        )
        said = proving.Spoken(rid, 2, address, {}).fingerprint
        async with self.house.engine.pool.acquire() as conn:
            now = self.house.hub.clock()
            await proofs.take(conn, rid, said, now, LEASE)
            await proofs.proved(conn, rid, said, now)


@pytest.fixture
async def post(house: House) -> AsyncIterator[Post]:
    partner = Partner()
    server = await asyncio.start_server(partner.serve, "127.0.0.1", 0)
    partner.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    endpoint = await house.create(house.steward, endpoint_at(partner.address))
    await name_endpoint(house, house.kitchen, endpoint.reference)
    async with Outbound(
        allowed_networks=[ip_network("127.0.0.0/8")], timeouts=Timeouts()
    ) as outbound:
        channels = {resolve.SERVED: HL7FhirRest(outbound, house.hub.clock)}
        sending = deliver.Sending(house.hub, channels, retry.RetryPolicy(), lambda: 0.5)
        yield Post(house, sending, partner, endpoint.reference)
    server.close()
    await server.wait_closed()


def endpoint_at(address: str) -> Document:
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "payloadType": [{"text": "any"}],
        "address": address,
    }


async def name_endpoint(house: House, party: Party, endpoint: str) -> None:
    document = {**await house.document(party.service), "endpoint": [{"reference": endpoint}]}
    await house.commit(house.steward, Update("HealthcareService", document["id"], document))
