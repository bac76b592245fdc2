"""Who is served next where not all can be: each client its part of the places, however much one asks.

There are as many places as connections to the database, and one stands before these. While others might
come, one client has half of the places at most, so that who comes next finds one; of those who wait, who has
the fewest places is next, and among equals who waited longest. Whoever asks ten times as much as its part
waits for itself.

https://en.wikipedia.org/wiki/Max-min_fairness
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """places: requests that are answered at the same time. patience: seconds that one waits at most."""

    def __init__(self, places: int, patience: float = 5.0) -> None:
        self._free = places
        self._most = places - places // 2
        self._patience = patience
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, client: str) -> None:
        """Return when it has a place, to be given back; TimeoutError after `patience`."""
        if self._free and self._held.get(client, 0) < self._most and client not in self._waiting:
            self._seat(client)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException:  # nobody waits for it any more, and the place is another's
            if turn.done() and not turn.cancelled():
                self.give(client)
            else:
                self._leave(client, turn)
            raise

    def give(self, client: str) -> None:
        """Give a place back; who is next has it before this returns."""
        self._free += 1
        left = self._held[client] - 1
        if left:
            self._held[client] = left
        else:
            del self._held[client]
        self._call()

    def _seat(self, client: str) -> None:
        self._free -= 1
        self._held[client] = self._held.get(client, 0) + 1

    def _call(self) -> None:
        while self._free and self._waiting:
            client = min(self._waiting, key=lambda one: self._held.get(one, 0))
            if self._held.get(client, 0) >= self._most:
                return
            queue = self._waiting.pop(client)
            turn = queue.popleft()
            if queue:
                self._waiting[client] = queue  # at the end: the others were there before
            if not turn.done():
                self._seat(client)
                turn.set_result(None)

    def _leave(self, client: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(client)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[client]


class Turn:
    """One place, while what is inside is done."""

    __slots__ = ("_client", "_turns")

    def __init__(self, turns: Turns, client: str) -> None:
        self._turns, self._client = turns, client

    async def __aenter__(self) -> None:
        await self._turns.take(self._client)

    async def __aexit__(self, *_: object) -> None:
        self._turns.give(self._client)
