"""S01, S20: one time line of a person over all referrals and linked records, as far as each may see it."""

from __future__ import annotations

import base64
import re
import sys
from datetime import timedelta
from pathlib import Path

from coordhub.directory import calendars
from coordhub.portal import chart, language
from coordhub.portal.occurrences import Wall

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

ABSENT = "00000000-0000-4000-8000-000000000000"
JANE = {
    "resourceType": "Patient",
    "name": [{"family": "Quillfeather", "given": ["Jane"]}],
    "birthDate": "1961-04-02",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "+1-918-555-0101"}],
}


def loinc(code, text):
    return {"coding": [{"system": "http://loinc.org", "code": code}], "text": text}


def clinical(code):
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {"coding": [{"system": system, "code": code}]}


async def made(who, kind, **elements):
    answered = await who.ask("POST", f"/{kind}", {"resourceType": kind, **elements})
    assert answered.status_code == 201, answered.text
    return f"{kind}/{answered.json()['id']}"


def hba1c(subject, day, value):
    quantity = {"value": value, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    return {
        "status": "final", "code": loinc("4548-4", "HbA1c"), "subject": subject,
        "effectiveDateTime": day, "valueQuantity": quantity,
    }  # fmt: skip


async def refers(house, recipient, patient):
    """Riverside refers this Patient, who is there already; the Task."""
    bundle = house.referral(house.riverside, recipient)
    bundle["entry"] = [
        one
        for one in bundle["entry"]
        if one["resource"]["resourceType"] not in ("Patient", "Observation")
    ]
    for entry in bundle["entry"]:
        entry["resource"].pop("supportingInfo", None)
        for name in ("subject", "for", "patient"):
            if name in entry["resource"]:
                entry["resource"][name] = {"reference": patient}
        if entry["resource"]["resourceType"] == "Consent":
            entry["resource"]["performer"] = [{"reference": patient}]
    answered = await house.riverside.posts(bundle)
    assert answered.status_code == 200, answered.text
    return next(
        one["response"]["location"].partition("/fhir/")[2].partition("/_history")[0]
        for one in answered.json()["entry"]
        if "/Task/" in one["response"]["location"]
    )


async def asked_by(house, who, task):
    async def look():
        return next(
            (one["id"] for one in await who.find("Task") if task in str(one.get("partOf"))), None
        )

    return f"Task/{await house.until(look)}"


async def test_s20_given_two_records_of_one_person_when_its_chart_is_opened_then_all_is_one_time_line(
    house, safe, browser
):
    riverside, lakeside, mounds = house.riverside, house.lakeside, house.mounds
    first = await joins(house, riverside, "chris@riverside.example.org", "coordinator")
    jane = await made(riverside, "Patient", **_but_type(JANE))
    hers = {"reference": jane}
    theirs = {"reference": await made(lakeside, "Patient", **_but_type(JANE))}
    team = [{"member": {"reference": riverside.reference}}]
    await made(lakeside, "CareTeam", status="active", subject=theirs, participant=team)
    await house.until(lambda: _nobody_due(house))

    # What Riverside has, and what Lakeside has of the same woman under a number of its own
    await made(riverside, "Observation", **hba1c(hers, "2026-03-03", 7.4))
    await made(lakeside, "Observation", **hba1c(theirs, "2026-09-14", 8.1))
    await made(
        riverside, "Condition", clinicalStatus=clinical("active"), subject=hers,
        code={"text": "Food insecurity"}, recordedDate="2026-10-02",
    )  # fmt: skip
    await made(
        lakeside, "MedicationRequest", status="active", intent="order", subject=theirs,
        authoredOn="2026-09-14", medicationCodeableConcept={"text": "Metformin 500 mg"},
        dosageInstruction=[{"text": "two times a day"}],
    )  # fmt: skip
    await made(
        riverside, "AllergyIntolerance", clinicalStatus={"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
            "code": "active",
        }]}, code={"text": "Penicillin"}, patient=hers, criticality="high",
    )  # fmt: skip
    note = base64.b64encode(b"Seen today. <b>Continue</b> metformin.").decode()
    await made(
        lakeside, "DocumentReference", status="current", type=loinc("11488-4", "Consult note"),
        subject=theirs, date="2026-09-15T15:00:00Z",
        content=[{"attachment": {"contentType": "text/plain", "data": note}}],
    )  # fmt: skip
    later = house.hub.clock() + timedelta(days=9)
    await made(
        riverside, "Appointment", status="booked", start=later.isoformat(timespec="seconds"),
        end=(later + timedelta(minutes=30)).isoformat(timespec="seconds"),
        serviceType=[{"text": "Follow-up visit"}],
        participant=[{"actor": hers, "status": "accepted"}],
    )  # fmt: skip

    # And three referrals, of which one is of what nobody else is to know
    specialist = await refers(house, await house.service_of(lakeside), jane)
    food = await refers(house, mounds.reference, jane)
    shelter = await refers(house, safe.reference, jane)
    await house.settled()
    answer = await asked_by(house, mounds, food)
    await mounds.answers(answer, "accepted")
    await house.settled()

    await browser.sets_up("chris@riverside.example.org", first)
    mine = await browser.opens("/portal/patients")
    assert mine.text.count("Quillfeather") == 1
    assert "2 open" in mine.text
    page = f"/portal/{jane.replace('Patient', 'patients')}"
    assert f'href="{page}"' in mine.text
    found = await browser.opens("/portal/patients?who=quill+1961-04-02")
    assert f'href="{page}"' in found.text
    assert "Nobody of this name" in (await browser.opens("/portal/patients?who=nobody")).text

    shown = (await browser.opens(page)).text
    for text in (
        "8.1 %", "up 0.7 since 3 Mar 2026", "Metformin 500 mg", "two times a day", "Penicillin",
        "high risk", "Food insecurity", "Consult note", "Follow-up visit",
        "Seen today. &lt;b&gt;Continue&lt;/b&gt; metformin.", "Mounds Food Bank",
    ):  # fmt: skip
        assert text in shown, text
    assert re.search(r"Records of</dt><dd>[^<]*Lakeside[^<]*, [^<]*Riverside", shown)
    for task in (specialist, food):
        assert f"/portal/referrals/{task.partition('/')[2]}" in shown
    assert shelter.partition("/")[2] not in shown
    assert "Harbor" not in shown
    # Newest first, each person of the team with what it has to do next
    times = re.findall(r'<time datetime="([^"]+)"', shown.partition("What happened")[2])
    assert times == sorted(times, reverse=True)
    assert len(times) >= 7
    assert re.search(r"Mounds Food Bank</strong>.*?begin the work", shown, re.DOTALL)
    assert re.search(r"Lakeside[^<]*</strong>.*?accept or decline", shown, re.DOTALL)
    looks = await riverside.find("AuditEvent?subtype=read")
    assert jane in str(looks)

    # The food bank has a page of her, with what it is asked and nothing else of her record
    other = await joins(house, mounds, "sam@mounds.example.org")
    browser.http.cookies.clear()
    await browser.sets_up("sam@mounds.example.org", other)
    theirs_of_her = (await browser.opens(page)).text
    assert "Quillfeather" in theirs_of_her
    assert f"/portal/tasks/{answer.partition('/')[2]}" in theirs_of_her
    for text in ("Metformin", "8.1 %", "Penicillin", "Consult note", "Lakeside", "Harbor"):
        assert text not in theirs_of_her, text
    # And whoever is shown nothing of her, no page
    third = await joins(house, house.rides, "lee@rides.example.org")
    browser.http.cookies.clear()
    await browser.sets_up("lee@rides.example.org", third)
    hidden = await browser.opens(page)
    absent = await browser.opens(f"/portal/patients/{ABSENT}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace(page.rpartition("/")[2], "x") == absent.text.replace(ABSENT, "x")
    assert "Nobody yet" in (await browser.opens("/portal/patients")).text
    assert "Nobody of this name" in (await browser.opens("/portal/patients?who=Quill")).text

    # However much there is, it takes as many statements
    before = await _statements(house, riverside, jane)
    for _ in range(3):
        await refers(house, mounds.reference, jane)
        await made(riverside, "Observation", **hba1c(hers, "2026-10-14", 7.0))
    await house.settled()
    assert await _statements(house, riverside, jane) == before <= 20


def _but_type(document):
    return {name: one for name, one in document.items() if name != "resourceType"}


async def _nobody_due(house):
    return not await house.value("select exists (select from person_due)")


async def _statements(house, who, patient):
    """How many the chart takes."""
    hub, asked = house.hub, []
    async with hub.engine.pool.acquire() as conn:
        rid = await conn.fetchval("select rid from resource where fhir_id = $1", who.id)
        calendar = await calendars.calendar_of(
            conn, who.reference, hub.base, hub.deadlines.calendar
        )
        wall = Wall(calendar, hub.clock(), language.words("en"))
        found = await chart.chart(hub, conn, rid, patient.partition("/")[2], wall)
        assert found is not None
        with conn.query_logger(asked.append):  # what a connection asks once, it knows after that
            await chart.chart(hub, conn, rid, patient.partition("/")[2], wall)
    return len(asked)
