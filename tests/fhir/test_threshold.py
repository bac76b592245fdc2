"""What every answer of every door says to a browser, and what becomes of who guesses."""

from __future__ import annotations

import re

import httpx2
import pytest
from pydantic import SecretStr

from coordhub.access.admission import network
from coordhub.access.rates import Rates
from coordhub.app import build
from coordhub.settings import Settings

KEPT = {
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/links/style.css",
    "/links/voice/style.css",
    "/portal/live.js",
    "/portal/passkeys.js",
    "/portal/style.css",
}
"""What may be kept: files that are the same for everybody."""


def addresses(app) -> list[tuple[str, str]]:
    """Method and path of each that the application has, with something in place of each parameter."""
    found = []
    for route in app.routes:
        for each in getattr(getattr(route, "original_router", None), "routes", [route]):
            path = re.sub(r"\{[^}]*\}", "x", each.path)
            found += [(method, path) for method in each.methods]
    return found


async def test_given_every_address_of_every_door_when_asked_then_no_answer_is_kept_framed_or_guessed_at(
    house,
):
    made = await house.near.ask("POST", "/Patient", {"resourceType": "Patient"})
    patient = f"/fhir/Patient/{made.json()['id']}"
    asked = [
        *addresses(house.app), *(("GET", path) for path in KEPT), ("GET", "/docs"),
        *((method, patient) for method in ("GET", "HEAD", "PUT", "QUERY")), ("GET", "/fhir/metadata"),
        ("GET", "/fhir/Nothing"), ("POST", "/fhir"), ("GET", "/nowhere"),
    ]  # fmt: skip
    doors = {path.split("/")[1] for _, path in asked}
    assert {"fhir", "admin", "auth", "links", "docs", "health", "ready"} <= doors
    for method, path in asked:
        for token in ({}, {"Authorization": f"Bearer {house.near.token}"}):
            answered = await house.http.request(method, path, headers=token)
            told = answered.headers
            assert told["x-content-type-options"] == "nosniff", path
            assert told["referrer-policy"] == "no-referrer", path
            assert told["x-frame-options"] == "DENY", path
            assert "frame-ancestors 'none'" in told["content-security-policy"], path
            assert told["cache-control"] == "no-store" or path in KEPT, path
            assert "strict-transport-security" not in told


async def test_given_hsts_when_answered_then_also_a_preflight_says_it():
    settings = {
        "token_key": SecretStr("k" * 32),
        "hsts": 31536000,
        "cors_origins": "https://a.example",
    }
    app = build(Settings.model_validate(settings))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        for answered in (
            await http.get("/health"),
            await http.options("/fhir/Patient", headers=asked),
        ):
            assert answered.status_code == 200
            assert answered.headers["strict-transport-security"] == "max-age=31536000"


async def test_given_wrong_tokens_from_one_address_when_too_many_then_429_but_not_for_who_is_known(
    house,
):
    admission = house.context.admission
    now = [1_700_000_000.0]
    admission.clock = lambda: now[0]
    admission.failures, admission.failures_per_minute = Rates(admission.clock), 6

    async def guess(path: str, **sent) -> httpx2.Response:
        return await house.http.request("POST" if "data" in sent else "GET", path, **sent)

    assert (await house.near.ask("GET", "/Patient")).status_code == 200
    wrong = [{"Authorization": f"Bearer guess-{number}"} for number in range(8)]
    said = [(await guess("/fhir/Patient", headers=one)).status_code for one in wrong[:3]]
    said += [(await guess("/admin/v1/endpoints", headers=one)).status_code for one in wrong[3:5]]
    said.append((await guess("/auth/token", data={"grant_type": "none"})).status_code)
    assert said == [401, 401, 401, 401, 401, 400]
    for answered in (
        await guess("/fhir/Patient", headers=wrong[6]),
        await guess("/admin/v1/endpoints", headers=wrong[7]),
        await guess("/auth/token", data={"grant_type": "none"}),
    ):
        assert (answered.status_code, answered.headers["retry-after"]) == (429, "10")
    assert (await house.near.ask("GET", "/Patient")).status_code == 200
    assert (await guess("/fhir/metadata")).status_code == 200
    assert (await guess("/fhir/Patient")).status_code == 401, "without a token nothing is guessed"
    now[0] += 10
    assert (await guess("/fhir/Patient", headers=wrong[6])).status_code == 401


async def test_given_failures_at_the_pages_when_too_many_from_one_address_then_no_door_listens(
    house,
):
    admission = house.context.admission
    now = [1_700_000_000.0]
    admission.clock = lambda: now[0]
    admission.failures, admission.failures_per_minute = Rates(admission.clock), 6
    form = {"email": "nobody@near.example", "password": "a guess", "code": "123456"}
    wrong = {"Authorization": "Bearer guess"}

    async def tried(path: str) -> int:
        if path == "/fhir/Patient":
            return (await house.http.get(path, headers=wrong)).status_code
        data = form if path == "/portal/sign-in" else {"code": "0000-0000-0000"}
        return (await house.http.post(path, data=data)).status_code

    link = f"/links/{'x' * 43}"
    for path, status in (("/portal/sign-in", 401), (link, 404), ("/fhir/Patient", 401)):
        assert [await tried(path) for _ in range(2)] == [status] * 2
    for path in ("/portal/sign-in", link, "/fhir/Patient"):
        assert await tried(path) == 429
    now[0] += 10
    assert await tried("/portal/sign-in") == 401


@pytest.mark.parametrize(
    ("client", "where"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3::4", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("somewhere", 1), "unknown"),
        (None, "unknown"),
    ],
)
def test_given_an_address_when_counted_then_by_what_one_party_has(client, where):
    assert network({"client": client}) == where
