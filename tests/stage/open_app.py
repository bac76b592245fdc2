"""An app that people sign in to, as it asks the authorization server."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import httpx2
from open_door import OPERATOR
from open_hub import BASE, House

from coordhub.access import passwords, totp
from coordhub.admin import registering
from coordhub.admin.registering import App as Registered
from coordhub.admin.registering import Keys
from coordhub.authorization import codes, launch
from coordhub.authorization.context import Context
from coordhub.store import accounts
from coordhub.store.accounts import Person, Secret

BACK = "https://app.example/back"
PASSWORD = "four words in a row"
KEY = b"a test key that is long enough for it"
"""Of the doors."""


@dataclass(frozen=True, slots=True)
class App:
    """A public one. verifier: of PKCE, for all that it asks for."""

    house: House
    name: str = "journal"
    back: str = BACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    async def register(
        self,
        scope: str = "launch/patient openid fhirUser offline_access patient/*.cruds user/*.cruds",
    ) -> None:
        await registering.register(
            self.house.engine, OPERATOR, self.name, self.house.clinic.reference, scope, Keys(),
            self.house.clock(), Registered("Journal", (self.back,)),
        )  # fmt: skip

    @property
    def challenge(self) -> str:
        made = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    def asked(self, scope: str | None, **others: str | None) -> str:
        """The query of its request."""
        whole = {
            "response_type": "code",
            "client_id": self.name,
            "redirect_uri": self.back,
            "scope": scope,
            "state": "a state",
            "aud": BASE,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **others,
        }
        return urlencode({name: value for name, value in whole.items() if value is not None})

    def form(self, code: str, **others: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "client_id": self.name,
            "code": code,
            "redirect_uri": self.back,
            "code_verifier": self.verifier,
            **others,
        }

    def again(self, token: str, **others: str) -> dict[str, str]:
        return {
            "grant_type": "refresh_token", "client_id": self.name, "refresh_token": token, **others,
        }  # fmt: skip

    async def tokens(self, http: httpx2.AsyncClient, code: str) -> dict[str, Any]:
        answered = await http.post("/auth/token", data=self.form(code))
        assert answered.status_code == 200, answered.text
        return dict(answered.json())


async def leave(
    http: httpx2.AsyncClient, app: App, scope: str, subject: int | None = None, person: str = "ana"
) -> str:
    """A person of the clinic has allowed it, with no page: the code."""
    context: Context = http._transport.app.state.authorization  # type: ignore[attr-defined]
    asked = await launch.judged(context, app.asked(scope))
    return await codes.allow(
        context, asked, person, app.house.clinic.rid, subject, asked.wish, None
    )


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in, with what that takes."""

    id: str
    email: str
    factor: bytes

    def form(self, house: House) -> dict[str, str]:
        secret = totp.secret_of(self.factor, KEY)
        code = totp.code_at(secret, totp.step_at(house.clock()))
        return {"email": self.email, "password": PASSWORD, "code": code}


async def account(house: House, email: str, rid: int, role: str = "program-staff") -> Account:
    """Of who works for the organization (rid), or of the patient itself."""
    salt, factor = b"salt" * 4, totp.new_factor()
    one = Person(uuid4().hex, rid, email, "Ana Ruiz", (role,), True, None, factor)
    async with house.engine.pool.acquire() as conn:
        await accounts.add(conn, one, Secret(salt, passwords.hashed(PASSWORD, salt)), house.clock())
    return Account(one.id, email, factor)


@dataclass(slots=True)
class Browser:
    """Somebody's: it keeps cookies, and goes where pages of this site lead, and no further."""

    http: httpx2.AsyncClient
    house: House
    page: httpx2.Response | None = None

    async def opens(self, address: str) -> httpx2.Response:
        return await self._followed(await self.http.get(address))

    async def sends(self, **fields: str) -> httpx2.Response:
        """The one form of the page that asks something."""
        assert self.page is not None
        [action] = re.findall(
            r'<form method="post" action="([^"]*/(?:allow|sign-in)[^"]*)"', self.page.text
        )
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.page.text))
        whole = {name: html.unescape(value) for name, value in hidden.items()} | fields
        return await self._followed(await self.http.post(html.unescape(action), data=whole))

    async def _followed(self, answered: httpx2.Response) -> httpx2.Response:
        while answered.status_code == 303 and answered.headers["location"].startswith("/"):
            answered = await self.http.get(answered.headers["location"])
        onward = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answered.text)
        if onward is not None:
            return await self.opens(html.unescape(onward[1]))
        self.page = answered
        return answered

    async def signs_in(self, who: Account) -> httpx2.Response:
        self.house.clock.ahead += timedelta(seconds=30)  # no code is good twice
        return await self.sends(**who.form(self.house))

    def offered(self) -> list[str]:
        """What the page says that the app wants, in its words."""
        assert self.page is not None
        return [
            html.unescape(said)
            for said in re.findall(r'name="s\d+" checked> ([^<]+)</label>', self.page.text)
        ]

    async def allows(self, *but: int, **fields: str) -> httpx2.Response:
        """but: numbers of what is unticked."""
        ticked = {f"s{at}": "on" for at in range(len(self.offered())) if at not in but}
        return await self.sends(act="allow", **ticked, **fields)


def returned(answered: httpx2.Response, back: str = BACK) -> dict[str, str]:
    """What the app is told, by where the browser is sent."""
    assert answered.status_code == 303, answered.text
    where, _, query = answered.headers["location"].partition("?")
    assert where == back
    return dict(parse_qsl(query))
