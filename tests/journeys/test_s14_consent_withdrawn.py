"""S14: the patient withdraws while one recipient is still asked and another has accepted."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from coordhub.r4 import document as fhir_json
from coordhub.sandbox import demo

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from ehr import registered, told


async def refers_again(house, sender, recipient, sent):
    """Another need of a patient who is known already."""
    bundle = house.referral(sender, recipient.reference, agreed=False)
    kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle["entry"]}
    [address] = [address for address, kind in kinds.items() if kind == "Patient"]
    entries = [entry for entry in bundle["entry"] if entry["fullUrl"] != address]
    body = fhir_json.encode({**bundle, "entry": entries})
    body = body.replace(address.encode(), sent.patient.encode())
    answered = await sender.ask("POST", "", content=body)
    assert answered.status_code == 200, answered.text
    found = [entry["response"]["location"] for entry in answered.json()["entry"]]
    task = next(one for one in found if "/Task/" in one).partition("/_history")[0]
    return replace(sent, task="Task/" + task.rpartition("/")[2])


async def test_s14_given_two_recipients_when_the_patient_withdraws_then_both_stop_and_the_sender_knows(
    house,
):
    riverside, shelter, rides = house.riverside, house.northgate, house.rides

    # Given the shelter is asked, but what it is to get waits for its server; and rides has accepted
    await shelter.behaves({"mode": "down"})
    bundle = house.referral(riverside, shelter.reference, agreed=False)
    permit = demo.consent(
        bundle["entry"][0]["fullUrl"],
        riverside.reference,
        [shelter.reference, rides.reference],
        "2026-01-05T09:00:00Z",
    )
    bundle["entry"].append({"resource": permit, "request": {"method": "POST", "url": "Consent"}})
    sent = await riverside.refers(bundle)
    [made] = await riverside.find(f"Consent?patient={sent.patient}")
    # (the shelter itself has not looked)
    at_shelter = "Task/" + await house.until(
        lambda: house.value("select t.fhir_id from candidate c join resource t on t.rid = c.task")
    )
    ride = await refers_again(house, riverside, rides, sent)
    at_rides = await house.until(lambda: rides.asked(ride))
    assert await rides.sees(sent.patient)
    ehr = await registered(house, "rides")
    waits = ["1 request waits for your answer"]
    assert await told(ehr, house.hub.clock(), sent.patient) == waits
    await rides.answers(at_rides, "accepted")
    await house.until(
        lambda: house.value(
            "select attempts > 0 from delivery d join resource r on r.rid = d.rid"
            " where r.fhir_id = $1 and d.state = 'queued'",
            at_shelter.removeprefix("Task/"),
        )
    )
    disclosed = await house.rows(
        "select * from audit where interaction = 'disclosure' order by seq"
    )
    assert disclosed

    # When the patient withdraws
    document = {**made, "status": "inactive"}
    done = await riverside.ask("PUT", f"/Consent/{document['id']}", document)
    assert done.status_code == 200, done.text

    # Then, with that answer, reads are refused: the name, the order, and what never arrived
    assert not await shelter.sees(sent.patient)
    assert not await rides.sees(sent.patient)
    assert await rides.find(f"Patient?_id={sent.patient.removeprefix('Patient/')}") == []
    # (its server hung up in the middle, so the Task may have arrived, and its end is told)
    asked = await shelter.read(at_shelter)
    assert asked["status"] == "cancelled"
    assert asked["statusReason"]["coding"][0]["code"] == "consent-withdrawn"
    assert not await shelter.sees(house.target(asked["focus"]))
    assert await riverside.sees(sent.patient)
    # nor does a card say that there is anybody, or anything to do
    assert await told(ehr, house.hub.clock(), sent.patient) == []

    # The sender is told
    mine = await riverside.read(sent.task)
    assert (mine["status"], mine["statusReason"]["text"]) == ("cancelled", "withdrawn by patient")
    going = await riverside.read(ride.task)
    assert going["status"] == "in-progress"
    assert going["statusReason"]["text"] == "withdrawn by patient"
    assert going["businessStatus"]["coding"][0]["code"] == "cancellation-requested"

    # Of what was queued nothing goes to the shelter, also when its server is back
    await shelter.behaves()
    await house.settled()
    assert await shelter.statuses_received(at_shelter) == ["cancelled"]
    assert await shelter.holds(sent.patient) is None
    assert await shelter.holds(house.target(asked["focus"])) is None
    suppressed = (
        "select d.state, d.reason from delivery d join resource r on r.rid = d.rid"
        " where r.fhir_id = $1 order by d.seq"
    )
    first, *_ = await house.rows(suppressed, asked["id"])
    assert first == {"state": "suppressed", "reason": "withdrawn by patient"}
    assert (await riverside.holds(sent.task))["status"] == "cancelled"

    # Rides is asked to stop, and is told nothing else
    [abort] = await rides.find("Task?code=abort&status=requested")
    assert house.target(abort["focus"]) == at_rides
    assert "for" not in abort
    assert "description" not in abort
    assert not await rides.sees(house.target((await rides.read(at_rides))["focus"]))
    await rides.answers(at_rides, "cancelled")
    await house.settled()
    assert (await riverside.read(ride.task))["status"] == "cancelled"

    # What was disclosed before stays on record; a dead letter replayed next day goes nowhere
    kept = await house.rows("select * from audit where interaction = 'disclosure' order by seq")
    assert kept[: len(disclosed)] == disclosed
    await house.value(
        "update delivery set state = 'queued', settled_at = null, reason = null where seq ="
        " (select min(d.seq) from delivery d join resource r on r.rid = d.rid where r.fhir_id = $1)",
        asked["id"],
    )
    house.hub.engine.wake()
    await house.settled()
    first, *_ = await house.rows(suppressed, asked["id"])
    assert first["state"] == "suppressed"
    assert await shelter.statuses_received(at_shelter) == ["cancelled"]
