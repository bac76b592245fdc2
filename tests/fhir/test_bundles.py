"""Batch and transaction over HTTP, on a real database."""

from __future__ import annotations

from typing import Any

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:test:mrn", "value": "1"}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "weight"},
}


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **more: Any):
    made: dict[str, Any] = {}
    if full_url is not None:
        made["fullUrl"] = full_url
    if resource is not None:
        made["resource"] = resource
    return {**made, "request": {"method": method, "url": url, **more}}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


async def test_given_a_transaction_when_posted_then_references_between_entries_are_resolved(house):
    patient = "urn:uuid:6f0c6a1e-6d9c-4a53-9f4c-0b8a4f1f8f10"
    sent = bundle(
        "transaction",
        entry("POST", "Observation", {**OBSERVATION, "subject": {"reference": patient}}),
        entry("GET", "Patient?identifier=urn:test:mrn|1"),
        entry("POST", "Patient", PATIENT, patient),
    )
    answered = await house.near.ask("POST", "", sent)
    assert answered.status_code == 200, answered.text
    document = answered.json()
    assert document["type"] == "transaction-response"
    observation, search, made = document["entry"]
    assert made["response"]["status"] == "201 Created"
    assert made["response"]["etag"] == 'W/"1"'
    reference = f"Patient/{made['resource']['id']}"
    assert made["response"]["location"] == f"http://hub.example/fhir/{reference}/_history/1"
    assert made["response"]["lastModified"] == made["resource"]["meta"]["lastUpdated"]
    assert observation["resource"]["subject"]["reference"] == reference
    assert [e["fullUrl"] for e in search["resource"]["entry"]] == [
        f"http://hub.example/fhir/{reference}"
    ]


async def test_given_a_transaction_when_one_entry_is_bad_then_none_is_stored_and_it_is_named(house):
    before = await house.stored()
    for bad, status, expression in (
        (entry("POST", "Observation", {**OBSERVATION, "status": "nonsense"}), 422,
         "Bundle.entry[1].resource.status"),
        (entry("POST", "Patientt", PATIENT), 404, "Bundle.entry[1].request.url"),
        (entry("POST", "Patient", OBSERVATION), 400, "Bundle.entry[1].resource.resourceType"),
        (entry("PUT", "Patient/1", PATIENT), 400, "Bundle.entry[1].resource.id"),
        (entry("POST", "Patient"), 400, "Bundle.entry[1].resource"),
        (entry("PATCH", "Patient/1"), 400, "Bundle.entry[1].resource"),
        (entry("PATCH", "Patient/1", PATIENT), 400, "Bundle.entry[1].resource"),
        (entry("PATCH", "Patient/1", {"resourceType": "Parameters"}), 400,
         "Bundle.entry[1].resource"),
        (entry("PUT", "Patient?nonsense=1", PATIENT), 400, "Bundle.entry[1].resource"),
        (entry("PUT", "Patient", PATIENT), 400, "Bundle.entry[1].request.url"),
        (entry("PUT", "Patient/1", {**PATIENT, "id": "1"}, ifMatch="x"), 400,
         "Bundle.entry[1].request.ifMatch"),
        (entry("GET", "Patient?nonsense=1"), 400, "Bundle.entry[1]"),
        (entry("BREW", "Patient"), 422, "Bundle.entry[1].request.method"),
        ({"resource": PATIENT}, 400, "Bundle.entry[1]"),
        (entry("POST", "Patient", PATIENT, "urn:uuid:1"), None, "Bundle.entry[1].fullUrl"),
        (entry("POST", "Observation", {**OBSERVATION, "subject": {"reference": "Patient/none"}}),
         None, "Bundle.entry[1].resource.subject"),
    ):  # fmt: skip
        sent = bundle("transaction", entry("POST", "Patient", PATIENT, "urn:uuid:1"), bad)
        refused = await house.near.ask("POST", "", sent)
        assert 400 <= refused.status_code < 500, (bad, refused.text)
        assert status in (None, refused.status_code), (bad, refused.text)
        issues = refused.json()["issue"]
        assert any(issue.get("expression", [""])[0].startswith(expression) for issue in issues), (
            refused.text
        )
    assert await house.stored() == before


