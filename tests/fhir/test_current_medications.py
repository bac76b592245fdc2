"""The operation $current-medications over HTTP: what a patient is on, as far as the caller may see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"

Document = dict[str, Any]


def ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")


async def made(sender: Any, document: Document) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


def ordered(patient: str, code: str, days: int, **others: Any) -> Document:
    return {
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": code}]},
        "subject": {"reference": patient}, "authoredOn": ago(days), **others,
    }  # fmt: skip


def permitting(patient: str, who: str) -> Document:
    terms = "http://terminology.hl7.org/CodeSystem"
    role = {"coding": [{"system": f"{terms}/v3-ParticipationType", "code": "IRCP"}]}
    return {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": f"{terms}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{terms}/v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"reference": patient}, "dateTime": ago(1),
        "policyRule": {"coding": [{"system": f"{terms}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "actor": [{"role": role, "reference": {"reference": who}}]},
    }  # fmt: skip


async def told(sender: Any, patient: str) -> dict[str, list[Document]]:
    answered = await sender.ask("GET", f"/{patient}/$current-medications")
    assert answered.status_code == 200, answered.text
    found: dict[str, list[Document]] = {"medication": [], "allergy": [], "finding": []}
    for each in answered.json().get("parameter", []):
        parts: Document = {}
        for part in each["part"]:
            value = next(v for k, v in part.items() if k.startswith("value"))
            if part["name"] == "about":
                parts.setdefault("about", []).append(value["reference"])
            else:
                parts[part["name"]] = value
        found[each["name"]].append(parts)
    return found


async def test_given_two_records_of_a_person_when_asked_then_each_is_told_what_it_sees_and_whose_it_is(
    house,
):
    near, far = house.near, house.far
    patient = await made(near, {"resourceType": "Patient", "name": [{"family": "Water"}]})
    theirs = await made(near, ordered(patient, "6809", 9, dosageInstruction=[{"text": "500 mg"}]))
    allergy = await made(near, {
        "resourceType": "AllergyIntolerance", "patient": {"reference": patient},
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
        "code": {"coding": [{"system": RXNORM, "code": "70618"}]},
    })  # fmt: skip
    mine = await made(far, {"resourceType": "Patient", "name": [{"family": "Water"}]})
    own = await made(far, ordered(mine, "860975", 1))
    penicillin = await made(far, ordered(mine, "308182", 2))

    # far says nothing of near's patient, which it may not see, and is told its own alone
    alone = await told(far, mine)
    assert [one["resource"]["reference"] for one in alone["medication"]] == [own, penicillin]
    assert (alone["allergy"], alone["finding"]) == ([], [])
    assert (await far.ask("GET", f"/{patient}/$current-medications")).status_code == 404

    # permitted, and the two said to be one, it is told both, and what does not go together
    await made(near, permitting(patient, far.reference))
    document = (await far.ask("GET", f"/{mine}")).json()
    document["link"] = [{"other": {"reference": patient}, "type": "seealso"}]
    assert (await far.ask("PUT", f"/{mine}", document)).status_code == 200
    both = await told(far, mine)
    assert [(one["resource"]["reference"], one["by"]) for one in both["medication"]] == [
        (own, "far clinic"), (penicillin, "far clinic"), (theirs, "near clinic"),
    ]  # fmt: skip
    assert both["medication"][2]["dosage"] == "500 mg"
    assert [one["resource"]["reference"] for one in both["allergy"]] == [allergy]
    assert [(one["code"]["code"], one["ingredient"], one["about"]) for one in both["finding"]] == [
        ("allergy", "Amoxicillin", [penicillin, allergy]),
        ("duplicate", "Metformin", [own, theirs]),
    ]
    assert (await house.audited())[-1]["interaction"] == "$current-medications"

    # which says nothing to near of far's record
    back = await told(near, patient)
    assert [one["resource"]["reference"] for one in back["medication"]] == [theirs]
    assert back["finding"] == []
