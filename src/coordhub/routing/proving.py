"""A changed Endpoint proves itself before anything is sent there again.

http://hl7.org/fhir/R4/http.html#capabilities

As the steward first wrote it it is vouched for. What it says after a change (its address, the headers that let
the hub in) may be a slip or somebody's doing: so the hub asks there for the capabilities, with those headers and
no content, and what waits goes on once it has answered as a FHIR server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from coordhub.record.hub import Hub
from coordhub.routing.channels.channel import Channel, Delivered, Greeter
from coordhub.store import proofs
from coordhub.telemetry import log

LEASE: Final = timedelta(minutes=1)
"""Longer than an answer may take."""

ALERT: Final = 3
"""Failures in a row after which operators are told."""

REASON: Final = "its Endpoint was changed and has not answered the handshake yet"


@dataclass(frozen=True, slots=True)
class Spoken:
    """How an Endpoint is spoken to. version: of the resource; 1: as it was first written."""

    endpoint: int
    version: int
    address: str
    headers: Mapping[str, str]

    @property
    def fingerprint(self) -> bytes:
        said = json.dumps([self.address, sorted(self.headers.items())])
        return hashlib.sha256(said.encode()).digest()


async def waits_until(
    hub: Hub, channel: Channel, spoken: Spoken, park: timedelta
) -> datetime | None:
    """None: it may be sent to. Else it has not proved itself, and is asked again then."""
    if spoken.version == 1:
        return None
    now, said = hub.clock(), spoken.fingerprint
    async with hub.engine.pool.acquire_at_last() as conn:
        if await proofs.is_proved(conn, spoken.endpoint, said):
            return None
        again = await proofs.take(conn, spoken.endpoint, said, now, LEASE)
    if again is not None:
        return again
    assert isinstance(channel, Greeter)
    answered = await channel.greet(spoken.address, spoken.headers, f"proof-{spoken.endpoint}")
    now = hub.clock()
    async with hub.engine.pool.acquire_at_last() as conn:
        if isinstance(answered, Delivered):
            await proofs.proved(conn, spoken.endpoint, said, now)
            log("endpoint.proved", endpoint=spoken.endpoint)
            return None
        failures = await proofs.failed(conn, spoken.endpoint, said, now + park, answered.reason)
    log(
        "endpoint.unproved",
        level="error" if failures >= ALERT else "warning",
        endpoint=spoken.endpoint,
        failures=failures,
        reason=answered.reason,
    )
    return now + park
