"""An app opened out of a record: who, about whom and at what is handed over, once, and to nobody else."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from open_app import App, Browser, account, returned
from open_door import BASE, JWT_BEARER, OPERATOR, ORIGIN, Backend, doors
from open_hub import House, patient

from coordhub.admin import people
from coordhub.admin.acts import NothingDone
from coordhub.authorization.identity import new_keys
from coordhub.authorization.opening import LIFETIME
from coordhub.store import launches

SCOPE = "launch openid fhirUser offline_access patient/*.rs user/Task.rs"
BEGINS = "https://app.example/launch"


@dataclass(frozen=True, slots=True)
class Play:
    house: House
    app: App
    ehr: Backend
    http: httpx2.AsyncClient

    @property
    def browser(self) -> Browser:
        fresh = httpx2.AsyncClient(transport=self.http._transport, base_url=self.http.base_url)
        return Browser(fresh, self.house)

    def asked(self, **form: str) -> dict[str, str]:
        signed = self.ehr.signed(self.ehr.claims(aud=f"{ORIGIN}/auth/launch"))
        proof = {"client_assertion_type": JWT_BEARER, "client_assertion": signed}
        return {**proof, "app": self.app.name, **form}

    async def opens(self, **form: str) -> httpx2.Response:
        return await self.http.post("/auth/launch", data=self.asked(**form))

    async def word(self, **form: str) -> str:
        answered = await self.opens(**form)
        assert answered.status_code == 200, answered.text
        return str(answered.json()["launch"])

    def address(self, word: str, scope: str = SCOPE) -> str:
        return f"/auth/authorize?{self.app.asked(scope, launch=word)}"


@pytest.fixture
async def play(house: House, ehr: Backend, tmp_path: Path) -> AsyncIterator[Play]:
    keys = tmp_path / "identity.jwks.json"
    keys.write_text(new_keys("one"))
    async with doors(house, identity_keys=keys) as [http]:
        app = App(house)
        await app.register(SCOPE)
        await ehr.register()
        async with house.engine.pool.acquire() as conn:
            await launches.begin_at(conn, app.name, BEGINS)
        yield Play(house, app, ehr, http)


async def test_given_an_ehr_when_it_opens_an_app_then_who_signs_in_is_told_of_whom_and_as_which_practitioner(
    play: Play,
) -> None:
    house, app, http = play.house, play.app, play.http
    mine = await house.create(house.clinic, {**patient(), "name": [{"family": "Vogelsang"}]})
    doctor = await house.create(house.clinic, {"resourceType": "Practitioner"})
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    now = house.clock()
    with pytest.raises(NothingDone):
        await people.practitioner(house.engine, OPERATOR, ana.email, mine.reference, now)
    await people.practitioner(house.engine, OPERATOR, ana.email, doctor.reference, now)

    told = (await play.opens(patient=mine.reference)).json()
    assert (
        told["address"]
        == f"{BEGINS}?iss={BASE.replace(':', '%3A').replace('/', '%2F')}&launch={told['launch']}"
    )
    browser = play.browser
    await browser.opens(play.address(told["launch"]))
    page = await browser.signs_in(ana)
    assert "It is about Vogelsang." in page.text
    assert "Whose record" not in page.text
    assert "Know which record of this hub is yours" in browser.offered()
    code = returned(await browser.allows())["code"]
    given = await app.tokens(http, code)
    assert (given["patient"], given["need_patient_banner"]) == (mine.id, True)
    published = (await http.get("/auth/jwks.json")).json()
    said = jwt.decode(given["id_token"], KeySet.import_key_set(published), algorithms=["RS256"])
    assert said.claims["fhirUser"] == f"{BASE}/{doctor.reference}"
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    assert (await http.get("/auth/userinfo", headers=bearer)).json()["fhirUser"] == (
        f"{BASE}/{doctor.reference}"
    )
    asked = {**play.asked(token=given["access_token"])}
    asked["client_assertion"] = play.ehr.signed(play.ehr.claims(aud=f"{ORIGIN}/auth/introspect"))
    seen = (await http.post("/auth/introspect", data=asked)).json()
    assert (seen["sub"], seen["patient"], seen["fhirUser"]) == (
        ana.id, mine.id, f"{BASE}/{doctor.reference}",
    )  # fmt: skip

    # once: neither the same word again, nor the page that was open beside
    assert returned(await browser.opens(play.address(told["launch"])))["error"] == "invalid_request"
    # the same app, opened at the same person's again, is not asked for leave again
    later = returned(await browser.opens(play.address(await play.word(patient=mine.id))))
    assert (await app.tokens(http, later["code"]))["patient"] == mine.id


async def test_given_a_word_when_another_shows_it_or_too_late_then_it_is_worth_nothing(
    play: Play,
) -> None:
    house, browser = play.house, play.browser
    mine = await house.create(house.clinic, patient())
    hidden = await house.create(house.stranger, patient())
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    bo = await account(house, "bo@stranger.example", house.stranger.rid)
    for form in (
        {"patient": hidden.reference}, {"patient": "no"}, {"patient": "a/b"}, {"patient": "\0"},
        {"task": mine.reference}, {"app": "ehr"}, {"app": "nobody"}, {"app": ""},
    ):  # fmt: skip
        answered = await play.opens(**form)
        assert (answered.status_code, answered.json()["error"]) == (400, "invalid_request"), form
    assert (await play.http.post("/auth/launch", data={"app": play.app.name})).status_code == 401

    word = await play.word(patient=mine.reference)
    elsewhere = play.browser
    await elsewhere.opens(play.address(word))
    assert returned(await elsewhere.signs_in(bo))["error"] == "access_denied"
    other = App(house, "other")
    await other.register(SCOPE)
    page = await browser.opens(f"/auth/authorize?{other.asked(SCOPE, launch=word)}")
    assert returned(page)["error"] == "invalid_request"
    page = await browser.opens(play.address(word, "patient/*.rs"))
    assert returned(page)["error"] == "invalid_scope"
    for wrong in ("", "x", f"{word}x", "é", "\0"):
        page = await browser.opens(play.address(wrong))
        assert returned(page)["error"] == "invalid_request"
    await browser.opens(play.address(word))
    page = await browser.signs_in(ana)
    assert page.url.path == "/portal/allow"
    house.clock.ahead += LIFETIME - timedelta(seconds=30)
    assert returned(await browser.allows())["error"] == "invalid_request"
    assert returned(await browser.opens(play.address(word)))["error"] == "invalid_request"


async def test_given_a_request_on_the_page_when_an_app_is_opened_there_then_it_is_told_which(
    play: Play,
) -> None:
    house, app, http = play.house, play.app, play.http
    mine = await house.create(house.clinic, patient())
    task = await house.create(
        house.clinic,
        {
            "resourceType": "Task", "status": "requested", "intent": "order",
            "for": {"reference": mine.reference}, "owner": {"reference": house.clinic.reference},
            "code": {"text": "call"},
        },
    )  # fmt: skip
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    bo = await account(house, "bo@clinic.example", house.clinic.rid)
    browser, other = play.browser, play.browser
    await browser.opens("/portal/sign-in")
    await browser.signs_in(ana)
    page = await browser.opens(f"/portal/tasks/{task.id}")
    assert "Open Journal" in page.text
    seal = re.findall(r'name="seal" value="(\w+)"', page.text)[0]

    async def opened(**form: str) -> httpx2.Response:
        whole: dict[str, Any] = {"seal": seal, "act": "open", "app": app.name, **form}
        return await browser.http.post(f"/portal/tasks/{task.id}", data=whole)

    assert (await opened(app="nobody")).status_code == 404
    assert (await opened(seal="x")).status_code == 404
    page = await opened()
    onward = html.unescape(re.findall(r'content="0; url=([^"]+)"', page.text)[0])
    told = dict(parse_qsl(urlsplit(onward).query))
    assert (onward.partition("?")[0], told["iss"]) == (BEGINS, BASE)
    await other.opens(play.address(told["launch"]))
    assert returned(await other.signs_in(bo))["error"] == "access_denied"
    await browser.opens(play.address(told["launch"]))
    given = await app.tokens(http, returned(await browser.allows())["code"])
    assert (given["patient"], given["fhirContext"]) == (
        mine.id, [{"reference": task.reference}],
    )  # fmt: skip
    again = (await http.post("/auth/token", data=app.again(given["refresh_token"]))).json()
    assert again["fhirContext"] == given["fhirContext"]
