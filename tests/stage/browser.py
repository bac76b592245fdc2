"""A browser of somebody who works for an organization, the hub's time a little ahead, and accounts."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import httpx2
import pytest

from coordhub.access import totp
from coordhub.admin import people
from coordhub.admin.acts import Operator
from coordhub.record.hub import system_clock

OWN = "four words in a row"


class Clock:
    """The hub's time, a little ahead of the world's."""

    ahead = timedelta()

    def __call__(self):
        return system_clock() + self.ahead


@pytest.fixture
def clock():
    return Clock()


class Browser:
    """Somebody's: it keeps cookies, and follows where it is sent. page: the last that it was shown."""

    def __init__(self, http, clock):
        self.http, self.clock, self.page, self.secret = http, clock, None, b""

    async def opens(self, path, **options):
        self.page = await self.http.get(path, **options)
        return self.page

    async def sends(self, path, **fields):
        hidden = dict(re.findall(r'name="(seal|seen)" value="([^"]*)"', self.page.text))
        self.page = await self.http.post(path, data={**hidden, **fields})
        return self.page

    def code(self):
        return totp.code_at(self.secret, totp.step_at(self.clock()))

    async def sets_up(self, email, password):
        """The first time: from the first password to the list."""
        await self.opens("/portal")
        await self.sends("/portal/sign-in", email=email, password=password, code="")
        assert self.page.url.path == "/portal/set-up", self.page.text
        uri = re.search(r'href="(otpauth://totp/[^"]+)"', self.page.text)[1]
        text = re.search(r"secret=([A-Z2-7]+)", uri)[1]
        assert text in re.search(r"<code>([^<]+)</code>", self.page.text)[1].replace(" ", "")
        self.secret = base64.b32decode(text)
        return await self.sends("/portal/set-up", password=OWN, again=OWN, code=self.code())

    async def signs_in(self, email, password=OWN, code=None):
        await self.opens("/portal/sign-in")
        return await self.sends(
            "/portal/sign-in", email=email, password=password, code=code or self.code()
        )


@pytest.fixture
async def browser(house, clock):
    async with httpx2.AsyncClient(
        base_url=str(house.http.base_url), follow_redirects=True, timeout=30
    ) as http:
        yield Browser(http, clock)


async def joins(house, organization, email, *roles):
    """An operator makes the account; its first password."""
    return await people.add(
        house.hub.engine, Operator("rosa"), organization.reference, email, "Pat Pantry",
        roles or ("program-staff",),        house.hub.clock(),
    )  # fmt: skip
