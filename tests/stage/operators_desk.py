"""The desk of an operator who comes by HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from open_hub import House
from pydantic import SecretStr

from coordhub.admin import acts
from coordhub.admin.acts import Operator
from coordhub.app import build
from coordhub.settings import Settings

KEY = b"a test key that is long enough for it"
BY = Operator("rosa")
ALL = (
    "deliveries.read deliveries.act deliveries.content partners.read partners.act partners.approve"
)


@dataclass(frozen=True, slots=True)
class Desk:
    """Of an operator who may do all."""

    house: House
    http: httpx2.AsyncClient
    token: str

    async def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {token or self.token}"}
        answered = await self.http.request(method, f"/admin/v1{path}", json=body, headers=sent)
        return answered.status_code, answered.json()

    async def refused(
        self, method: str, path: str, body: Any = None, **given: str
    ) -> tuple[int, str]:
        status, outcome = await self.ask(method, path, body, **given)
        assert outcome["resourceType"] == "OperationOutcome"
        return status, outcome["issue"][0]["diagnostics"]

    async def may(self, name: str, scope: str) -> str:
        """A token of an operator with this scope."""
        engine, now = self.house.engine, self.house.clock()
        await acts.register_operator(engine, BY, name, scope, now)
        return await acts.operator_token(engine, BY, name, None, KEY, timedelta(hours=1), now)

    async def audited(self, act: str) -> list[tuple[Any, ...]]:
        return await self.house.rows(
            "select query, delivery from audit where interaction = $1 order by seq", act
        )


@pytest.fixture
async def desk(house: House) -> AsyncIterator[Desk]:
    settings = Settings.model_validate(
        {"token_key": SecretStr(KEY.decode()), "outbound_networks": "127.0.0.0/8"}
    )
    app = build(settings, house.hub)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:
            desk = Desk(house, http, "")
            yield Desk(house, http, await desk.may("omar", ALL))
