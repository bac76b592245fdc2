"""Whether a request is taken on now: within what its client may ask, and in its turn.

Whose it is a process knows by the token before it has asked the database, once it has seen that token: so who
asks too much is refused, and waits, before a connection is had. Whether the token is still good is asked all
the same. What no token is known for shares one client's part.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from coordhub.access.caller import Caller
from coordhub.access.rates import Defaults, Rates, Terms, TooMuch
from coordhub.access.token import digest
from coordhub.access.turns import Turn, Turns
from coordhub.errors import FhirError, too_many
from coordhub.store import quotas
from coordhub.store.clients import Allowance
from coordhub.store.engine import Engine
from coordhub.telemetry import THROTTLED

MOST_TOKENS = 20_000
"""Tokens that a process remembers whose they are."""

STRANGERS = ""
"""Who comes with a token that was not seen before."""

_SAID = {
    "rate": "This client asks more often than was agreed with it: wait as Retry-After says, and send what belongs "
    "together in one Bundle.",
    "at-once": "This client has as many requests under way as was agreed with it: wait for an answer before "
    "the next.",
    "day": "This client has made the requests of its day, which begins anew at midnight, UTC.",
}


@dataclass(frozen=True, slots=True)
class Guest:
    """A client while one request of its is under way."""

    client: str
    terms: Terms


@dataclass(slots=True)
class Admission:
    """One per process. clock: seconds since the epoch. places: connections for requests; searching: for searches."""

    engine: Engine
    defaults: Defaults
    clock: Callable[[], float]
    places: int
    searching: int
    failures_per_minute: int = 300
    failures: Rates = field(init=False)
    rates: Rates = field(init=False)
    _turns: Turns = field(init=False)
    _searches: Turns = field(init=False)
    _known: OrderedDict[bytes, Guest] = field(default_factory=OrderedDict)
    _terms: dict[Allowance, Terms] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rates, self.failures = Rates(self.clock), Rates(self.clock)
        self._turns = Turns(self.places)
        self._searches = Turns(self.searching)

    def presumed(self, authorization: str | None) -> Guest | None:
        """Whose the token was when it was last good."""
        return self._known.get(digest(authorization)) if authorization else None

    def learn(self, authorization: str, caller: Caller) -> Guest:
        """The token is good, and the caller's, whose agreement may be another than before."""
        allowed = caller.allowance
        terms = self._terms.get(allowed)
        if terms is None:
            if len(self._terms) > 1000:
                self._terms.clear()
            terms = self._terms[allowed] = self.defaults.of(allowed)
        known = digest(authorization)
        guest = self._known.get(known)
        if guest is None or guest.terms is not terms:
            guest = self._known[known] = Guest(caller.client or STRANGERS, terms)
            if len(self._known) > MOST_TOKENS:
                self._known.popitem(last=False)
        return guest

    def forget(self, authorization: str) -> None:
        """The token is good no longer."""
        self._known.pop(digest(authorization), None)

    def begin(self, guest: Guest) -> None:
        """Count a request that begins, until `end`; 429 if it is one too many."""
        refused = self.rates.begin(guest.client, guest.terms)
        if refused is not None:
            raise self._refused(guest, refused)

    def end(self, guest: Guest) -> None:
        self.rates.end(guest.client)

    def owe(self, guest: Guest, further: int) -> None:
        """It is as much work as so many further requests."""
        self.rates.owe(guest.client, guest.terms, further)

    async def count_of_day(self, guest: Guest) -> None:
        """One of the day's, if it has a number of these; 429 if none is left."""
        per_day = guest.terms.per_day
        if per_day is None:
            return
        now = self.clock()
        day = int(now // 86400)
        while not self.rates.take(guest.client, day):
            asked = max(1, min(1000, per_day // 100))
            async with self.engine.pool.acquire() as conn:
                got, given = await quotas.portion(conn, guest.client, day, asked, per_day)
            self.rates.portion(guest.client, day, got, given)
            if not got:
                raise self._refused(guest, TooMuch("day", 86400 - now % 86400))

    def headers(self, guest: Guest) -> list[tuple[bytes, bytes]]:
        """What an answer says of it, by the draft of the IETF: as a server sends them."""
        standing = self.rates.standing(guest.client, guest.terms)
        return [
            (b"ratelimit-policy", guest.terms.policy.encode()),
            (b"ratelimit", standing.encode()),
        ]

    def failing(self, address: str) -> float:
        """Seconds until who comes from there is listened to; 0: at once."""
        return self.failures.wait(address, self._may_fail)

    def failed(self, address: str) -> None:
        """What was brought from there to say who it is was wrong."""
        self.failures.begin(address, self._may_fail)
        self.failures.end(address)

    @property
    def _may_fail(self) -> Terms:
        most = self.failures_per_minute
        return Terms(most / 60, most, most, None)

    def turn(self, client: str, *, searches: bool = False) -> Turn:
        """Hold one of the places before the database."""
        return Turn(self._searches if searches else self._turns, client)

    @staticmethod
    def _refused(guest: Guest, refused: TooMuch) -> FhirError:
        THROTTLED.labels(refused.what).inc()
        return too_many(_SAID[refused.what], max(1, math.ceil(refused.wait)))


def network(scope: Mapping[str, Any]) -> str:
    """Where it comes from: of IPv6 the /64, of which anybody has as many addresses as it likes."""
    client: Any = scope.get("client")
    try:
        return _network(client[0])
    except (TypeError, ValueError, IndexError):
        return "unknown"


@lru_cache(10_000)
def _network(text: str) -> str:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
