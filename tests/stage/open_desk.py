"""A desk at which notifications go out, and a listener at the socket that takes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from open_hub import House, Party

from coordhub.outbound.client import Outbound, Timeouts
from coordhub.outbound.smtp import Post
from coordhub.routing import notice, notify
from coordhub.routing.notify import Patience
from coordhub.store import sealed

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
TASKS = "urn:coordhub:subscription-topic:tasks"
RESULTS = "urn:coordhub:subscription-topic:results"
KEY = b"a token key that is long enough!"
PATIENCE = Patience(failures=3)

Document = dict[str, Any]


@dataclass(slots=True)
class Listener:
    """A subscriber's address at the socket. status: what it answers."""

    address: str = ""
    status: str = "200 OK"
    bodies: list[Document] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].split("\r\n")[0] or 0)
            body = await reader.readexactly(length)
            self.heads.append(head)
            self.sent.append(body)
            self.bodies.append(json.loads(body) if body else {})
            writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    def headers(self, at: int) -> dict[str, str]:
        """Of one request, names in lower case."""
        pairs = (line.split(": ", 1) for line in self.heads[at].split("\r\n")[1:] if line)
        return {name.lower(): value for name, value in pairs}

    def kinds(self) -> list[str]:
        return [said(body)["type"] for body in self.bodies]

    def numbers(self) -> list[int]:
        """Of all events that came, in the order in which they came."""
        return [int(one["event-number"]) for body in self.bodies for one in events(body)]


def said(body: Document) -> dict[str, Any]:
    """The status of a notification, by name."""
    found = {}
    for parameter in body["entry"][0]["resource"]["parameter"]:
        values = [value for name, value in parameter.items() if name.startswith("value")]
        if values:
            found[parameter["name"]] = values[0]
    return found


def events(body: Document) -> list[dict[str, Any]]:
    parameters = body["entry"][0]["resource"]["parameter"]
    return [
        {
            part["name"]: next(value for name, value in part.items() if name.startswith("value"))
            for part in parameter["part"]
        }
        for parameter in parameters
        if parameter["name"] == "notification-event"
    ]


@dataclass(frozen=True, slots=True)
class Desk:
    """The house, whoever listens, and the hands that tell."""

    house: House
    listener: Listener
    outbound: Outbound
    post: Post | None = None

    def wish(
        self, topic: str = TASKS, level: str = "id-only", *filters: str, **more: Any
    ) -> Document:
        return {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "test",
            "criteria": topic,
            "_criteria": {
                "extension": [
                    {"url": f"{BACKPORT}backport-filter-criteria", "valueString": one}
                    for one in filters
                ]
            },
            "channel": {
                "type": "rest-hook",
                "endpoint": self.listener.address,
                "payload": "application/fhir+json",
                "_payload": {
                    "extension": [
                        {"url": f"{BACKPORT}backport-payload-content", "valueCode": level}
                    ]
                },
                "header": ["Authorization: Bearer secret"],
            },
            **more,
        } | (
            {} if filters else {"_criteria": {"extension": [{"url": "urn:x", "valueString": "y"}]}}
        )

    async def follow(self) -> None:
        while await notice.follow(self.house.hub):
            pass

    async def tell(self, most: int = 50) -> int:
        """All that is due; to how many."""
        told = 0
        while told < most and (held := await notify.due(self.house.hub)):
            await notify.tell(self.house.hub, self.outbound, held, PATIENCE, self.post)
            told += 1
        return told

    async def subscribed(self, who: Party, *wish: str, **more: Any) -> str:
        made = await self.house.create(who, self.wish(*wish, **more))
        await self.tell()
        return made.reference

    async def status(self, reference: str) -> str:
        return str((await self.house.document(reference))["status"])


@pytest.fixture
async def desk(house: House) -> AsyncIterator[Desk]:
    sealed.use(sealed.Box([KEY]))
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with Outbound(
        allowed_networks=[ip_network("127.0.0.0/8")], timeouts=Timeouts()
    ) as outbound:
        yield Desk(house, listener, outbound)
    server.close()
    await server.wait_closed()
