"""S25: records under 42 CFR Part 2 go where a Consent names them, and leave no trace elsewhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from coordhub.admin.acts import Operator, change_client

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
OPIOID_USE, ASTHMA = "F11.20", "J45.20"
NOTICE = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}|\d{4}-\d\d-\d\dT[0-9:.+Z-]+|demo-\w+|[0-9a-f]{12,}"
)


def naming(bundle, *codes):
    """The same referral, its order naming a Condition of each of these codes."""
    entries = {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}
    for code in codes:
        condition = {
            "resourceType": "Condition",
            "subject": {"reference": entries["Patient"]["fullUrl"]},
            "code": {"coding": [{"system": ICD10, "code": code}]},
            "note": [{"text": "counselling since spring"}],
        }
        url = f"urn:uuid:00000000-0000-4000-8000-{len(bundle['entry']):012}"
        bundle["entry"].append({
            "fullUrl": url, "resource": condition, "request": {"method": "POST", "url": "Condition"},
        })  # fmt: skip
        order = entries["ServiceRequest"]["resource"]
        order["supportingInfo"] = [*order.get("supportingInfo", ()), {"reference": url}]
    return bundle


def agreed(patient, treating, helping):
    """The patient agrees that both are told, and who treats of substance use treatment, too."""
    role = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
        ]
    }

    def actors(*references):
        return [{"role": role, "reference": {"reference": one}} for one in references]

    return {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                              "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": ACT, "code": "IDSCL"}]}],
        "patient": {"reference": patient}, "dateTime": datetime.now(UTC).isoformat(timespec="seconds"),
        "policyRule": {"coding": [{"system": ACT, "code": "OPTIN"}]},
        "provision": {
            "type": "permit", "actor": actors(treating, helping),
            "provision": [{
                "type": "permit", "actor": actors(treating),
                "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
                "securityLabel": [{"system": ACT, "code": "SUD"}],
            }],
        },
    }  # fmt: skip


async def conditions(house, organization, patient):
    found = await organization.find(f"Condition?patient={patient}")
    return sorted(one["code"]["coding"][0]["code"] for one in found)


def security(document):
    return {(one["system"], one["code"]) for one in document.get("meta", {}).get("security", ())}


async def test_s25_given_a_food_bank_when_a_referral_names_part_2_records_then_it_cannot_tell(
    house,
):
    riverside, mounds = house.riverside, house.mounds
    told = []
    for codes in ((ASTHMA, OPIOID_USE), (ASTHMA,)):
        bundle = naming(house.referral(riverside, mounds.reference), *codes)
        sent = await riverside.refers(bundle)
        await house.settled()
        task = await mounds.asked(sent)
        order = house.target((await mounds.read(task))["focus"])
        answers = []
        for path in (
            f"/{task}", f"/{task}/_history", f"/{order}", f"/{order}/$everything", f"/{sent.patient}",
            f"/{sent.patient}/$everything", f"/{sent.patient}/Condition",
            f"/Condition?patient={sent.patient}&_total=accurate", f"/Condition?code={OPIOID_USE}",
            f"/Patient?_id={sent.patient[8:]}&_revinclude=Condition:patient",
            f"/ServiceRequest?_id={order[15:]}&_include=ServiceRequest:*",
            f"/Patient?_has:Condition:patient:code={OPIOID_USE}", "/Condition/$meta", "/$meta",
            f"/Provenance?target={task}",
        ):  # fmt: skip
            answered = await mounds.ask("GET", path)
            answers.append((answered.status_code, VARYING.sub("*", answered.text)))
        told.append(answers)
    assert told[0] == told[1]
    for trace in ("counselling", "SUD", "42CFR"):
        assert trace not in str(told)


async def test_s25_given_a_specialist_when_consent_names_part_2_then_it_has_them_with_the_notice(
    house,
):
    riverside, lakeside, mounds = house.riverside, house.lakeside, house.mounds

    # Given a referral to the specialist that names the counselling record, and no Consent
    sent = await riverside.refers(
        naming(house.referral(riverside, lakeside.reference), ASTHMA, OPIOID_USE)
    )
    await house.settled()
    task = await lakeside.asked(sent)
    await lakeside.answers(task, "accepted")

    # Then the specialist has the rest of it, and of that nothing
    assert await conditions(house, lakeside, sent.patient) == [ASTHMA]
    [counselling] = [
        f"Condition/{one['id']}"
        for one in await riverside.find(f"Condition?patient={sent.patient}&code={OPIOID_USE}")
    ]
    assert not await lakeside.sees(counselling)
    assert await lakeside.holds(counselling) is None

    # When there is an emergency, it is opened for an hour, and who holds the record is told by whom
    await opened_in_emergency(house, sent.patient)
    assert await lakeside.sees(counselling)
    [notice] = await riverside.find(f"Communication?subject={sent.patient}")
    assert notice["about"] == [{"reference": lakeside.reference}]
    assert notice["sent"]
    told = await house.rows("select query from audit where interaction = '$break-glass'")
    assert "opioid" in str(told)
    assert "Practitioner" in str(told)
    await house.hub.engine.pool.execute(
        "update access_rule set until = now() where rule = 'break-glass'"
    )
    assert not await lakeside.sees(counselling)

    # When the patient consents to that, then it comes with the notice
    consent = agreed(sent.patient, lakeside.reference, mounds.reference)
    made = await riverside.ask("POST", "/Consent", consent)
    assert made.status_code == 201, made.text
    shown = await lakeside.read(counselling)
    labels = {
        (ACT, "SUD"),
        (ACT, "42CFRPart2"),
        (ACT, "NORDSCLCD"),
        ("urn:coordhub:notice", "42CFRPart2"),
    }
    assert labels <= security(shown)
    assert NOTICE in [one.get("display") for one in shown["meta"]["security"]]

    # And so it is delivered
    await lakeside.answers(task, "in-progress")
    again = await refers_once_more(house, sent, counselling)
    await house.settled()
    assert await lakeside.asked(again)
    held = await lakeside.holds(counselling)
    assert held is not None
    assert labels <= security(held)

    # When the specialist refers on to the food bank and names it, then it is filtered again
    onward = await refers_on(house, sent, counselling)
    await house.settled()
    assert await mounds.asked(onward)
    assert await conditions(house, mounds, sent.patient) == []
    assert not await mounds.sees(counselling)
    text = str([await mounds.find(kind) for kind in ("Task", "ServiceRequest", "Patient")])
    assert "SUD" not in text
    assert counselling not in text


async def opened_in_emergency(house, patient):
    lakeside = house.lakeside
    await change_client(
        house.hub.engine, Operator("rosa"), "lakeside", house.hub.clock(), break_glass=True
    )
    doctor = await lakeside.ask("POST", "/Practitioner", {"resourceType": "Practitioner"})
    person = await lakeside.read(patient)
    asked = {"resourceType": "Parameters", "parameter": [
        {"name": "identifier", "valueIdentifier": person["identifier"][0]},
        {"name": "birthDate", "valueDate": person["birthDate"]},
        {"name": "purpose", "valueCode": "ETREAT"},
        {"name": "reason", "valueString": "found unconscious"},
        {"name": "emergency", "valueString": "suspected opioid overdose"},
        {"name": "practitioner", "valueReference": {"reference": f"Practitioner/{doctor.json()['id']}"}},
    ]}  # fmt: skip

    async def answered():
        found = await lakeside.ask("POST", "/Patient/$break-glass", asked)
        return found if found.status_code != 403 else None  # known again within five seconds

    opened = await house.until(answered)
    assert opened.status_code == 200, opened.text


async def refers_once_more(house, sent, counselling):
    return await _refers(house, house.riverside, house.lakeside, sent, counselling)


async def refers_on(house, sent, counselling):
    return await _refers(house, house.lakeside, house.mounds, sent, counselling)


async def _refers(house, sender, recipient, sent, counselling):
    """Another referral of the same patient, which names that record."""
    entries = [
        {
            "resourceType": "ServiceRequest", "status": "active", "intent": "order",
            "subject": {"reference": sent.patient}, "requester": {"reference": sender.reference},
            "performer": [{"reference": recipient.reference}], "code": {"text": "help"},
            "supportingInfo": [{"reference": counselling}],
        },
        {
            "resourceType": "Task", "status": "requested", "intent": "order",
            "focus": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
            "for": {"reference": sent.patient}, "requester": {"reference": sender.reference},
        },
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-00000000000{number}", "resource": each,
         "request": {"method": "POST", "url": each["resourceType"]}}
        for number, each in enumerate(entries, 1)
    ]}  # fmt: skip
    answered = await sender.posts(bundle)
    assert answered.status_code == 200, answered.text
    task = answered.json()["entry"][1]["response"]["location"].split("/Task/")[1].split("/")[0]
    return type(sent)(sent.patient, "", "", f"Task/{task}")
