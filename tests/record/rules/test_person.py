"""What an app of a patient, or of who acts for one, may write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "stage"))

from open_hub import House, observation, patient, task

from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.admin.acts import Operator, bind_person
from coordhub.errors import FhirError
from coordhub.record.operations import Create, Delete


async def ada(house: House) -> tuple[str, Caller]:
    who = (await house.create(house.clinic, patient())).reference
    await bind_person(house.hub, Operator("rosa"), "ada", who, "system/*.cruds")
    rid = await house.value("select organization from client where id = 'ada'")
    return who, Caller("ada", rid, who, scopes.EVERYTHING, role="person")


def reported(who: str, **elements: Any) -> dict[str, Any]:
    return observation(who, **{"performer": [{"reference": who}], **elements})


def message(who: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": who},
        "sender": {"reference": who},
        "payload": [{"contentString": "I am better."}],
        **elements,
    }


async def refused(house: House, who: Caller, *operations: Any) -> FhirError:
    before = await house.value("select count(*) from change")
    with pytest.raises(FhirError) as caught:
        await house.commit(who, *operations)
    assert await house.value("select count(*) from change") == before
    return caught.value


async def test_given_a_patient_when_it_reports_then_it_is_its_own_and_shown_to_who_holds_the_record(
    house: House,
) -> None:
    who, me = await ada(house)
    answers = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": who},
        "author": {"reference": who},
    }
    to_kitchen = message(who, recipient=[{"reference": house.kitchen.reference}])
    for document, kitchen_sees in ((reported(who), False), (answers, False), (to_kitchen, True)):
        made = await house.create(me, document)
        [(source,)] = await house.rows("select source from resource where rid = $1", made.rid)
        assert source == me.organization
        assert await house.read(house.clinic, made.reference) is not None
        assert (await house.read(house.kitchen, made.reference) is not None) is kitchen_sees


@pytest.mark.parametrize("document", ["Condition", "Consent", "Patient", "Task", "Subscription"])
async def test_given_a_patient_when_it_creates_anything_else_then_403_says_what_it_may(
    house: House, document: str
) -> None:
    who, me = await ada(house)
    bodies: dict[str, dict[str, Any]] = {
        "Condition": {"resourceType": "Condition", "subject": {"reference": who}},
        "Consent": {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"text": "privacy"},
            "category": [{"text": "privacy"}],
            "policyRule": {"text": "opt-in"},
            "patient": {"reference": who},
        },
        "Patient": patient("2"),
        "Task": {
            "resourceType": "Task",
            "status": "draft",
            "intent": "plan",
            "for": {"reference": who},
        },
        "Subscription": {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "x",
            "criteria": "Observation?",
            "channel": {"type": "rest-hook"},
        },
    }
    error = await refused(house, me, Create(document, bodies[document]))
    assert error.status == 403
    assert "Communication, Observation and QuestionnaireResponse" in error.issues[0].diagnostics


async def test_given_a_patient_when_it_writes_in_anothers_name_or_about_another_then_403(
    house: House,
) -> None:
    who, me = await ada(house)
    clinic = {"reference": house.clinic.reference}
    for document, place in (
        (observation(who), "Observation.performer"),
        (reported(who, performer=[clinic]), "Observation.performer"),
        (reported(who, performer=[{"reference": who}, clinic]), "Observation.performer"),
        (reported(who, performer=[{"display": "Dr. Water"}]), "Observation.performer"),
        (message(who, sender=clinic), "Communication.sender"),
        ({**reported(who), "subject": {"display": "somebody"}}, "Observation.subject"),
        ({**message(who), "subject": {"display": "somebody"}}, "Communication.subject"),
    ):
        error = await refused(house, me, Create(document["resourceType"], document))
        assert error.status == 403
        assert error.issues[0].expression == place


async def test_given_what_a_patient_reported_when_it_changes_or_deletes_it_then_403(
    house: House,
) -> None:
    who, me = await ada(house)
    made = await house.create(me, reported(who))
    with pytest.raises(FhirError) as caught:
        await house.update(me, made.id, reported(who, id=made.id, status="amended"))
    assert caught.value.status == 403
    assert (await refused(house, me, Delete("Observation", made.id))).status == 403
    fhir_id = who.partition("/")[2]
    with pytest.raises(FhirError) as caught:
        await house.update(me, fhir_id, patient(id=fhir_id, birthDate="2020-01-01"))
    assert caught.value.status == 403


async def asking(house: House, who: str, **elements: Any) -> dict[str, Any]:
    """A Task of the clinic's that the patient is to do."""
    document = {
        **task("urn:x", who, house.clinic.reference, owner={"reference": who}),
        "code": {"text": "fill in the form"},
        **elements,
    }
    del document["focus"]
    made = await house.create(house.clinic, document)
    return await house.document(made.reference)


async def test_given_its_own_task_when_the_patient_answers_then_status_and_output_change(
    house: House,
) -> None:
    who, me = await ada(house)
    sent = await asking(house, who)
    made = await house.create(me, reported(who))
    await house.update(me, sent["id"], {**sent, "status": "accepted"})
    output = [{"type": {"text": "answer"}, "valueReference": {"reference": made.reference}}]
    await house.update(me, sent["id"], {**sent, "status": "completed", "output": output})
    assert (await house.document(f"Task/{sent['id']}"))["output"] == output


async def test_given_its_own_task_when_anything_else_is_edited_then_403_names_each(
    house: House,
) -> None:
    who, me = await ada(house)
    sent = await asking(house, who)
    for changed in (
        {"description": "more", "priority": "stat"},
        {"owner": {"reference": house.clinic.reference}},
        {"note": [{"text": "x"}]},
    ):
        with pytest.raises(FhirError) as caught:
            await house.update(me, sent["id"], {**sent, "status": "accepted", **changed})
        assert caught.value.status == 403
        assert [one.expression for one in caught.value.issues] == sorted(
            f"Task.{name}" for name in changed
        )
    with pytest.raises(FhirError) as caught:
        await house.update(me, sent["id"], {**sent, "status": "draft"})
    assert caught.value.status == 409
    assert (await house.document(f"Task/{sent['id']}"))["status"] == "requested"


async def test_given_a_task_of_another_when_the_patient_edits_it_then_403(house: House) -> None:
    who, me = await ada(house)
    sent = await asking(house, who, owner={"reference": house.clinic.reference})
    with pytest.raises(FhirError) as caught:
        await house.update(me, sent["id"], {**sent, "status": "accepted"})
    assert caught.value.status == 403
