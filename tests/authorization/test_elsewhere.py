"""People sign in at another OpenID provider: bound to an account, and nobody else by whatever it or others say."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from open_app import App, Browser, account, returned
from open_door import OPERATOR, ORIGIN, doors
from open_hub import House, patient
from open_provider import CLIENT, OTHER, SECRET, IdP, provider

from coordhub.admin import people
from coordhub.admin.acts import NothingDone


@dataclass(frozen=True, slots=True)
class Play:
    house: House
    idp: IdP
    http: httpx2.AsyncClient

    @property
    def browser(self) -> Browser:
        fresh = httpx2.AsyncClient(transport=self.http._transport, base_url=self.http.base_url)
        return Browser(fresh, self.house)

    async def leaves(self, browser: Browser, to: str = "") -> dict[str, str]:
        """To the provider, where somebody signs in; what the browser brings back."""
        page = await browser.http.get(f"/portal/sign-in/elsewhere{to}")
        assert page.status_code == 303, page.text
        assert page.headers["location"].startswith(f"{self.idp.address}/authorize?")
        return self.idp.lets_in(page.headers["location"])

    async def comes_back(self, browser: Browser, said: dict[str, str]) -> httpx2.Response:
        return await browser.http.get("/portal/sign-in/back", params=said)

    async def is_in(self, browser: Browser) -> bool:
        page = await browser.http.get("/portal")
        return page.headers.get("location", "").endswith(("/worklist", "/apps"))

    async def signs_in(self, browser: Browser) -> int:
        status = (await self.comes_back(browser, await self.leaves(browser))).status_code
        assert (status == 200) == await self.is_in(browser)
        return status


@pytest.fixture
async def play(house: House) -> AsyncIterator[Play]:
    async with (
        provider(house.clock) as idp,
        doors(
            house, sign_in_issuer=idp.address, sign_in_client=CLIENT, sign_in_secret=SECRET,
            sign_in_title="Clinic",
        ) as [http],
    ):  # fmt: skip
        yield Play(house, idp, http)


async def test_given_an_account_that_is_bound_when_it_signs_in_elsewhere_then_it_is_in_and_allows_apps(
    play: Play,
) -> None:
    house, idp, browser = play.house, play.idp, play.browser
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    shown = (await browser.opens("/portal/sign-in")).text
    assert "Sign in with Clinic" in shown
    page = await play.comes_back(browser, await play.leaves(browser))
    assert page.status_code == 401
    assert idp.subject in page.text, "who is proven hears what to be bound by"

    engine, now = house.engine, house.clock()
    await people.bind(engine, OPERATOR, ana.email, idp.address, idp.subject, now)
    for again in ((ana.email, "other"), ("ana@nowhere.example", "other")):
        with pytest.raises(NothingDone):
            await people.bind(engine, OPERATOR, again[0], idp.address, again[1], now)
    app = App(house)
    await app.register()
    mine = await house.create(house.clinic, patient())
    page = await browser.opens(f"/auth/authorize?{app.asked('launch/patient patient/*.rs')}")
    onward = page.text.partition("sign-in/elsewhere?to=")[2].partition('"')[0]
    back = await play.comes_back(browser, await play.leaves(browser, f"?to={onward}"))
    assert back.status_code == 200
    page = await browser._followed(back)
    assert page.url.path == "/portal/allow"
    said = returned(await browser.allows(patient=mine.id))
    assert (await app.tokens(play.http, said["code"]))["patient"] == mine.id
    form, authorization = idp.posts[-1]
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == (
        f"{CLIENT}:{SECRET.replace(' ', '+')}"
    )
    assert "client_secret" not in form

    await people.unbind(engine, OPERATOR, ana.email, idp.address, now)
    assert not await play.is_in(browser)
    assert await play.signs_in(browser) == 401
    await people.bind(engine, OPERATOR, ana.email, idp.address, idp.subject, now)
    await people.deactivate(engine, OPERATOR, ana.email, now)
    assert await play.signs_in(browser) == 401


LIES: list[tuple[str, Callable[[IdP], None]]] = [
    ("nonce", lambda idp: idp.lies.update(nonce="another")),
    ("no nonce", lambda idp: idp.lies.update(nonce=None)),
    ("issuer", lambda idp: idp.lies.update(iss="https://other.example")),
    ("audience", lambda idp: idp.lies.update(aud="other")),
    ("audiences", lambda idp: idp.lies.update(aud=["hub", "other"])),
    ("azp", lambda idp: idp.lies.update(azp="other")),
    ("expired", lambda idp: idp.lies.update(exp=int(idp.now().timestamp()) - 61)),
    ("exp", lambda idp: idp.lies.update(exp="tomorrow")),
    ("no iat", lambda idp: idp.lies.update(iat=None)),
    ("from tomorrow", lambda idp: idp.lies.update(nbf=int(idp.now().timestamp()) + 3600)),
    ("at_hash", lambda idp: idp.lies.update(at_hash="AAAA")),
    ("subject", lambda idp: idp.lies.update(sub=7)),
    ("key", lambda idp: setattr(idp, "key", OTHER)),
    ("kid", lambda idp: setattr(idp, "kid", "two")),
    ("none", lambda idp: setattr(idp, "algorithm", "none")),
    ("public key as a secret", lambda idp: setattr(idp, "algorithm", "HS256")),
]


async def test_given_a_token_that_is_not_for_this_when_signing_in_then_nobody_is_in_and_all_hear_the_same(
    play: Play,
) -> None:
    house, idp = play.house, play.idp
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    await people.bind(house.engine, OPERATOR, ana.email, idp.address, idp.subject, house.clock())
    heard = set()
    good = replace(idp, lies={})
    for name, lie in LIES:
        lie(idp)
        browser = play.browser
        page = await play.comes_back(browser, await play.leaves(browser))
        assert (page.status_code, await play.is_in(browser)) == (401, False), name
        heard.add(page.text)
        idp.lies, idp.key, idp.kid = {}, good.key, good.kid
        idp.algorithm = good.algorithm
        house.clock.ahead += timedelta(minutes=1)  # an address is listened to for so many tries
    assert len(heard) == 1
    idp.kid = None
    idp.lies = {"aud": ["hub", "other"], "azp": "hub", "nbf": int(house.clock().timestamp())}
    assert await play.signs_in(play.browser) == 200


async def test_given_an_answer_that_was_not_asked_for_when_brought_back_then_nobody_is_in(
    play: Play,
) -> None:
    house, idp = play.house, play.idp
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    await people.bind(house.engine, OPERATOR, ana.email, idp.address, idp.subject, house.clock())

    async def refused(browser: Browser, said: dict[str, str]) -> None:
        assert (await play.comes_back(browser, said)).status_code == 401
        assert not await play.is_in(browser)

    mine, robbed = play.browser, play.browser
    said = await play.leaves(mine)
    await refused(robbed, said)  # another browser than left: a sign-in forced upon somebody
    said = await play.leaves(robbed)
    await refused(robbed, {**said, "iss": "https://other.example"})  # mixed up (RFC 9207)
    said = await play.leaves(robbed)
    await refused(robbed, {name: said[name] for name in ("state", "code")})
    said = await play.leaves(robbed)
    await refused(robbed, {**said, "state": "x"})
    said = await play.leaves(robbed)
    await refused(robbed, {**said, "code": "x"})
    await refused(robbed, said)  # the state is used up
    said = await play.leaves(robbed)
    await refused(robbed, {**said, "error": "access_denied"})
    said = await play.leaves(robbed)
    house.clock.ahead += timedelta(minutes=11)
    await refused(robbed, said)  # too late
    said = await play.leaves(mine)
    assert (await play.comes_back(mine, said)).status_code == 200
    held = mine.http.cookies["coordhub_session"]
    await refused(robbed, said)
    again = await play.comes_back(mine, said)  # the state once more, where somebody is in
    assert (again.status_code, mine.http.cookies["coordhub_session"]) == (401, held)


async def test_given_the_setting_when_an_address_is_verified_then_it_binds_once_and_passwords_may_be_off(
    house: House, tmp_path: Path
) -> None:
    key = ECKey.generate_key("P-384", {"kid": "hub-1"})
    kept = tmp_path / "sign-in.jwks.json"
    kept.write_text(json.dumps({"keys": [key.as_dict(private=True)]}))
    await account(house, "ana@clinic.example", house.clinic.rid)
    async with (
        provider(house.clock) as idp,
        doors(
            house, sign_in_issuer=idp.address, sign_in_client=CLIENT, sign_in_keys=kept,
            sign_in_by_email=True, sign_in_passwords=False,
        ) as [http],
    ):  # fmt: skip
        play = Play(house, idp, http)
        idp.verified = False
        assert await play.signs_in(play.browser) == 401
        idp.verified, idp.email = True, "Ana@Clinic.example"
        assert await play.signs_in(play.browser) == 200
        form, authorization = idp.posts[-1]
        claims = jwt.decode(form["client_assertion"], key, algorithms=["ES384"]).claims
        assert (claims["sub"], claims["aud"], authorization) == (CLIENT, f"{idp.address}/token", "")
        idp.subject = "somebody else, who has taken over the address"
        assert await play.signs_in(play.browser) == 401
        idp.subject, idp.email = "248289761001", None
        assert await play.signs_in(play.browser) == 200
        page = await http.get("/portal/sign-in")
        assert 'name="password"' not in page.text
        refused = await http.post("/portal/sign-in", data={"email": "a", "password": "b"})
        assert refused.status_code == 404


async def test_given_a_provider_that_is_away_or_not_itself_when_signing_in_then_it_is_said_and_known_keys_last_a_while(
    play: Play,
) -> None:
    house, idp = play.house, play.idp
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    await people.bind(house.engine, OPERATOR, ana.email, idp.address, idp.subject, house.clock())
    lost: list[dict[str, Any]] = [
        {"issuer": "https://other.example"}, {"issuer": f"{idp.address}/"},
        {"token_endpoint": "file:///etc/passwd"}, {"jwks_uri": None},
    ]  # fmt: skip
    for each in lost:
        idp.says = each
        page = await play.http.get("/portal/sign-in/elsewhere")
        assert (page.status_code, "location" in page.headers) == (503, False), each
        house.clock.ahead += timedelta(minutes=1)
    idp.says = {"authorization_response_iss_parameter_supported": False}
    browser = play.browser
    said = await play.leaves(browser)
    del said["iss"]
    assert (await play.comes_back(browser, said)).status_code == 200
    idp.down = True
    house.clock.ahead += timedelta(minutes=30)
    assert (await play.comes_back(browser, await play.leaves(browser))).status_code == 401
    house.clock.ahead += timedelta(minutes=31)
    assert (await browser.http.get("/portal/sign-in/elsewhere")).status_code == 503


async def test_given_no_provider_when_asked_for_one_then_there_is_none(house: House) -> None:
    async with doors(house) as [http]:
        assert "Sign in with" not in (await http.get("/portal/sign-in")).text
        for path in ("elsewhere", "back?state=x&code=y"):
            page = await http.get(f"/portal/sign-in/{path}")
            assert (page.status_code, urlsplit(str(page.url)).netloc) == (
                404, urlsplit(ORIGIN).netloc,
            )  # fmt: skip
