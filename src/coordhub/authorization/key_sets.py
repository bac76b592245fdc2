"""Keys of clients that keep them at an address of their own: looked up, remembered, renewed.

http://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys

A set is remembered for a quarter of an hour, so that a key that is taken out of it stops soon; if its server is
down then, what was there counts for an hour. A key that is not in it is looked for anew, but no set is asked
for more often than once a minute, whoever names which keys.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from coordhub.access import keys
from coordhub.access.keys import PublicKey
from coordhub.outbound.client import Answer, Outbound
from coordhub.telemetry import log

FRESH: Final = timedelta(minutes=15)
STALE: Final = timedelta(hours=1)
PAUSE: Final = timedelta(minutes=1)
MOST_SETS: Final = 1000


@dataclass(slots=True)
class _Known:
    """asked: when last, whatever came of it. since: when these keys were there."""

    keys: tuple[PublicKey, ...] = ()
    asked: datetime | None = None
    since: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeySets:
    """What this process remembers. opened: makes the client of the world, when it is needed first.

    read: which keys of a set's text count.
    """

    def __init__(
        self,
        opened: Callable[[], Outbound],
        clock: Callable[[], datetime],
        read: Callable[[str], tuple[PublicKey, ...]] = keys.read,
    ) -> None:
        self._opened = opened
        self._clock = clock
        self._read = read
        self._outbound: Outbound | None = None
        self._stack = contextlib.AsyncExitStack()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def close(self) -> None:
        await self._stack.aclose()

    async def at(self, address: str, kid: str) -> tuple[PublicKey, ...]:
        """The keys of the set at this address; asked for again if it is old, or `kid` is not in it."""
        known = self._known.setdefault(address, _Known())
        self._known.move_to_end(address)
        if len(self._known) > MOST_SETS:
            self._known.popitem(last=False)
        if self._must_ask(known, kid):
            async with known.lock:
                if self._must_ask(known, kid):
                    await self._ask(address, known)
        if known.since is None or known.since + STALE <= self._clock():
            return ()
        return known.keys

    def _must_ask(self, known: _Known, kid: str) -> bool:
        now = self._clock()
        if known.asked is not None and now < known.asked + PAUSE:
            return False
        is_fresh = known.since is not None and now < known.since + FRESH
        return not (is_fresh and any(one.kid == kid for one in known.keys))

    async def _ask(self, address: str, known: _Known) -> None:
        known.asked = self._clock()
        if self._outbound is None:
            self._outbound = await self._stack.enter_async_context(self._opened())
        answered = await self._outbound.send("GET", address, {"Accept": "application/json"})
        if not isinstance(answered, Answer):
            log("keys.unreachable", level="warning", kind=answered.kind)
            return
        if answered.status != 200:
            log("keys.unreachable", level="warning", kind="status", status=answered.status)
            return
        known.keys = self._read(answered.body.decode("utf-8", "replace"))
        known.since = known.asked
