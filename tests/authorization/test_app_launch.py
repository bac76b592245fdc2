"""An app is let in by a person with a browser: who signs in, allows all or part of it, for whom, and takes it back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from open_app import App, Browser, account, returned
from open_door import BASE, OPERATOR, ORIGIN, doors
from open_hub import House, observation, patient

from coordhub.admin import patients, people
from coordhub.authorization.identity import new_keys
from coordhub.record.proxies import to_bind
from coordhub.store.transact import transact

KEYS = [json.loads(new_keys(kid))["keys"][0] for kid in ("new", "old")]


@dataclass(frozen=True, slots=True)
class Play:
    house: House
    app: App
    http: httpx2.AsyncClient

    @property
    def browser(self) -> Browser:
        """A new one, of nobody."""
        fresh = httpx2.AsyncClient(transport=self.http._transport, base_url=self.http.base_url)
        return Browser(fresh, self.house)

    async def sees(self, token: str, what: str) -> Any:
        answered = await self.http.get(
            f"/fhir/{what}", headers={"Authorization": f"Bearer {token}"}
        )
        if answered.status_code != 200:
            return answered.status_code
        return [one["resource"]["id"] for one in answered.json().get("entry", ())]


@pytest.fixture
async def play(house: House, tmp_path: Path) -> AsyncIterator[Play]:
    keys = tmp_path / "identity.jwks.json"
    keys.write_text(json.dumps({"keys": KEYS}))
    async with doors(house, identity_keys=keys) as [http]:
        app = App(house)
        await app.register()
        yield Play(house, app, http)


async def bound(house: House, rid: int, reference: str) -> None:
    async with house.engine.transaction() as conn:
        _, batch = await to_bind(house.hub, conn, reference)
        await transact(conn, batch, now=house.clock())


async def test_given_staff_when_an_app_asks_then_it_signs_in_chooses_a_patient_allows_part_and_takes_it_back(
    play: Play,
) -> None:
    house, app, browser = play.house, play.app, play.browser
    mine = await house.create(
        house.clinic, {**patient(), "name": [{"family": "Vogelsang", "given": ["Ida"]}]}
    )
    other = await house.create(house.clinic, patient())
    hidden = await house.create(house.stranger, {**patient(), "name": [{"family": "Vogelsang"}]})
    seen = await house.create(house.clinic, observation(mine.reference))
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    asked = app.asked(
        "launch/patient openid fhirUser offline_access patient/*.rs user/Task.rs system/*.rs"
    )

    page = await browser.opens(f"/auth/authorize?{asked}")
    assert page.url.path == "/portal/sign-in"
    page = await browser.signs_in(ana)
    assert page.url.path == "/portal/allow", page.text
    assert "form-action 'self' https://app.example;" in page.headers["content-security-policy"]
    assert browser.offered() == [
        "Know that it is you",
        "Know whose record is chosen",
        "Keep this also while you are away, until you take it back",
        "See, search: everything, of the chosen person only",
        "See, search: requests and how they go, of all that you may see",
    ]
    assert other.id in page.text
    page = await browser.sends(act="find", words="Vogelsang")
    assert (mine.id in page.text, hidden.id in page.text, other.id in page.text) == (
        True,
        False,
        False,
    )
    for nobody in ({}, {"patient": hidden.id}, {"patient": "no"}, {"patient": "\0"}):
        page = await browser.sends(act="allow", s3="on", **nobody)
        assert page.status_code == 422
    page = await browser.sends(act="allow", patient=mine.id)
    assert page.status_code == 422
    await browser.opens(f"/auth/authorize?{asked}")
    said = returned(await browser.allows(4, patient=mine.id))
    assert (said["state"], said["iss"]) == ("a state", BASE)
    given = await app.tokens(play.http, said["code"])
    assert given["patient"] == mine.id
    assert set(given["scope"].split()) == {
        "openid",
        "launch/patient",
        "offline_access",
        "patient/*.rs",
    }
    assert await play.sees(given["access_token"], "Patient") == [mine.id]
    assert await play.sees(given["access_token"], f"Observation/{seen.id}") == []

    page = await browser.opens("/portal/apps")
    assert "Journal" in page.text
    await browser.http.post("/portal/apps", data={"client": app.name, "seal": "x"})
    assert await play.sees(given["access_token"], "Patient") == [mine.id]
    seal = page.text.partition('name="seal" value="')[2].partition('"')[0]
    await browser.http.post("/portal/apps", data={"client": app.name, "seal": seal})
    assert await play.sees(given["access_token"], "Patient") == 401
    again = await play.http.post("/auth/token", data=app.again(given["refresh_token"]))
    assert again.status_code == 400


async def test_given_a_patient_when_an_app_asks_then_its_own_chart_is_shown_until_it_is_let_out(
    play: Play,
) -> None:
    house, app, browser = play.house, play.app, play.browser
    mine = await house.create(house.clinic, patient())
    other = await house.create(house.clinic, patient())
    seen = await house.create(house.clinic, observation(mine.reference))
    await bound(house, mine.rid, mine.reference)
    ida = await account(house, "ida@home.example", mine.rid, "patient")
    await browser.opens(
        f"/auth/authorize?{app.asked('openid fhirUser patient/*.rs user/*.rs', nonce='once')}"
    )
    page = await browser.signs_in(ida)
    assert "Whose record" not in page.text
    given = await app.tokens(play.http, returned(await browser.allows())["code"])
    assert given["patient"] == mine.id
    said = (await play.http.get("/fhir/.well-known/openid-configuration")).json()
    published = (await play.http.get(said["jwks_uri"].removeprefix(ORIGIN))).json()
    assert [one["kid"] for one in published["keys"]] == ["new", "old"]
    assert not any(set(one) & {"d", "p", "q"} for one in published["keys"])
    token = jwt.decode(given["id_token"], KeySet.import_key_set(published), algorithms=["RS256"])
    assert token.header["kid"] == "new"
    assert token.claims.pop("exp") - token.claims.pop("iat") == 600
    assert token.claims == {
        "iss": said["issuer"], "sub": ida.id, "aud": app.name, "nonce": "once",
        "fhirUser": f"{BASE}/{mine.reference}",
    }  # fmt: skip
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    told = await play.http.get("/auth/userinfo", headers=bearer)
    assert told.json() == {"sub": ida.id, "fhirUser": f"{BASE}/{mine.reference}"}
    assert (await play.http.get("/auth/userinfo")).status_code == 401
    assert await play.sees(given["access_token"], "Observation") == [seen.id]
    assert await play.sees(given["access_token"], "Patient") == [mine.id]
    assert await play.sees(given["access_token"], other.reference) == 404

    # asked again for the same: it is remembered; for more, or by its wish, it is not
    said = returned(
        await browser.opens(
            f"/auth/authorize?{app.asked('openid fhirUser patient/*.rs user/*.rs')}"
        )
    )
    assert (await app.tokens(play.http, said["code"]))["patient"] == mine.id
    silent = app.asked("openid fhirUser patient/*.rs user/*.rs", prompt="none")
    assert "code" in returned(await browser.opens(f"/auth/authorize?{silent}"))
    silent = app.asked("patient/*.cruds", prompt="none")
    assert returned(await browser.opens(f"/auth/authorize?{silent}"))["error"] == "consent_required"
    assert (
        returned(await play.browser.opens(f"/auth/authorize?{silent}"))["error"] == "login_required"
    )
    page = await browser.opens(
        f"/auth/authorize?{app.asked('patient/Patient.rs', prompt='consent')}"
    )
    assert returned(await browser.sends(act="deny"))["error"] == "access_denied"

    for path in ("worklist", f"tasks/{other.id}", "board"):
        page = await browser.opens(f"/portal/{path}")
        assert page.status_code == 404 or page.url.path == "/portal/sign-in"
    assert (await browser.opens("/portal")).url.path == "/portal/apps"

    await people.deactivate(house.engine, OPERATOR, ida.email, house.clock())
    assert await play.sees(given["access_token"], "Patient") == 401


async def test_given_an_operator_when_it_makes_a_patients_account_then_the_first_password_is_for_that_chart(
    play: Play,
) -> None:
    house, browser = play.house, play.browser
    mine = await house.create(house.clinic, patient())
    password = await patients.add(house.hub, OPERATOR, mine.reference, "Ida@Home.example", "Ida")
    page = await browser.opens("/portal/sign-in?to=%2Fallow%3Fx")
    assert 'name="to" value="/allow?x"' in page.text
    page = await browser.sends(email="ida@home.example", password=password, code="")
    assert page.url.path == "/portal/set-up"
    for elsewhere in (
        "https://evil.example",
        "//evil.example",
        "/allow",
        "/allow?a\r\nb",
        "/worklist",
    ):
        page = await browser.http.get("/portal/sign-in", params={"to": elsewhere})
        assert 'name="to"' not in page.text


WRONG: list[tuple[dict[str, str | None], str | None]] = [
    ({"client_id": "nobody"}, None),
    ({"client_id": None}, None),
    ({"client_id": "\0"}, None),
    ({"redirect_uri": "https://app.example/back/"}, None),
    ({"redirect_uri": "https://app.example/back?a=b"}, None),
    ({"redirect_uri": "https://APP.example/back"}, None),
    ({"redirect_uri": "https://evil.example/back"}, None),
    ({"redirect_uri": None}, None),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"aud": "https://evil.example/fhir"}, "invalid_request"),
    ({"aud": None}, "invalid_request"),
    ({"state": None}, "invalid_request"),
    ({"state": "x" * 1025}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"request": "x.y.z"}, "request_not_supported"),
    ({"prompt": "none consent"}, "invalid_request"),
    ({"prompt": "login"}, "invalid_request"),
    ({"scope": "system/*.rs"}, "invalid_scope"),
    ({"scope": "offline_access"}, "invalid_scope"),
    ({"scope": "user/Observation.rs?date=2026"}, "invalid_scope"),
]


async def test_given_a_request_that_is_not_right_when_judged_then_the_app_hears_why_or_nobody_is_sent_anywhere(
    play: Play,
) -> None:
    app, http = play.app, play.http
    for change, error in WRONG:
        for path in ("/auth/authorize", "/portal/allow"):
            answered = await http.get(f"{path}?{app.asked(**{'scope': 'user/*.rs', **change})}")
            if error is None:
                assert (answered.status_code, "location" in answered.headers) == (400, False), (
                    change
                )
                continue
            said = returned(answered)
            assert said["error"] == error, change
            assert said.get("state") == (None if "state" in change else "a state")
            assert "code" not in said
    once = app.asked("user/*.rs")
    for query, error in (
        (f"{once}&client_id={app.name}", None),
        (f"{once}&redirect_uri=https%3A%2F%2Fevil.example", None),
        (f"{once}&state=other", "invalid_request"),
        ("%", None), ("a" * 9000, None), ("", None), ("client_id=%ff", None),
    ):  # fmt: skip
        answered = await http.get(f"/auth/authorize?{query}")
        if error is None:
            assert (answered.status_code, "location" in answered.headers) == (400, False), query
        else:
            assert returned(answered)["error"] == error
