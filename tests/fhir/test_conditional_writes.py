"""Conditional update and delete over HTTP, by themselves and in Bundles."""

from __future__ import annotations

import dataclasses
from typing import Any

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:test:mrn", "value": "1"}],
}
CRITERIA = "Patient?identifier=urn:test:mrn|1"


def entry(method: str, url: str, resource: Any = None, **request: Any) -> dict[str, Any]:
    made = {} if resource is None else {"resource": resource}
    return {**made, "request": {"method": method, "url": url, **request}}


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


async def test_given_criteria_when_updated_then_created_then_updated_then_unchanged(house):
    first = await house.near.ask("PUT", f"/{CRITERIA}", PATIENT)
    assert first.status_code == 201, first.text
    assert first.headers["location"].endswith("/_history/1")
    changed = await house.near.ask("PUT", f"/{CRITERIA}", {**PATIENT, "active": True})
    assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
    assert changed.json()["id"] == first.json()["id"]
    same = await house.near.ask("PUT", f"/{CRITERIA}", {**PATIENT, "active": True})
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"2"')
    stale = await house.near.ask("PUT", f"/{CRITERIA}", PATIENT, headers={"If-Match": 'W/"1"'})
    assert stale.status_code == 412
    far = await house.far.ask("PUT", f"/{CRITERIA}", PATIENT)
    assert far.status_code == 201, "another organization's is not a match"


async def test_given_a_body_with_an_id_when_updated_by_criteria_then_it_must_be_the_matchs(house):
    chosen = await house.near.ask("PUT", f"/{CRITERIA}", {**PATIENT, "id": "mine"})
    assert chosen.status_code == 405, "ids are the hub's to give"
    made = (await house.near.ask("PUT", f"/{CRITERIA}", PATIENT)).json()
    other = (await house.near.ask("POST", "/Patient", {"resourceType": "Patient"})).json()
    right = await house.near.ask("PUT", f"/{CRITERIA}", {**PATIENT, "id": made["id"]})
    assert right.status_code == 200
    wrong = await house.near.ask("PUT", f"/{CRITERIA}", {**PATIENT, "id": other["id"]})
    assert wrong.status_code == 400
    assert wrong.json()["issue"][0]["expression"] == ["Patient.id"]
    elsewhere = "/Patient?identifier=urn:test:mrn|2"
    taken = await house.near.ask("PUT", elsewhere, {**PATIENT, "id": other["id"]})
    assert taken.status_code == 409
    await house.near.ask("POST", "/Patient", PATIENT)
    assert (await house.near.ask("PUT", f"/{CRITERIA}", PATIENT)).status_code == 412


async def test_given_no_match_when_a_version_is_asked_for_then_412(house):
    refused = await house.near.ask("PUT", f"/{CRITERIA}", PATIENT, headers={"If-Match": 'W/"1"'})
    assert refused.status_code == 412


async def test_given_criteria_when_deleted_then_the_one_match_is_gone(house):
    assert (await house.near.ask("DELETE", f"/{CRITERIA}")).status_code == 204
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    assert (await house.far.ask("DELETE", f"/{CRITERIA}")).status_code == 204
    assert (await house.near.ask("GET", f"/Patient/{made['id']}")).status_code == 200
    assert (await house.near.ask("DELETE", f"/{CRITERIA}")).status_code == 204
    assert (await house.near.ask("GET", f"/Patient/{made['id']}")).status_code == 410


async def test_given_criteria_that_leave_nothing_out_when_sent_then_400_and_nothing_is_touched(
    house,
):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    for odd in ("_sort=name", "_count=1"):
        for method, body in (("DELETE", None), ("PUT", {"resourceType": "Patient"})):
            refused = await house.near.ask(method, f"/Patient?{odd}", body)
            assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "invalid")
        refused = await house.near.ask("POST", "/Patient", PATIENT, headers={"If-None-Exist": odd})
        assert refused.status_code == 400
    read = await house.near.ask("GET", f"/Patient/{made['id']}")
    assert (read.status_code, read.headers["etag"]) == (200, 'W/"1"')


