"""S15: a result reaches who asked for it, once, and not who made it."""

from __future__ import annotations

import pytest


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
    # And it was not sent back to who made it, nor to anyone else
    for other in (lakeside, house.metrolab, house.northgate):
        assert await other.holds(result) is None
    assert not await house.metrolab.sees(result)


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
    versions = await riverside.history_at_own_server(result)
    # It came as a result and again beside the Task that names it: the same, at the same address.
    assert {version["valueQuantity"]["value"] for version in versions} == {7.1}
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
