"""The CapabilityStatement walked: whatever it claims is asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coordhub.fhir.audit_event import SEARCHED
from coordhub.fhir.dispatch import OPERATIONS

EXAMPLES = {
    "date": "2020", "reference": "Patient/1", "token": "a", "string": "a", "uri": "http://a.example",
    "number": "1", "quantity": "1", "composite": "a$a", "special": "1|1",
}  # fmt: skip
WALKED = ("Patient", "Task", "ServiceRequest", "Observation", "Encounter", "Binary", "Consent")


@pytest.fixture
async def rest(house) -> dict[str, Any]:
    return (await house.http.get("/fhir/metadata")).json()["rest"][0]


def of(rest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(resource for resource in rest["resource"] if resource["type"] == name)


@pytest.mark.parametrize("name", WALKED)
async def test_given_the_includes_of_a_type_when_asked_for_then_none_is_refused(house, rest, name):
    stated = of(rest, name)
    assert f"{name}:subject" in stated["searchInclude"] or name in ("Patient", "Binary", "Consent")
    for parameter in ("searchInclude", "searchRevInclude"):
        asked = "_include" if parameter == "searchInclude" else "_revinclude"
        listed = stated[parameter]
        for start in range(0, len(listed), 40):
            query = "&".join(f"{asked}={each}" for each in listed[start : start + 40])
            found = await house.near.ask("GET", f"/{name}?{query}")
            assert found.status_code == 200, found.text


PATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "delete"},
                {"name": "path", "valueString": "Resource.language"},
            ],
        }
    ],
}


@pytest.mark.parametrize("name", WALKED)
async def test_given_the_interactions_of_a_type_when_asked_for_then_each_is_there(
    house, rest, name
):
    asked = {
        "read": ("GET", f"/{name}/absent", 404),
        "vread": ("GET", f"/{name}/absent/_history/1", 404),
        "update": ("PUT", f"/{name}/absent", 405),
        "patch": ("PATCH", f"/{name}/absent", 404),
        "delete": ("DELETE", f"/{name}/absent", 204),
        "history-instance": ("GET", f"/{name}/absent/_history", 404),
        "history-type": ("GET", f"/{name}/_history", 200),
        "create": ("POST", f"/{name}", 400),
        "search-type": ("GET", f"/{name}", 200),
    }
    for one in of(rest, name)["interaction"]:
        method, path, status = asked[one["code"]]
        body = {"resourceType": name, "id": "absent"} if method == "PUT" else None
        body = {"resourceType": "Basic"} if method == "POST" else body
        body = PATCH if method == "PATCH" else body
        answered = await house.near.ask(method, path, body)
        # what is there answers about the resource; what is not there is `not-supported`
        assert answered.status_code in (status, 422), (one, answered.text)
        if answered.status_code == 404:
            assert answered.json()["issue"][0]["code"] == "not-found"


async def test_given_audit_events_when_claimed_then_only_what_searches_of_the_hubs_own_take(
    house, rest
):
    stated = of(rest, "AuditEvent")
    assert {one["name"] for one in stated["searchParam"]} == set(SEARCHED)
    assert not {"searchInclude", "searchRevInclude"} & stated.keys()
    for refused in ("altid=a", "site=a", "_include=*", "_tag=a"):
        assert (await house.near.ask("GET", f"/AuditEvent?{refused}")).status_code == 400


async def test_given_the_system_level_when_walked_then_interactions_parameters_and_compartments(
    house, rest
):
    assert {one["code"] for one in rest["interaction"]} == {
        "transaction", "batch", "search-system", "history-system",
    }  # fmt: skip
    for kind in ("transaction", "batch"):
        sent = {"resourceType": "Bundle", "type": kind}
        assert (await house.near.ask("POST", "", sent)).status_code == 200
    assert (await house.near.ask("GET", "/_history")).status_code == 200
    for parameter in rest["searchParam"]:
        value = "1" if parameter["name"] == "_id" else EXAMPLES[parameter["type"]]
        found = await house.near.ask("GET", f"?_type=Patient&{parameter['name']}={value}")
        assert found.status_code == 200, found.text
    assert len(rest["compartment"]) == 5
    for url in rest["compartment"]:
        owner = {"relatedperson": "RelatedPerson"}.get(
            url.rpartition("/")[2], url.rpartition("/")[2].capitalize()
        )
        assert (await house.near.ask("GET", f"/{owner}/absent/*")).status_code == 200


async def test_given_the_operations_when_walked_then_each_is_there_and_no_other(house, rest):
    stated = {one["name"] for one in rest["operation"]} | {
        one["name"] for resource in rest["resource"] for one in resource["operation"]
    }
    assert stated == set(OPERATIONS)
    assert [one["name"] for one in rest["operation"]] == ["meta"]
    for name in WALKED:
        for one in of(rest, name)["operation"]:
            operation = OPERATIONS[one["name"]]
            for level, path in (("type", f"/{name}"), ("instance", f"/{name}/absent")):
                if level in operation.levels:
                    method = operation.methods[0]
                    answered = await house.near.ask(method, f"{path}/${one['name']}")
                    issues = answered.json().get("issue", [{}])
                    assert answered.status_code in (200, 400, 404), answered.text
                    assert "not offered" not in issues[0].get("diagnostics", "")
    own = [one for one in of(rest, "Task")["operation"] if one["name"] == "status-of-referral"]
    path = own[0]["definition"].removeprefix("http://hub.example/fhir")
    assert (await house.near.ask("GET", path)).json()["code"] == "status-of-referral"


async def test_given_the_statement_when_measured_then_it_is_no_burden(house):
    stated = await house.http.get("/fhir/metadata", headers={"Accept-Encoding": "gzip"})
    assert stated.headers["content-encoding"] == "gzip"
    assert int(stated.headers["content-length"]) < 100_000
    assert len(msgspec.json.encode(stated.json())) < 3_000_000