async def test_given_several_matches_when_deleted_then_as_many_as_the_setting_allows(house):
    ids = [(await house.near.ask("POST", "/Patient", PATIENT)).json()["id"] for _ in range(3)]
    assert (await house.near.ask("DELETE", f"/{CRITERIA}")).status_code == 412
    context = house.app.state.context
    limits = dataclasses.replace(context.limits, deleted=2)
    house.app.state.context = dataclasses.replace(context, limits=limits)
    assert (await house.near.ask("DELETE", f"/{CRITERIA}")).status_code == 412
    await house.near.ask("DELETE", f"/Patient/{ids[0]}")
    key = {"Idempotency-Key": "k"}
    assert (await house.near.ask("DELETE", f"/{CRITERIA}", headers=key)).status_code == 204
    for fhir_id in ids:
        assert (await house.near.ask("GET", f"/Patient/{fhir_id}")).status_code == 410
    again = await house.near.ask("DELETE", f"/{CRITERIA}", headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (204, "true")


async def test_given_less_scope_when_criteria_are_used_then_search_is_needed(house):
    writing = house.near.narrow("system/Patient.crud", house.context)
    for method, body in (("PUT", PATIENT), ("DELETE", None)):
        refused = await house.near.ask(method, f"/{CRITERIA}", body, token=writing)
        assert refused.status_code == 403
        batch = bundle(entry(method, CRITERIA, body), kind="batch")
        [one] = (await house.near.ask("POST", "", batch, token=writing)).json()["entry"]
        assert one["response"]["status"].startswith("403")


async def test_given_one_identity_twice_in_a_transaction_when_sent_then_400_names_both(house):
    put = entry("PUT", CRITERIA, PATIENT)
    post = entry("POST", "Patient", PATIENT, ifNoneExist="identifier=urn%3Atest%3Amrn%7C1")
    delete = entry("DELETE", CRITERIA)
    before = await house.stored()
    for first, second in ((put, put), (put, post), (post, put), (delete, post)):
        refused = await house.near.ask("POST", "", bundle(first, second))
        assert refused.status_code == 400, refused.text
        issue = refused.json()["issue"][0]
        assert issue["code"] == "duplicate"
        assert "entry[0]" in issue["diagnostics"]
        assert "entry[1]" in issue["diagnostics"]
    assert await house.stored() == before


async def test_given_two_criteria_that_match_one_resource_when_sent_then_400(house):
    await house.near.ask("POST", "/Patient", {**PATIENT, "active": True})
    refused = await house.near.ask(
        "POST",
        "",
        bundle(entry("PUT", CRITERIA, PATIENT), entry("PUT", f"{CRITERIA}&active=true", PATIENT)),
    )
    assert refused.status_code == 400
    assert "twice" in refused.json()["issue"][0]["diagnostics"]


async def test_given_a_transaction_when_an_entry_cannot_be_then_the_refusal_names_it(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    await house.near.ask("POST", "/Patient", PATIENT)
    known = f"Patient/{made['id']}"
    patch = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
    first = entry("POST", "Patient", {"resourceType": "Patient"})
    for status, bad in (
        (412, entry("PUT", known, made, ifMatch='W/"7"')),
        (412, entry("DELETE", known, ifMatch='W/"7"')),
        (412, entry("PATCH", known, patch, ifMatch='W/"7"')),
        (412, entry("PUT", "Patient/none", {**made, "id": "none"}, ifMatch='W/"1"')),
        (405, entry("PUT", "Patient/none", {**made, "id": "none"})),
        (404, entry("PATCH", "Patient/none", patch)),
        (412, entry("PUT", CRITERIA, PATIENT)),
        (412, entry("POST", "Patient", PATIENT, ifNoneExist=CRITERIA.partition("?")[2])),
        (409, entry("PUT", "Patient?identifier=urn:test:mrn|2", made)),
    ):
        refused = await house.near.ask("POST", "/", bundle(first, bad))
        assert refused.status_code == status, refused.text
        (issue,) = refused.json()["issue"]
        assert issue["expression"][0].startswith("Bundle.entry[1]"), refused.text


async def test_given_hundreds_of_conditional_entries_when_sent_twice_then_each_is_there_once(house):
    def numbered(number: int) -> dict[str, Any]:
        system = {"system": "urn:test:mrn", "value": f"n{number}"}
        return {"resourceType": "Patient", "identifier": [system]}

    entries = [
        entry("PUT", f"Patient?identifier=urn:test:mrn|n{number}", numbered(number))
        if number % 2
        else entry("POST", "Patient", numbered(number),
                   ifNoneExist=f"identifier=urn:test:mrn|n{number}")
        for number in range(400)
    ]  # fmt: skip
    prefer = {"Prefer": "return=minimal"}
    first = await house.near.ask("POST", "", bundle(*entries), headers=prefer)
    assert first.status_code == 200, first.text
    assert {one["response"]["status"] for one in first.json()["entry"]} == {"201 Created"}
    again = await house.near.ask("POST", "", bundle(*reversed(entries)), headers=prefer)
    assert {one["response"]["status"] for one in again.json()["entry"]} == {"200 OK"}
    said = [one["response"]["location"] for one in first.json()["entry"]]
    assert said == [one["response"]["location"] for one in reversed(again.json()["entry"])]


async def test_given_a_read_condition_in_a_bundle_when_met_then_304(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    sent = bundle(
        entry("GET", f"Patient/{made['id']}", ifNoneMatch='W/"1"'),
        entry("GET", f"Patient/{made['id']}", ifModifiedSince="2999-01-01T00:00:00Z"),
        entry("GET", f"Patient/{made['id']}", ifNoneMatch='W/"2"'),
    )
    answered = (await house.near.ask("POST", "", sent)).json()
    assert [one["response"]["status"][:3] for one in answered["entry"]] == ["304", "304", "200"]


async def test_given_a_deleted_resource_when_updated_then_it_is_there_again(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    path = f"/Patient/{made['id']}"
    await house.near.ask("DELETE", path)
    assert (await house.near.ask("GET", path)).status_code == 410
    back = await house.near.ask("PUT", path, {**PATIENT, "id": made["id"]})
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    assert (await house.near.ask("GET", path)).status_code == 200
    by_criteria = await house.near.ask("PUT", f"/{CRITERIA}", {**PATIENT, "active": True})
    assert by_criteria.json()["id"] == made["id"]
