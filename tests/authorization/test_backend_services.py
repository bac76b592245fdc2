"""A backend gets tokens by its key and calls the API with them, until it, the token or the client ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from joserfc.jwk import ECKey
from open_door import BASE, OPERATOR, ORIGIN, TOKEN, Backend, doors, key_server
from open_hub import House, patient

from coordhub.admin.acts import change_client
from coordhub.store import clients

MINUTE = timedelta(minutes=1)


async def test_given_a_backend_when_it_asks_as_discovery_says_then_its_token_opens_what_it_asked_for(
    house: House, ehr: Backend, lab: Backend
) -> None:
    await ehr.register("system/Patient.cruds system/Task.read")
    await lab.register()
    await house.create(house.clinic, patient())
    async with doors(house) as [http]:
        said = (await http.get("/fhir/.well-known/smart-configuration")).json()
        assert said["token_endpoint"] == TOKEN
        assert said["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
        assert "client-confidential-asymmetric" in said["capabilities"]
        stated = (await http.get("/fhir/metadata")).json()["rest"][0]["security"]
        uris = {one["url"]: one["valueUri"] for one in stated["extension"][0]["extension"]}
        assert uris["token"] == said["token_endpoint"]

        path = said["token_endpoint"].removeprefix(ORIGIN)
        wanted = "system/Patient.rs system/*.read system/Device.c launch openid"
        answered = await http.post(path, data=ehr.form(scope=wanted))
        assert answered.headers["cache-control"] == "no-store"
        given = answered.json()
        assert given["token_type"] == "bearer"
        assert given["expires_in"] == 300
        assert given["scope"] == "system/Patient.rs system/Task.rs"

        mine = {"Authorization": f"Bearer {given['access_token']}"}
        assert (await http.get("/fhir/Patient", headers=mine)).json()["entry"]
        assert (await http.get("/fhir/Observation", headers=mine)).status_code == 403
        assert (await http.post("/fhir/Patient", json=patient(), headers=mine)).status_code == 403
        await lab.token(http)

    told = await house.rows(
        "select client, organization, outcome, query from audit where interaction = 'token-granted' order by seq"
    )
    assert [tuple(one) for one in told] == [
        ("ehr", house.clinic.rid, 200, "scope=system/Patient.rs system/Task.rs"),
        ("lab", house.clinic.rid, 200, "scope=system/*.rs"),
    ]


async def test_given_a_token_when_it_ends_in_one_of_six_ways_then_it_opens_nothing_at_once(
    house: House, ehr: Backend, lab: Backend
) -> None:
    for one in (ehr, lab):
        await one.register()
    async with doors(house, 2) as [http, other]:

        async def opens(token: str) -> bool:
            answers = {
                (await each.get("/fhir/Patient", headers={"Authorization": f"Bearer {token}"})).status_code
                for each in (http, other)
            }  # fmt: skip
            assert len(answers) == 1
            return answers == {200}

        async def introspected(token: str, by: Backend = lab) -> dict[str, object]:
            answered = await http.post("/auth/introspect", data=by.form(token=token))
            assert answered.status_code == 200
            return dict(answered.json())

        token = await ehr.token(http, "system/Patient.rs")
        assert await opens(token)
        said = await introspected(token)
        assert (said["active"], said["client_id"]) == (True, "ehr")
        assert (said["scope"], said["iss"]) == ("system/Patient.rs", BASE)
        assert int(str(said["exp"])) - int(str(said["iat"])) == 300

        revoked = await http.post("/auth/revoke", data=lab.form(token=token))
        assert revoked.status_code == 200
        assert await opens(token), "another client's is not the lab's to take back"
        aud = ehr.signed(ehr.claims(aud=f"{ORIGIN}/auth/revoke"))
        revoked = await http.post("/auth/revoke", data=ehr.form(token=token, client_assertion=aud))
        assert (revoked.status_code, revoked.content) == (200, b"")
        assert not await opens(token)
        assert await introspected(token) == {"active": False}

        token = await ehr.token(http)
        house.clock.ahead += 5 * MINUTE
        assert not await opens(token)
        assert await introspected(token) == {"active": False}

        token, kept = await ehr.token(http), await lab.token(http)
        assert await opens(token)
        await change_client(house.engine, OPERATOR, "ehr", house.clock(), active=False)
        assert not await opens(token)
        refused = await http.post("/auth/token", data=ehr.form())
        assert refused.status_code == 401
        await change_client(house.engine, OPERATOR, "ehr", house.clock(), active=True)
        assert not await opens(token), "it does not come back with its client"
        assert await opens(kept)

        async with house.engine.pool.acquire() as conn:
            await clients.register(
                conn, "ehr", house.clinic.rid, "system/Task.rs", update_as_create=False,
                now=house.clock(),
            )  # fmt: skip
        narrowed = await ehr.token(http)
        assert await introspected(narrowed) | {"iat": 0, "exp": 0} == {
            "active": True, "scope": "system/Task.rs", "client_id": "ehr", "token_type": "bearer",
            "iss": BASE, "iat": 0, "exp": 0,
        }  # fmt: skip
        async with house.engine.pool.acquire() as conn:
            await clients.register(
                conn, "ehr", house.kitchen.rid, "system/*.rs", update_as_create=False,
                now=house.clock(),
            )  # fmt: skip
        assert not await opens(narrowed), "it was given for another organization"
        foreign = await ehr.token(http)
        assert await introspected(foreign) == {"active": False}, "of another organization"


async def test_given_one_assertion_when_two_processes_are_shown_it_at_once_then_one_token(
    house: House, lab: Backend
) -> None:
    await lab.register()
    async with doors(house, 2) as opened:
        form = lab.form()
        answers = await asyncio.gather(
            *(http.post("/auth/token", data=form) for http in opened for _ in range(4))
        )
        assert Counter(one.status_code for one in answers) == {200: 1, 401: 7}
        # what was used is remembered for as long as its own time would let it in, and no longer
        house.clock.ahead += 10 * MINUTE
        await lab.token(opened[0])
        assert len(await house.rows("select from client_assertion")) == 1


async def test_given_keys_at_an_address_when_they_change_then_they_are_looked_up_but_not_at_every_whim(
    house: House, lab: Backend, ehr: Backend
) -> None:
    next_key = Backend(house, "lab", ECKey.generate_key("P-384"), "ES384", "second")
    async with key_server(lab.public()) as kept, doors(house) as [http]:
        await lab.register(jwks_uri=kept.address)

        async def is_let_in(backend: Backend) -> bool:
            answered = await http.post("/auth/token", data=backend.form())
            assert answered.status_code in (200, 401)
            return answered.status_code == 200

        assert await is_let_in(lab)
        assert await is_let_in(lab)
        assert kept.asked == 1
        assert not await is_let_in(next_key)
        assert kept.asked == 1, "asked within this minute"
        kept.keys.append(next_key.public())
        house.clock.ahead += MINUTE
        assert await is_let_in(next_key)
        assert await is_let_in(lab)
        assert kept.asked == 2

        kept.keys.pop(0)
        assert await is_let_in(lab)
        house.clock.ahead += 15 * MINUTE
        assert not await is_let_in(lab)
        assert await is_let_in(next_key)
        assert kept.asked == 3

        kept.status = "503 Service Unavailable"
        house.clock.ahead += 15 * MINUTE
        assert await is_let_in(next_key)
        house.clock.ahead += 45 * MINUTE
        assert not await is_let_in(next_key)
        kept.status = "200 OK"
        assert not await is_let_in(next_key)
        house.clock.ahead += MINUTE
        assert await is_let_in(next_key)

        form = next_key.form(
            client_assertion=next_key.signed(next_key.claims(), jku="https://elsewhere.example")
        )
        assert (await http.post("/auth/token", data=form)).status_code == 401
        form = next_key.form(client_assertion=next_key.signed(next_key.claims(), jku=kept.address))
        assert (await http.post("/auth/token", data=form)).status_code == 200


async def test_given_an_address_that_is_not_public_when_keys_are_looked_up_then_it_is_not_asked(
    house: House, lab: Backend
) -> None:
    async with (
        key_server(lab.public()) as kept,
        doors(house, outbound_networks="192.0.2.0/24") as [http],
    ):
        await lab.register(jwks_uri=kept.address)
        assert (await http.post("/auth/token", data=lab.form())).status_code == 401
        assert kept.asked == 0


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "system/Device.rs openid"}, "invalid_scope"),
        ({"scope": "user/Patient.rs patient/*.rs"}, "invalid_scope"),
    ],
)
async def test_given_a_backend_that_asks_for_what_it_cannot_have_when_it_asks_then_400_says_which(
    house: House, lab: Backend, form: dict[str, str], error: str
) -> None:
    await lab.register("system/Patient.rs")
    async with doors(house) as [http]:
        answered = await http.post("/auth/token", data=lab.form(**form))
        assert (answered.status_code, answered.json()["error"]) == (400, error)


async def test_given_what_is_no_form_when_it_is_sent_then_400_says_so(
    house: House, lab: Backend
) -> None:
    await lab.register()
    form = lab.form()
    async with doors(house) as [http]:
        for sent in (
            {"json": form},
            {"data": form, "params": {"grant_type": "x"}},
            {"data": {**form, "scope": ["system/*.rs", "system/*.r"]}},
            {"data": {f"name{number}": "" for number in range(60)}},
            {"data": {"grant_type": "x" * 70_000}},
            {"content": b"a=%ff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            {"data": {"a": "b"}},
        ):
            answered = await http.post("/auth/token", **sent)
            assert (answered.status_code, answered.json()["error"]) == (400, "invalid_request")
        assert (await http.get("/auth/token")).status_code == 405
        assert (await http.get("/fhir/.well-known/nothing")).status_code == 404
