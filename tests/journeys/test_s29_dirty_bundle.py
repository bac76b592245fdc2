"""S29: what is wrong with a Bundle is said of each place, and nothing of it is kept."""

from __future__ import annotations

import gzip
import json
import os
import random
from typing import Any

import pytest
from mutating import mutated

from coordhub.sandbox import demo

MUTATIONS = int(os.environ.get("COORDHUB_JOURNEY_MUTATIONS", "500"))
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"

OTHERS_THAN_THE_HUB = "select count(*) from change where author <> 256"
"""Versions that organizations wrote; meanwhile the hub asks and answers what was accepted."""

Document = dict[str, Any]


def need(sender: str, recipient: str) -> Document:
    """A referral of a social need, in the manner of Gravity: all that such a Bundle has."""
    urns = {name: f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number, name in
            enumerate(("patient", "survey", "condition", "consent", "order", "task"), 1)}  # fmt: skip
    to = {name: {"reference": urn} for name, urn in urns.items()}
    sdoh = [{"coding": [{"system": SDOH, "code": "food-insecurity"}]}]
    resources: dict[str, Document] = {
        "patient": {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:oid:2.16.840.1.113883.19.5", "value": "dirty"}],
            "name": [{"use": "official", "family": "Example", "given": ["Dirty"]}],
            "telecom": [{"system": "phone", "value": "+1-555-0199", "use": "home", "rank": 1}],
            "gender": "female",
            "birthDate": "1961-04-02",
            "address": [
                {"line": ["1 Example Street"], "city": "Springvale", "postalCode": "01001"}
            ],
            "communication": [{"language": {"coding": [{"code": "es"}]}, "preferred": True}],
        },
        "survey": {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{"code": "survey"}]}, *sdoh],
            "code": {"coding": [{"system": "http://loinc.org", "code": "88124-3"}]},
            "subject": to["patient"],
            "effectiveDateTime": "2026-11-20T09:00:00.120-05:00",
            "valueCodeableConcept": {
                "coding": [
                    {"system": "http://loinc.org", "code": "LA19952-3", "display": "At risk"}
                ]
            },
        },
        "condition": {
            "resourceType": "Condition",
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                        "code": "active",
                    }
                ]
            },
            "category": sdoh,
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "733423003"}]},
            "subject": to["patient"],
            "evidence": [{"detail": [to["survey"]]}],
        },
        "consent": demo.consent(urns["patient"], sender, [recipient], "2026-11-22T09:00:00-05:00"),
        "order": {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "category": sdoh,
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "467771000124109"}]},
            "subject": to["patient"],
            "occurrencePeriod": {"start": "2026-11-22"},
            "authoredOn": "2026-11-22T09:00:00-05:00",
            "requester": {"reference": sender},
            "performer": [{"reference": recipient}],
            "reasonReference": [to["condition"]],
            "supportingInfo": [to["consent"], to["survey"]],
        },
        "task": {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "priority": "routine",
            "code": {
                "coding": [
                    {"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}
                ]
            },
            "focus": to["order"],
            "for": to["patient"],
            "authoredOn": "2026-11-22T09:00:00-05:00",
            "requester": {"reference": sender},
            "owner": {"reference": recipient},
            "restriction": {"repetitions": 1, "period": {"end": "2027-01-01"}},
        },
    }
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": urns[name],
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for name, resource in resources.items()
        ],
    }


async def test_s29_given_dangling_references_when_sent_then_each_path_is_listed_and_nothing_kept(
    house,
):
    riverside = house.riverside
    bundle = need(riverside.reference, house.mounds.reference)
    condition, order = bundle["entry"][2]["resource"], bundle["entry"][4]["resource"]
    condition["evidence"][0]["detail"][0] = {"reference": "Observation/absent"}
    condition["asserter"] = {"reference": "Practitioner/absent"}
    order["supportingInfo"][1] = {"reference": "DocumentReference/absent"}
    order["insurance"] = [{"reference": "urn:uuid:00000000-0000-4000-8000-00000000000f"}]
    before = await house.stored()
    refused = await riverside.posts(bundle)
    assert refused.status_code == 422, refused.text
    assert {issue["expression"][0] for issue in refused.json()["issue"]} == {
        "Bundle.entry[2].resource.evidence[0].detail[0].reference",
        "Bundle.entry[2].resource.asserter.reference",
        "Bundle.entry[4].resource.supportingInfo[1].reference",
        "Bundle.entry[4].resource.insurance[0].reference",
    }
    assert await house.stored() == before


