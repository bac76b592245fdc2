"""What somebody could learn of a referral by asking beside it, and does not."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from coordhub.admin.acts import Operator, bind_person
from coordhub.commands.clients import PERSONAL
from coordhub.referral.same_kind import SDOHCC

FOOD, ROOF = "food-insecurity", "homelessness"
REASON = "urn:coordhub:task-status-reason"


def duplicate_of(task):
    kind = {"coding": [{"system": "urn:coordhub:output", "code": "duplicate-of"}]}
    return {
        "status": "rejected",
        "statusReason": {"coding": [{"system": REASON, "code": "duplicate-service"}]},
        "output": [{"type": kind, "valueReference": {"reference": task}}],
    }


async def refers_two(house, sender, food, roof):
    """One Task with two needs: the pantry is asked for food, the shelter for a roof."""
    bundle = house.referral(sender, food, roof, kind=FOOD)
    entries = {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}
    first = entries["ServiceRequest"]["resource"]
    first["requisition"] = {"system": "urn:test:requisition", "value": uuid.uuid4().hex}
    first["performer"] = [{"reference": food}]
    address = uuid.uuid4().urn
    asked = {"coding": [{"system": SDOHCC, "code": ROOF}]}
    second = {**first, "category": [asked], "code": asked, "performer": [{"reference": roof}]}
    second.pop("identifier", None)
    bundle["entry"].append(
        {
            "fullUrl": address,
            "resource": second,
            "request": {"method": "POST", "url": "ServiceRequest"},
        }
    )
    entries["Task"]["resource"]["input"] = [
        {"type": {"text": "need"}, "valueReference": {"reference": address}}
    ]
    answered = await sender.posts(bundle)
    assert answered.status_code == 200, answered.text
    return sender.made(answered), house.target(
        (await sender.read(sender.made(answered).task))["input"][0]["valueReference"]
    )


async def test_given_two_needs_when_one_is_asked_for_then_its_recipient_learns_nothing_of_the_other(
    house,
):
    riverside, pantry, shelter = house.riverside, house.mounds, house.northgate
    sent, roof = await refers_two(house, riverside, pantry.reference, shelter.reference)
    task = await house.until(lambda: pantry.asked(sent))
    at_shelter = await house.until(lambda: shelter.asked(sent))
    assert not await pantry.sees(roof)
    assert roof.partition("/")[2] not in str(await pantry.read(task))
    await pantry.answers(task, "accepted")
    await shelter.answers(at_shelter, "accepted")
    assert not await pantry.sees(roof)
    assert await shelter.sees(roof)

    # and what is said about one need, who is asked for the other does not hear
    said = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": sent.patient},
        "about": [{"reference": roof}],
        "payload": [{"contentString": "sleeps in the car"}],
    }
    made = await riverside.ask("POST", "/Communication", said)
    assert made.status_code == 201, made.text
    await house.settled()
    said = f"Communication/{made.json()['id']}"
    assert await shelter.sees(said)
    assert not await pantry.sees(said)
    assert await pantry.holds(said) is None


async def test_given_a_referral_that_asks_a_victim_service_provider_too_when_another_merges_it_then_as_any(
    house, safe
):
    riverside, lakeside = house.riverside, house.lakeside
    answers = []
    for recipients in ((lakeside.reference,), (lakeside.reference, safe.reference)):
        older = await riverside.refers(house.referral(riverside, lakeside.reference))
        newer = await riverside.refers(house.referral(riverside, *recipients))
        kept = await house.until(lambda older=older: lakeside.asked(older))
        ended = await house.until(lambda newer=newer: lakeside.asked(newer))
        await house.settled()
        known = await lakeside.read(ended)
        answered = await lakeside.ask("PUT", f"/{ended}", {**known, **duplicate_of(kept)})
        stands = await lakeside.read(ended)
        told = sorted(one["what"] for one in (await lakeside.told(ended)).events)
        answers.append((answered.status_code, stands["status"], stands.get("statusReason"), told))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("what", ["deceasedBoolean", "address"])
async def test_given_a_sender_that_may_not_see_the_patient_any_more_when_it_dies_or_moves_then_it_is_not_told(
    house, what
):
    """The holder of the record writes; another organization that referred was denied since."""
    riverside, lakeside = house.riverside, house.lakeside
    eastside = await house.joins("second-opinion", treats=True)
    sent, task = await house.given_asked(riverside, lakeside)
    await lakeside.answers(task, "accepted")
    await lakeside.answers(task, "in-progress")
    order = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order",
        "code": {"text": "second opinion"}, "subject": {"reference": sent.patient},
        "requester": {"reference": lakeside.reference},
        "performer": [{"reference": eastside.reference}],
    }  # fmt: skip
    made = await lakeside.ask("POST", "/ServiceRequest", order)
    assert made.status_code == 201, made.text
    asks = {
        "resourceType": "Task", "status": "requested", "intent": "order",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": f"ServiceRequest/{made.json()['id']}"},
        "for": {"reference": sent.patient}, "requester": {"reference": lakeside.reference},
    }  # fmt: skip
    onward = await lakeside.ask("POST", "/Task", asks)
    assert onward.status_code == 201, onward.text
    onward = f"Task/{onward.json()['id']}"
    await house.until(lambda: eastside.find(f"Task?part-of={onward}"))
    await house.settled()
    denial = {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                              "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": sent.patient},
        "organization": [{"reference": riverside.reference}],
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                                   "code": "OPTIN"}]},
        "provision": {"type": "deny", "actor": [{
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                 "code": "IRCP"}]},
            "reference": {"reference": lakeside.reference}}]},
    }  # fmt: skip
    done = await riverside.ask("POST", "/Consent", denial)
    assert done.status_code == 201, done.text
    assert not await lakeside.sees(sent.patient)
    await house.settled()
    before = len(await lakeside.received())
    value = True if what == "deceasedBoolean" else [{"postalCode": "90210"}]
    document = {**(await riverside.read(sent.patient)), what: value}
    changed = await riverside.ask("PUT", f"/{sent.patient}", document)
    assert changed.status_code == 200, changed.text
    await house.settled()
    reviews = await lakeside.find("Task?code=review")
    assert [
        house.target(one["focus"]) for one in reviews if house.target(one["focus"]) == onward
    ] == []
    assert len(await lakeside.received()) == before


async def test_given_somebody_else_s_order_when_a_stranger_names_itself_for_a_copy_then_it_gets_none(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    stranger = await house.joins("stranger", treats=True)
    sent, task = await house.given_asked(riverside, lakeside)
    await lakeside.answers(task, "accepted")
    group = (await riverside.read(sent.order)).get("requisition")
    named = {
        "resourceType": "CommunicationRequest",
        "status": "active",
        "recipient": [{"reference": stranger.reference}],
        "requester": {"reference": riverside.reference},
    }
    for more in (
        {"about": [{"reference": sent.order}]},
        {"basedOn": [{"reference": sent.order}], "subject": {"reference": sent.patient}},
        *([{"groupIdentifier": group}] if group else ()),
    ):
        answered = await stranger.ask("POST", "/CommunicationRequest", {**named, **more})
        invented = str({**named, **more}).replace(sent.order, f"ServiceRequest/{uuid.uuid4()}")
        assert answered.status_code in (201, 422), (answered.text, invented)
    team = {
        "resourceType": "CareTeam", "status": "active", "subject": {"reference": sent.patient},
        "participant": [{"member": {"reference": stranger.reference}}],
    }  # fmt: skip
    assert (await stranger.ask("POST", "/CareTeam", team)).status_code in (201, 422)
    result = await lakeside.reports(sent.patient, sent.order)
    await house.settled()
    assert await riverside.sees(result)
    for reference in (result, sent.patient, sent.order):
        assert not await stranger.sees(reference)
    assert await stranger.find("Observation") == []


async def test_given_a_result_of_somebody_who_was_not_asked_when_it_names_an_order_then_it_tells_nothing(
    house,
):
    """Neither to who ordered, nor to its author whether there is such an order."""
    riverside, lakeside = house.riverside, house.lakeside
    stranger = await house.joins("stranger", treats=True)
    sent, task = await house.given_asked(riverside, lakeside)
    number = (await lakeside.read(house.target((await lakeside.read(task))["focus"])))["identifier"]
    await house.settled()
    before = len(await riverside.received())
    known = len(await riverside.find("Observation"))
    answers = []
    for order, numbered in (
        (sent.order, number[0]),
        (f"ServiceRequest/{uuid.uuid4()}", {**number[0], "value": str(uuid.uuid4())}),
    ):
        for based_on in ({"reference": order}, {"identifier": numbered}):
            result = {
                "resourceType": "Observation", "status": "final", "code": {"text": "critical"},
                "interpretation": [{"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                    "code": "HH"}]}],
                "basedOn": [{"type": "ServiceRequest", **based_on}],
            }  # fmt: skip
            done = await stranger.ask("POST", "/Observation", result)
            text = done.text.replace(order, "it")
            answers.append(
                (done.status_code, [one.get("code") for one in done.json().get("issue", ())])
            )
            assert sent.order not in text
    assert answers[:2] == answers[2:]
    await house.settled()
    assert len(await riverside.received()) == before
    assert len(await riverside.find("Observation")) == known
    assert (await riverside.told(sent.task)).events[-1]["what"] != "result"
    errands = await stranger.find("Task?code=match-result")
    assert all("input" not in one for one in errands)


async def test_given_a_mother_when_she_asks_who_could_help_then_no_consent_of_the_girl_tells_on_her(
    house,
):
    riverside, pantry = house.riverside, house.mounds
    born = (house.hub.clock() - timedelta(days=15 * 366)).date().isoformat()
    sent = await riverside.refers(house.referral(riverside, pantry.reference, kind=FOOD))
    patient = {**(await riverside.read(sent.patient)), "birthDate": born}
    assert (await riverside.ask("PUT", f"/{sent.patient}", patient)).status_code == 200
    await house.offers(pantry, FOOD)
    await house.offers(house.northgate, FOOD)
    role = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
    mother = {
        "resourceType": "RelatedPerson", "active": True, "patient": {"reference": sent.patient},
        "relationship": [{"coding": [{"system": role, "code": "MTH"}]}],
    }  # fmt: skip
    made = await riverside.ask("POST", "/RelatedPerson", mother)
    await bind_person(
        house.hub, Operator("rosa"), "mother", f"RelatedPerson/{made.json()['id']}", PERSONAL
    )
    token = house.tokens.issue(
        "mother", PERSONAL, now=house.hub.clock(), lifetime=timedelta(hours=1)
    )
    mothers = replace(riverside, token=token)
    assert await mothers.sees(sent.patient)
    assert await mothers.find("Consent") == []
    asked = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order",
        "category": [{"coding": [{"system": SDOHCC, "code": FOOD}]}],
        "subject": {"reference": sent.patient},
    }  # fmt: skip
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "serviceRequest", "resource": asked}],
    }
    answered = await mothers.ask("POST", "/ServiceRequest/$route", parameters)
    assert answered.status_code == 200, answered.text
    verdicts = {
        part["valueCode"]
        for one in answered.json()["parameter"]
        for part in one.get("part", ())
        if part["name"] == "verdict"
    }
    assert verdicts == {"in"}
    assert "consent" not in answered.text
    whole = await riverside.ask("POST", "/ServiceRequest/$route", parameters)
    assert "consent-missing" in whole.text, "who holds the record is told"
