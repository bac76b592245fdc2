"""The operation $break-glass over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.admin.acts import Operator, change_client

MRN = {"system": "urn:test:mrn", "value": "7"}
BY = Operator("rosa")


async def made(sender: Any, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def allow(house: Any, client: str = "near") -> None:
    hub = house.context.hub
    await change_client(hub.engine, BY, client, hub.clock(), break_glass=True)


@pytest.fixture
async def glass(house: Any) -> dict[str, Any]:
    """far's patient with a result; near treats, and may break the glass."""
    await allow(house)
    patient = await made(
        house.far, {"resourceType": "Patient", "identifier": [MRN], "birthDate": "1980-02-03"}
    )
    result = await made(
        house.far,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": patient},
        },
    )
    doctor = await made(house.near, {"resourceType": "Practitioner"})
    return {"patient": patient, "result": result, "doctor": doctor}


def asked(glass: dict[str, Any], **other: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "identifier": {"valueIdentifier": MRN},
        "birthDate": {"valueDate": "1980-02-03"},
        "purpose": {"valueCode": "ETREAT"},
        "reason": {"valueString": "found unconscious"},
        "practitioner": {"valueReference": {"reference": glass["doctor"]}},
        "emergency": {"valueString": "anaphylaxis"},
        **other,
    }
    listed = [{"name": name, **value} for name, value in values.items() if value is not None]
    return {"resourceType": "Parameters", "parameter": listed}


async def test_given_an_emergency_when_asked_then_the_record_is_open_and_the_audit_says_for_what(
    house: Any, glass: dict[str, Any]
) -> None:
    near, far = house.near, house.far
    assert (await near.ask("GET", f"/{glass['result']}")).status_code == 404
    answered = await near.ask("POST", "/Patient/$break-glass", asked(glass))
    assert answered.status_code == 200, answered.text
    told = {one["name"]: one for one in answered.json()["parameter"]}
    assert told["patient"]["valueReference"]["reference"] == glass["patient"]
    assert told["part2"]["valueBoolean"] is True
    assert (await near.ask("GET", f"/{glass['result']}")).status_code == 200
    everything = await near.ask("GET", f"/{glass['patient']}/$everything")
    assert glass["result"] in {
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in everything.json()["entry"]
    }
    notices = (await far.ask("GET", f"/Communication?subject={glass['patient']}")).json()
    assert [
        f"Communication/{one['resource']['id']}" for one in notices["entry"]
    ] == [told["notice"]["valueReference"]["reference"]]  # fmt: skip

    events = (await far.ask("GET", f"/AuditEvent?patient={glass['patient']}")).json()["entry"]
    [event] = [one["resource"] for one in events if "purposeOfEvent" in one["resource"]]
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"
    assert "unconscious" not in str(events)
    own = (await near.ask("GET", f"/AuditEvent?patient={glass['patient']}")).json()["entry"]
    assert [one for one in own if "purposeOfEvent" in one["resource"]]

    accounted = await far.ask("GET", f"/{glass['patient']}/$accounting-of-disclosures")
    disclosures = [
        {part["name"]: part for part in reversed(one["part"])}
        for one in accounted.json()["parameter"]
        if one["name"] == "disclosure"
    ]
    assert {one["how"]["valueCode"] for one in disclosures} == {
        "$break-glass", "read", "$everything",
    }  # fmt: skip
    for one in disclosures:
        assert one["rule"]["valueCode"] == "break-glass"
        assert one["purpose"]["valueCoding"]["code"] == "BTG"
        assert one["recipient"]["valueReference"]["reference"] == near.reference


async def test_given_no_match_when_asked_then_the_same_404_as_for_several_and_one_audit_row(
    house: Any, glass: dict[str, Any]
) -> None:
    wrong = asked(glass, birthDate={"valueDate": "1980-02-04"})
    none = await house.near.ask("POST", "/Patient/$break-glass", wrong)
    await made(
        house.far, {"resourceType": "Patient", "identifier": [MRN], "birthDate": "1980-02-03"}
    )
    several = await house.near.ask("POST", "/Patient/$break-glass", asked(glass))
    reference = {"valueReference": {"reference": "Patient/none"}}
    unknown = await house.near.ask(
        "POST", "/Patient/$break-glass", asked(glass, identifier=None, patient=reference)
    )
    assert none.status_code == several.status_code == unknown.status_code == 404
    assert none.text == several.text == unknown.text
    rows = [one for one in await house.audited() if one["interaction"] == "$break-glass"]
    assert [one["outcome"] for one in rows] == [404] * 3


@pytest.mark.parametrize(
    ("other", "place"),
    [
        ({"purpose": {"valueCode": "TREAT"}}, "purpose"),
        ({"purpose": None}, "purpose"),
        ({"reason": None}, "reason"),
        ({"reason": {"valueString": "x" * 2001}}, "reason"),
        ({"reason": {"valueCode": "x"}}, "reason"),
        ({"emergency": None}, "emergency"),
        ({"practitioner": None}, "practitioner"),
        ({"birthDate": None}, "identifier"),
        ({"birthDate": {"valueDate": "1980"}}, "birthDate"),
        ({"identifier": None}, "identifier"),
        ({"identifier": {"valueIdentifier": {"value": "7"}}}, "identifier"),
        ({"identifier": None, "patient": {"valueReference": {"reference": "Group/1"}}}, "patient"),
    ],
)
async def test_given_a_parameter_that_lacks_when_asked_then_400_names_it(
    house: Any, glass: dict[str, Any], other: dict[str, Any], place: str
) -> None:
    refused = await house.near.ask("POST", "/Patient/$break-glass", asked(glass, **other))
    assert refused.status_code == 400, refused.text
    assert refused.json()["issue"][0]["expression"] == [
        f"Parameters.parameter.where(name='{place}')"
    ]


async def test_given_who_may_not_when_asked_then_403_and_how_it_may(
    house: Any, glass: dict[str, Any]
) -> None:
    document = asked(glass)
    refused = await house.far.ask("POST", "/Patient/$break-glass", document)
    assert refused.status_code == 403
    assert "coordhub client" in refused.json()["issue"][0]["diagnostics"]
    narrow = house.near.narrow("system/Observation.rs", house.context)
    refused = await house.near.ask("POST", "/Patient/$break-glass", document, token=narrow)
    assert refused.status_code == 403
    assert (await house.near.ask("GET", "/Patient/$break-glass")).status_code == 405
    assert (await house.near.ask("POST", "/Patient/$break-glass")).status_code == 400
    stated = await house.near.ask("POST", "/Patient/$break-glass?reason=x", document)
    assert stated.status_code == 400


async def test_given_too_many_tries_when_asked_then_429_with_retry_after(
    house: Any, glass: dict[str, Any]
) -> None:
    wrong = asked(glass, birthDate={"valueDate": "1980-02-04"})
    for _ in range(10):
        assert (await house.near.ask("POST", "/Patient/$break-glass", wrong)).status_code == 404
    refused = await house.near.ask("POST", "/Patient/$break-glass", asked(glass))
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "3600"
    assert (await house.near.ask("GET", f"/{glass['patient']}")).status_code == 404
