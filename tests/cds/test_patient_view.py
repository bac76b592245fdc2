"""The hook patient-view: one card for who opens a chart, where something waits for it."""

from __future__ import annotations

from typing import Any

from ehr import EHR, call
from open_hub import House, Referral, observation

from coordhub.referral.data_request import SYSTEM
from coordhub.store import audit
from coordhub.store.transact import AuditRow

VIEW = "coordhub-patient-view"

Document = dict[str, Any]


def opening(house: House, patient: str) -> Document:
    """The kitchen opens the chart of a Patient of the hub."""
    body = call(patient={"resourceType": "Patient", "id": patient.partition("/")[2]})
    context = {"userId": "Practitioner/1", "patientId": patient.partition("/")[2]}
    return {**body, "hook": "patient-view", "context": context, "fhirServer": house.hub.base}


async def cards(house: House, ehr: EHR, patient: str) -> list[Document]:
    return await ehr.cards(opening(house, patient), house.clock(), service=VIEW)


async def test_given_what_it_is_asked_when_a_chart_is_opened_then_one_card_says_so_until_it_is_answered(
    house: House, ehr: EHR
) -> None:
    sent = await house.asking(house.kitchen.service)
    coded = {"coding": [{"system": SYSTEM, "code": "data-request"}]}
    await house.create(house.clinic, {
        "resourceType": "Task", "status": "requested", "intent": "order", "code": coded,
        "for": {"reference": sent.patient}, "owner": {"reference": house.kitchen.reference},
        "input": [{
            "type": {"coding": [{"system": SYSTEM, "code": "data-query"}]},
            "valueString": "Observation?code=4548-4",
        }],
    })  # fmt: skip
    [card] = await cards(house, ehr, sent.patient)
    assert card["summary"] == "1 request waits for your answer; 1 request for data to be released"
    assert card["indicator"] == "info"
    assert not card.keys() & {"suggestions", "overrideReasons", "detail"}
    await sent.answer(house.kitchen, "accepted")
    [card] = await cards(house, ehr, sent.patient)
    assert card["summary"] == "1 request for data to be released"
    await house.rows("update errand set closed_at = now()")
    assert await cards(house, ehr, sent.patient) == []


async def test_given_a_result_for_it_when_a_chart_is_opened_then_a_card_says_so_until_somebody_has_looked(
    house: House, ehr: EHR
) -> None:
    sent = await house.refer(house.clinic.service, who=house.kitchen)
    await house.relay()
    assert await cards(house, ehr, sent.patient) == [], "what it asks itself waits for others"
    order = (await house.document((await sent.tasks())["clinic"]))["focus"]["reference"]
    await sent.answer(house.clinic, "accepted")
    given = observation(sent.patient, basedOn=[{"reference": order}])
    given["code"]["text"] = "HbA1c *now*"
    result = await house.create(house.clinic, given)
    # nor does it count what others were given, or what is its own
    [card] = await cards(house, ehr, sent.patient)
    assert (card["summary"], card["detail"]) == ("1 new result", "- HbA1c \\*now\\*")
    [again] = await cards(house, ehr, sent.patient)
    assert again["summary"] == card["summary"], "to be told of it is not to look at it"
    async with house.engine.pool.acquire() as conn:
        row = AuditRow("clinic", house.clinic.rid, "read", 200, rids=(result.rid,))
        await audit.append(conn, row, house.clock())
        assert len(await cards(house, ehr, sent.patient)) == 1, "that another looked is another's"
        row = AuditRow("kitchen", house.kitchen.rid, "read", 200, rids=(result.rid,))
        await audit.append(conn, row, house.clock())
    assert await cards(house, ehr, sent.patient) == []


async def test_given_nothing_to_do_or_nobody_known_when_a_chart_is_opened_then_there_is_no_card(
    house: House, ehr: EHR
) -> None:
    sent = await house.asking(house.pantry.service)  # another is asked, not the kitchen
    hidden = await ehr.call(opening(house, sent.patient), house.clock(), service=VIEW)
    absent = await ehr.call(opening(house, "Patient/nobody"), house.clock(), service=VIEW)
    assert (hidden.status_code, hidden.json()) == (200, {"cards": []})
    assert (absent.status_code, absent.json()) == (200, {"cards": []})


async def test_given_who_competes_and_is_not_told_for_whom_when_it_opens_the_chart_then_the_card_does_not_tell(
    house: House, ehr: EHR
) -> None:
    known = await house.asking(house.kitchen.service)
    order = await house.document(known.request)
    for name in ("id", "meta", "identifier", "performer"):
        order.pop(name, None)
    performers = [{"reference": one.service} for one in (house.kitchen, house.pantry)]
    second = await house.create(house.clinic, {**order, "performer": performers})
    sent = await house.create(house.clinic, {
        "resourceType": "Task", "status": "requested", "intent": "order",
        "focus": {"reference": second.reference}, "for": {"reference": known.patient},
    })  # fmt: skip
    await house.relay()
    competing = Referral(house, known.patient, "", second.reference, sent.reference)
    assert set(await competing.tasks()) == {"kitchen", "pantry"}
    [card] = await cards(house, ehr, known.patient)
    assert card["summary"] == "1 request waits for your answer"
