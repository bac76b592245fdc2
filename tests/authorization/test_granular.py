"""A token narrowed by search parameters, over HTTP: what it reads, what it writes, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest
from open_door import Backend, doors
from open_hub import House, observation, patient

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LABORATORY = f"category={CATEGORY}|laboratory"

Document = dict[str, Any]


def of_category(subject: str, code: str) -> Document:
    return observation(subject, category=[{"coding": [{"system": CATEGORY, "code": code}]}])


async def test_given_a_granular_token_when_used_then_what_does_not_fit_is_absent_and_cannot_be_written(
    house: House, lab: Backend
) -> None:
    await lab.register()
    who = await house.create(house.clinic, patient())
    inside = await house.create(house.clinic, of_category(who.reference, "laboratory"))
    outside = await house.create(house.clinic, of_category(who.reference, "vital-signs"))
    async with doors(house) as [http]:
        words = f"system/Patient.rs system/Observation.cruds?{LABORATORY} system/Observation.r?code=none"
        asked = await http.post("/auth/token", data=lab.form(scope=words))
        assert set(asked.json()["scope"].split()) == set(words.split())
        mine = {
            "Authorization": f"Bearer {asked.json()['access_token']}",
            "Content-Type": "application/fhir+json",
        }

        async def ask(method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
            answered = await http.request(method, f"/fhir/{path}", json=body, headers=mine)
            said = answered.headers.get("www-authenticate", "")
            return answered.status_code, answered.json() if answered.content else None, said

        status, found, _ = await ask("GET", "Observation")
        assert [one["resource"]["id"] for one in found["entry"]] == [inside.id]
        absent = await ask("GET", "Observation/none")
        hidden = await ask("GET", outside.reference)
        assert hidden[0] == absent[0] == 404
        assert str(hidden[1]).replace(outside.id, "none") == str(absent[1])
        for path in (f"{outside.reference}/_history", f"{outside.reference}/_history/1"):
            assert (await ask("GET", path))[0] == 404
        assert (await ask("GET", f"{inside.reference}/_history/1"))[0] == 200
        _, found, _ = await ask("GET", f"{who.reference}/$everything")
        assert outside.id not in str(found)
        assert inside.id in str(found)

        status, _, said = await ask("GET", "Task")
        assert (status, 'error="insufficient_scope"' in said) == (403, True)
        assert 'scope="system/Task.s"' in said

        made = of_category(who.reference, "laboratory")
        status, made, _ = await ask("POST", "Observation", made)
        assert status == 201
        status, _, said = await ask("POST", "Observation", of_category(who.reference, "exam"))
        assert (status, 'scope="system/Observation.c"' in said) == (403, True)
        turned = {**made, "category": of_category(who.reference, "exam")["category"]}
        assert (await ask("PUT", f"Observation/{made['id']}", turned))[0] == 403
        kept = {**made, "status": "amended"}
        assert (await ask("PUT", f"Observation/{made['id']}", kept))[0] == 200
        assert (await ask("DELETE", outside.reference))[0] == 204, "as of what is not there"
        assert (await ask("PUT", outside.reference, {**made, "id": outside.id}))[0] == 405
        assert (await ask("DELETE", f"Observation/{made['id']}"))[0] == 204
        assert (await ask("GET", f"Observation/{made['id']}"))[0] == 404, (
            "what is gone fits nothing"
        )
    assert (await house.document(outside.reference))["meta"]["versionId"] == "1"


async def test_given_a_scope_to_read_more_than_to_write_when_writing_then_what_stands_must_fit_too(
    house: House, lab: Backend
) -> None:
    await lab.register(
        f"system/Patient.rs system/Observation.rs system/Observation.ud?{LABORATORY}"
    )
    who = await house.create(house.clinic, patient())
    exam = await house.create(house.clinic, of_category(who.reference, "exam"))
    async with doors(house) as [http]:
        mine = {"Authorization": f"Bearer {await lab.token(http, 'system/*.cruds')}"}
        there = f"/fhir/{exam.reference}"
        sent = (await http.get(there, headers=mine)).json()
        sent["category"] = of_category(who.reference, "laboratory")["category"]
        json = {**mine, "Content-Type": "application/fhir+json"}
        for answered in (
            await http.put(there, json=sent, headers=json),
            await http.delete(there, headers=mine),
        ):
            assert answered.status_code == 403
            assert "insufficient_scope" in answered.headers["www-authenticate"]
    assert (await house.document(exam.reference))["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    "scope",
    [
        "system/Observation.rs?date=2026",
        "system/*.rs?category=a",
        "system/Observation.rs?category:not=a",
    ],
)
async def test_given_a_parameter_that_cannot_narrow_when_asked_for_then_invalid_scope_names_it(
    house: House, lab: Backend, scope: str
) -> None:
    await lab.register()
    async with doors(house) as [http]:
        answered = await http.post("/auth/token", data=lab.form(scope=f"system/Task.rs {scope}"))
        assert (answered.status_code, answered.json()["error"]) == (400, "invalid_scope")
        assert scope in answered.json()["error_description"]


async def test_given_a_client_of_granular_scopes_when_it_asks_for_all_then_it_gets_what_both_allow(
    house: House, lab: Backend
) -> None:
    await lab.register(f"system/Observation.rs?{LABORATORY} system/Task.rs")
    async with doors(house) as [http]:
        answered = await http.post("/auth/token", data=lab.form(scope="system/*.read"))
        assert set(answered.json()["scope"].split()) == {
            f"system/Observation.rs?{LABORATORY}", "system/Task.rs",
        }  # fmt: skip
        further = await http.post(
            "/auth/token", data=lab.form(scope="system/Observation.cruds?code=4548-4")
        )
        assert further.json()["scope"] == f"system/Observation.rs?{LABORATORY}&code=4548-4"


async def test_given_a_scope_for_a_part_of_a_type_when_it_subscribes_then_it_may_for_that_part(
    house: House, lab: Backend
) -> None:
    await lab.register()
    asked = {
        "resourceType": "Subscription", "status": "requested", "reason": "results",
        "criteria": "Observation?status=final",
        "channel": {"type": "rest-hook", "endpoint": "https://lab.example/hook"},
    }  # fmt: skip
    async with doors(house) as [http]:
        for words, expected in (
            (f"system/Subscription.c system/Observation.rs?{LABORATORY}", 201),
            ("system/Subscription.c system/Task.rs", 403),
            ("system/Subscription.c system/Observation.rs", 201),
        ):
            json = {
                "Authorization": f"Bearer {await lab.token(http, words)}",
                "Content-Type": "application/fhir+json",
            }
            answered = await http.post("/fhir/Subscription", json=asked, headers=json)
            assert answered.status_code == expected, answered.text
            is_told = "insufficient_scope" in answered.headers.get("www-authenticate", "")
            assert is_told is (expected == 403)
