"""The answers of a screening over HTTP: what comes of them, stays in step with them, and may be proposed."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

LOINC = "http://loinc.org"
AHC = "http://loinc.org/q/96777-8"
HITS = ("95618-5", "95617-7", "95616-9", "95615-1")
YES, NO, OFTEN, NEVER = "LA33-6", "LA32-8", "LA28397-0", "LA28398-8"


def answers(patient: str, given: dict[str, str], **others: Any) -> Document:
    return {
        "resourceType": "QuestionnaireResponse", "questionnaire": AHC, "status": "completed",
        "subject": {"reference": patient}, "authored": "2026-11-26T10:00:00Z",
        "item": [
            {
                "linkId": f"/96777-8/{code}",
                "answer": [{"valueCoding": {"system": LOINC, "code": value}}],
            }
            for code, value in given.items()
        ],
        **others,
    }  # fmt: skip


async def made(sender: Any, document: Document) -> Document:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return answered.json()


async def put(sender: Any, document: Document) -> Any:
    answered = await sender.ask("PUT", f"/{document['resourceType']}/{document['id']}", document)
    assert answered.status_code == 200, answered.text
    return answered


async def found(sender: Any, query: str) -> list[Document]:
    answered = await sender.ask("GET", f"/{query}")
    assert answered.status_code == 200, answered.text
    return [one["resource"] for one in answered.json().get("entry", [])]


async def observed(sender: Any, patient: str) -> dict[str, Document]:
    """By code of the question; the panel by that of the panel."""
    listed = await found(sender, f"Observation?patient={patient}&category=survey")
    return {one["code"]["coding"][0]["code"]: one for one in listed}


async def concerns(sender: Any, patient: str) -> dict[str, str]:
    """Kind -> verification status."""
    return {
        one["category"][2]["coding"][0]["code"]: one["verificationStatus"]["coding"][0]["code"]
        for one in await found(sender, f"Condition?patient={patient}&category=sdoh")
    }


def value(observation: Document) -> str:
    return observation["valueCodeableConcept"]["coding"][0]["code"]


async def test_given_answers_when_written_then_findings_and_concerns_come_of_them_and_stay_in_step(
    house,
):
    near, far = house.near, house.far
    patient = f"Patient/{(await made(near, {'resourceType': 'Patient'}))['id']}"
    given = {"88122-7": OFTEN, "88123-5": NEVER, "93030-5": NO, "71802-3": "LA31995-6"}
    response = await made(near, answers(patient, given))

    # Each answer is an Observation, the two of food make a third, and one panel holds them together
    seen = await observed(near, patient)
    assert set(seen) == {*given, "88124-3", "96777-8"}
    name = f"QuestionnaireResponse/{response['id']}"
    assert all(one["derivedFrom"][0] == {"reference": name} for one in seen.values())
    assert value(seen["88124-3"]) == "LA19952-3"
    assert {one["reference"] for one in seen["96777-8"]["hasMember"]} == {
        f"Observation/{one['id']}" for code, one in seen.items() if code != "96777-8"
    }
    assert await concerns(near, patient) == {
        "food-insecurity": "unconfirmed", "homelessness": "unconfirmed",
    }  # fmt: skip
    [hunger] = await found(near, f"Condition?patient={patient}&category=food-insecurity")
    risk = {"reference": f"Observation/{seen['88124-3']['id']}"}
    assert hunger["evidence"] == [{"detail": [risk]}]
    assert await found(far, "Observation") == [] == await found(far, "Condition")

    # The same again makes nothing
    await put(near, response)
    assert (await observed(near, patient)).keys() == seen.keys()

    # What is proposed is sent by nobody; posted twice, it is there once
    bundle = (await near.ask("GET", f"/{name}/$extract")).json()
    for _ in range(2):
        posted = await near.ask("POST", "", bundle)
        assert posted.status_code == 200, posted.text
    proposed = await found(near, f"ServiceRequest?patient={patient}")
    assert {(one["intent"], one["status"]) for one in proposed} == {("proposal", "draft")}
    assert {one["reasonReference"][0]["reference"] for one in proposed} == {
        f"Condition/{one['id']}" for one in await found(near, f"Condition?patient={patient}")
    }
    assert await found(near, "Task") == []
    assert (await observed(near, patient)).keys() == seen.keys()
    assert (await far.ask("GET", f"/{name}/$extract")).status_code == 404

    # A clinician confirms one. Then the response is corrected: there is a home, and food was worrying
    await put(near, {**hunger, "verificationStatus": _status("confirmed")})
    corrected = answers(patient, {**given, "71802-3": "LA31993-1", "88122-7": NEVER})
    again = await put(near, {**corrected, "id": response["id"], "status": "amended"})
    assert again.json()["status"] == "amended"
    after = await observed(near, patient)
    assert {code: one["id"] for code, one in after.items()} == {
        code: one["id"] for code, one in seen.items()
    }
    assert (value(after["71802-3"]), after["71802-3"]["status"]) == ("LA31993-1", "amended")
    assert (value(after["88124-3"]), after["93030-5"]["status"]) == ("LA19983-8", "final")
    assert after["93030-5"]["meta"]["versionId"] == "1", "what says the same is not written again"
    assert await concerns(near, patient) == {
        "food-insecurity": "confirmed", "homelessness": "entered-in-error",
    }  # fmt: skip

    # It was somebody else's: all of it is taken back, but for what somebody has said since
    await put(near, {**again.json(), "status": "entered-in-error"})
    assert {one["status"] for one in (await observed(near, patient)).values()} == {
        "entered-in-error"
    }
    assert (await concerns(near, patient))["food-insecurity"] == "confirmed"
    refused = await near.ask("GET", f"/{name}/$extract")
    assert refused.status_code == 422, refused.text
    # and it counts again, if that was the error
    await put(near, {**response, "status": "completed"})
    assert (await concerns(near, patient))["homelessness"] == "unconfirmed"
    assert (await near.ask("DELETE", f"/{name}")).status_code == 204
    assert (await concerns(near, patient))["homelessness"] == "entered-in-error"


def _status(code: str) -> Document:
    system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    return {"coding": [{"system": system, "code": code}]}


async def test_given_questions_of_safety_when_answered_then_only_they_and_the_response_are_sensitive(
    house,
):
    near, far = house.near, house.far
    patient = f"Patient/{(await made(near, {'resourceType': 'Patient'}))['id']}"
    given = dict.fromkeys(HITS, "LA6482-9") | {"93030-5": YES}
    response = await made(near, answers(patient, given))
    labelled = {
        code: {label["code"] for label in one.get("meta", {}).get("security", [])}
        for code, one in (await observed(near, patient)).items()
    }
    assert {code for code, labels in labelled.items() if "SDV" in labels} == {*HITS, "95614-4"}
    assert labelled["93030-5"] == labelled["96777-8"] == set()
    assert {label["code"] for label in response["meta"]["security"]} == {"SDV"}
    kinds = {
        one["category"][2]["coding"][0]["code"]: [each["code"] for each in one["meta"].get("security", [])]
        for one in await found(near, f"Condition?patient={patient}")
    }  # fmt: skip
    assert kinds == {"transportation-insecurity": [], "intimate-partner-violence": ["SDV"]}
    bundle = (await near.ask("GET", f"/QuestionnaireResponse/{response['id']}/$extract")).json()
    [proposed] = [
        one["resource"]
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "ServiceRequest"
    ]
    assert proposed["category"][1]["coding"][0]["code"] == "transportation-insecurity"

    # A Consent that says nothing of it shows another clinic the ride, and not the rest
    await made(near, _permitting(patient, far.reference))
    assert set(await observed(far, patient)) == {"93030-5", "96777-8"}
    assert await concerns(far, patient) == {"transportation-insecurity": "unconfirmed"}
    assert await found(far, f"QuestionnaireResponse?patient={patient}") == []


async def test_given_a_sender_that_makes_its_own_observations_when_written_then_none_are_made_beside(
    house,
):
    near = house.near
    patient = f"Patient/{(await made(near, {'resourceType': 'Patient'}))['id']}"
    address = "urn:uuid:6f1d2c1e-0e4b-4b43-8d57-2f3b8a3f3c11"
    own = {
        "resourceType": "Observation", "status": "final", "subject": {"reference": patient},
        "code": {"coding": [{"system": LOINC, "code": "93030-5"}]}, "derivedFrom": [{"reference": address}],
        "category": [{"coding": [{"code": "survey"}]}],
    }  # fmt: skip
    entries = [
        {"fullUrl": address, "resource": answers(patient, {"93030-5": YES})},
        {"resource": own},
    ]
    for entry in entries:
        entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
    posted = await near.ask(
        "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    )
    assert posted.status_code == 200, posted.text
    assert len(await found(near, f"Observation?patient={patient}")) == 1
    # the questionnaires stand where their answers are written
    listed = {one["id"] for one in await found(near, "Questionnaire")}
    assert listed == {"hunger-vital-sign", "prapare", "ahc-hrsn", "got-what-you-needed"}


def _permitting(patient: str, who: str) -> Document:
    terms = "http://terminology.hl7.org/CodeSystem"
    role = {"coding": [{"system": f"{terms}/v3-ParticipationType", "code": "IRCP"}]}
    return {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": f"{terms}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{terms}/v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"reference": patient}, "dateTime": "2026-11-25",
        "policyRule": {"coding": [{"system": f"{terms}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "actor": [{"role": role, "reference": {"reference": who}}]},
    }  # fmt: skip
