"""Patch over HTTP, by itself and in Bundles."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:test:mrn", "value": "1"}],
    "name": [{"family": "Water"}],
}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def replacing(path: str, **value: Any) -> dict[str, Any]:
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path},
        {"name": "value", **value},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}


def binary(*operations: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(msgspec.json.encode(operations)).decode(),
    }


def transaction(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(url: str, resource: dict[str, Any], **request: Any) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PATCH", "url": url, **request}}


async def patch(house, path: str, *operations: dict[str, Any], **headers: str):
    content = msgspec.json.encode(operations)
    return await house.near.ask("PATCH", path, content=content, headers={**JSON_PATCH, **headers})


async def test_given_a_json_patch_when_sent_then_there_is_a_new_version(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    path = f"/Patient/{made['id']}"
    add = {"op": "add", "path": "/active", "value": True}
    done = await patch(house, path, add)
    assert (done.status_code, done.headers["etag"]) == (200, 'W/"2"')
    assert done.json()["active"] is True
    assert done.json()["name"] == PATIENT["name"]
    same = await patch(house, path, add)
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"2"'), "nothing changed"
    assert (await house.audited())[-1]["interaction"] == "patch"
    stale = await patch(house, path, add, **{"If-Match": 'W/"1"'})
    assert stale.status_code == 412
    failed = await patch(house, path, {"op": "test", "path": "/active", "value": False}, add)
    assert failed.status_code == 422
    assert failed.json()["issue"][0]["expression"] == ["Patient.active"]
    minimal = await patch(house, path, {"op": "remove", "path": "/active"}, Prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (200, b"")


async def test_given_a_fhirpath_patch_when_sent_then_there_is_a_new_version(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    sent = replacing("Patient.name[0].family", valueString="Rain")
    done = await house.near.ask("PATCH", f"/Patient/{made['id']}", sent)
    assert done.status_code == 200, done.text
    assert done.json()["name"] == [{"family": "Rain"}]
    nowhere = replacing("Patient.name[1].family", valueString="Rain")
    refused = await house.near.ask("PATCH", f"/Patient/{made['id']}", nowhere)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Parameters.parameter[0]"]


async def test_given_what_no_update_may_do_when_patched_then_it_is_refused_and_not_stored(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    other = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    path = f"/Patient/{made['id']}"
    before = await house.stored()
    for operation, status, expression in (
        ({"op": "add", "path": "/gender", "value": "nonsense"}, 422, "Patient.gender"),
        ({"op": "add", "path": "/nonsense", "value": 1}, 422, "Patient.nonsense"),
        ({"op": "replace", "path": "/id", "value": other["id"]}, 422, "Patient.id"),
        ({"op": "replace", "path": "/resourceType", "value": "Task"}, 422, "Patient.resourceType"),
        ({"op": "add", "path": "/managingOrganization", "value": {"reference": "Organization/x"}},
         422, "Patient.managingOrganization.reference"),
        ({"op": "add", "path": "/name/0/family", "value": {}}, 422, "Patient.name[0].family"),
        ({"op": "brew", "path": "/active"}, 400, None),
    ):  # fmt: skip
        refused = await patch(house, path, operation)
        assert refused.status_code == status, (operation, refused.text)
        if expression is not None:
            said = [issue["expression"][0] for issue in refused.json()["issue"]]
            assert any(one.startswith(expression) for one in said), (operation, said)
    for content, media, status in (
        (b"<diff/>", "application/xml-patch+xml", 415),
        (b"[]", "text/plain", 415),
        (b"{}", "application/json-patch+json", 400),
        (b"[", "application/json-patch+json", 400),
        (b'{"resourceType":"Patient"}', "application/fhir+json", 400),
        (b'{"resourceType":"Parameters","parameter":[{}]}', "application/fhir+json", 422),
        (b"[" * 100 + b"]" * 100, "application/json-patch+json", 400),
    ):
        refused = await house.near.ask(
            "PATCH", path, content=content, headers={"Content-Type": media}
        )
        assert refused.status_code == status, (content, refused.text)
    assert await house.stored() == before


async def test_given_what_is_not_there_when_patched_then_404_and_410_after_a_deletion(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    path = f"/Patient/{made['id']}"
    remove = {"op": "remove", "path": "/name"}
    hidden = await house.far.ask(
        "PATCH", path, content=msgspec.json.encode([remove]), headers=JSON_PATCH
    )
    absent = await patch(house, path[:-4] + "0000", remove)
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace(made["id"], "x") == absent.text.replace(
        made["id"][:-4] + "0000", "x"
    )
    await house.near.ask("DELETE", path)
    assert (await patch(house, path, remove)).status_code == 410


async def test_given_patches_in_a_transaction_when_sent_then_all_or_none_is_changed(house):
    first, second = [
        (await house.near.ask("POST", "/Patient", {**PATIENT, "active": active})).json()["id"]
        for active in (True, False)
    ]
    organization = "urn:uuid:6f0c6a1e-6d9c-4a53-9f4c-0b8a4f1f8f10"
    sent = transaction(
        entry(f"Patient/{first}", replacing("Patient.active", valueBoolean=False)),
        entry(
            f"Patient/{second}",
            binary({"op": "add", "path": "/managingOrganization",
                    "value": {"reference": organization}}),
            ifMatch='W/"1"',
        ),
        {"fullUrl": organization, "resource": {"resourceType": "Organization", "name": "x"},
         "request": {"method": "POST", "url": "Organization"}},
    )  # fmt: skip
    done = await house.near.ask("POST", "", sent)
    assert done.status_code == 200, done.text
    one, other, made = (each["resource"] for each in done.json()["entry"])
    assert one["active"] is False
    assert other["managingOrganization"] == {"reference": f"Organization/{made['id']}"}
    before = await house.stored()
    again = transaction(
        entry(f"Patient/{first}", replacing("Patient.active", valueBoolean=True)),
        entry(f"Patient/{second}", binary({"op": "test", "path": "/active", "value": True})),
    )
    refused = await house.near.ask("POST", "", again)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource"]
    assert await house.stored() == before
    batch = await house.near.ask("POST", "", {**again, "type": "batch"})
    statuses = [each["response"]["status"] for each in batch.json()["entry"]]
    assert [status[:3] for status in statuses] == ["200", "422"]
    twice = transaction(*[sent["entry"][0]] * 2)
    refused = await house.near.ask("POST", "", twice)
    assert refused.status_code == 400


async def test_given_criteria_when_patched_then_the_one_match_changes(house):
    remove = {"op": "remove", "path": "/name"}
    criteria = "/Patient?identifier=urn:test:mrn|1"
    assert (await patch(house, criteria, remove)).status_code == 404
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    done = await patch(house, criteria, remove)
    assert (done.status_code, done.json()["id"]) == (200, made["id"])
    assert "name" not in done.json()
    await house.near.ask("POST", "/Patient", PATIENT)
    assert (await patch(house, criteria, remove)).status_code == 412


async def test_given_less_scope_when_patched_then_403(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    reading = house.near.narrow("system/Patient.rs", house.context)
    updating = house.near.narrow("system/Patient.ru", house.context)
    content = msgspec.json.encode([{"op": "remove", "path": "/name"}])
    for token, path, status in (
        (reading, f"/Patient/{made['id']}", 403),
        (updating, "/Patient?identifier=1", 403),
        (updating, f"/Patient/{made['id']}", 200),
    ):
        answered = await house.near.ask(
            "PATCH", path, content=content, headers=JSON_PATCH, token=token
        )
        assert answered.status_code == status, answered.text