async def test_s29_given_faults_in_many_places_when_sent_then_each_is_named(house):
    riverside = house.riverside
    bundle = need(riverside.reference, house.mounds.reference)
    entries = bundle["entry"]
    entries[0]["resource"]["gender"] = "F"
    entries[0]["resource"]["birthDate"] = "1961-13-02"
    entries[1]["resource"]["valueQuantity"] = {"value": "85", "unit": "%"}
    entries[4]["resource"]["colour"] = "red"
    entries[5]["resource"]["status"] = "nonsense"
    before = await house.stored()
    refused = await riverside.posts(bundle)
    assert refused.status_code == 422, refused.text
    named = {issue["expression"][0] for issue in refused.json()["issue"]}
    assert {
        "Bundle.entry[0].resource.gender",
        "Bundle.entry[0].resource.birthDate",
        "Bundle.entry[1].resource.valueQuantity.value",
        "Bundle.entry[4].resource.colour",
        "Bundle.entry[5].resource.status",
    } <= named, named
    assert "1961-13-02" not in refused.text
    assert await house.stored() == before


async def test_s29_given_unknown_codes_and_systems_when_sent_then_they_are_kept_as_they_came(house):
    riverside = house.riverside
    bundle = need(riverside.reference, house.mounds.reference)
    strange = {"coding": [{"system": "urn:nobody:knows", "code": "x-1", "display": "Strange"}]}
    bundle["entry"][1]["resource"]["code"] = strange
    bundle["entry"][2]["resource"]["code"]["coding"][0]["code"] = "733423004"  # wrong check digit
    answered = await riverside.posts(bundle)
    assert answered.status_code == 200, answered.text
    made = [entry["response"]["location"] for entry in answered.json()["entry"]]
    survey = "/".join(made[1].split("/")[-4:-2])
    assert (await riverside.read(survey))["code"] == strange
    await house.settled()
    assert len(await house.mounds.find("Task?status=requested")) == 1


async def test_s29_given_a_search_in_the_wrong_case_when_asked_then_the_preference_decides(house):
    strict = await house.riverside.ask("GET", "/Patient?_lastupdated=gt2020")
    assert strict.status_code == 400
    assert "_lastUpdated" in strict.text
    lenient = await house.riverside.ask(
        "GET", "/Patient?_lastupdated=gt2020", headers={"Prefer": "handling=lenient"}
    )
    assert lenient.status_code == 200


@pytest.mark.parametrize("what", ["a large attachment", "a gzip bomb", "too many entries"])
async def test_s29_given_what_is_over_a_limit_when_sent_then_413_and_nothing_kept(house, what):
    riverside = house.riverside
    bundle = need(riverside.reference, house.mounds.reference)
    headers = {}
    if what == "a large attachment":
        bundle["entry"][0]["resource"]["photo"] = [{"data": "QUJD" * (3 << 20)}]
        content = json.dumps(bundle).encode()
        assert len(content) > 12 << 20
    elif what == "a gzip bomb":
        content = gzip.compress(b" " * (50 << 20))
        headers = {"Content-Encoding": "gzip"}
    else:
        bundle["entry"] = bundle["entry"][:1] * (house.settings.max_entries + 1)
        content = json.dumps(bundle).encode()
    before = await house.stored()
    refused = await riverside.ask("POST", "", content=content, headers=headers)
    assert refused.status_code == 413, refused.text
    assert refused.json()["resourceType"] == "OperationOutcome"
    assert await house.stored() == before


async def test_s29_given_deep_nesting_when_sent_then_400_and_nothing_kept(house):
    bundle = need(house.riverside.reference, house.mounds.reference)
    text = json.dumps(bundle)
    deep = '{"url":"urn:x","extension":[' * 10_000 + "]}" * 10_000
    content = text.replace('"gender": "female"', f'"gender": "female", "extension": [{deep}]')
    assert content != text
    before = await house.stored()
    refused = await house.riverside.ask("POST", "", content=content.encode())
    assert refused.status_code == 400, refused.text
    assert await house.stored() == before


# ---- mutations


async def test_s29_given_a_good_bundle_when_mutated_at_random_then_never_a_5xx_and_nothing_half(
    house,
):
    riverside, mounds = house.riverside, house.mounds
    good = need(riverside.reference, mounds.reference)
    assert (await riverside.posts(good)).status_code == 200
    rnd = random.Random(29)
    statuses: dict[int, int] = {}
    for number in range(MUTATIONS):
        content = mutated(good, rnd)
        before = await house.value(OTHERS_THAN_THE_HUB)
        answered = await riverside.ask("POST", "", content=content)
        statuses[answered.status_code] = statuses.get(answered.status_code, 0) + 1
        assert answered.status_code < 500, (number, content[:3000], answered.text)
        after = await house.value(OTHERS_THAN_THE_HUB)
        if answered.status_code >= 400:
            assert answered.json()["resourceType"] == "OperationOutcome"
            assert after == before, number
    print(f"\n{MUTATIONS} mutations: {dict(sorted(statuses.items()))}")
    assert statuses.get(200), "some mutations are harmless"
    assert sum(statuses[status] for status in statuses if status >= 400) > MUTATIONS / 3

    # What was accepted is routed: nothing among it holds up the worker
    await house.settled(within=60)
    assert await house.value("select count(*) from delivery where state <> 'delivered'") == 0
    assert (
        await house.value(
            "select count(*) from episode where planned_at is null and state = 'open'"
        )
        == 0
    )
