"""S06: a food bank without a server of its own works through the hub's API."""

from __future__ import annotations

from datetime import UTC, datetime

from coordhub.referral.same_kind import SDOHCC


async def test_s06_given_a_food_bank_without_a_server_when_it_polls_and_acts_then_the_sender_follows(
    house,
):
    riverside, mounds = house.riverside, house.mounds

    # Given Riverside refers to the food bank, which nothing can be sent to
    await house.agree(riverside, each_state=True)
    bundle = house.referral(riverside, mounds.reference)
    sent = await riverside.refers(bundle)
    await house.settled()
    assert await mounds.received() == []
    assert await house.value("select delivered_at from candidate") is not None
    assert await house.value("select seen_at from candidate") is None

    # When its staff's client polls
    inbox = await mounds.find(f"Task?owner={mounds.reference}&status=requested")
    assert len(inbox) == 1
    (task,) = inbox

    # Then that look is noted as seen, once
    seen = await house.value("select seen_at from candidate")
    assert seen is not None
    _, (asked,) = await riverside.whereabouts(sent)
    assert asked["delivered"] <= asked["opened"]
    t2, order = f"Task/{task['id']}", house.target(task["focus"])
    await mounds.read(t2)
    assert (await mounds.read(order))["status"] == "active"
    # It sees whom to give to, and not what a pantry has no use for
    whom = await mounds.read(sent.patient)
    assert set(whom) <= {
        "resourceType",
        "id",
        "meta",
        "active",
        "name",
        "telecom",
        "address",
        "communication",
    }
    assert whom["name"]
    assert whom["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert await mounds.find("Patient?birthdate=1961-04-02") == []
    assert len(await mounds.find(f"Patient?name={whom['name'][0]['family']}")) == 1
    refused = await mounds.ask("PUT", f"/{sent.patient}", whom)
    assert refused.status_code == 422, refused.text
    assert await house.value("select seen_at from candidate") == seen

    # When it accepts, starts, provides food and completes
    await mounds.answers(t2, "accepted")
    assert await mounds.find(f"Task?owner={mounds.reference}&status=requested") == []
    await mounds.answers(t2, "in-progress")
    provided = {
        "resourceType": "Procedure",
        "status": "completed",
        "basedOn": [{"reference": order}],
        "category": {
            "coding": [
                {
                    "system": SDOHCC,
                    "code": "food-insecurity",
                }
            ]
        },
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "710925007"}]},
        "subject": {"reference": sent.patient},
        "performedDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    made = await mounds.ask("POST", "/Procedure", provided)
    assert made.status_code == 201, made.text
    procedure = f"Procedure/{made.json()['id']}"
    activity = {"coding": [{"system": SDOHCC, "code": "resulting-activity"}]}
    output = [{"type": activity, "valueReference": {"reference": procedure}}]
    done = {**await mounds.read(t2), "status": "completed", "output": output}
    assert (await mounds.ask("PUT", f"/{t2}", done)).status_code == 200
    await house.settled()

    # Then Riverside's Task follows each step, with the service that was given
    mine = await riverside.read(sent.task)
    assert mine["status"] == "completed"
    assert mine["output"] == output
    assert await riverside.sees(procedure)
    assert await riverside.statuses_received(sent.task) == ["accepted", "in-progress", "completed"]
    assert (await riverside.holds(procedure))["code"]["coding"][0]["code"] == "710925007"

    # And once it has closed its order, nothing is pending
    closed = {**await riverside.read(sent.order), "status": "completed"}
    assert (await riverside.ask("PUT", f"/{sent.order}", closed)).status_code == 200
    await house.settled()
    assert await house.value("select state from episode") == "closed"
    for waits in ("timer where fired_at is null", "errand where closed_at is null"):
        assert await house.value(f"select count(*) from {waits}") == 0
    assert await mounds.received() == []


async def test_s06_given_a_referral_when_its_order_is_read_then_it_is_seen_and_by_nobody_elses_look(
    house,
):
    riverside, mounds = house.riverside, house.mounds
    sent = await riverside.refers(house.referral(riverside, mounds.reference))
    await house.settled()
    t2 = await house.value("select r.fhir_id from candidate c join resource r on r.rid = c.task")
    order = await house.value(
        "select r.fhir_id from candidate c join resource r on r.rid = c.request"
    )

    # A stranger's look, and the sender's look at what is its own, are not the food bank's
    assert not await house.metrolab.sees(f"Task/{t2}")
    await riverside.read(sent.task)
    assert await house.value("select seen_at from candidate") is None

    await mounds.read(f"ServiceRequest/{order}")
    assert await house.value("select seen_at from candidate") is not None