async def test_given_several_bad_entries_when_refused_then_each_is_named(house):
    sent = bundle(
        "transaction",
        entry("POST", "Patientt", PATIENT),
        entry("POST", "Patient", PATIENT),
        entry("PATCH", "Patient/1"),
    )
    refused = await house.near.ask("POST", "", sent)
    assert [issue["expression"][0] for issue in refused.json()["issue"]] == [
        "Bundle.entry[0].request.url",
        "Bundle.entry[2].resource",
    ]


async def test_given_a_batch_when_one_entry_fails_then_the_others_stand(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    sent = bundle(
        "batch",
        entry("POST", "Patient", PATIENT),
        entry("POST", "Observation", {"resourceType": "Observation"}),
        entry("GET", f"Patient/{made['id']}"),
        entry("GET", "Patient/absent"),
        entry("GET", f"Patient/{made['id']}", ifNoneMatch='W/"1"'),
        entry("DELETE", f"Patient/{made['id']}"),
        entry("GET", "metadata"),
        entry("POST", "Patient", PATIENT, ifNoneExist="identifier=urn:test:mrn|1"),
    )
    answered = await house.near.ask("POST", "", sent)
    assert answered.status_code == 200, answered.text
    document = answered.json()
    assert document["type"] == "batch-response"
    statuses = [one["response"]["status"].partition(" ")[0] for one in document["entry"]]
    assert statuses == ["201", "422", "200", "404", "304", "204", "400", "200"]
    invalid = document["entry"][1]["response"]["outcome"]["issue"]
    assert all(i["expression"][0].startswith("Bundle.entry[1].resource") for i in invalid)
    assert document["entry"][2]["resource"]["id"] == made["id"]


async def test_given_an_idempotency_key_when_a_bundle_is_sent_again_then_nothing_is_made_twice(
    house,
):
    for kind in ("batch", "transaction"):
        sent = bundle(
            kind,
            entry("POST", "Patient", PATIENT),
            entry("POST", "Patient", PATIENT),
            entry("DELETE", "Patient/absent"),
        )
        headers = {"Idempotency-Key": f"key-{kind}"}
        first = await house.near.ask("POST", "", sent, headers=headers)
        stored = await house.stored()
        again = await house.near.ask("POST", "", sent, headers=headers)
        assert await house.stored() == stored
        assert again.headers["idempotency-replayed"] == "true"
        assert first.json() == again.json()


async def test_given_less_scope_when_a_transaction_needs_more_then_403_naming_the_entry(house):
    narrow = house.near.narrow("system/Patient.cruds", house.context)
    sent = bundle(
        "transaction", entry("POST", "Patient", PATIENT), entry("POST", "Observation", OBSERVATION)
    )
    before = await house.stored()
    refused = await house.near.ask("POST", "", sent, token=narrow)
    assert refused.status_code == 403
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert await house.stored() == before


async def test_given_what_is_no_batch_or_transaction_when_posted_to_the_base_then_400(house):
    for sent in (PATIENT, bundle("collection"), {"resourceType": "Bundle"}, {}):
        assert (await house.near.ask("POST", "", sent)).status_code == 400
    empty = await house.near.ask("POST", "", {"resourceType": "Bundle", "type": "transaction"})
    assert empty.json() == {"resourceType": "Bundle", "type": "transaction-response"}


async def test_given_full_urls_of_a_server_when_referred_to_then_relative_and_absolute_resolve(
    house,
):
    def weight(number: int, reference: str) -> dict[str, Any]:
        return entry(
            "POST",
            "Observation",
            {**OBSERVATION, "subject": {"reference": reference}},
            f"http://elsewhere.example/fhir/Observation/{number}",
        )

    sent = bundle(
        "transaction",
        weight(1, "Patient/7"),
        weight(2, "http://elsewhere.example/fhir/Patient/7"),
        entry("POST", "Patient", PATIENT, "http://elsewhere.example/fhir/Patient/7"),
    )
    answered = await house.near.ask("POST", "", sent)
    assert answered.status_code == 200, answered.text
    first, second, patient = (one["resource"] for one in answered.json()["entry"])
    assert first["subject"] == second["subject"] == {"reference": f"Patient/{patient['id']}"}
    with_urn = entry(
        "POST", "Observation", {**OBSERVATION, "subject": {"reference": "Patient/7"}}, "urn:uuid:1"
    )
    sent["entry"][1] = with_urn
    refused = await house.near.ask("POST", "", sent)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == [
        "Bundle.entry[1].resource.subject.reference"
    ]
