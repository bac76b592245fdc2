"""S01: what a specialist needs goes with the referral by its kit, as far as both may see it."""

from __future__ import annotations

ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
ASTHMA, OPIOID_USE = "J45.20", "F11.20"


def adds(bundle, number, **resource):
    """One resource more of the patient's in a referral, that its order does not name."""
    patient = next(
        entry["fullUrl"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    )
    whose = "patient" if resource["resourceType"] == "AllergyIntolerance" else "subject"
    bundle["entry"].append(
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-00000000000{number}",
            "resource": {**resource, whose: {"reference": patient}},
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
    )


def condition(code, status="active"):
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": clinical, "code": status}]},
        "code": {"coding": [{"system": ICD10, "code": code}]},
    }


async def test_s01_given_a_kit_when_a_specialist_is_asked_then_it_gets_what_the_kit_lists_and_it_may_see(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    bundle = house.referral(riverside, lakeside.reference)
    for entry in bundle["entry"]:
        entry["resource"].pop("supportingInfo", None)  # the sender names nothing
    adds(bundle, 1, resourceType="AllergyIntolerance", clinicalStatus={
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                    "code": "active"}]}, code={"text": "penicillin"})  # fmt: skip
    adds(bundle, 2, **condition(ASTHMA))
    adds(bundle, 3, **condition(OPIOID_USE))  # 42 CFR Part 2, and no Consent speaks of it
    adds(bundle, 4, **condition("J06.9", "resolved"))
    sent = await riverside.refers(bundle)
    task = await house.until(lambda: lakeside.asked(sent))

    t2 = await lakeside.read(task)
    assert [one["valueCodeableConcept"]["coding"][0]["code"] for one in t2["input"]] == [
        "11488-4", "10160-0",
    ]  # fmt: skip
    sr2 = await lakeside.read(house.target(t2["focus"]))
    named = [house.target(one) for one in sr2["supportingInfo"]]
    assert [one.partition("/")[0] for one in named] == [
        "Observation", "AllergyIntolerance", "Condition",
    ]  # fmt: skip
    assert named[0] == sent.prior
    found = [await lakeside.read(one) for one in named]
    assert found[2]["code"]["coding"][0]["code"] == ASTHMA
    await house.settled()
    assert [await lakeside.holds(one) is not None for one in named] == [True] * 3
    # what the sender wrote stays as it was
    assert "supportingInfo" not in await riverside.read(sent.order)

    # when the sender names something itself, what the kit found stays
    mine = await riverside.read(sent.order)
    (resolved,) = await riverside.find(f"Condition?patient={sent.patient}&clinical-status=resolved")
    mine["supportingInfo"] = [{"reference": f"Condition/{resolved['id']}"}]
    done = await riverside.ask("PUT", f"/{sent.order}", mine)
    assert done.status_code == 200, done.text
    sr2 = await lakeside.read(house.target(t2["focus"]))
    assert [house.target(one) for one in sr2["supportingInfo"]] == [
        f"Condition/{resolved['id']}", *named,
    ]  # fmt: skip
