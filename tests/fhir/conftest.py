"""A running API on a fresh database, and three organizations that share nothing."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "stage"))

import httpx2
import msgspec
import pytest
from pydantic import SecretStr

from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.access.token import Tokens
from coordhub.app import build
from coordhub.fhir.context import Context
from coordhub.r4 import document, structure
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.settings import Settings
from coordhub.store import clients
from coordhub.store.visibility import DIRECTORY

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import PROVIDER

KEY = "a test key that is long enough for it"
LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """Calls the API as one organization."""

    http: httpx2.AsyncClient
    token: str
    reference: str
    rid: int
    tokens: Tokens
    client: str

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: Any = None,
        token: str | None = None,
    ) -> httpx2.Response:
        """`body` is sent as FHIR JSON; `content` as it is. `path` is below /fhir.

        Whatever is answered must be valid R4.
        """
        sent = {"Authorization": f"Bearer {token or self.token}"}
        if body is not None:
            content = msgspec.json.encode(body)
        if content is not None:
            sent["Content-Type"] = "application/fhir+json"
        answered = await self.http.request(
            method, f"/fhir{path}", content=content, headers={**sent, **(headers or {})}
        )
        if answered.content and "content-disposition" not in answered.headers:
            assert answered.headers["content-type"] == "application/fhir+json; charset=utf-8"
            assert structure.check(document.parse(answered.content)) == []
        assert answered.headers["x-request-id"]
        return answered

    def narrow(self, scope: str, context: Context) -> str:
        """A token of the same client with less scope."""
        return self.tokens.issue(
            self.client, scope, now=context.hub.clock(), lifetime=timedelta(hours=1)
        )


@dataclass(frozen=True, slots=True)
class House:
    """near, far and third share nothing; context is the running app's."""

    http: httpx2.AsyncClient
    near: Sender
    far: Sender
    third: Sender
    context: Context
    app: Any

    async def audited(self) -> list[dict[str, Any]]:
        """The audit, oldest first."""
        async with self.context.hub.engine.pool.acquire() as conn:
            rows = await conn.fetch(
                "select client, interaction, outcome, fhir_id, rids, query, request_id"
                " from audit order by seq"
            )
        return [dict(row) for row in rows]

    async def stored(self) -> dict[str, int]:
        """Rows by table, of all that a write can leave behind; of refusals the audit may tell."""
        async with self.context.hub.engine.pool.acquire() as conn:
            names = [
                row["name"]
                for row in await conn.fetch(
                    "select c.oid::regclass::text as name from pg_class c"
                    " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')"
                    " and not c.relispartition and c.relname not in ('audit', 'code_system')"
                )
            ]
            assert {"resource", "change", "idempotency", "access_grant"} <= set(names)
            return {name: await conn.fetchval(f"select count(*) from {name}") for name in names}


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    settings = Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "token_key": SecretStr(KEY),
            "max_body_bytes": LIMIT,
            "base_url": "http://hub.example/fhir",
            "pool_size": 6,
        }
    )
    app = build(settings)
    async with app.router.lifespan_context(app):
        context: Context = app.state.context
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:
            near = await _sender(http, context, "near")
            far = await _sender(http, context, "far")
            third = await _sender(http, context, "third")
            yield House(http, near, far, third, context, app)


async def _sender(http: httpx2.AsyncClient, context: Context, name: str) -> Sender:
    hub, now = context.hub, context.hub.clock()
    steward = Caller(None, DIRECTORY, "Organization/directory", scopes.EVERYTHING)
    organization = {**PROVIDER, "name": f"{name} clinic"}
    done = await commit(hub, steward, [Create("Organization", organization)], interaction="create")
    made = done.written[0]
    async with hub.engine.pool.acquire() as conn:
        await clients.register(
            conn,
            name,
            made.rid,
            "system/*.cruds",
            update_as_create=False,
            now=now,
            role="privacy-officer",
        )
    token = context.tokens.issue(name, "system/*.cruds", now=now, lifetime=timedelta(hours=1))
    return Sender(http, token, made.reference, made.rid, context.tokens, name)
