"""The EHR's own FHIR server, asked for what did not come along, with the token that did.

https://cds-hooks.hl7.org/2.0/#passing-the-access-token-to-the-cds-service

Only where the directory vouches for it: nobody has the hub call an address of its choice. What does not come
in time, or is not what was asked for, is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from coordhub.directory import bases
from coordhub.errors import FhirError
from coordhub.outbound.client import Answer, Outbound
from coordhub.r4 import document as fhir_json
from coordhub.store.engine import Engine


class Servers:
    """opened: makes the client of the world, when it is needed first."""

    def __init__(self, engine: Engine, base: str, opened: Callable[[], Outbound]) -> None:
        self._engine = engine
        self._base = base
        self._opened = opened
        self._outbound: Outbound | None = None
        self._lock = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()

    async def close(self) -> None:
        await self._stack.aclose()

    async def read(
        self, organization: int, server: str, token: str, reference: str, now: datetime
    ) -> Mapping[str, Any] | None:
        """`Type/id` of that server, if it is one of the organization's; None otherwise."""
        url = f"{server.rstrip('/')}/{reference}"
        async with self._engine.pool.acquire() as conn:
            own = await bases.verified(conn, organization, self._base, now)
        if not any(base.below(url) == reference for base in own):
            return None
        sent = {"Accept": "application/fhir+json", "Authorization": f"Bearer {token}"}
        answered = await (await self._client()).send("GET", url, sent)
        if not isinstance(answered, Answer) or answered.status != 200:
            return None
        try:
            found = fhir_json.parse(answered.body)
        except FhirError:
            return None
        kind, _, fhir_id = reference.partition("/")
        is_it = (found.get("resourceType"), found.get("id")) == (kind, fhir_id)
        return found if is_it else None

    async def _client(self) -> Outbound:
        async with self._lock:
            if self._outbound is None:
                self._outbound = await self._stack.enter_async_context(self._opened())
            return self._outbound
