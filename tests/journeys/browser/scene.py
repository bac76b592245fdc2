"""A day of the sample community, with something on every page: Jane is referred, screened, seen and told on."""

from __future__ import annotations

from datetime import timedelta

from coordhub.admin import checking, onboarding
from coordhub.admin.acts import Operator, change_client
from coordhub.admin.onboarding import Registration
from coordhub.admin.registering import Keys
from coordhub.outbound.client import Outbound
from coordhub.routing import conformance

FOOD, ROOF = "food-insecurity", "homelessness"
SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
READING = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
HREX = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
FULL = {
    "coding": [{"system": "urn:coordhub:task-status-reason", "code": "no-capacity"}],
    "text": "at capacity",
}
JANE = {
    "name": [{"family": "Quillfeather", "given": ["Jane"]}],
    "birthDate": "1961-04-02",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "+1-918-555-0101"}],
}
FAMILY = {
    "of": "prapare", "93031-3.LA30125-1": "on", "93030-5.LA30133-5": "on", "71802-3": "LA30190-5",
    "76501-6": "LA33-6", "93038-8": "LA6568-5", "93033-9": "LA30122-8",
}  # fmt: skip


def concept(system, code, text):
    return {"coding": [{"system": system, "code": code, "display": text}]}


async def made(who, kind, **elements):
    answered = await who.ask("POST", f"/{kind}", {"resourceType": kind, **elements})
    assert answered.status_code == 201, answered.text
    return f"{kind}/{answered.json()['id']}"


def id_of(reference):
    return reference.partition("/")[2]


async def played(house, coordinator):
    """What happened, and the ids of it by the names of `every_page`. coordinator: Riverside's, at a browser."""
    riverside, lakeside, mounds = house.riverside, house.lakeside, house.mounds
    known = {}
    for one, kind, name in (
        (mounds, FOOD, "Mounds pantry"),
        (house.northgate, FOOD, "Northgate kitchen"),
        (house.eastside, ROOF, "Eastside beds"),
    ):
        known[name] = id_of(await house.offers(one, kind, name))
    pantry = f"/portal/services/{known['Mounds pantry']}"
    await coordinator.opens(pantry)
    await coordinator.sends(pantry, words="Closes early on Fridays")
    await lakeside.behaves({"mode": "reject", "until_count": 1})
    left = await riverside.refers(house.referral(riverside, lakeside.reference))
    dead = "select exists (select from delivery where state = 'dead')"
    await house.until(lambda: house.value(dead))  # which ended that referral
    sent = await riverside.refers(house.referral(riverside, lakeside.reference))
    jane = await made(riverside, "Patient", **JANE)
    known = {
        "pantry": known["Mounds pantry"],
        "month": f"{house.hub.clock():%Y-%m}",
        "jane": id_of(jane),
        "family": "Quillfeather",
        "sent": id_of(sent.task),
        "left": id_of(left.task),
        "delivery": str(await house.value("select id from delivery where state = 'dead'")),
    }
    await _record(house, jane)
    known |= await _food(house, jane)
    known |= await _nobody_left(house)
    known |= await _critical(house, sent)
    known |= await _data(house, jane)
    known |= await _officer(house, jane)
    await _on_board(house)
    there = f"/portal/screening/{known['jane']}"
    await coordinator.opens(f"{there}?of=prapare")
    found = await coordinator.sends(there, **FAMILY)
    known["screened"] = found.url.path.rpartition("/")[2]
    await house.settled()
    return known


async def _on_board(house):
    """Lakeside's client, registered and checked; it has no server of its own."""

    async def look(hub, *given):
        async with Outbound() as outbound:
            return await conformance.check(hub, outbound, *given)

    asked = Registration("lake", house.lakeside.reference, Keys(jwks='{"keys": []}'))
    await onboarding.register(house.hub, Operator("rosa"), asked)
    await checking.check(house.hub, Operator("rosa"), "lake", look)


