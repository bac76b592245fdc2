"""The CapabilityStatement walked: whatever it claims is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from coordhub.fhir.audit_event import SEARCHED
from coordhub.fhir.dispatch import OPERATIONS
from coordhub.r4 import definitions, types
from coordhub.r4.composites import component_parameters
from coordhub.r4.parameters import SearchParameter, parameters

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
EXAMPLES = {
    "date": "2020", "token": "a", "string": "a", "uri": "http://a.example",
    "number": "1", "quantity": "1", "special": "1|1",
}  # fmt: skip


VALUES = {
    "boolean": True, "integer": 1, "positiveInt": 1, "unsignedInt": 1, "decimal": 1, "code": "a",
    "date": "2020-01-01", "dateTime": "2020-01-01", "instant": "2020-01-01T00:00:00Z",
    "uri": "urn:a", "url": "urn:a", "canonical": "urn:a", "base64Binary": "YQ==", "id": "a",
    "string": "a", "markdown": "a", "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>',
    "Reference": {"display": "a"}, "CodeableConcept": {"text": "a"}, "Coding": {"code": "a"},
    "Attachment": {"title": "a"}, "Quantity": {"value": 1}, "Money": {"value": 1},
    "Period": {"start": "2020"}, "Resource": {"resourceType": "Basic", "code": {"text": "a"}},
}  # fmt: skip
INVARIANTS: dict[str, dict[str, Any]] = {
    "AllergyIntolerance": {"verificationStatus": {"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
        "code": "entered-in-error"}]}},
    "Appointment": {"status": "proposed", "participant": [
        {"status": "accepted", "actor": {"display": "a"}}]},
    "AppointmentResponse": {"actor": {"display": "a"}},
    "CapabilityStatement": {"kind": "requirements", "description": "a", "rest": [{"mode": "client"}]},
    "Consent": {"policyRule": {"text": "a"}},
    "EventDefinition": {"trigger": [{"type": "named-event", "name": "a"}]},
    "ImmunizationRecommendation": {"recommendation": [{
        "vaccineCode": [{"text": "a"}], "forecastStatus": {"text": "a"}}]},
    "InsurancePlan": {"name": "a"},
    "Linkage": {"item": 2 * [{"type": "source", "resource": {"display": "a"}}]},
    "Organization": {"name": "a"},
    "StructureDefinition": {"type": "A", "differential": {"element": [{"id": "A", "path": "A"}]}},
    "Subscription": {"status": "off", "criteria": "Task?status=requested", "channel": {
        "type": "rest-hook", "endpoint": "https://a.example/hook"}},
    "TerminologyCapabilities": {"kind": "requirements", "description": "a"},
}  # fmt: skip
"""What types need besides their required elements."""


def least(kind: str) -> dict[str, Any]:
    """The required elements of a type, and what its invariants ask for."""
    made: dict[str, Any] = {}
    for element in definitions.elements(kind):
        if element.required and element.name not in INVARIANTS.get(kind, {}):
            name, of = next(iter(element.json_names().items()))
            value = VALUES[of] if of in VALUES else least(of)
            if element.codes:
                value = min(definitions.codes(element.codes))
            if element.concepts:
                system, code = min(definitions.concepts(element.concepts))
                value = {"coding": [{"system": system, "code": code}]}
            made[name] = [value] if element.repeats else value
    return made | INVARIANTS.get(kind, {})


@pytest.fixture
async def rest(house) -> dict[str, Any]:
    return (await house.http.get("/fhir/metadata")).json()["rest"][0]


def of(rest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(resource for resource in rest["resource"] if resource["type"] == name)


def example(parameter: SearchParameter) -> str:
    if parameter.kind == "reference":
        return f"{min(parameter.targets, default='Patient')}/1"
    return EXAMPLES[parameter.kind]


async def each_type(rest, walk) -> None:
    """`walk(stated)` for the entry of every type, some at a time."""
    free = asyncio.Semaphore(4)

    async def one(stated) -> None:
        async with free:
            await walk(stated)

    assert len(rest["resource"]) == 146
    async with asyncio.TaskGroup() as walks:
        for stated in rest["resource"]:
            walks.create_task(one(stated))


async def test_given_every_search_parameter_of_every_type_when_searched_by_then_none_is_refused(
    house, rest
):
    async def walk(stated) -> None:
        kind = stated["type"]
        urls = []
        for one in stated["searchParam"]:
            parameter = parameters(kind)[one["name"]]
            assert one["type"] == parameter.kind
            of = component_parameters(parameter) if parameter.components else (parameter,)
            urls.append(f"{kind}?{one['name']}={'$'.join(example(each) for each in of)}")
        # a batch: a request each, without what HTTP costs each of them
        entries = [{"request": {"method": "GET", "url": url}} for url in urls]
        sent = {"resourceType": "Bundle", "type": "batch", "entry": entries}
        answered = (await house.near.ask("POST", "", sent)).json()
        for url, found in zip(urls, answered["entry"], strict=True):
            assert found["response"]["status"] == "200 OK", (url, found)
            assert found["resource"]["type"] == "searchset"

    assert sum(len(stated["searchParam"]) for stated in rest["resource"]) > 2500
    await each_type(rest, walk)


async def test_given_every_include_of_every_type_when_asked_for_then_none_is_refused(house, rest):
    async def walk(stated) -> None:
        kind = stated["type"]
        for listing, asked in (("searchInclude", "_include"), ("searchRevInclude", "_revinclude")):
            listed = stated.get(listing, [])
            assert bool(listed) == (kind != "AuditEvent")
            for start in range(0, len(listed), 100):
                query = "&".join(f"{asked}={each}" for each in listed[start : start + 100])
                found = await house.near.ask("GET", f"/{kind}?{query}")
                assert found.status_code == 200, found.text

    assert {"Task:focus", "Task:subject"} <= set(of(rest, "Task")["searchInclude"])
    await each_type(rest, walk)


async def test_given_audit_events_when_claimed_then_only_what_searches_of_the_hubs_own_take(
    house, rest
):
    stated = of(rest, "AuditEvent")
    assert {one["name"] for one in stated["searchParam"]} == set(SEARCHED)
    assert not {"searchInclude", "searchRevInclude"} & stated.keys()
    for refused in ("altid=a", "site=a", "_include=*", "_tag=a"):
        assert (await house.near.ask("GET", f"/AuditEvent?{refused}")).status_code == 400


async def test_given_every_interaction_of_every_type_when_asked_for_then_it_does_what_is_claimed(
    house, rest
):
    ask = house.near.ask
    formats = (await house.http.get("/fhir/metadata")).json()
    json_patch, fhirpath_patch = formats["patchFormat"]
    plain, full = formats["format"]

    async def walk(stated) -> None:
        kind = stated["type"]
        assert [one["code"] for one in stated["interaction"]] == [
            "read", "vread", "update", "patch", "delete", "history-instance", "history-type",
            "create", "search-type",
        ]  # fmt: skip

        async def asked(status: int, *how: Any, **more: Any) -> Any:
            answered = await ask(*how, **more)
            assert answered.status_code == status, (kind, how[:2], more, answered.text)
            return answered

        body = {"resourceType": kind, **least(kind)}
        made = await asked(201, "POST", f"/{kind}", body)
        document, path = made.json(), f"/{kind}/{made.json()['id']}"
        criteria = f"_id={document['id']}"
        assert stated["conditionalCreate"]
        await asked(200, "POST", f"/{kind}", body, headers={"If-None-Exist": criteria})
        read = await asked(200, "GET", f"{path}?_format={plain}")
        assert read.json() == document
        assert stated["conditionalRead"] == "full-support"
        known = {"If-None-Match": read.headers["etag"]}
        await asked(304, "GET", f"{path}?_format={full}", headers=known)
        assert stated["versioning"] == "versioned"
        await asked(200, "PUT", path, {**document, "language": "en"})
        added = [{"op": "replace", "path": "/language", "value": "de"}]
        sent = {"Content-Type": json_patch}
        await asked(200, "PATCH", path, content=msgspec.json.encode(added), headers=sent)
        sent = {"Content-Type": fhirpath_patch}
        await asked(200, "PATCH", path, content=msgspec.json.encode(PATCH), headers=sent)
        assert stated["conditionalUpdate"]
        changed = await asked(200, "PUT", f"/{kind}?{criteria}", {**document, "language": "fr"})
        assert changed.headers["etag"] == 'W/"5"'
        assert not stated["updateCreate"]
        await asked(405, "PUT", f"/{kind}/absent", {**body, "id": "absent"})
        assert stated["conditionalDelete"] == "single"
        await asked(204, "DELETE", f"/{kind}?{criteria}")
        await asked(204, "DELETE", path)
        await asked(410, "GET", path)
        assert stated["readHistory"]
        past = (await asked(200, "GET", f"{path}/_history/3?_format={full}")).json()
        assert past["language"] == "de"
        for url in (f"{path}/_history", f"/{kind}/_history"):
            listed = (await asked(200, "GET", url)).json()["entry"]
            assert sum(document["id"] in one["fullUrl"] for one in listed) == 6, url

    await each_type(rest, walk)


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
    walked: set[str] = set()

    async def walk(resource) -> None:
        name = resource["type"]
        for one in resource["operation"]:
            operation = OPERATIONS[one["name"]]
            for level, path in (("type", f"/{name}"), ("instance", f"/{name}/absent")):
                if operation.at(level, name):
                    method = operation.methods[0]
                    if level == "type" and operation.of_type:
                        (method,) = operation.of_type
                    answered = await house.near.ask(method, f"{path}/${one['name']}")
                    issues = answered.json().get("issue", [{}])
                    assert answered.status_code in (200, 400, 404), answered.text
                    assert "not offered" not in issues[0].get("diagnostics", "")
                    walked.add(one["name"])

    await each_type(rest, walk)
    assert walked == set(OPERATIONS)
    own = [one for one in of(rest, "Task")["operation"] if one["name"] == "status-of-referral"]
    path = own[0]["definition"].removeprefix("http://hub.example/fhir")
    assert (await house.near.ask("GET", path)).json()["code"] == "status-of-referral"


async def test_given_the_statement_when_measured_then_it_is_no_burden(house):
    stated = await house.http.get("/fhir/metadata", headers={"Accept-Encoding": "gzip"})
    assert stated.headers["content-encoding"] == "gzip"
    assert int(stated.headers["content-length"]) < 100_000
    assert len(msgspec.json.encode(stated.json())) < 3_000_000


async def test_given_the_statement_when_asked_for_in_part_or_again_then_that_part_or_304(house):
    whole = await house.http.get("/fhir/metadata")
    assert (await house.http.get("/fhir/metadata?mode=full")).content == whole.content
    assert (await house.http.get("/fhir/metadata?mode=normative")).content == whole.content
    part = await house.http.get("/fhir/metadata?_elements=software")
    assert part.json()["software"] == whole.json()["software"]
    assert "rest" not in part.json()
    assert part.json()["meta"]["tag"][0]["code"] == "SUBSETTED"
    brief = await house.http.get("/fhir/metadata?_summary=true")
    assert len(brief.content) < len(whole.content) / 4
    assert [one["type"] for one in brief.json()["rest"][0]["resource"]] == list(types.NAMES)
    for sent in (
        {"If-None-Match": whole.headers["etag"]},
        {"If-Modified-Since": whole.headers["last-modified"]},
    ):
        again = await house.http.get("/fhir/metadata", headers=sent)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == whole.headers["etag"]
    other = await house.http.get("/fhir/metadata", headers={"If-None-Match": 'W/"1"'})
    assert other.status_code == 200
