"""An emergency: a record that is hidden is opened for an hour, and who holds it is told."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from coordhub.admin.acts import Operator, change_client

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

MRN = {"system": "urn:test:mrn", "value": "emergency-1"}


async def made(sender: Any, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def test_given_an_unconscious_patient_when_the_glass_is_broken_then_the_chart_is_read_and_accounted_for(
    house, browser
) -> None:
    riverside, lakeside = house.riverside, house.lakeside
    who = await made(
        riverside,
        {
            "resourceType": "Patient",
            "identifier": [MRN],
            "birthDate": "1980-02-03",
            "name": [{"family": "Water"}],
        },
    )
    allergy = await made(
        riverside,
        {
            "resourceType": "AllergyIntolerance",
            "patient": {"reference": who},
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                        "code": "active",
                    }
                ]
            },
            "code": {"text": "penicillin"},
        },
    )
    doctor = await made(lakeside, {"resourceType": "Practitioner", "name": [{"family": "Lake"}]})
    assert not await lakeside.sees(who)
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "identifier", "valueIdentifier": MRN},
            {"name": "birthDate", "valueDate": "1980-02-03"},
            {"name": "purpose", "valueCode": "ETREAT"},
            {"name": "reason", "valueString": "CANARY-REASON"},
            {"name": "practitioner", "valueReference": {"reference": doctor}},
            {"name": "emergency", "valueString": "CANARY-NATURE"},
        ],
    }
    # Nobody may who was not allowed to
    assert (await lakeside.ask("POST", "/Patient/$break-glass", asked)).status_code == 403
    await change_client(
        house.hub.engine, Operator("rosa"), "lakeside", house.hub.clock(), break_glass=True
    )

    async def answered() -> Any:
        found = await lakeside.ask("POST", "/Patient/$break-glass", asked)
        return found if found.status_code != 403 else None  # known again within five seconds

    opened = await house.until(answered)
    assert opened.status_code == 200, opened.text
    assert await lakeside.sees(who)
    assert [f"AllergyIntolerance/{one['id']}" for one in await lakeside.find(
        f"AllergyIntolerance?patient={who}"
    )] == [allergy]  # fmt: skip
    # Nobody else
    assert not await house.northgate.sees(who)

    # Who holds the record finds the notice, and in the accounting who looked
    [notice] = await riverside.find(f"Communication?subject={who}")
    assert lakeside.reference in str(notice)
    told = (await riverside.ask("GET", f"/{who}/$accounting-of-disclosures")).text
    assert lakeside.reference in told
    assert '"BTG"' in told
    events = (await riverside.ask("GET", f"/AuditEvent?patient={who}")).text
    assert '"purposeOfEvent"' in events
    # The reason is nowhere but in the audit of who gave it
    for text in (str(notice), told, events):
        assert "CANARY" not in text
    assert not await house.value("select count(*) from resource where body like '%CANARY%'")

    # On the page of the holder's privacy officer it waits for a review, with its nature and what was looked at
    async def signs_in(organization):
        email = f"dana@{organization.key}.example.org"
        browser.http.cookies.clear()
        await browser.sets_up(email, await joins(house, organization, email, "privacy-officer"))

    browser.clock.ahead += timedelta(hours=2)
    await signs_in(riverside)
    page = f"/portal/emergencies/{notice['id']}"
    assert '<span class="count">1</span>' in (await browser.opens("/portal/privacy")).text
    listed = (await browser.opens("/portal/emergencies")).text
    assert f'href="{page}"' in listed
    assert "Not reviewed yet" in listed
    assert "waits 2 h" in listed
    shown = (await browser.opens(page)).text
    assert "CANARY-NATURE" in shown
    assert "CANARY-REASON" not in shown
    assert "penicillin" not in shown
    assert allergy in shown
    assert "allergies" in shown
    assert (await browser.sends(page, reason="justified", words=" ")).status_code == 422
    noted = await browser.sends(page, reason="justified", words="She was unconscious.")
    assert "She was unconscious." in noted.text
    await browser.sends(page, reason="followed-up", words="Told them to call first.")
    listed = (await browser.opens("/portal/emergencies")).text
    assert "Not justified: followed up" in listed
    assert "Not reviewed yet" not in listed
    # For who opened it, and for everybody else, there is no such page, before and after
    nobody = "00000000-0000-4000-8000-000000000000"
    for organization in (lakeside,):
        await signs_in(organization)
        assert "No record of yours" in (await browser.opens("/portal/emergencies")).text
        foreign = await browser.opens(page)
        absent = await browser.opens(f"/portal/emergencies/{nobody}")
        assert foreign.status_code == absent.status_code == 404
        assert foreign.text.replace(notice["id"], "x") == absent.text.replace(nobody, "x")
        assert (await browser.sends(page, reason="justified", words="x")).status_code == 404

    await house.hub.engine.pool.execute("update access_rule set until = now()")
    assert not await lakeside.sees(who)
    assert not await lakeside.sees(allergy)
