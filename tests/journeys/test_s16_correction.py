"""S16: a correction, and then the withdrawal, chase every copy of a result."""

from __future__ import annotations

import sys
from pathlib import Path

from coordhub.sandbox import demo

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from ehr import draft, registered, told


async def corrects(maker, result, status, value=None):
    stored = await maker.read(result)
    document = {**stored, "status": status}
    if value is not None:
        document["valueQuantity"] = {**stored["valueQuantity"], "value": value}
    done = await maker.ask("PUT", f"/{result}", document)
    assert done.status_code == 200, done.text


async def ordered(house):
    """Lakeside sent Metro Lab an order; Riverside is the patient's doctor; two more are to have a copy."""
    lakeside, lab, riverside = house.lakeside, house.metrolab, house.riverside
    heart, nurse = await house.joins("heart", treats=True), await house.joins("nurse", treats=True)
    sent, task = await house.given_asked(lakeside, lab)
    who = await lakeside.read(sent.patient)
    named = {**who, "generalPractitioner": [{"reference": riverside.reference}]}
    assert (await lakeside.ask("PUT", f"/{sent.patient}", named)).status_code == 200
    for one in (heart, nurse):
        request = {
            "resourceType": "CommunicationRequest",
            "status": "active",
            "basedOn": [{"reference": sent.order}],
            "subject": {"reference": sent.patient},
            "recipient": [{"reference": one.reference}],
        }
        made = await lakeside.ask("POST", "/CommunicationRequest", request)
        assert made.status_code == 201, made.text
    await lab.answers(task, "accepted")
    return sent, heart, nurse