async def _record(house, jane):
    """Of a record as a clinic keeps it: coded."""
    hers, who = {"reference": jane}, house.riverside
    for day, value in (("2026-03-03", 7.4), ("2026-09-14", 8.1)):
        await made(
            who, "Observation", status="final", subject=hers, effectiveDateTime=day,
            code=concept(LOINC, "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
            valueQuantity={"value": value, "unit": "%"},
        )  # fmt: skip
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    await made(
        who, "Condition", clinicalStatus={"coding": [{"system": clinical, "code": "active"}]},
        subject=hers, code=concept(SNOMED, "44054006", "Diabetes mellitus type 2"),
        recordedDate="2026-10-02",
    )  # fmt: skip
    await made(
        who, "Condition", clinicalStatus={"coding": [{"system": clinical, "code": "active"}]},
        subject=hers, code={"coding": [{"system": SDOHCC, "code": FOOD}]},
    )  # fmt: skip
    await made(
        who, "MedicationRequest", status="active", intent="order", subject=hers,
        authoredOn="2026-09-14", medicationCodeableConcept={"text": "Metformin 500 mg"},
        dosageInstruction=[{"text": "two times a day"}],
    )  # fmt: skip
    later = house.hub.clock() + timedelta(days=9)
    await made(
        who, "Appointment", status="booked", start=later.isoformat(timespec="seconds"),
        end=(later + timedelta(minutes=30)).isoformat(timespec="seconds"),
        serviceType=[{"text": "Follow-up visit"}],
        participant=[{"actor": hers, "status": "accepted"}],
    )  # fmt: skip


async def _food(house, jane):
    """Three referrals to the food bank: one asked, Jane's, one at work, one done."""
    tasks, mounds = {}, house.mounds
    for name, answers in (
        ("at_work", ("accepted", "in-progress")),
        ("done", ("accepted", "in-progress", "completed")),
    ):
        bundle = house.referral(house.riverside, mounds.reference, kind=FOOD)
        sent = await house.riverside.refers(bundle)
        task = await house.until(lambda sent=sent: mounds.asked(sent))
        for status in answers:
            await mounds.answers(task, status)
        tasks[name] = id_of(task)
        if name == "at_work":
            tasks["asks"] = id_of(sent.task)
            await made(
                mounds, "Communication", status="completed", about=[{"reference": task}],
                topic=concept("urn:coordhub:business-status", "awaiting-information", "Question"),
                subject={"reference": sent.patient},
                payload=[{"contentString": "Is there anything that she must not eat, and can she carry a box?"}],
            )  # fmt: skip
    tasks["ended"] = id_of(sent.task)
    bundle = house.referral(house.riverside, mounds.reference, kind=FOOD)
    kept = [one for one in bundle["entry"] if one["resource"]["resourceType"] in WANTED]
    for entry in kept:
        entry["resource"].pop("supportingInfo", None)
        for name in ("subject", "for", "patient"):
            if name in entry["resource"]:
                entry["resource"][name] = {"reference": jane}
        if entry["resource"]["resourceType"] == "Consent":
            entry["resource"]["performer"] = [{"reference": jane}]
    answered = await house.riverside.posts({**bundle, "entry": kept})
    assert answered.status_code == 200, answered.text
    [asked] = await house.until(lambda: mounds.find("Task?status=requested"))
    return {**tasks, "asked": asked["id"]}


async def _data(house, jane):
    """Lakeside asks Riverside for results of Jane's twice: one is released, the other is to be looked at on Monday."""
    lakeside, riverside = house.lakeside, house.riverside
    hers = await made(lakeside, "Patient", **JANE)
    [result, *_] = await riverside.find(f"Observation?patient={jane}&code=4548-4")
    tasks = {"hers": id_of(hers)}
    for name, what in (("data_given", "HbA1c"), ("data_asked", "HbA1c, creatinine")):
        task = await made(
            lakeside, "Task", status="requested", intent="order", description=what,
            code={"coding": [{"system": HREX, "code": "data-request"}]},
            **{"for": {"reference": hers}}, owner={"reference": riverside.reference},
            authoredOn=house.hub.clock().isoformat(timespec="seconds"),
            reasonCode=concept(ACT_REASON, "TREAT", "treatment"),
            input=[{
                "type": {"coding": [{"system": HREX, "code": "data-query"}]},
                "valueString": "Observation?code=4548-4,2160-0&date=ge2026-01-01",
            }],
        )  # fmt: skip
        tasks[name] = id_of(task)
        document = {**await riverside.read(task), "status": "in-progress"}
        document["businessStatus"] = {"text": "Results will be reviewed for release on Monday"}
        if name == "data_given":
            kind = {"coding": [{"system": HREX, "code": "data-value"}]}
            output = {"type": kind, "valueReference": {"reference": f"Observation/{result['id']}"}}
            document |= {"status": "completed", "output": [output]}
        answered = await riverside.ask("PUT", f"/{task}", document)
        assert answered.status_code == 200, answered.text
    return tasks


WANTED = ("ServiceRequest", "Task", "Consent")


async def _nobody_left(house):
    """Two shelters decline: Riverside has to find somebody."""
    shelters = [house.hillcrest, house.northgate]
    bundle = house.referral(
        house.riverside, *(one.reference for one in shelters), kind=ROOF, agreed=False
    )
    house.permitted(
        bundle, house.riverside, *(one.reference for one in (*shelters, house.eastside))
    )
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Task":
            recipients = [{"reference": one.reference} for one in shelters]
            entry["resource"]["restriction"] = {"recipient": recipients}
    sent = await house.riverside.refers(bundle)
    for shelter in shelters:
        task = await house.until(lambda shelter=shelter: shelter.asked(sent))
        declined = {**await shelter.read(task), "status": "rejected", "statusReason": FULL}
        assert (await shelter.ask("PUT", f"/{task}", declined)).status_code == 200
    found = "Task?code=find-provider&status=requested"
    [errand] = await house.until(lambda: house.riverside.find(found))
    return {"stuck": id_of(sent.task), "nobody_left": errand["id"]}


async def _officer(house, jane):
    """For who answers for Jane's record: what she agreed to, what was sent of it, and who opened it in an emergency."""
    riverside, lakeside = house.riverside, house.lakeside
    [consent, *_] = await riverside.find(f"Consent?patient={jane}")
    disclosed = await house.until(lambda: house.value(
        "select max(a.seq) from audit a join resource r on r.rid = any(a.rids)"
        " where r.fhir_id = $1 and a.interaction = 'disclosure'", id_of(jane)
    ))  # fmt: skip
    name = {"family": "Lake", "given": ["Dana"]}
    doctor = await made(lakeside, "Practitioner", name=[name])
    by = Operator("rosa")
    await change_client(house.hub.engine, by, "lakeside", house.hub.clock(), break_glass=True)
    said = {
        "patient": {"valueReference": {"reference": jane}},
        "purpose": {"valueCode": "ETREAT"},
        "reason": {"valueString": "brought in unconscious"},
        "practitioner": {"valueReference": {"reference": doctor}},
        "emergency": {"valueString": "Hypoglycemia"},
    }
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": name, **value} for name, value in said.items()],
    }

    async def opened():
        answered = await lakeside.ask("POST", "/Patient/$break-glass", asked)
        return answered if answered.status_code == 200 else None  # known within five seconds

    await house.until(opened)
    await lakeside.find(f"Condition?patient={jane}")
    [notice] = await riverside.find(f"Communication?subject={jane}&category=alert")
    return {"consent": consent["id"], "disclosed": disclosed, "opened": notice["id"]}


async def _critical(house, sent):
    """A result comes home that a human has to have seen."""
    lakeside = house.lakeside
    asked = await house.until(lambda: lakeside.asked(sent))
    task = await lakeside.answers(asked, "accepted")
    await made(
        lakeside, "Observation", status="final", subject={"reference": sent.patient},
        basedOn=[{"reference": house.target(task["focus"])}],
        code=concept(LOINC, "2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
        performer=[{"reference": lakeside.reference}],
        effectiveDateTime=f"{house.hub.clock():%Y-%m-%d}",
        valueQuantity={"value": 6.9, "unit": "mmol/L"},
        interpretation=[concept(READING, "HH", "Critical high")],
    )  # fmt: skip
    seen = "Task?code=acknowledge&status=requested"
    [errand] = await house.until(lambda: house.riverside.find(seen))
    return {"unseen": errand["id"]}
