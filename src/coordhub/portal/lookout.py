"""Who holds a list open and waits for what is new on it: how many, whose, and whether the list still says the same.

https://html.spec.whatwg.org/multipage/server-sent-events.html

Each process looks once for all who hold the same list of one organization, through the very query of the page, and
compares what came out: who waits learns of a change of what it would read anyway, and of nothing else. A look is no use
of a session, so that an open page does not keep somebody signed in who has gone away.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from coordhub.portal import board, desks, signing_in, worklist
from coordhub.portal.listed import Listed
from coordhub.portal.signing_in import Session
from coordhub.record.hub import Hub
from coordhub.store import accounts
from coordhub.store.accounts import Person
from coordhub.store.outage import is_outage
from coordhub.telemetry import log

LISTS: Final = {"worklist": worklist.worklist, "board": board.board}
"""Desk -> its list."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """process, organization, person: who waits at most; of a person fewer than the six connections that a browser has
    for one host without HTTP/2, so that its pages still open. poll: between two looks. beat: until a word is sent so
    that nobody on the way takes the connection for dead. lifetime: then the browser asks anew."""

    process: int = 1000
    organization: int = 100
    person: int = 4
    poll: timedelta = timedelta(seconds=5)
    beat: timedelta = timedelta(seconds=15)
    lifetime: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True, order=True)
class What:
    """A page of a list: of an organization (rid), at a desk, under a tab, from a line."""

    organization: int
    desk: str
    show: str
    start: int


@dataclass(eq=False, slots=True)
class Waiting:
    """Who waits. seen: the mark of what it has read, None: of what the first look finds. stirred: there is something
    to say, or it is over."""

    token: str
    person: str
    what: What
    seen: str | None
    is_over: bool = False
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        self.is_over = True
        self.stirred.set()


def digest(found: Listed) -> bytes:
    """Of what the page shows of a list."""
    counts = sorted(found.counts.items())
    shown = (found.items, found.show, counts, found.is_full, found.start, found.following)
    return hashlib.sha256(repr(shown).encode()).digest()


def mark(token: str, seen: bytes) -> str:
    """What a browser holds of it: without its session nobody can try what the list may have said."""
    return hmac.new(token.encode(), seen, hashlib.sha256).hexdigest()[:32]


def seen(session: Session, found: Listed) -> str:
    """The mark of a list that is shown, for its page to wait by."""
    return mark(session.token, digest(found))


class Lookout:
    """All who wait in this process."""

    def __init__(self, hub: Hub, bounds: Bounds | None = None) -> None:
        self.hub = hub
        self.bounds = bounds or Bounds()
        self._open: set[Waiting] = set()

    @contextlib.contextmanager
    def holding(self, one: Waiting) -> Iterator[int]:
        """200 while it waits; else why it cannot: 429, its person or organization waits often enough; 503, all do."""
        if (status := self._status(one)) != 200:
            yield status
            return
        self._open.add(one)
        try:
            yield status
        finally:
            self._open.discard(one)

    def _status(self, one: Waiting) -> int:
        if len(self._open) >= self.bounds.process:
            return 503
        whose = one.what.organization
        of_person = sum(other.person == one.person for other in self._open)
        of_organization = sum(other.what.organization == whose for other in self._open)
        is_over = of_person >= self.bounds.person or of_organization >= self.bounds.organization
        return 429 if is_over else 200

    async def there(self, tokens: list[str]) -> Mapping[str, Person]:
        """Those whose session goes on, by its token."""
        known = {signing_in.hashed(token): token for token in tokens}
        async with self.hub.engine.pool.acquire() as conn:
            found = await accounts.there(conn, list(known), self.hub.clock())
        return {known[hashed]: person for hashed, person in found.items()}

    async def look(self) -> None:
        """Once for all: whose session is over waits no longer, and whose list says something else is told."""
        held = list(self._open)
        there = await self.there([one.token for one in held])
        for one in held:
            person = there.get(one.token)
            if person is None or one.what.desk not in desks.of(person.roles):
                one.end()
        for what in sorted({one.what for one in held if not one.is_over}):
            try:
                async with self.hub.engine.pool.acquire() as conn:
                    found = await LISTS[what.desk](
                        self.hub, conn, what.organization, what.show, what.start
                    )
            except (
                Exception
            ) as error:  # of one list, which is looked at again; others are not kept waiting
                _stumbled(error)
                continue
            self._tell([one for one in held if one.what == what], digest(found))

    def _tell(self, held: list[Waiting], now: bytes) -> None:
        """held: who waited before it was looked; who came since has perhaps read what is newer."""
        for one in held:
            if (marked := mark(one.token, now)) != one.seen:
                if one.seen is not None:
                    one.stirred.set()
                one.seen = marked

    async def keep_looking(self) -> None:
        """Until it is cancelled; a database that is away is waited for."""
        while True:
            await asyncio.sleep(self.bounds.poll.total_seconds())
            if self._open:
                try:
                    await self.look()
                except Exception as error:
                    _stumbled(error)


def _stumbled(error: Exception) -> None:
    level = "warning" if is_outage(error) else "error"
    log("lookout.stumbled", level=level, error=type(error).__name__)
