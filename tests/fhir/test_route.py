"""The operation $route over HTTP: who could help, why not the others, what there is already; told to whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.referral.same_kind import SDOHCC
from coordhub.sandbox.demo import consent as agreement
from coordhub.store.visibility import DIRECTORY

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
FOOD = {"coding": [{"system": SDOHCC, "code": "food-insecurity"}]}


async def listed(house, document: dict[str, Any]) -> str:
    """An entry of the directory."""
    steward = Caller(None, DIRECTORY, "Organization/steward", scopes.EVERYTHING)
    hub = house.context.hub
    done = await commit(hub, steward, [Create(document["resourceType"], document)], interaction="x")
    return done.written[0].reference


async def offers(house, who, **more: Any) -> str:
    provider = {"providedBy": {"reference": who.reference}}
    document = {"resourceType": "HealthcareService", "category": [FOOD], **provider, **more}
    return await listed(house, document)


async def area(house, **address: str) -> list[dict[str, str]]:
    return [{"reference": await listed(house, {"resourceType": "Location", "address": address})}]


async def made(sender, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


def request(subject: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "category": [FOOD],
        "subject": {"reference": subject} if subject else {"display": "someone"},
        **more,
    }


def asking(**parts: Any) -> dict[str, Any]:
    named = [{"name": name, **value} for name, value in parts.items()]
    return {"resourceType": "Parameters", "parameter": named}


def told(answered) -> dict[str, list[Any]]:
    assert answered.status_code == 200, answered.text
    found: dict[str, list[Any]] = {}
    for one in answered.json()["parameter"]:
        found.setdefault(one["name"], []).append(value(one))
    return found


def value(one: dict[str, Any]) -> Any:
    if "part" in one:
        parts: dict[str, Any] = {"finding": []}
        for part in one["part"]:
            if part["name"] == "finding":
                parts["finding"].append(
                    tuple(value(part)[x] for x in ("criterion", "outcome", "code"))
                )
            else:
                parts[part["name"]] = value(part)
        return parts
    [stated] = [stated for name, stated in one.items() if name.startswith("value")]
    return stated["reference"] if isinstance(stated, dict) else stated


async def test_given_a_request_that_is_not_stored_when_asked_then_ranked_with_reasons_and_nothing_is_written(
    house,
):
    here = await offers(house, house.far, coverageArea=await area(house, postalCode="74101"))
    away = await offers(house, house.third, coverageArea=await area(house, postalCode="90210"))
    before = await house.stored()
    patient = {"resourceType": "Patient", "address": [{"postalCode": "74101"}]}
    answer = told(
        await house.near.ask(
            "POST",
            "/ServiceRequest/$route",
            asking(serviceRequest={"resource": request()}, patient={"resource": patient}),
        )
    )
    assert (answer["in"], answer["out"]) == ([1], [1])
    first, second = answer["candidate"]
    assert (first["recipient"], first["verdict"], first["confirm"]) == (here, "in", True)
    assert first["organization"] == house.far.reference
    assert ("area", "met", "in-area") in first["finding"]
    assert (second["recipient"], second["verdict"]) == (away, "out")
    assert ("area", "failed", "out-of-area") in second["finding"]
    assert await house.stored() == before


async def test_given_a_stored_request_when_asked_then_its_patient_counts_and_both_are_audited(
    house,
):
    mine = await offers(house, house.far)
    who = await made(house.near, {"resourceType": "Patient", "birthDate": "1961-04-02"})
    order = await made(house.near, request(who))
    answer = told(await house.near.ask("GET", f"/{order}/$route"))
    [candidate] = answer["candidate"]
    assert candidate["recipient"] == mine
    assert "duplicate" not in answer
    last = (await house.audited())[-1]
    assert (last["interaction"], len(last["rids"])) == ("$route", 2)


async def test_given_another_s_request_when_asked_then_403_if_seen_and_404_if_not(house):
    order = await made(house.near, request())
    hidden = await house.far.ask("GET", f"/{order}/$route")
    absent = await house.far.ask("GET", "/ServiceRequest/absent/$route")
    assert (hidden.status_code, absent.status_code) == (404, 404)
    gone = await made(house.near, request())
    assert (await house.near.ask("DELETE", f"/{gone}")).status_code == 204
    assert (await house.near.ask("GET", f"/{gone}/$route")).status_code == 410


@pytest.mark.parametrize(
    ("body", "status", "expression"),
    [
        (asking(patient={"valueString": "x"}), 400, "Parameters.parameter.where(name='serviceRequest')"),
        (asking(serviceRequest={"valueString": "x"}), 400, "Parameters.parameter.where(name='serviceRequest')"),
        (asking(serviceRequest={"resource": {"resourceType": "Patient"}}), 422,
         "Parameters.parameter.where(name='serviceRequest').resource"),
        (asking(serviceRequest={"resource": request(category=[{"text": "help"}])}), 422, "ServiceRequest.category"),
        (asking(serviceRequest={"resource": request()}, patient={"valueReference": {"reference": "Patient/absent"}}),
         400, "Parameters.parameter.where(name='patient')"),
        (asking(serviceRequest={"resource": request()}, patient={"valueString": "x"}),
         400, "Parameters.parameter.where(name='patient')"),
        ({"resourceType": "Patient"}, 400, "Resource.resourceType"),
    ],
)  # fmt: skip
async def test_given_what_cannot_be_answered_when_asked_then_it_says_which_element(
    house, body, status, expression
):
    answered = await house.near.ask("POST", "/ServiceRequest/$route", body)
    assert answered.status_code == status, answered.text
    assert answered.json()["issue"][0]["expression"] == [expression]


@pytest.mark.parametrize("count", ["x", "-1", "1&_count=2"])
async def test_given_an_odd_count_when_asked_then_it_is_refused(house, count):
    order = await made(house.near, request())
    answered = await house.near.ask("GET", f"/{order}/$route?_count={count}")
    assert answered.status_code == 400
    for name in ("x", "y"):
        await offers(house, house.far, name=name)
    assert len(told(await house.near.ask("GET", f"/{order}/$route?_count=1"))["candidate"]) == 1
    assert told(await house.near.ask("GET", f"/{order}/$route?_count=0"))["in"] == [2]


async def test_given_hours_when_asked_for_tonight_then_by_the_wall_of_the_service(house):
    now = house.context.hub.clock()
    tokyo = ZoneInfo("Asia/Tokyo")
    there = now.astimezone(tokyo)
    zone = {
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "Asia/Tokyo"}
        ]
    }

    def hours(first: int, last: int) -> dict[str, Any]:
        """Open each day between these hours from now on."""
        begins, ends = (there + timedelta(hours=one) for one in (first, last))
        return {"availableTime": [{
            "availableStartTime": begins.strftime("%H:00:00"), "availableEndTime": ends.strftime("%H:00:00"),
        }]}  # fmt: skip

    soon = await offers(house, house.far, **hours(3, 5), **zone)
    late = await offers(house, house.far, **hours(15, 17), **zone)
    unsaid = await offers(house, house.far, **hours(15, 17))
    body = asking(serviceRequest={"resource": request(priority="urgent")})
    answer = told(await house.near.ask("POST", "/ServiceRequest/$route", body))
    said = {
        one["recipient"]: code
        for one in answer["candidate"]
        for criterion, _, code in one["finding"]
        if criterion == "hours"
    }
    assert said == {soon: "open", late: "closed", unsaid: "hours-not-stated"}


# ---- consent


def consent(patient: str, who: str, kind: str = "permit") -> dict[str, Any]:
    document = agreement(patient, who, [who], "2026-01-01T10:00:00Z")
    document["provision"]["type"] = kind
    document["policyRule"]["coding"][0]["code"] = "OPTIN" if kind == "permit" else "OPTOUT"
    return document


async def denies(house, patient: str, who) -> None:
    await made(house.near, consent(patient, who.reference, "deny"))


async def test_given_a_denial_when_asked_then_who_holds_the_record_is_told_so_and_others_only_that_they_may_not(
    house,
):
    mine = await offers(house, house.far)
    who = await made(house.near, {"resourceType": "Patient"})
    await denies(house, who, house.far)
    body = asking(
        serviceRequest={"resource": request()}, patient={"valueReference": {"reference": who}}
    )
    [candidate] = told(await house.near.ask("POST", "/ServiceRequest/$route", body))["candidate"]
    assert ("consent", "failed", "patient-declined") in candidate["finding"]
    assert candidate["recipient"] == mine

    await made(house.near, consent(who, house.third.reference))
    [seen] = told(await house.third.ask("POST", "/ServiceRequest/$route", body))["candidate"]
    assert ("consent", "failed", "consent-missing") in seen["finding"]


# ---- what the person has already


def enrolment(patient: str, value: str, service: str | None, **more: Any) -> dict[str, Any]:
    focus = {"focus": [{"reference": service}]} if service else {}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "urn:example:programs", "code": "WIC"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2026-10-01",
        "valueCodeableConcept": {"coding": [{"system": SDOHCC, "code": value}]},
        **focus,
        **more,
    }


@pytest.mark.parametrize(
    ("value", "code"),
    [("enrolled", "already-enrolled"), ("not-enrolled-on-waitlist", "on-waiting-list")],
)
async def test_given_an_enrolment_when_asked_then_its_service_carries_the_warning(
    house, value, code
):
    wic, pantry = await offers(house, house.far), await offers(house, house.third)
    who = await made(house.near, {"resourceType": "Patient"})
    seen = await made(house.near, enrolment(who, value, wic))
    order = await made(house.near, request(who))
    answer = told(await house.near.ask("GET", f"/{order}/$route"))
    [duplicate] = answer["duplicate"]
    assert duplicate == {
        "finding": [], "code": code, "evidence": seen, "by": house.near.reference, "service": wic,
        "since": "2026-10-01T00:00:00.000Z",
    }  # fmt: skip
    findings = {one["recipient"]: one["finding"] for one in answer["candidate"]}
    assert ("duplicate", "unknown", code) in findings[wic]
    assert "duplicate" not in {criterion for criterion, _, _ in findings[pantry]}
    # The fact is recorded where no content of it is
    assert (await house.audited())[-1]["query"] == f"duplicate={code}"


async def test_given_an_enrolment_that_ended_or_is_not_seen_when_asked_then_no_warning(house):
    wic = await offers(house, house.far)
    who = await made(house.near, {"resourceType": "Patient"})
    order = await made(house.near, request(who))
    await made(house.near, enrolment(who, "enrolled", wic))
    await made(house.near, enrolment(who, "not-enrolled", wic, effectiveDateTime="2026-11-01"))
    await made(house.near, enrolment(who, "enrolled", None, status="entered-in-error"))
    assert "duplicate" not in told(await house.near.ask("GET", f"/{order}/$route"))


@pytest.mark.parametrize("security", [[], [{"system": ACT, "code": "HIV"}]])
async def test_given_an_enrolment_that_another_wrote_when_asked_then_told_to_who_may_see_it(
    house, security
):
    wic = await offers(house, house.far)
    who = await made(house.near, {"resourceType": "Patient"})
    order = await made(house.near, request(who))
    for one in (house.far, house.near):
        await made(house.near, consent(who, one.reference))
    meta = {"meta": {"security": security}} if security else {}
    seen = await made(house.far, enrolment(who, "enrolled", wic, **meta))
    visible = (await house.near.ask("GET", f"/{seen}")).status_code == 200
    assert visible == (not security)
    answer = told(await house.near.ask("GET", f"/{order}/$route"))
    assert [one["by"] for one in answer.get("duplicate", [])] == (
        [house.far.reference] if visible else []
    )


async def test_given_a_need_that_is_sensitive_when_asked_then_nothing_is_looked_for(house):
    wic = await offers(house, house.far)
    who = await made(house.near, {"resourceType": "Patient"})
    await made(house.near, enrolment(who, "enrolled", wic))
    security = {"security": [{"system": ACT, "code": "SDV"}]}
    order = await made(house.near, request(who, meta=security))
    answer = told(await house.near.ask("GET", f"/{order}/$route"))
    assert "duplicate" not in answer
    assert not [
        one for each in answer["candidate"] for one in each["finding"] if one[0] == "duplicate"
    ]

    quiet = await made(house.near, {"resourceType": "Patient"})
    await made(house.near, enrolment(quiet, "enrolled", wic, meta=security))
    order = await made(house.near, request(quiet))
    assert "duplicate" not in told(await house.near.ask("GET", f"/{order}/$route"))
