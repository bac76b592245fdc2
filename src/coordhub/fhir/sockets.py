"""Websockets of this process: how many, whose, and what stands of the subscriptions they are bound to.

Events are numbered in the database, by whichever worker follows the log. Each process looks there, once for
all its sockets, so that any number of processes may hold sockets of one subscription; a socket keeps the
number it has told, and nothing waits in memory for a slow one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from coordhub.record.hub import Hub
from coordhub.store import clients, pauses, subscriptions
from coordhub.store.clients import Acting
from coordhub.store.outage import is_outage
from coordhub.store.subscriptions import Subscribed
from coordhub.telemetry import log


@dataclass(frozen=True, slots=True)
class Bounds:
    """process, client: sockets at most. bind: until a socket must be bound. lifetime: then it is to be bound anew.
    send: until a message must be taken. poll: how often the database is looked at. message: bytes of what is
    received at most."""

    process: int = 1000
    client: int = 10
    bind: timedelta = timedelta(seconds=10)
    lifetime: timedelta = timedelta(hours=1)
    send: timedelta = timedelta(seconds=10)
    poll: timedelta = timedelta(seconds=1)
    message: int = 8192


@dataclass(eq=False, slots=True)
class Socket:
    """who: whose it is, for which organization (rid); None before it is bound. told: number of the last event, by
    rid of the subscription. looked: set when the database was looked at."""

    who: tuple[Acting, int] | None = None
    told: dict[int, int] = field(default_factory=dict)
    looked: asyncio.Event = field(default_factory=asyncio.Event)


class Sockets:
    """standing: by rid, the subscriptions of all sockets as they stood at the last look; those that are told only.
    acting: who may still act. is_paused: nothing is sent to anybody then."""

    def __init__(self, hub: Hub, bounds: Bounds | None = None) -> None:
        self.hub = hub
        self.bounds = bounds or Bounds()
        self.standing: dict[int, Subscribed] = {}
        self.acting: set[tuple[Acting, int]] = set()
        self.is_paused = False
        self._open: set[Socket] = set()

    @property
    def is_full(self) -> bool:
        return len(self._open) >= self.bounds.process

    def may_bind(self, client: str) -> bool:
        held = Counter(one.who[0].client for one in self._open if one.who is not None)
        return held[client] < self.bounds.client

    @contextlib.contextmanager
    def holding(self) -> Iterator[Socket]:
        socket = Socket()
        self._open.add(socket)
        try:
            yield socket
        finally:
            self._open.discard(socket)

    async def look(self) -> None:
        """What stands of all subscriptions that a socket is bound to; each socket looks at it then."""
        bound = [one for one in self._open if one.who is not None]
        rids = sorted({rid for one in bound for rid in one.told})
        async with self.hub.engine.pool.acquire() as conn:
            standing = await subscriptions.standing(conn, rids)
            who = {one.who for one in bound if one.who is not None}
            acting = {*await clients.bounds(conn, list(who))}
            self.is_paused = bool(await pauses.current(conn))
        self.standing, self.acting = {one.rid: one for one in standing}, acting
        for one in bound:
            one.looked.set()

    async def keep_looking(self) -> None:
        """Until it is cancelled; a database that is away is waited for."""
        while True:
            await asyncio.sleep(self.bounds.poll.total_seconds())
            if any(one.who is not None for one in self._open):
                try:
                    await self.look()
                except Exception as error:
                    level = "warning" if is_outage(error) else "error"
                    log("websocket.stumbled", level=level, error=type(error).__name__)
