"""The websocket channel at a real server: bound by a token, told in order, and closed when it must be."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from coordhub.access.binding import Binding
from coordhub.fhir.sockets import Bounds, Sockets
from coordhub.outbound.client import Outbound
from coordhub.record.hub import system_clock
from coordhub.routing import notice, notify
from coordhub.store import clients, pauses
from coordhub.store.clients import Acting

TASKS = "urn:coordhub:subscription-topic:tasks"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
QUICK = Bounds(client=2, bind=timedelta(seconds=5), poll=timedelta(milliseconds=20))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def served(
    app: Any,
    bounds: Bounds = QUICK,
    clock: Callable[[], datetime] = system_clock,
    sockets: Sockets | None = None,
) -> AsyncIterator[str]:
    """The address of the app at a server of its own, with sockets of its own: a process, as far as these go."""
    if sockets is None:
        sockets = Sockets(dataclasses.replace(app.state.context.hub, clock=clock), bounds)

    async def of_this_process(scope: Any, receive: Any, send: Any) -> None:
        app.state.sockets = sockets  # read before anything is awaited
        await app(scope, receive, send)

    config = uvicorn.Config(
        of_this_process, port=0, lifespan="off", ws="websockets-sansio", ws_max_size=16384,
        ws_per_message_deflate=False, log_config=None, access_log=False,
    )  # fmt: skip
    server = _Server(config)
    looking = asyncio.create_task(sockets.keep_looking())
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"ws://127.0.0.1:{port}/fhir/ws"
    server.should_exit = True
    await running
    looking.cancel()


async def subscribed(house: Any, heartbeat: int = 0) -> str:
    level = {"url": f"{BACKPORT}backport-payload-content", "valueCode": "id-only"}
    channel: dict[str, Any] = {
        "type": "websocket",
        "payload": "application/fhir+json",
        "_payload": {"extension": [level]},
    }
    if heartbeat:
        url = f"{BACKPORT}backport-heartbeat-period"
        channel["extension"] = [{"url": url, "valueUnsignedInt": heartbeat}]
    wish = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": TASKS,
        "channel": channel,
    }
    made = await house.near.ask("POST", "/Subscription", wish)
    assert made.status_code == 201, made.text
    await work(house)
    return f"Subscription/{made.json()['id']}"


async def work(house: Any) -> None:
    """What workers do, on any machine."""
    hub = house.context.hub
    while await notice.follow(hub):
        pass
    async with Outbound() as outbound:
        while (held := await notify.due(hub)) is not None:
            await notify.tell(hub, outbound, held)


async def task(house: Any) -> None:
    wish = {"resourceType": "Task", "status": "requested", "intent": "order", "description": "x"}
    assert (await house.near.ask("POST", "/Task", wish)).status_code == 201
    await work(house)


async def token(house: Any, reference: str, bearer: str | None = None) -> str:
    got = await house.near.ask("GET", f"/{reference}/$get-ws-binding-token", token=bearer)
    assert got.status_code == 200, got.text
    said = {one["name"]: one for one in got.json()["parameter"]}
    assert said["websocket-url"]["valueUrl"] == "ws://hub.example/fhir/ws"
    assert said["subscription"]["valueString"] == reference.partition("/")[2]
    return str(said["token"]["valueString"])


async def heard(socket: ClientConnection) -> tuple[str, list[int], int]:
    """Of the next notification its kind, the numbers of its events, and how many there were."""
    async with asyncio.timeout(20):
        bundle = json.loads(await socket.recv())
    parameters = bundle["entry"][0]["resource"]["parameter"]
    said = {one["name"]: one for one in parameters}
    numbers = [
        int(part["valueString"])
        for one in parameters
        if one["name"] == "notification-event"
        for part in one["part"]
        if part["name"] == "event-number"
    ]
    counted = int(said["events-since-subscription-start"]["valueString"])
    return said["type"]["valueCode"], numbers, counted


async def closed(socket: ClientConnection) -> int:
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
    assert socket.close_code is not None
    return int(socket.close_code)


async def test_given_two_processes_when_events_come_then_each_socket_is_told_and_what_a_lost_one_missed_is_there(
    house,
):
    reference = await subscribed(house)
    async with served(house.app) as one, served(house.app) as other:
        async with connect(one) as first, connect(other) as second:
            await first.send(f"bind-with-token: {await token(house, reference)}")
            assert await heard(first) == ("handshake", [], 0)
            said = {"type": "bind-with-token", "payload": {"token": await token(house, reference)}}
            await second.send(json.dumps(said))
            assert await heard(second) == ("handshake", [], 0)
            await task(house)
            assert await heard(first) == ("event-notification", [1], 1)
            assert await heard(second) == ("event-notification", [1], 1)
        await task(house)
        async with connect(one) as again:
            await again.send(f"bind-with-token {await token(house, reference)}")
            assert await heard(again) == ("handshake", [], 2), "which tells of the gap"
            await task(house)
            assert await heard(again) == ("event-notification", [3], 3)
    missed = await house.near.ask(
        "GET", f"/{reference}/$events?eventsSinceNumber=2&eventsUntilNumber=2"
    )
    assert '"event-number","valueString":"2"' in missed.text
    told = [row for row in await house.audited() if row["interaction"] == "disclosure"]
    assert len(told) == 3


async def test_given_a_client_that_may_not_act_any_more_when_looked_at_then_its_socket_is_closed(
    house,
):
    reference = await subscribed(house)
    async with served(house.app) as address, connect(address) as socket:
        await socket.send(f"bind-with-token: {await token(house, reference)}")
        await heard(socket)
        pool = house.context.hub.engine.pool
        await pool.execute("update client set active = false where id = 'near'")
        assert await closed(socket) == 1008
        async with connect(address) as another:
            await another.send(f"bind-with-token: {await token_of(house, reference)}")
            assert await closed(another) == 1008


async def test_given_sending_is_paused_when_events_come_then_sockets_are_told_of_them_afterwards(
    house,
):
    reference = await subscribed(house)
    hub = house.context.hub
    sockets = Sockets(hub, QUICK)
    async with served(house.app, sockets=sockets) as address, connect(address) as socket:
        await socket.send(f"bind-with-token: {await token(house, reference)}")
        assert await heard(socket) == ("handshake", [], 0)
        async with hub.engine.pool.acquire() as conn:
            await pauses.begin(conn, "operator", hub.clock())
        await task(house)
        async with asyncio.timeout(20):
            while [one.event for one in sockets.standing.values()] != [1]:
                await asyncio.sleep(0.01)
        await task(house)
        async with hub.engine.pool.acquire() as conn:
            await pauses.end(conn, "operator")
        assert await heard(socket) == ("event-notification", [1, 2], 2)


async def token_of(house: Any, reference: str) -> str:
    """As it was given out before the client was switched off."""
    who = Acting("near", "system/*.cruds")
    binding = Binding(who, house.near.rid, (reference.partition("/")[2],))
    return str(house.context.tokens.bindings.issue(binding, house.context.hub.clock()))


async def test_given_what_may_not_be_bound_when_sent_then_the_socket_is_closed_and_bounds_hold(
    house,
):
    reference = await subscribed(house)
    stranger = await house.far.ask("GET", f"/{reference}/$get-ws-binding-token")
    assert stranger.status_code == 404
    bearer = house.near.token
    good = await token(house, reference)
    assert (await house.near.ask("GET", "/Task", token=good)).status_code == 401
    async with served(house.app) as address:
        for sent, code in (
            ("hello", 1008),
            (f"bind-with-token: {bearer}", 1008),
            ("x" * 9000, 1009),
            (b"bytes", 1003),
            ("[" * 5000, 1008),
        ):
            async with connect(address) as socket:
                await socket.send(sent)
                assert await closed(socket) == code
        async with connect(address) as first, connect(address) as second, connect(address) as third:
            for socket in (first, second):
                await socket.send(f"bind-with-token: {good}")
                await heard(socket)
            await third.send(f"bind-with-token: {good}")
            assert await closed(third) == 1008, "two are as many as a client has here"
            await second.send(f"bind-with-token: {good}")
            assert await closed(second) == 1008, "a socket is bound once"
    async with served(house.app, Bounds(process=0)) as address:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address):
                pass
        assert refused.value.response.status_code == 503


async def test_given_silence_when_looked_at_then_there_are_heartbeats_until_the_socket_is_old_or_the_end_comes(
    house,
):
    reference = await subscribed(house, heartbeat=10)
    ahead = [timedelta()]
    async with served(house.app, clock=lambda: system_clock() + ahead[0]) as address:
        async with connect(address) as socket:
            await socket.send(f"bind-with-token: {await token(house, reference)}")
            await heard(socket)
            for seconds in (11, 22):
                ahead[0] = timedelta(seconds=seconds)
                assert await heard(socket) == ("heartbeat", [], 0)
            ahead[0] = timedelta(hours=2)
            assert await closed(socket) == 1012
        async with connect(address) as socket:
            await socket.send(f"bind-with-token: {await token(house, reference)}")
            await heard(socket)
            stored = (await house.near.ask("GET", f"/{reference}")).json()
            off = await house.near.ask("PUT", f"/{reference}", {**stored, "status": "off"})
            assert off.status_code == 200, off.text
            assert await closed(socket) == 1000
    refused = await house.near.ask("GET", f"/{reference}/$get-ws-binding-token")
    assert refused.status_code == 400


async def test_given_other_tokens_when_bound_by_them_then_each_is_told_what_it_may_read_itself_and_now(
    house,
):
    reference = await subscribed(house)
    hub, near = house.context.hub, house.near
    async with hub.engine.pool.acquire() as conn:
        await clients.register(
            conn, "second", near.rid, "system/*.cruds", update_as_create=False, now=hub.clock()
        )
    second = near.tokens.issue(
        "second", "system/*.cruds", now=hub.clock(), lifetime=timedelta(hours=1)
    )
    part = near.narrow("system/Subscription.rs system/Task.rs?status=accepted", house.context)
    async with served(house.app) as address, connect(address) as one, connect(address) as other:
        for socket, bearer in ((one, part), (other, second)):
            await socket.send(f"bind-with-token: {await token(house, reference, bearer)}")
            await heard(socket)
        await task(house)
        async with asyncio.timeout(20):
            assert "Task/" not in str(await one.recv())
            assert "Task/" in str(await other.recv())
        await hub.engine.pool.execute(
            "update client set scopes = 'system/Subscription.rs' where id = 'second'"
        )
        await task(house)
        async with asyncio.timeout(20):
            assert "Task/" not in str(await one.recv())
        assert await closed(other) == 1008
