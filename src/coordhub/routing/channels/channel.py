"""What a channel takes and what can come of sending, and of reading: the protocols of all channels.

http://hl7.org/fhir/R4/endpoint.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol, runtime_checkable
from uuid import UUID

Permanence = Literal["permanent", "auth", "config", "conflict", "gone", "transient"]
"""permanent: this content will never be taken. auth: our credentials are not. config: the endpoint
is described wrongly (address, certificate). conflict: the partner's copy is in another state. gone:
there is nothing at that address. transient: may well be taken later."""


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery, rendered.

    key: the same for every attempt of one delivery; what the partner knows a repeat by.
    address: Endpoint.address. headers: further ones, such as Endpoint.header.
    request_id: correlates this attempt across logs of both sides.
    """

    key: UUID
    address: str
    headers: Mapping[str, str]
    body: bytes
    request_id: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The partner has it.

    partner_ids: for each entry in order the partner's `Type/id`, "" where it told none; empty when
    it told nothing. reason: how that is known, where no answer to this attempt says so.
    """

    status: int
    partner_ids: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The partner answered, and does not have it (or cannot be understood to have it).

    status: the HTTP status that decided, of an entry where one did.
    retry_after: how long the partner asks to be left alone.
    reason: for ledger and log; numbers and positions, nothing the partner wrote.
    entry: position of the entry that it is about, where the partner says so.
    partner_ids: as Delivered, of the entries that were taken all the same.
    """

    status: int
    permanence: Permanence
    retry_after: timedelta | None
    reason: str
    entry: int | None = None
    partner_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No complete answer.

    kind: refused, timeout, tls, dns, reset, blocked, too_large, protocol.
    sent_unknown: True when the partner may have received and applied it all the same.
    """

    kind: str
    sent_unknown: bool
    reason: str


Outcome = Delivered | Refused | Unreachable


class Channel(Protocol):
    """Sends one message once."""

    async def send(self, message: Message) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What the partner has at that address. seen: its entity tag; None where it told none."""

    document: dict[str, Any]
    seen: str | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The partner has what was seen before."""


Reading = Found | Unchanged | Refused | Unreachable


@runtime_checkable
class Source(Protocol):
    """Reads one resource once: by its id, or the one that criteria mean."""

    async def read(
        self, base: str, path: str, headers: Mapping[str, str], seen: str | None, request_id: str
    ) -> Reading:
        """`path` below `base` (`Type/id`, `Type/id/_history/2`), unless it is still what was seen."""
        ...

    async def seek(
        self, base: str, query: str, headers: Mapping[str, str], request_id: str
    ) -> Reading:
        """The one match of `Type?criteria` below `base`; none, as of what is not there: gone."""
        ...


@runtime_checkable
class Greeter(Protocol):
    """Says hello, without content."""

    async def greet(self, base: str, headers: Mapping[str, str], request_id: str) -> Outcome:
        """Delivered where one who speaks FHIR answers at `base` to who has these headers."""
        ...
