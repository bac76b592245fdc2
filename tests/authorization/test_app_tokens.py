"""What an app gets for a person's leave: a code once, tokens, the next tokens, and only so much of a chart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from open_app import App, account, leave
from open_door import OPERATOR, doors
from open_hub import House, observation, patient

from coordhub.access import wishes
from coordhub.admin.acts import change_client
from coordhub.store import clients

SECOND = timedelta(seconds=1)
Document = dict[str, Any]


@pytest.fixture
def app(house: House) -> App:
    return App(house)


async def test_given_a_patient_in_context_when_an_app_looks_then_that_chart_and_the_directory_are_all_there_is(
    house: House, app: App
) -> None:
    await app.register()
    mine, other = [await house.create(house.clinic, patient()) for _ in range(2)]
    inside = await house.create(house.clinic, observation(mine.reference))
    outside = await house.create(house.clinic, observation(other.reference))
    async with doors(house) as [http]:
        given = await app.tokens(
            http, await leave(http, app, "launch/patient patient/*.cruds", mine.rid)
        )
        assert given["patient"] == mine.id
        assert "refresh_token" not in given
        bearer = {
            "Authorization": f"Bearer {given['access_token']}",
            "Content-Type": "application/fhir+json",
        }

        async def ask(method: str, path: str, body: Any = None) -> httpx2.Response:
            return await http.request(method, f"/fhir/{path}", json=body, headers=bearer)

        async def found(path: str) -> list[str]:
            answered = await ask("GET", path)
            assert answered.status_code == 200, answered.text
            return [one["resource"]["id"] for one in answered.json().get("entry", ())]

        assert await found("Patient") == [mine.id]
        assert await found("Observation") == [inside.id]
        assert await found(f"Observation?subject={other.reference}") == []
        assert await found("Observation/_history") == [inside.id]
        assert house.clinic.reference.partition("/")[2] in await found("Organization")
        everything = await found(f"Patient/{mine.id}/$everything")
        assert inside.id in everything
        for path in (
            outside.reference, other.reference, f"{outside.reference}/_history/1",
            f"{other.reference}/$everything",
        ):  # fmt: skip
            assert (await ask("GET", path)).status_code == 404, path
        assert (await ask("GET", "AuditEvent")).status_code == 403

        assert (await ask("POST", "Observation", observation(mine.reference))).status_code == 201
        for answered in (
            await ask("POST", "Observation", observation(other.reference)),
            await ask("POST", "Patient", patient()),
            await ask("PUT", inside.reference, {**observation(other.reference), "id": inside.id}),
        ):
            assert answered.status_code == 403, answered.text
            assert "insufficient_scope" in answered.headers["www-authenticate"]

        user = await app.tokens(
            http, await leave(http, app, "user/Observation.rs patient/Patient.rs", mine.rid)
        )
        bearer["Authorization"] = f"Bearer {user['access_token']}"
        assert await found("Patient") == [mine.id]
        assert {inside.id, outside.id} <= set(await found("Observation"))


async def test_given_a_code_when_it_comes_wrong_late_or_again_then_nothing_and_again_ends_what_it_gave(
    house: House, app: App
) -> None:
    other = App(house, "other")
    for one in (app, other):
        await one.register()
    async with doors(house, 2) as [http, beside]:

        async def refused(form: dict[str, str]) -> None:
            answered = await http.post("/auth/token", data=form)
            assert (answered.status_code, answered.json()["error"]) == (400, "invalid_grant")

        async def opens(token: str) -> bool:
            answered = await beside.get("/fhir/Task", headers={"Authorization": f"Bearer {token}"})
            return answered.status_code == 200

        for wrong in (
            {"code_verifier": "x" * 43},
            {"code_verifier": app.challenge},
            {"code_verifier": ""},
            {"redirect_uri": "https://app.example/other"},
            {"redirect_uri": ""},
        ):
            code = await leave(http, app, "user/*.rs")
            await refused(app.form(code, **wrong))
            await refused(app.form(code))
        code = await leave(http, app, "user/*.rs")
        await refused(app.form(code, client_id="other"))
        await refused(other.form(code, code_verifier=app.verifier))
        given = await app.tokens(http, code)
        assert await opens(given["access_token"])
        await refused(app.form(code))
        assert not await opens(given["access_token"])

        code = await leave(http, app, "user/*.rs")
        house.clock.ahead += 60 * SECOND
        await refused(app.form(code))

        code = await leave(http, app, "user/*.rs offline_access")
        both = await asyncio.gather(
            *(each.post("/auth/token", data=app.form(code)) for each in (http, beside))
        )
        assert sorted(one.status_code for one in both) in ([200, 400], [400, 400])
        for one in both:
            if one.status_code == 200:
                assert not await opens(one.json()["access_token"])
                await refused(app.again(one.json()["refresh_token"]))


async def test_given_a_refresh_token_when_used_then_the_next_and_when_used_again_all_that_came_of_it_ends(
    house: House, app: App
) -> None:
    await app.register()
    async with doors(house) as [http]:

        async def ask(form: dict[str, str]) -> tuple[int, dict[str, Any]]:
            answered = await http.post("/auth/token", data=form)
            return answered.status_code, answered.json()

        async def opens(token: str, what: str = "Task") -> int:
            answered = await http.get(f"/fhir/{what}", headers={"Authorization": f"Bearer {token}"})
            return answered.status_code

        code = await leave(http, app, "offline_access user/Task.rs user/Patient.rs")
        first = await app.tokens(http, code)
        house.clock.ahead += timedelta(days=89)
        assert await opens(first["access_token"]) == 401
        status, second = await ask(
            app.again(first["refresh_token"], scope="user/Task.rs user/*.cruds")
        )
        assert (status, set(second["scope"].split())) == (200, {"user/Patient.rs", "user/Task.rs"})
        status, third = await ask(app.again(second["refresh_token"], scope="user/Task.rs"))
        assert (status, third["scope"]) == (200, "user/Task.rs")
        assert await opens(third["access_token"], "Patient") == 403
        status, _ = await ask(app.again(second["refresh_token"]))
        assert status == 400
        assert await opens(third["access_token"]) == 401
        assert (await ask(app.again(third["refresh_token"])))[0] == 400

        later = await app.tokens(http, await leave(http, app, "offline_access user/Task.rs"))
        house.clock.ahead += timedelta(days=90)
        assert (await ask(app.again(later["refresh_token"])))[0] == 400

        given = await app.tokens(http, await leave(http, app, "offline_access user/Task.rs"))
        form = {"client_id": app.name, "token": given["refresh_token"]}
        assert (await http.post("/auth/revoke", data=form)).status_code == 200
        assert await opens(given["access_token"]) == 401

        given = await app.tokens(http, await leave(http, app, "offline_access user/Task.rs"))
        for active in (False, True):
            await change_client(house.engine, OPERATOR, app.name, house.clock(), active=active)
        assert await opens(given["access_token"]) == 401
        assert (await ask(app.again(given["refresh_token"])))[0] == 400
        status, said = await ask(
            {"grant_type": "client_credentials", "client_id": app.name, "scope": "system/*.rs"}
        )
        assert (status, said["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("asked", "stated", "needs"),
    [
        ("patient/*.rs", "patient/*.rs", True),
        ("launch/patient user/Task.read", "launch/patient user/Task.rs", True),
        ("openid fhirUser profile launch", "openid fhirUser launch", False),
        ("fhirUser user/Task.r system/*.cruds", "user/Task.r", False),
        ("offline_access system/*.rs", "offline_access", False),
    ],
)
def test_given_what_an_app_asks_for_when_read_then_this_is_meant(
    asked: str, stated: str, needs: bool
) -> None:
    wish = wishes.read(asked)
    assert (wish.stated(), wish.needs_patient) == (stated, needs)
    assert bool(wish) == (stated != "offline_access")
    assert not wishes.read("user/Task.rs").meet(wishes.read("patient/Task.rs")).on


async def test_given_a_refresh_token_without_a_name_when_used_then_it_is_of_whom_it_was_given_to_if_that_has_no_key(
    house: House, app: App
) -> None:
    await app.register()
    other = App(house, "other")
    await other.register()
    async with doors(house) as [http]:

        async def ask(token: str, **others: str) -> tuple[int, str]:
            form = {"grant_type": "refresh_token", "refresh_token": token, **others}
            answered = await http.post("/auth/token", data=form)
            return answered.status_code, answered.json().get("error", "")

        first = await app.tokens(http, await leave(http, app, "offline_access user/Task.rs"))
        assert await ask(first["refresh_token"], client_id="other") == (400, "invalid_grant")
        assert await ask(first["refresh_token"]) == (200, "")
        assert await ask(first["refresh_token"]) == (400, "invalid_grant")
        assert await ask("coordhub_rt_nobodys") == (401, "invalid_client")
        second = await app.tokens(http, await leave(http, app, "offline_access user/Task.rs"))
        async with house.engine.pool.acquire() as conn:
            await clients.set_keys(conn, app.name, None, "https://app.example/jwks.json")
        assert await ask(second["refresh_token"]) == (401, "invalid_client")


async def test_given_an_app_when_it_looks_and_writes_then_the_audit_names_it_and_who_let_it_in(
    house: House, app: App
) -> None:
    await app.register()
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    who = await house.create(house.clinic, patient())
    async with doors(house) as [http]:
        given = await app.tokens(
            http, await leave(http, app, "user/*.cruds", who.rid, person=ana.id)
        )
        bearer = {
            "Authorization": f"Bearer {given['access_token']}",
            "Content-Type": "application/fhir+json",
        }
        assert (await http.get(f"/fhir/{who.reference}", headers=bearer)).status_code == 200
        made = await http.post("/fhir/Observation", json=observation(who.reference), headers=bearer)
        assert made.status_code == 201, made.text
        token = http._transport.app.state.context.tokens.issue(  # type: ignore[attr-defined]
            "clinic", "system/*.rs", now=house.clock(), lifetime=timedelta(hours=1)
        )
        own = {"Authorization": f"Bearer {token}"}
        told = await http.get("/fhir/AuditEvent?_count=100", headers=own)
        events = [entry["resource"] for entry in told.json()["entry"]]
        by_app = {
            one["subtype"][0]["code"]: one["agent"]
            for one in events
            if one["agent"][0].get("name") == app.name
        }
        for code in ("read", "create", "app-allowed"):
            client, person, _ = by_app[code]
            assert (client["requestor"], person["requestor"]) == (False, True)
            assert client["who"] == {"reference": house.clinic.reference}
            assert person["name"] == "Ana Ruiz"
            assert person["who"]["identifier"] == {"system": "urn:coordhub:person", "value": ana.id}
