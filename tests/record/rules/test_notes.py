"""A consultation note with its file, and what the patient is now on, come home like any other result."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Referral

from coordhub.record.operations import Create, Written

Document = dict[str, Any]
NOTE, FILE = (
    "urn:uuid:9d3e0e0a-6b0b-4a86-9f4a-0f4f1c7a2b11",
    "urn:uuid:2a0f5b1e-2f0b-4c33-8c2e-7b1e8f0c9d22",
)


def note(sent: Referral, url: str = FILE, **elements: Any) -> Document:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
        "subject": {"reference": sent.patient},
        "content": [{"attachment": {"contentType": "text/plain", "url": url}}],
        "context": {"related": [{"reference": sent.request}]},
        **elements,
    }


def file(context: str | None = NOTE) -> Document:
    protected = {"securityContext": {"reference": context}} if context else {}
    return {
        "resourceType": "Binary",
        "contentType": "text/plain",
        "data": "c2Vlbg==",
        **protected,
    }


async def written(house: House, *documents: tuple[str, Document]) -> list[Written]:
    made = await house.commit(
        house.kitchen,
        *(Create(one["resourceType"], one, full_url=url) for url, one in documents),
    )
    return list(made)


async def told(house: House, made: Written) -> list[int]:
    await house.relay()
    rows = await house.rows(
        "select organization from delivery where rid = $1 and state = 'queued' order by seq",
        made.rid,
    )
    return [row[0] for row in rows]


async def doctor_is(house: House, sent: Referral) -> None:
    who = await house.document(sent.patient)
    named = {**who, "generalPractitioner": [{"reference": house.van.reference}]}
    await house.update(house.clinic, who["id"], named)


async def test_given_a_note_with_its_file_when_it_names_the_order_then_both_go_to_who_asked_and_the_doctor(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await doctor_is(house, sent)
    made, scan = await written(house, (NOTE, note(sent)), (FILE, file()))
    assert await told(house, made) == [house.clinic.rid, house.van.rid]
    assert await told(house, scan) == [], "it travels with the note"
    for who in (house.clinic, house.van):
        assert await house.read(who, made.reference) is not None
        assert await house.read(who, scan.reference) is not None
    assert await house.read(house.stranger, scan.reference) is None
    assert await house.value("select patient from resource where rid = $1", scan.rid) is not None


async def test_given_a_file_that_is_protected_as_nothing_when_named_then_it_stays_and_its_writer_is_warned(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made, scan = await written(house, (NOTE, note(sent)), (FILE, file(None)))
    assert await house.read(house.clinic, made.reference) is not None
    assert await house.read(house.clinic, scan.reference) is None
    [warning] = made.warnings
    assert scan.reference in warning.diagnostics
    assert made.reference in warning.diagnostics


async def test_given_a_sensitive_note_when_written_then_its_file_is_as_sensitive(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await doctor_is(house, sent)
    hiv = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}
    made, scan = await written(house, (NOTE, note(sent, category=[hiv])), (FILE, file()))
    labels = "select labels from resource where rid = $1"
    assert await house.value(labels, made.rid) != 0
    assert await house.value(labels, scan.rid) == await house.value(labels, made.rid)
    assert await house.read(house.clinic, scan.reference) is not None, "it asked"
    assert await house.read(house.van, scan.reference) is None


async def test_given_another_s_file_when_a_note_names_it_then_nobody_is_shown_it(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    [foreign] = await house.commit(house.pantry, Create("Binary", file(None)))
    [made] = await written(house, (NOTE, note(sent, foreign.reference)))
    assert await house.read(house.clinic, made.reference) is not None
    assert await house.read(house.clinic, foreign.reference) is None


@pytest.mark.parametrize("kind", ["MedicationRequest", "MedicationStatement"])
async def test_given_what_the_patient_is_now_on_when_written_then_who_asked_and_the_doctor_know(
    house: House, kind: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    await doctor_is(house, sent)
    drug = {"resourceType": "Medication", "code": {"text": "metformin 500 mg"}}
    change = {
        "resourceType": kind,
        "status": "active",
        "subject": {"reference": sent.patient},
        "basedOn": [{"reference": sent.request}],
        "medicationReference": {"reference": "urn:uuid:drug"},
        **({"intent": "order"} if kind == "MedicationRequest" else {}),
    }
    medication, made = await written(house, ("urn:uuid:drug", drug), ("urn:uuid:change", change))
    assert await told(house, made) == [house.clinic.rid, house.van.rid]
    assert await house.read(house.clinic, medication.reference) is not None


async def test_given_medicines_named_as_output_when_completed_then_they_come_home_and_the_task_names_them(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    statement = {
        "resourceType": "MedicationStatement",
        "status": "active",
        "subject": {"reference": sent.patient},
        "medicationCodeableConcept": {"text": "metformin 500 mg"},
    }
    [made] = await written(house, ("urn:uuid:change", statement))
    output = [{"type": {"text": "now on"}, "valueReference": {"reference": made.reference}}]
    await sent.answer(house.kitchen, "completed", output=output)
    assert (await house.document(sent.task))["output"] == output
    assert await told(house, made) == [house.clinic.rid]
