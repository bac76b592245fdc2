"""Browsers of people at the portal, each with cookies of its own, at a hub that has passkeys."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from authenticator import Authenticator
from open_app import Account
from open_door import doors
from open_hub import House

ORIGIN, RP = "https://hub.example", "hub.example"


@dataclass(slots=True)
class Window:
    """Of one browser: what it was shown last, and its cookies."""

    http: httpx2.AsyncClient
    house: House
    page: httpx2.Response | None = None

    async def opens(self, path: str) -> httpx2.Response:
        self.page = await self.http.get(path)
        return self.page

    async def sends(self, path: str, **fields: str) -> httpx2.Response:
        shown = self.page.text if self.page is not None else ""
        seal = dict(re.findall(r'name="(seal)" value="([^"]*)"', shown))
        self.page = await self.http.post(path, data={**seal, **fields})
        return self.page

    async def signs_in(self, who: Account) -> None:
        self.house.clock.ahead += timedelta(seconds=30)  # no code is good twice
        page = await self.http.post("/portal/sign-in", data=who.form(self.house))
        assert page.status_code == 303

    async def is_in(self) -> bool:
        page = await self.http.get("/portal")
        return page.headers["location"] != "/portal/sign-in"

    async def adds(self, one: Authenticator) -> httpx2.Response:
        await self.opens("/portal/you")
        shown = self.page
        asked = await self.sends("/portal/you/passkey")
        self.page = shown
        if asked.status_code != 200:
            return asked
        return await self.sends(
            "/portal/you/passkeys", credential=one.makes(asked.json()), name="Phone"
        )

    async def asked(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.post("/portal/sign-in/passkey")).json()
        return found

    async def shows(self, credential: str) -> int:
        form = {"credential": credential}
        return (await self.http.post("/portal/sign-in/with-passkey", data=form)).status_code

    async def enters(self, one: Authenticator) -> int:
        return await self.shows(one.uses_it(await self.asked()))


Opens = Callable[[], Window]


@pytest.fixture
async def windows(house: House) -> AsyncIterator[Opens]:
    hub = dataclasses.replace(house.hub, base=f"{ORIGIN}/fhir")
    async with doors(dataclasses.replace(house, hub=hub)) as [http]:
        transport = http._transport
        yield lambda: Window(
            httpx2.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60), house
        )
