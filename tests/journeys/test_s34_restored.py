"""S34: a backup is restored. Nothing is sent twice as new, and nothing until somebody has looked.

The backup is a copy of the database that Postgres makes; what happened after it is lost to the hub and not to
its partners.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx2
import pytest
from open_hub import BASE, House, opened, patient
from open_post import LEASE, TAKEN, endpoint_at
from pydantic import SecretStr

from coordhub.access.token import Tokens
from coordhub.admin import restoring
from coordhub.admin.acts import NothingDone, Operator
from coordhub.app import build
from coordhub.outbound.client import Outbound
from coordhub.record.bootstrap import open_hub
from coordhub.record.operations import Update
from coordhub.routing import deliver, resolve, retry
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
from coordhub.routing.gaps import Gap, gaps
from coordhub.settings import Settings
from coordhub.store import deliveries, invariants, roles
from coordhub.store.engine import Engine

KEY = b"a test key that is long enough for it"
BY = Operator("rosa")


@dataclass(slots=True)
class Server:
    """The clinic's own: keeps what it is sent, by key, and tells what Tasks it has."""

    address: str = ""
    keys: list[str] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            sent = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            body = TAKEN
            if head.startswith("POST"):
                bundle = json.loads(await reader.readexactly(int(sent["content-length"])))
                if sent["idempotency-key"] not in self.keys:
                    resources = [one["resource"] for one in bundle["entry"]]
                    self.tasks |= {
                        one["id"]: one for one in resources if one["resourceType"] == "Task"
                    }
                self.keys.append(sent["idempotency-key"])
            else:
                assert head.startswith("GET /fhir/Task?_lastUpdated=ge2")
                entries = [{"resource": one} for one in self.tasks.values()]
                found = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
                body = json.dumps(found).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/fhir"
    yield server
    listening.close()
    await listening.wait_closed()


@contextlib.asynccontextmanager
async def backup_of(url: str) -> AsyncIterator[str]:
    """A copy of the database as it is now; nobody may be connected to it."""
    parts = urlsplit(url)
    name = parts.path[1:]
    conn = await asyncpg.connect(urlunsplit(parts._replace(path="/postgres")))
    try:
        await conn.execute(f'create database "{name}_backup" template "{name}"')
        yield urlunsplit(parts._replace(path=f"/{name}_backup"))
    finally:
        await conn.execute(f'drop database if exists "{name}_backup" with (force)')
        await conn.close()


@contextlib.asynccontextmanager
async def again(url: str, before: House) -> AsyncIterator[House]:
    """The same house on the database at `url`, at the same time of day."""
    engine = await Engine.open(await roles.application(url), size=8)
    try:
        hub = replace(await open_hub(engine, BASE), clock=before.clock)
        yield replace(before, hub=hub, url=url)
    finally:
        await engine.close()


@contextlib.asynccontextmanager
async def sending(house: House) -> AsyncIterator[deliver.Sending]:
    async with Outbound(allowed_networks=[ip_network("127.0.0.0/8")]) as outbound:
        channels = {resolve.SERVED: HL7FhirRest(outbound, house.hub.clock)}
        yield deliver.Sending(house.hub, channels, retry.RetryPolicy(), lambda: 0.5)


async def send_all(house: House) -> int:
    """Relay, and send what is due; how many attempts were made."""
    await house.relay()
    attempts = 0
    async with sending(house) as hands:
        while True:
            async with house.engine.pool.acquire() as conn:
                held = await deliveries.claim(conn, house.hub.clock(), 10, LEASE)
            if not held:
                return attempts
            for one in held:
                await deliver.deliver(hands, one)
                attempts += 1


async def status_of(house: House, method: str, path: str, body: Any = None) -> int:
    """What a process that starts now answers the clinic."""
    app = build(Settings.model_validate({"token_key": SecretStr(KEY.decode())}), house.hub)
    token = Tokens(KEY, house.engine).issue(
        "clinic", "system/*.cruds", now=house.clock(), lifetime=timedelta(hours=1)
    )
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:
            sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
            answered = await http.request(method, path, json=body, headers=sent)
            return answered.status_code


async def test_s34_given_a_backup_when_restored_then_nothing_goes_twice_as_new_and_gaps_are_told(
    database_url: str, server: Server
) -> None:
    # Given a referral whose acceptance is committed and not told yet, and a backup of that moment
    async with opened(database_url) as house:
        clinic = house.clinic
        endpoint = await house.create(house.steward, endpoint_at(server.address))
        named = {
            **await house.document(clinic.reference),
            "endpoint": [{"reference": endpoint.reference}],
        }
        await house.commit(house.steward, Update("Organization", named["id"], named))
        sent = await house.asking(house.kitchen.service)
        await send_all(house)
        await sent.answer(house.kitchen, "accepted")
        kitchen, first, earlier = house.kitchen, house, len(server.keys)
    async with backup_of(database_url) as backup:
        async with again(database_url, first) as house:
            # And what happens after it: the clinic is told, and told of the end
            await send_all(house)
            told = server.keys[earlier:]
            assert told
            house.clock.ahead += timedelta(seconds=1)
            lost = replace(sent, house=house)
            await lost.answer(kitchen, "in-progress")
            await lost.answer(kitchen, "completed")
            await send_all(house)
            assert len(set(server.keys)) > 1
            everything = set(server.keys)

        # When the backup is restored, then nothing leaves and nothing is shown
        async with again(backup, first) as house:
            house.clock.ahead += timedelta(minutes=5)
            begun = await restoring.begin(house.engine, BY, house.hub.clock())
            assert begun.shows is not None
            twice = await restoring.begin(house.engine, BY, house.hub.clock())
            assert twice.shows == begun.shows, "by what the backup held, not by what was done since"
            assert (kitchen.reference, 1) in {
                (one.organization, one.referrals) for one in begun.standing
            }
            before = list(server.keys)
            assert await send_all(house) == 0
            assert await status_of(house, "GET", "/fhir/Task") == 503
            assert await status_of(house, "GET", "/fhir/metadata") == 200
            assert await status_of(house, "POST", "/fhir/Patient", patient("9")) == 201

            # And partners are asked what they know: that the referral has ended
            async with Outbound(allowed_networks=[ip_network("127.0.0.0/8")]) as outbound:
                channel = HL7FhirRest(outbound, house.hub.clock)
                found = [one async for one in gaps(house.hub, channel, begun.shows, uuid4())]
            assert found == [
                Gap(clinic.reference, endpoint.reference, sent.task, "", "completed", "in-progress")
            ]

            # And once somebody has looked, what the clinic had been told goes under the key that it knows
            await restoring.resume(house.engine, BY, "restored", "looked", house.hub.clock())
            assert await send_all(house) > 0
            assert server.keys[len(before) :] == told
            assert set(server.keys) == everything
            assert await status_of(house, "GET", "/fhir/Task") == 200
            async with house.engine.pool.acquire() as conn:
                assert await invariants.violations_alone(conn, house.hub.clock()) == []
            with pytest.raises(NothingDone):
                await restoring.resume(house.engine, BY, "restored", "twice", house.hub.clock())
            acts = await house.rows(
                "select interaction from audit where interaction ~ 'restored|resumed' order by seq"
            )
            assert acts == [("restored",), ("restored",), ("sending-resumed",)]