async def versions_sent(house, result):
    """By organization's name, what became of each version of the result that was to go to it."""
    rows = await house.rows(
        "select o.body::jsonb ->> 'name' as name, d.version, d.state from delivery d"
        " join resource r on r.rid = d.rid join resource o on o.rid = d.organization"
        " where r.fhir_id = $1 order by d.seq",
        result.partition("/")[2],
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append((row["version"], row["state"]))
    return found


async def prior(who, sent):
    """What there is already for the patient, of what was reported: reference and value."""
    asked = f"/{sent.patient}/$prior-results?code=http://loinc.org|4548-4"
    found = await who.ask("GET", asked)
    assert found.status_code == 200, found.text
    told = [
        next(
            part["valueReference"]["reference"]
            for part in each["part"]
            if part["name"] == "resource"
        )
        for each in found.json()["parameter"]
        if each["name"] == "result"
    ]
    results = [one for one in told if one != sent.prior]
    return [(one, str((await who.read(one))["valueQuantity"]["value"])) for one in results]


async def denies(house, sent, organization):
    """The patient says to Lakeside, which keeps the record, that this organization is to see nothing."""
    consent = demo.consent(
        sent.patient,
        house.lakeside.reference,
        [organization.reference],
        house.hub.clock().isoformat(timespec="milliseconds"),
    )
    consent["provision"]["type"] = "deny"
    made = await house.lakeside.ask("POST", "/Consent", consent)
    assert made.status_code == 201, made.text


async def test_s16_given_four_copies_when_the_result_is_corrected_and_withdrawn_then_each_is_told_of_both(
    house,
):
    sent, _, _ = await ordered(house)
    lab, lakeside, riverside = house.metrolab, house.lakeside, house.riverside
    result = await lab.reports(sent.patient, sent.order)
    await house.settled()
    ehr, again = await registered(house, "lakeside"), draft("17856-6", sent.patient[8:])

    async def card():
        return await told(ehr, house.hub.clock(), sent.patient, again)

    assert await prior(lakeside, sent) == [(result, "7.10")]
    [said] = await card()
    assert said.startswith("HbA1c 7.10 %")

    await corrects(lab, result, "corrected", 6.4)
    assert await prior(lakeside, sent) == [(result, "6.4")]
    [said] = await card()
    assert said.startswith("HbA1c 6.4 %")
    await corrects(lab, result, "entered-in-error")
    await house.settled()
    # who asks what there is already, by itself or by a card, is not told of what does not count
    assert await prior(lakeside, sent) == []
    assert not any("6.4" in said or "7.1" in said for said in await card())
    sent_to = await versions_sent(house, result)
    each = [(1, "delivered"), (2, "delivered"), (3, "delivered")]
    assert set(sent_to) == {"Lakeside Endocrinology", "Riverside Primary Care", "heart", "nurse"}
    # who had the second only when the third was there is not sent what does not count
    for states in sent_to.values():
        assert [version for version, _ in states] == [1, 2, 3]
        assert states[0] == each[0]
        assert states[2] == each[2]
        assert states[1][1] in ("delivered", "suppressed")
    for one in (lakeside, riverside):
        held = await one.holds(result)
        assert held["status"] == "entered-in-error"


async def test_s16_given_one_who_may_not_see_any_more_when_corrected_then_its_copy_is_called_back_without_content(
    house,
):
    sent, heart, _ = await ordered(house)
    lab, lakeside, riverside = house.metrolab, house.lakeside, house.riverside
    result = await lab.reports(sent.patient, sent.order)
    await house.settled()
    assert (await riverside.holds(result))["valueQuantity"]["value"] == 7.1

    # Given the patient wants its doctor to see nothing any more, and the heart clinic neither
    await denies(house, sent, riverside)
    await denies(house, sent, heart)
    assert not await riverside.sees(result)

    # When the lab corrects the value
    await corrects(lab, result, "corrected", 6.4)
    await house.settled()

    # Then who may see it has the new value; the doctor's copy is gone, and nothing else was sent
    assert (await lakeside.holds(result))["valueQuantity"]["value"] == 6.4
    assert await riverside.holds(result) is None
    [last] = (await riverside.received())[-1]["resources"]
    assert (last["type"], last["id"]) == ("Observation", result.partition("/")[2])
    assert "sourceVersion" not in last
    told = await versions_sent(house, result)
    assert told["Riverside Primary Care"] == [(1, "delivered"), (2, "delivered")]


async def test_s16_given_a_result_deleted_when_its_copies_are_out_then_each_is_called_back(house):
    sent, _, _ = await ordered(house)
    lab, lakeside, riverside = house.metrolab, house.lakeside, house.riverside
    result = await lab.reports(sent.patient, sent.order)
    await house.settled()
    gone = await lab.ask("DELETE", f"/{result}")
    assert gone.status_code in (200, 204), gone.text
    await house.settled()
    for one in (lakeside, riverside):
        assert await one.holds(result) is None
    assert {states[-1] for states in (await versions_sent(house, result)).values()} == {
        (2, "delivered")
    }


async def test_s16_given_a_result_of_the_wrong_patient_when_moved_then_who_had_it_loses_it_and_is_not_told_whose_it_is(
    house,
):
    sent, _, _ = await ordered(house)
    lab, lakeside = house.metrolab, house.lakeside
    result = await lab.reports(sent.patient, sent.order)
    await house.settled()
    other = {"resourceType": "Patient", "name": [{"family": "Rightful"}]}
    made = (await lab.ask("POST", "/Patient", other)).json()
    stored = await lab.read(result)
    moved = {**stored, "subject": {"reference": f"Patient/{made['id']}"}}
    assert (await lab.ask("PUT", f"/{result}", moved)).status_code == 200
    await house.settled()
    assert await lakeside.holds(result) is None
    assert not await lakeside.sees(result)
    assert made["id"] not in str(await lakeside.received())


async def test_s16_given_a_server_that_was_away_when_corrected_meanwhile_then_it_gets_the_right_value_only(
    house,
):
    sent, _, _ = await ordered(house)
    lab, riverside = house.metrolab, house.riverside
    await house.settled()
    await riverside.behaves({"mode": "down"})
    result = await lab.reports(sent.patient, sent.order)
    await house.until(
        lambda: house.value("select true from delivery where attempts > 0 and state = 'queued'")
    )
    await corrects(lab, result, "corrected", 6.4)
    await house.until(
        lambda: house.value(
            "select count(*) = 2 from delivery d join resource r on r.rid = d.rid"
            " join resource o on o.rid = d.organization"
            " where r.fhir_id = $1 and o.fhir_id = $2",
            result.partition("/")[2],
            riverside.id,
        )
    )
    await riverside.behaves()
    await house.settled()
    versions = await riverside.history_at_own_server(result)
    assert {version["valueQuantity"]["value"] for version in versions} == {6.4}
