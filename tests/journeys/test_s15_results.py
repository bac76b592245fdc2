"""S15: a result reaches who asked for it, once, and not who made it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordhub.sandbox import demo


@pytest.mark.parametrize("named", ["the hub's order", "the sender's order", "the Task's output"])
async def test_s15_given_a_result_when_it_names_where_it_belongs_then_it_reaches_the_requester_once(
    house, named
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    order = house.target((await lakeside.read(t2))["focus"])

    # When Lakeside reports
    based_on = {"the hub's order": order, "the sender's order": sent.order}.get(named)
    result = await lakeside.reports(sent.patient, based_on)
    assert await riverside.sees(result) == (based_on is not None)
    if based_on is None:
        await lakeside.answers(t2, "completed", output=result)
    await house.settled()

    # Then it is at Riverside's server, once, and readable at the hub
    assert len(await riverside.history_at_own_server(result)) == 1
    assert await riverside.sees(result)
    # And the timeline of the referral names it
    status = await riverside.ask("GET", f"/{sent.task}/$status-of-referral")
    named = [
        part["valueReference"]["reference"]
        for event in status.json()["parameter"]
        for part in event.get("part", ())
        if part["name"] == "resource"
    ]
    assert named == [result]
    # And it was not sent back to who made it, nor to anyone else
    for other in (lakeside, house.metrolab, house.northgate):
        assert await other.holds(result) is None
    assert not await house.metrolab.sees(result)


async def test_s15_given_four_who_are_to_know_when_one_is_denied_then_the_other_three_get_it_once_each(
    house,
):
    # Given Lakeside ordered, Riverside is the patient's doctor, and the order says who else is to know
    lakeside, lab, riverside = house.lakeside, house.metrolab, house.riverside
    heart, nurse = await house.joins("heart", treats=True), await house.joins("nurse", treats=True)
    sent, task = await house.given_asked(lakeside, lab)
    who = await lakeside.read(sent.patient)
    named = {**who, "generalPractitioner": [{"reference": riverside.reference}]}
    assert (await lakeside.ask("PUT", f"/{sent.patient}", named)).status_code == 200
    copies = {
        "resourceType": "CommunicationRequest",
        "status": "active",
        "about": [{"reference": sent.order}],
        "subject": {"reference": sent.patient},
        # the doctor once more, and the lab itself
        "recipient": [{"reference": one.reference} for one in (heart, nurse, riverside, lab)],
    }
    assert (await lakeside.ask("POST", "/CommunicationRequest", copies)).status_code == 201
    # and the patient does not want the heart clinic to know
    consent = demo.consent(
        sent.patient, lakeside.reference, [heart.reference], "2026-01-05T09:00:00Z"
    )
    consent["provision"]["type"] = "deny"
    assert (await lakeside.ask("POST", "/Consent", consent)).status_code == 201
    await lab.answers(task, "accepted")

    # When the lab sends report and observation
    observed = demo.observation(sent.patient, lab.reference, datetime.now(UTC), "7.1", sent.order)
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "basedOn": [{"reference": sent.order}],
        "code": {"text": "HbA1c"},
        "subject": {"reference": sent.patient},
        "result": [{"reference": "urn:uuid:0a2f6a36-5f3c-4d52-9d36-1a3f5f0b5c77"}],
    }
    entries = [
        (observed, "urn:uuid:0a2f6a36-5f3c-4d52-9d36-1a3f5f0b5c77"),
        (report, "urn:uuid:7a3d5d0c-6d7e-4d5e-8b37-0f5d5a0c1e11"),
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": url,
                "resource": one,
                "request": {"method": "POST", "url": one["resourceType"]},
            }
            for one, url in entries
        ],
    }
    answered = await lab.posts(bundle)
    assert answered.status_code == 200, answered.text
    made = demo.located(answered.json())
    await house.settled()

    # Then three of the four have it, once each, with a decision of its own for each; and not the lab
    rows = await house.rows(
        "select o.fhir_id, d.state, d.reason from delivery d join resource r on r.rid = d.rid"
        " join resource o on o.rid = d.organization where r.fhir_id = $1",
        made["DiagnosticReport"].partition("/")[2],
    )
    decided = {row["fhir_id"]: row["state"] for row in rows}
    assert len(rows) == 4
    assert decided == {
        lakeside.id: "delivered",
        riverside.id: "delivered",
        nurse.id: "delivered",
        heart.id: "suppressed",
    }
    [why] = [row["reason"] for row in rows if row["fhir_id"] == heart.id]
    assert why == "the recipient may not see it: nothing that the patient said covers it"
    for one in (lakeside, riverside):
        assert len(await one.history_at_own_server(made["DiagnosticReport"])) == 1
        assert len(await one.history_at_own_server(made["Observation"])) == 1
    assert (await riverside.holds(sent.patient)) is not None, "whose it is"
    assert await lab.holds(made["Observation"]) is None
    for one, sees in ((nurse, True), (heart, False)):
        assert await one.sees(made["DiagnosticReport"]) == sees
        assert await one.sees(made["Observation"]) == sees


async def test_s15_given_a_result_that_is_based_on_the_order_and_output_then_the_requester_has_one(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    result = await lakeside.reports(sent.patient, sent.order)
    await lakeside.answers(t2, "completed", output=result)
    await house.settled()

    changed = await house.value(
        "select count(*) from delivery d join resource r on r.rid = d.rid where r.fhir_id = $1",
        result.partition("/")[2],
    )
    assert changed == 1
    assert len(await riverside.history_at_own_server(result)) == 1
    held = (await riverside.hub.get(f"{riverside.own}/fhir/Observation")).json()
    assert [entry["resource"]["id"] for entry in held["entry"]] == [result.partition("/")[2]]


async def test_s15_given_a_corrected_result_when_its_maker_updates_it_then_the_correction_arrives(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    result = await lakeside.reports(sent.patient, sent.order)
    await house.settled()

    stored = await lakeside.read(result)
    corrected = {
        **stored,
        "status": "corrected",
        "valueQuantity": {**stored["valueQuantity"], "value": 6.4},
    }
    done = await lakeside.ask("PUT", f"/{result}", corrected)
    assert done.status_code == 200, done.text
    await house.settled()
    assert [version["status"] for version in await riverside.history_at_own_server(result)] == [
        "final",
        "corrected",
    ]


async def test_s15_given_one_who_was_not_asked_when_it_names_the_order_then_nobody_is_told(house):
    riverside, lakeside, metro = house.riverside, house.lakeside, house.metrolab
    sent, _ = await house.given_asked(riverside, lakeside)
    absent = metro_result(sent, metro.reference)
    refused = await metro.ask("POST", "/Observation", absent)
    assert refused.status_code == 422, refused.text
    assert {issue["expression"][0] for issue in refused.json()["issue"]} == {
        "Observation.subject.reference",
        "Observation.basedOn[0].reference",
    }


def metro_result(sent, performer):
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "HbA1c"},
        "basedOn": [{"reference": sent.order}],
        "subject": {"reference": sent.patient},
        "performer": [{"reference": performer}],
    }


async def test_s15_given_a_victim_service_provider_that_ordered_when_the_result_comes_then_nobody_else_is_told(
    house, safe
):
    lab, riverside = house.metrolab, house.riverside
    bundle = house.referral(safe, lab.reference)
    [who] = [
        entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    ]
    who["generalPractitioner"] = [{"reference": riverside.reference}]
    sent = await safe.refers(bundle)
    task = await house.until(lambda: lab.asked(sent))
    await lab.answers(task, "accepted")
    order = house.target((await lab.read(task))["focus"])
    mine = await lab.ask("POST", "/Patient", {"resourceType": "Patient", "name": [{"text": "A."}]})
    for patient in (sent.patient, f"Patient/{mine.json()['id']}"):
        result = demo.observation(patient, lab.reference, datetime.now(UTC), "7.1", order)
        await lab.ask("POST", "/Observation", result)
    await house.settled()
    told = await house.rows(
        "select distinct d.organization from delivery d join resource r on r.rid = d.rid"
        " join resource o on o.rid = d.organization where o.fhir_id = $1",
        riverside.id,
    )
    assert told == []
    assert await riverside.received() == []
    assert await riverside.find("Observation?code=http://loinc.org%7C4548-4") == []
