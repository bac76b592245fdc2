"""X-Provenance: where what is written comes from, in the same commit or not at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

PATIENT = {"resourceType": "Patient", "name": [{"family": "Wäter"}]}
PROVENANCE = {
    "resourceType": "Provenance",
    "recorded": "2026-05-01T12:00:00Z",
    "agent": [{"who": {"display": "Zoë, records desk"}}],
}


def header(document: Any) -> dict[str, bytes]:
    return {"X-Provenance": msgspec.json.encode(document)}


async def of(sender: Any, reference: str) -> list[dict[str, Any]]:
    found = await sender.ask("GET", f"/Provenance?target={reference}")
    return [entry["resource"] for entry in found.json().get("entry", [])]


async def test_given_a_create_when_its_provenance_is_sent_along_then_both_are_stored(house):
    made = await house.near.ask("POST", "/Patient", PATIENT, headers=header(PROVENANCE))
    assert made.status_code == 201
    assert made.json()["resourceType"] == "Patient"
    name = f"Patient/{made.json()['id']}"
    [provenance] = await of(house.near, name)
    assert provenance["target"] == [{"reference": name}]
    assert provenance["agent"] == PROVENANCE["agent"]
    assert provenance["meta"]["lastUpdated"] == made.json()["meta"]["lastUpdated"]
    with_it = await house.near.ask(
        "GET", f"/Patient?_id={made.json()['id']}&_revinclude=Provenance:target"
    )
    assert len(with_it.json()["entry"]) == 2
    assert await of(house.far, name) == []


async def test_given_other_writes_when_sent_with_provenance_then_each_has_its_own(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    name, sent = f"Patient/{made['id']}", header(PROVENANCE)
    await house.near.ask("PUT", f"/{name}", {**made, "active": True}, headers=sent)
    patch = [{"op": "add", "path": "/gender", "value": "other"}]
    json_patch = {**sent, "Content-Type": "application/json-patch+json"}
    patched = await house.near.ask("PATCH", f"/{name}", patch, headers=json_patch)
    assert patched.json()["meta"]["versionId"] == "3"
    there = await house.near.ask(
        "POST", "/Patient", PATIENT, headers={**sent, "If-None-Exist": f"_id={made['id']}"}
    )
    assert there.status_code == 200
    by_criteria = await house.near.ask(
        "PUT", f"/Patient?_id={made['id']}", {**PATIENT, "active": False}, headers=sent
    )
    assert by_criteria.status_code == 200, by_criteria.text
    assert [one["target"] for one in await of(house.near, name)] == [[{"reference": name}]] * 4


async def test_given_a_transaction_when_sent_with_provenance_then_all_that_it_writes_are_targets(
    house,
):
    entries = [
        {
            "fullUrl": "urn:uuid:8c1d2f4e-0000-4000-8000-00000000000a",
            "resource": PATIENT,
            "request": {"method": "POST", "url": "Patient"},
        },
        {"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    done = (await house.near.ask("POST", "", bundle, headers=header(PROVENANCE))).json()
    names = [f"Patient/{entry['resource']['id']}" for entry in done["entry"]]
    assert len(names) == 2
    [provenance] = await of(house.near, names[1])
    assert provenance["target"] == [{"reference": name} for name in names]
    batch = {**bundle, "type": "batch"}
    refused = await house.near.ask("POST", "", batch, headers=header(PROVENANCE))
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("sent", "at", "status"),
    [
        (b"{", "http.X-Provenance", 400),
        (b"\xff", "http.X-Provenance", 400),
        (PATIENT, "http.X-Provenance.resourceType", 400),
        ({**PROVENANCE, "target": []}, "http.X-Provenance.target", 400),
        ({**PROVENANCE, "recorded": "yesterday"}, "http.X-Provenance.recorded", 422),
        ({"resourceType": "Provenance", "recorded": "2026-05-01T12:00:00Z"}, "http.X-Provenance.agent", 422),
    ],
)  # fmt: skip
async def test_given_a_header_that_is_no_provenance_when_sent_then_nothing_is_stored(
    house, sent, at, status
):
    await house.near.ask("GET", "/Patient")
    before = await house.stored()
    headers = {"X-Provenance": sent} if isinstance(sent, bytes) else header(sent)
    refused = await house.near.ask("POST", "/Patient", PATIENT, headers=headers)
    assert refused.status_code == status, refused.text
    assert refused.json()["issue"][0]["expression"] == [at]
    assert await house.stored() == before


async def test_given_what_writes_nothing_when_sent_with_provenance_then_it_is_refused(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    empty = {"resourceType": "Bundle", "type": "transaction", "entry": []}
    for method, path, body in (
        ("GET", f"/Patient/{made['id']}", None),
        ("DELETE", f"/Patient/{made['id']}", None),
        ("POST", "", {key: value for key, value in empty.items() if value}),
    ):
        refused = await house.near.ask(method, path, body, headers=header(PROVENANCE))
        assert refused.status_code == 400, (method, path)


async def test_given_a_token_that_may_not_write_provenance_when_sent_then_403(house):
    narrow = house.near.narrow("system/Patient.cruds", house.context)
    refused = await house.near.ask(
        "POST", "/Patient", PATIENT, headers=header(PROVENANCE), token=narrow
    )
    assert refused.status_code == 403


async def test_given_a_key_when_the_provenance_is_another_then_it_is_another_request(house):
    keyed = {"Idempotency-Key": "k1"}
    first = await house.near.ask(
        "POST", "/Patient", PATIENT, headers={**keyed, **header(PROVENANCE)}
    )
    again = await house.near.ask(
        "POST", "/Patient", PATIENT, headers={**keyed, **header(PROVENANCE)}
    )
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = {**PROVENANCE, "recorded": "2026-05-02T12:00:00Z"}
    refused = await house.near.ask("POST", "/Patient", PATIENT, headers={**keyed, **header(other)})
    assert refused.status_code == 422
