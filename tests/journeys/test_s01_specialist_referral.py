"""S01: a specialist referral carries the prior HbA1c, and its loop is closed."""

from __future__ import annotations


async def test_s01_given_a_prior_hba1c_when_a_specialist_is_asked_then_it_comes_with_the_referral(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    service = await house.service_of(lakeside)

    # When Riverside refers to Lakeside's service
    answered = await riverside.posts(house.referral(riverside, service))
    assert answered.status_code == 200
    responses = [entry["response"] for entry in answered.json()["entry"]]
    assert [response["status"][:3] for response in responses] == ["201"] * 4
    assert [response["etag"] for response in responses] == ['W/"1"'] * 4

    sent = riverside.made(answered)
    t2 = await house.until(lambda: lakeside.asked(sent))

    # Then the hub has asked by an order and a Task of its own
    task = await lakeside.read(t2)
    order = await lakeside.read(house.target(task["focus"]))
    assert task["status"] == "requested"
    assert [house.target(each) for each in task["partOf"]] == [sent.task]
    assert house.target(task["requester"]) == house.hub.organization
    assert house.target(task["owner"]) == service
    assert order["intent"] == "filler-order"
    assert [house.target(each) for each in order["basedOn"]] == [sent.order]
    assert [house.target(each) for each in order["supportingInfo"]] == [sent.prior]
    assert order["code"]["coding"][0]["code"] == "306118006"
    assert order["reasonCode"][0]["coding"][0]["code"] == "E11.65"

    # And Lakeside's server got it as one transaction with what it needs to act
    await house.settled()
    (delivery,) = await lakeside.received()
    assert delivery["interaction"] == "POST"
    arrived = {f"{each['type']}/{each['sourceId']}" for each in delivery["resources"]}
    needed = {t2, house.target(task["focus"]), sent.patient, sent.prior}
    assert needed <= arrived
    directory = {"Organization", "HealthcareService", "PractitionerRole", "Practitioner"}
    assert {name.partition("/")[0] for name in arrived - needed} <= directory
    held = await lakeside.hub.get(f"{lakeside.own}/fhir/{sent.prior}")
    assert b'"value":7.9,' in held.content.replace(b" ", b"")
    for name in sorted(needed):
        assert await lakeside.sees(name), name

    # And Riverside knows that the hub took it over, and when it was delivered
    mine = await riverside.read(sent.task)
    assert mine["status"] == "accepted"
    assert mine["businessStatus"]["coding"][0]["code"] == "awaiting-recipient"
    told, (asked,) = await riverside.whereabouts(sent)
    assert (told["status"], asked["status"]) == ("accepted", "requested")
    assert asked["recipient"]["reference"] == service
    assert told["sent"] <= asked["asked"] <= asked["delivered"]
    assert (asked["delivery"], asked["attempts"]) == ("delivered", 1)
    assert "opened" in asked
    assert "accepted" not in asked
    whole = await riverside.told(sent.task)
    # looking for the Task was a look, which can come before the delivery
    happened = [event["what"] for event in whole.events]
    assert (happened[:3], {*happened[3:]}) == (["sent", "asked", "status"], {"delivered", "opened"})
    [step] = whole.next
    assert (step["what"], step["from"]["reference"]) == ("answer", service)
    assert len((await riverside.told(sent.order)).events) == 5

    # And Lakeside is told its own part, and nothing of the whole
    refused = await lakeside.ask("GET", f"/{sent.task}/$status-of-referral")
    assert refused.status_code == 404
    theirs = await lakeside.told(t2)
    assert [event["what"] for event in theirs.events] == [
        what for what in happened if what not in ("sent", "status")
    ]
    assert "sent" not in theirs.itself
    assert [step["what"] for step in theirs.next] == ["answer"]


async def test_s01_given_a_referral_when_it_is_answered_then_the_sender_gets_each_step_and_the_result(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    await house.agree(riverside, each_state=True)
    sent, t2 = await house.given_asked(riverside, lakeside)

    await lakeside.answers(t2, "accepted")
    await lakeside.answers(t2, "in-progress")
    order = house.target((await lakeside.read(t2))["focus"])
    result = await lakeside.reports(sent.patient, order)
    await lakeside.answers(t2, "completed", output=result)
    await house.settled()

    mine = await riverside.read(sent.task)
    assert mine["status"] == "completed"
    assert [house.target(each["valueReference"]) for each in mine["output"]] == [result]
    assert str((await riverside.read(result))["valueQuantity"]["value"]) == "7.10"
    assert await riverside.statuses_received(sent.task) == ["accepted", "in-progress", "completed"]
    stages = [
        version["businessStatus"]["coding"][0]["code"]
        for version in await riverside.history_at_own_server(sent.task)
    ]
    assert stages == ["awaiting-recipient", "matched", "in-service", "fulfilled"]
    held = await riverside.hub.get(f"{riverside.own}/fhir/{result}")
    assert b'"value":7.10,' in held.content.replace(b" ", b"")
    told, (asked,) = await riverside.whereabouts(sent)
    assert asked["opened"] <= asked["accepted"] <= asked["ended"] <= told["closed"]
    whole = await riverside.told(sent.task)
    happened = [event["what"] for event in whole.events if event["what"] != "status"]
    assert [what for what in happened if what not in ("delivered", "opened")] == [
        "sent", "asked", "accepted", "seen", "result", "completed", "closed",
    ]  # fmt: skip
    assert {"delivered", "opened"} <= {*happened}
    assert (
        house.target(next(e for e in whole.events if e["what"] == "result")["resource"]) == result
    )
    assert whole.next == []
    assert await house.value("select count(*) from delivery where state <> 'delivered'") == 0


async def test_s01_given_every_look_and_every_delivery_when_it_is_over_then_all_are_in_the_audit(
    house,
):
    sent, t2 = await house.given_asked(house.riverside, house.lakeside)
    await house.settled()
    await house.lakeside.read(sent.patient)

    looks = await house.rows(
        "select interaction, client, fhir_id from audit where client = 'lakeside' and fhir_id = $1",
        sent.patient.partition("/")[2],
    )
    assert [look["interaction"] for look in looks] == ["read"]
    disclosed = await house.rows(
        "select a.rids, d.id from delivery d left join audit a on a.delivery = d.id"
        " and a.interaction = 'disclosure'"
    )
    assert len(disclosed) == 2  # T2 to Lakeside, T1 to Riverside
    names = {
        f"{row['fhir_id']}"
        for each in disclosed
        for row in await house.rows(
            "select fhir_id from resource where rid = any($1::bigint[])", each["rids"]
        )
    }
    assert {t2.partition("/")[2], sent.patient.partition("/")[2]} <= names


async def test_s01_given_an_order_at_the_hub_when_a_task_is_posted_for_it_then_it_is_a_referral(
    house,
):
    """One resource after the other, as an EHR sends them; the focus is an absolute URL."""
    riverside, lakeside = house.riverside, house.lakeside
    bundle = house.referral(riverside, lakeside.reference)
    urls: dict[str, str] = {}
    for entry in bundle["entry"]:
        document = entry["resource"]
        for name in ("subject", "for", "focus"):
            if name in document:
                document[name] = {"reference": urls[document[name]["reference"]]}
        for each in document.get("supportingInfo", []):
            each["reference"] = urls[each["reference"]]
        made = await riverside.ask("POST", f"/{document['resourceType']}", document)
        assert (made.status_code, made.headers["etag"]) == (201, 'W/"1"'), made.text
        urls[entry["fullUrl"]] = made.headers["location"].partition("/_history/")[0]
    patient, prior, order, task = (house.target({"reference": url}) for url in urls.values())
    stored = await riverside.read(task)
    assert stored["focus"]["reference"] == f"{house.hub.base}/{order}"

    (t2,) = await house.until(lambda: lakeside.find(f"Task?part-of={task}"))
    copied = await lakeside.read(house.target(t2["focus"]))
    assert [house.target(each) for each in copied["basedOn"]] == [order]
    await house.settled()
    assert (await lakeside.holds(prior))["status"] == "final"
    assert (await lakeside.holds(patient))["id"] == patient.partition("/")[2]
