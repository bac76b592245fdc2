"""A place on a waiting list: what waits with it, what it is kept beside, and when it is given back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from open_hub import House, Party, Referral

from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.admin.acts import Operator, bind_person
from coordhub.errors import FhirError
from coordhub.record.errands import SDOHCC
from coordhub.record.hub import instant
from coordhub.record.operations import Update, Written

Document = dict[str, Any]

WAITLIST = {"coding": [{"system": SDOHCC, "code": "waitlist"}]}
NOTE = [{"text": "Approximately 15 on the waitlist; estimated wait 4-6 weeks"}]


async def waits(sent: Referral, who: Party, status: str = "accepted", **elements: Any) -> Written:
    return await sent.answer(who, status, businessStatus=WAITLIST, note=NOTE, **elements)


async def says(house: House, reference: str) -> tuple[str, str, str]:
    """Status, business status and reason of a Task; "" for each that it does not state."""
    document = await house.document(reference)
    codes = [
        (document.get(name) or {}).get("coding", [{"code": ""}])[0]["code"]
        for name in ("businessStatus", "statusReason")
    ]
    return document["status"], codes[0], codes[1]


async def asked_of_the_patient(house: House) -> list[Document]:
    rows = await house.rows(
        "select r.fhir_id from errand e join resource r on r.rid = e.task order by r.rid"
    )
    return [await house.document(f"Task/{row[0]}") for row in rows]


@pytest.mark.parametrize("status", ["accepted", "on-hold", "received"])
async def test_given_a_routine_referral_when_answered_by_a_waiting_list_then_it_waits_and_tells_so(
    house: House, status: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    await waits(sent, house.kitchen, status)
    mine = (await sent.tasks())["kitchen"]
    assert await says(house, mine) == ("on-hold", "waitlisted", "")
    assert (await says(house, sent.task))[:2] == ("on-hold", "waitlisted")
    assert WAITLIST["coding"][0] in (await house.document(mine))["businessStatus"]["coding"]

    # An Observation says that it is on the list, to the sender and to who wrote it
    [output] = (await house.document(sent.task))["output"]
    assert output["type"]["coding"] == [{"system": SDOHCC, "code": "additional-content"}]
    enrolment = await house.document(output["valueReference"]["reference"])
    assert enrolment["valueCodeableConcept"]["coding"][0]["code"] == "not-enrolled-on-waitlist"
    assert enrolment["note"] == NOTE
    assert enrolment["subject"]["reference"] == sent.patient
    assert enrolment["focus"] == [{"reference": house.kitchen.service}]
    for who, sees in ((house.clinic, True), (house.kitchen, True), (house.van, False)):
        found = await house.read(who, output["valueReference"]["reference"])
        assert (found is not None) is sees

    # And the person is to say in a fortnight whether it still needs it
    [asked] = await asked_of_the_patient(house)
    assert (asked["status"], asked["owner"]["reference"]) == ("ready", sent.patient)
    assert asked["focus"]["reference"] == mine
    assert asked["groupIdentifier"] == (await house.document(mine))["groupIdentifier"]
    assert asked["basedOn"] == [{"reference": sent.task}]
    due = asked["restriction"]["period"]["end"]
    assert due == instant((await opened(house, asked)) + timedelta(days=14))


async def opened(house: House, task: Document) -> Any:
    return await house.value(
        "select e.opened_at from errand e join resource r on r.rid = e.task where r.fhir_id = $1",
        task["id"],
    )


async def test_given_an_answer_that_brings_its_own_observation_then_the_hub_makes_none(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    own = await house.create(
        house.kitchen,
        {"resourceType": "Observation", "status": "final", "code": {"text": "on the list"}},
    )
    output = [{"type": {"text": "enrolment"}, "valueReference": {"reference": own.reference}}]
    await waits(sent, house.kitchen, output=output)
    assert (await house.document(sent.task))["output"] == output


async def test_given_a_place_when_service_begins_then_the_question_to_the_person_is_taken_back(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await waits(sent, house.kitchen)
    begun = {"coding": [{"system": "urn:coordhub:business-status", "code": "in-service"}]}
    await sent.answer(house.kitchen, "in-progress", businessStatus=begun)
    assert await sent.status() == "in-progress"
    [asked] = await asked_of_the_patient(house)
    assert asked["status"] == "cancelled"


async def test_given_others_asked_when_one_has_a_waiting_list_then_its_place_is_kept_until_one_has_served(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    await waits(sent, house.kitchen)
    tasks = await sent.tasks()
    assert await says(house, tasks["kitchen"]) == ("on-hold", "waitlisted", "place-kept")
    assert await sent.status(tasks["pantry"]) == "requested"
    assert (await says(house, sent.task))[:2] == ("in-progress", "waitlisted")
    await sent.answer(house.pantry, "accepted")
    assert await says(house, tasks["kitchen"]) == ("on-hold", "waitlisted", "place-kept")
    assert await sent.status() == "in-progress"
    await sent.answer(house.pantry, "completed")
    assert await says(house, tasks["kitchen"]) == ("cancelled", "", "no-longer-needed")
    assert (await says(house, sent.task))[:2] == ("completed", "fulfilled")
    [asked] = await asked_of_the_patient(house)
    assert asked["status"] == "cancelled"
    await house.relay()
    told = await house.value(
        "select count(*) from delivery d join candidate c on c.task = d.rid and c.organization ="
        " d.organization where d.organization = $1",
        house.kitchen.rid,
    )
    assert told >= 2, "that it was asked, and that the place is not needed"


async def test_given_a_place_when_the_sender_withdraws_then_it_is_given_back_and_nothing_is_asked_any_more(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await waits(sent, house.kitchen)
    await sent.withdraw()
    assert (await says(house, (await sent.tasks())["kitchen"]))[::2] == (
        "cancelled",
        "requester-cancelled",
    )
    assert await sent.status() == "cancelled"
    assert await house.value("select count(*) from errand where closed_at is null") == 0


async def test_given_a_kept_place_when_its_turn_comes_first_then_it_has_the_need_and_the_other_not(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    await waits(sent, house.kitchen)
    tasks = await sent.tasks()
    document = await house.document(tasks["kitchen"])
    document = {name: value for name, value in document.items() if name != "statusReason"}
    begun = {"coding": [{"system": "urn:coordhub:business-status", "code": "in-service"}]}
    await house.update(
        house.kitchen,
        document["id"],
        {**document, "status": "in-progress", "businessStatus": begun},
    )
    assert await sent.status(tasks["pantry"]) == "cancelled"
    assert await sent.status() == "in-progress"


async def test_given_several_asked_when_one_keeps_a_place_then_it_is_not_told_for_whom_until_its_turn_comes(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    await waits(sent, house.kitchen)
    mine = (await sent.tasks())["kitchen"]
    told = await house.document(mine)
    enrolment = next(one["valueReference"]["reference"] for one in told["output"])

    async def sees_them() -> list[bool]:
        names = (sent.patient, sent.request, sent.result, enrolment)
        return [await house.read(house.kitchen, name) is not None for name in names]

    async def opens_the_chart() -> bool:
        sql = "select count(*) from access_rule where actor = $1"
        return bool(await house.value(sql, house.kitchen.rid))

    assert not any(await sees_them())
    assert not await opens_the_chart()

    # nor by what the sender adds, now that nobody else but it is left
    await sent.answer(house.pantry, "rejected")
    order = await house.document(sent.request)
    more = {**order, "note": [{"text": "she is at home on Mondays"}]}
    await house.update(house.clinic, order["id"], more)
    about = {"about": [{"reference": sent.task}], "subject": {"reference": sent.patient}}
    said = await house.create(
        house.clinic, {"resourceType": "Communication", "status": "completed", **about}
    )
    assert await house.read(house.kitchen, said.reference) is None
    assert not any(await sees_them())

    begins = {name: value for name, value in (await house.document(mine)).items() if name not in
              ("statusReason", "businessStatus")}  # fmt: skip
    await house.update(house.kitchen, begins["id"], {**begins, "status": "in-progress"})
    assert all(await sees_them())
    assert await opens_the_chart()


@pytest.mark.parametrize(
    ("by", "status", "output", "left"),
    [
        ("the patient", "completed", False, True),
        ("the patient", "rejected", None, True),
        ("the patient", "completed", True, False),
        ("the patient", "completed", None, False),
        ("a representative", "completed", False, True),
        ("who referred", "completed", False, True),
    ],
)
async def test_given_a_place_when_the_person_says_whether_it_is_needed_then_it_is_kept_or_given_back(
    house: House, by: str, status: str, output: bool | None, left: bool
) -> None:
    sent = await house.asking(house.kitchen.service)
    await waits(sent, house.kitchen)
    [asked] = await asked_of_the_patient(house)
    me = await rid(house, sent.patient)
    callers = {
        "the patient": Caller("phone", me, sent.patient, scopes.EVERYTHING, role="person"),
        "a representative": await related(house, sent.patient, "HPOWATT"),
        "who referred": house.clinic.caller,
    }
    for other in (await related(house, sent.patient, "SIS"), house.kitchen.caller):
        with pytest.raises(FhirError) as error:
            await house.commit(other, Update("Task", asked["id"], {**asked, "status": status}))
        assert error.value.status in (403, 405)
    person = callers[by]
    answer = {**asked, "status": status}
    if output is not None:
        answer["output"] = [{"type": {"text": "still needed"}, "valueBoolean": output}]
    await house.commit(person, Update("Task", asked["id"], answer))
    mine = (await sent.tasks())["kitchen"]
    if left:
        assert (await says(house, mine))[::2] == ("cancelled", "no-longer-needed")
        assert (await says(house, sent.task))[:2] == ("cancelled", "withdrawn")
    else:
        assert await says(house, mine) == ("on-hold", "waitlisted", "")
        assert (await says(house, sent.task))[:2] == ("on-hold", "waitlisted")
    assert await house.value("select count(*) from errand where closed_at is null") == 0


async def related(house: House, patient: str, code: str) -> Caller:
    """An app of somebody who has to do with the patient: a representative, a sister."""
    system = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
    document = {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": {"reference": patient},
        "relationship": [{"coding": [{"system": system, "code": code}]}],
    }
    who = (await house.create(house.clinic, document)).reference
    await bind_person(house.hub, Operator("rosa"), code, who, "system/*.cruds")
    found = await house.value("select organization from client where id = $1", code)
    return Caller(code, found, who, scopes.EVERYTHING, role="person")


async def rid(house: House, reference: str) -> int:
    found: int = await house.value(
        "select rid from resource where fhir_id = $1", reference.partition("/")[2]
    )
    return found
