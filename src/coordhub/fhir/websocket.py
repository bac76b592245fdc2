"""The websocket channel: a socket that is bound by a token, and told of what its subscriptions are told of.

A handshake for each subscription says how many events there were; then come notifications and heartbeats. What
is missed between two sockets is asked for by number ($events). Who may no longer act loses its socket within
a second or so. While sending is paused nothing is told by sockets either.

http://hl7.org/fhir/uv/subscriptions-backport/channels.html#websockets
https://www.rfc-editor.org/rfc/rfc6455#section-7.4 (codes of a close)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import datetime, timedelta
from typing import Final, NoReturn
from uuid import uuid4

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from coordhub import errors
from coordhub.access import scopes, viewer
from coordhub.access.caller import NOBODY
from coordhub.fhir import http
from coordhub.fhir.context import Context
from coordhub.fhir.operations.subscription_binding import PATH
from coordhub.fhir.sockets import Socket, Sockets
from coordhub.r4.notification import Kind
from coordhub.record.notifying import compose
from coordhub.store import audit, clients, resources, subscription_events, subscriptions
from coordhub.store.subscription_events import Event
from coordhub.store.subscriptions import Subscribed
from coordhub.store.transact import AuditRow
from coordhub.telemetry import log

POLICY: Final = 1008
TOO_BIG: Final = 1009
AGAIN: Final = 1012
LATER: Final = 1013

GONE: Final = "Your client may not act any more, or not read what this tells of."


class _Closed(Exception):
    """The hub closes the socket, and says why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Door:
    """The websocket below the FHIR base; all else goes on to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or scope.get("path") != f"{http.PREFIX}{PATH}":
            await self._app(scope, receive, send)
            return
        state = scope["app"].state
        await _serve(WebSocket(scope, receive, send), state.context, state.sockets)


async def _serve(connection: WebSocket, context: Context, sockets: Sockets) -> None:
    if sockets.is_full:
        full = errors.unavailable("This process holds as many websockets as it may.", 30)
        await connection.send_denial_response(http.refusal(full))
        return
    with sockets.holding() as socket:
        await connection.accept()
        try:
            held = await _bind(connection, context, sockets, socket)
            async with asyncio.TaskGroup() as group:
                group.create_task(_listen(connection))
                await _tell(connection, sockets, socket, held)
        except* WebSocketDisconnect:
            pass
        except* _Closed as closed:
            why = next(one for one in closed.exceptions if isinstance(one, _Closed))
            await _close(connection, why)
        except* TimeoutError:  # who does not take what is sent is not waited for
            pass
        except* Exception as failed:
            names = [type(one).__name__ for one in failed.exceptions]
            log("websocket.stumbled", level="error", error=names[0])
            await _close(connection, _Closed(LATER, "Bind again in a while."))


async def _close(connection: WebSocket, why: _Closed) -> None:
    with contextlib.suppress(Exception):  # it may be gone
        async with asyncio.timeout(2):
            await connection.close(why.code, why.reason)


async def _bind(
    connection: WebSocket, context: Context, sockets: Sockets, socket: Socket
) -> list[Subscribed]:
    """The subscriptions that the first message binds to; handshakes are sent."""
    hub = context.hub
    refused = _Closed(
        POLICY, "Send `bind-with-token: [token]` with a token of $get-ws-binding-token."
    )
    try:
        async with asyncio.timeout(sockets.bounds.bind.total_seconds()):
            text = await _received(connection, sockets.bounds.message)
    except TimeoutError:
        raise refused from None
    binding = context.tokens.bindings.read(_token(text), hub.clock())
    if binding is None:
        raise refused
    who = (binding.who, binding.organization)
    if not sockets.may_bind(binding.who.client):
        raise _Closed(POLICY, f"A client has {sockets.bounds.client} websockets here at most.")
    async with hub.engine.pool.acquire() as conn:
        if not await clients.bounds(conn, [who]):
            raise refused
        mine = await subscriptions.of_organization(conn, binding.organization)
        named = await resources.read_rids(conn, viewer.deciding(), [one.rid for one in mine])
    held = [
        one
        for one in mine
        if one.state == "active"
        and one.channel == "websocket"
        and named[one.rid].id in binding.subscriptions
    ]
    if not held:
        raise _Closed(POLICY, "None of these subscriptions is active any more.")
    socket.who = who
    for one in held:
        socket.told[one.rid] = one.event
        await _notify(connection, sockets, socket, one, "handshake", [])
    log("websocket.bound", client=binding.who.client, subscriptions=len(held))
    return held


def _token(text: str) -> str:
    """Of `bind-with-token: [token]`; or of the JSON that some clients send."""
    word, _, rest = text.strip().partition("bind-with-token")
    if not word and rest:
        return rest.lstrip(": ").strip()
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        said = json.loads(text)
        if said["type"] == "bind-with-token":
            return str(said["payload"]["token"])
    return ""


async def _received(connection: WebSocket, most: int) -> str:
    message = await connection.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if text is None:
        raise _Closed(1003, "Messages are text.")
    if len(text) > most:
        raise _Closed(TOO_BIG, f"A message has {most} characters at most.")
    return str(text)


async def _listen(connection: WebSocket) -> None:
    """Nothing more is to come, but the end."""
    message = await connection.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    raise _Closed(POLICY, "A websocket is bound once. Open another for other subscriptions.")


async def _tell(
    connection: WebSocket, sockets: Sockets, socket: Socket, held: list[Subscribed]
) -> NoReturn:
    """Until none of its subscriptions is told any more, it is too old, or its client may not act."""
    clock = sockets.hub.clock
    until = clock() + sockets.bounds.lifetime
    last = {one.rid: clock() for one in held}
    while True:
        await socket.looked.wait()
        socket.looked.clear()
        if socket.who not in sockets.acting:
            raise _Closed(POLICY, GONE)
        standing = [sockets.standing[rid] for rid in socket.told if rid in sockets.standing]
        if not standing:
            raise _Closed(1000, "None of these subscriptions is active any more.")
        for one in () if sockets.is_paused else standing:
            while socket.told[one.rid] < one.event:
                await _told_next(connection, sockets, socket, one)
                last[one.rid] = clock()
            if _is_silent(one, last[one.rid], clock()):
                await _notify(connection, sockets, socket, one, "heartbeat", [])
                last[one.rid] = clock()
        if clock() >= until:
            raise _Closed(AGAIN, "Get another token and bind again.")


def _is_silent(held: Subscribed, last: datetime, now: datetime) -> bool:
    beat = held.config.heartbeat
    return beat > 0 and now >= last + timedelta(seconds=beat)


async def _told_next(
    connection: WebSocket, sockets: Sockets, socket: Socket, held: Subscribed
) -> None:
    first = socket.told[held.rid] + 1
    async with sockets.hub.engine.pool.acquire() as conn:
        pending = await subscription_events.events(
            conn, held.rid, first, held.event, held.config.most
        )
    if pending:
        await _notify(connection, sockets, socket, held, "event-notification", pending)
    socket.told[held.rid] = pending[-1].number if pending else held.event


async def _notify(
    connection: WebSocket, sockets: Sockets, socket: Socket, held: Subscribed, kind: Kind,
    pending: list[Event],
) -> None:  # fmt: skip
    """As both who asked for it and who holds the socket may see it now.

    Told is written down before: a socket may go while it is sent, and nobody can say how much of it was read.
    No connection of the pool is held meanwhile.
    """
    hub = sockets.hub
    assert socket.who is not None
    async with hub.engine.pool.acquire() as conn:
        bounds = (await clients.bounds(conn, [socket.who])).get(socket.who)
        allowed = NOBODY.scopes if bounds is None else scopes.within(bounds)
        if not all(allowed.allow(one, "r") for one in held.kinds):
            raise _Closed(POLICY, GONE)
        asker = viewer.on_behalf_of(held.organization, allowed)
        found = await resources.read_rids(conn, viewer.deciding(), [held.rid])
        composed = await compose(
            hub, conn, held, found[held.rid].reference, held.state, kind, pending, uuid4(),
            asker=asker,
        )  # fmt: skip
        if composed.rids:
            row = AuditRow(
                None, held.organization, "disclosure", 0, rids=composed.rids,
                request_id=f"subscription {held.rid} event {pending[-1].number}",
            )  # fmt: skip
            await audit.append(conn, row, hub.clock())
    async with asyncio.timeout(sockets.bounds.send.total_seconds()):
        await connection.send_text(composed.body.decode())
