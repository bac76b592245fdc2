"""S06: staff of a food bank, with nothing but a browser, sign in, accept, start and complete."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

from coordhub.admin import people
from coordhub.admin.acts import Operator
from coordhub.portal import worklist
from coordhub.referral.offered import offered

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]


async def test_s06_given_staff_with_a_browser_when_it_accepts_starts_and_completes_then_the_sender_has_it(
    house, browser, clock
):
    riverside, mounds = house.riverside, house.mounds
    first = await joins(house, mounds, "pat@mounds.example.org")
    bundle = house.referral(riverside, mounds.reference)
    [order] = [e["resource"] for e in bundle["entry"] if "ServiceRequest" in e["request"]["url"]]
    order["category"] = [
        {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/"
                    "SDOHCC-CodeSystemTemporaryCodes",
                    "code": "food-insecurity",
                }
            ]
        }
    ]
    sent = await riverside.refers(bundle)
    await house.settled()
    whom = await riverside.read(sent.patient)
    family = whom["name"][0]["family"]

    # Nobody who has not signed in sees anything, nor who has not set up the second factor
    [asked] = await mounds.find(f"Task?owner={mounds.reference}")
    page = f"/portal/tasks/{asked['id']}"
    assert (await browser.opens(page)).url.path == "/portal/sign-in"
    await browser.sends("/portal/sign-in", email="pat@mounds.example.org", password=first, code="")
    assert (await browser.opens(page)).url.path == "/portal/set-up"
    assert family not in browser.page.text

    # The list says what came in, for whom, and that it waits
    listed = await browser.sets_up("pat@mounds.example.org", first)
    assert listed.url.path == "/portal/worklist", listed.text
    assert family in listed.text
    assert "waits 0 min" in listed.text
    assert f'href="{page}"' in listed.text

    # Accept, start, complete with what was given
    await browser.opens(page)
    assert family in browser.page.text
    refused = await browser.http.post(page, data={"act": "accept", "seal": "of another"})
    assert refused.status_code == 404
    await browser.sends(page, act="accept")
    assert "Accepted" in browser.page.text
    await browser.sends(page, act="start")
    assert "At work" in browser.page.text
    lacking = await browser.sends(page, act="finish", words=" ")
    assert (lacking.status_code, "Say what was given" in lacking.text) == (422, True)
    assert 'value="Food provided"' in lacking.text
    await browser.sends(page, act="finish", words="Food provided")
    assert "This is over" in browser.page.text
    assert family in (await browser.opens("/portal/worklist?show=done")).text
    await house.settled()

    # What came of it is counted, and one is too few to be told
    counted = await browser.opens(f"/portal/figures?month={house.hub.clock():%Y-%m}")
    assert "Referrals received" in counted.text
    assert "fewer than 10" in counted.text
    table = await browser.opens(f"/portal/figures.csv?month={house.hub.clock():%Y-%m}")
    assert "received,completed,Completed,<10" in table.text
    # The rows behind it are there for whose they are; what is of another desk is not
    rows = f"/portal/figures/rows?month={house.hub.clock():%Y-%m}"
    assert f"{rows}&amp;of=received.completed" in counted.text
    behind = await browser.opens(f"{rows}&of=received.completed")
    assert f'href="{page}"' in behind.text
    assert family in behind.text
    for other in ("sent.sent", "received.declined", "nonsense"):
        assert (await browser.opens(f"{rows}&of={other}")).status_code == 404, other

    # Whether it has places is said by one press; nobody says it of another's service
    listed = await browser.opens("/portal/worklist")
    assert "Nothing was said yet." in listed.text
    other = await riverside.refers(
        house.referral(riverside, mounds.reference, kind="food-insecurity")
    )
    declined = {"coding": [{"system": "urn:coordhub:task-status-reason", "code": "no-capacity"}]}
    task = await house.until(lambda: mounds.asked(other))
    document = {**await mounds.read(task), "status": "rejected", "statusReason": declined}
    assert (await mounds.ask("PUT", f"/{task}", document)).status_code == 200
    clock.ahead += timedelta(seconds=1)
    listed = await browser.opens("/portal/worklist")
    assert "You declined for want of places 0 min ago: until " in listed.text
    service = await house.service_of(mounds)
    full = f"/portal/places/{service.partition('/')[2]}"
    said = await browser.sends(full, state="no-capacity")
    assert "Full · said 0 min ago" in said.text
    entry = await riverside.read(service)
    told = offered(entry, service, 1, updated=house.hub.clock()).capacity
    assert told.status == "no-capacity"
    assert entry["name"] in said.text
    seen = await browser.sends(full, state="limited")
    assert re.search(r'value="limited" aria-pressed="true"', seen.text)
    assert len((await riverside.read(service))["extension"]) == len(entry["extension"])
    other = (await house.service_of(house.rides)).partition("/")[2]
    for wrong in ({"state": "no-capacity"}, {"state": "capacity", "seal": "of another"}):
        path = f"/portal/places/{other}" if "seal" not in wrong else full
        await browser.opens("/portal/worklist")
        assert (await browser.sends(path, **wrong)).status_code == 404

    # The sender has it, with what was given; and the audit says who of the food bank it was
    mine = await riverside.read(sent.task)
    assert mine["status"] == "completed"
    [output] = mine["output"]
    assert output["type"]["coding"][0]["code"] == "resulting-activity"
    given = await riverside.read(house.target(output["valueReference"]))
    assert given["resourceType"] == "Procedure"
    assert given["code"]["coding"][0]["code"] == "710925007"
    assert await house.value("select state from episode") == "closed"
    looks = await mounds.find("AuditEvent?subtype=transaction")
    agents = [agent for one in looks for agent in one["agent"] if agent.get("name") == "Pat Pantry"]
    assert agents
    assert agents[0]["who"]["display"] == "Pat Pantry"
    seen_by_sender = await riverside.find("AuditEvent?subtype=read")
    assert "Pat Pantry" not in str(seen_by_sender)


async def test_given_a_session_when_out_idle_or_deactivated_then_it_shows_nothing(
    house, browser, clock
):
    email = "pat@mounds.example.org"
    await browser.sets_up(email, await joins(house, house.mounds, email))
    old = f"coordhub_session={browser.http.cookies['coordhub_session']}"
    await browser.sends("/portal/sign-out")
    kept = await browser.opens("/portal/worklist", headers={"Cookie": old})
    assert kept.url.path == "/portal/sign-in"

    # A code is good once, a first password no more
    assert (await browser.signs_in(email)).status_code == 401
    clock.ahead += timedelta(seconds=60)
    assert (await browser.signs_in(email)).url.path == "/portal/worklist"
    clock.ahead += timedelta(minutes=29)
    assert (await browser.opens("/portal/worklist")).url.path == "/portal/worklist"
    clock.ahead += timedelta(minutes=31)
    assert (await browser.opens("/portal/worklist")).url.path == "/portal/sign-in"
    assert (await browser.signs_in(email)).url.path == "/portal/worklist"
    await people.deactivate(house.hub.engine, Operator("rosa"), email, house.hub.clock())
    assert (await browser.opens("/portal/worklist")).url.path == "/portal/sign-in"

    # What it then hears is what somebody hears who never was there
    clock.ahead += timedelta(seconds=60)
    known = await browser.signs_in(email)
    unknown = await browser.signs_in("nobody@mounds.example.org")
    assert known.status_code == unknown.status_code == 401
    assert known.text.replace(email, "nobody@mounds.example.org") == unknown.text
    tried = [(await browser.signs_in("nobody@mounds.example.org")).status_code for _ in range(10)]
    assert tried == [401] * 9 + [429]


async def test_given_two_organizations_when_one_opens_what_the_other_is_asked_then_there_is_nothing(
    house, browser
):
    riverside, mounds = house.riverside, house.mounds
    sent = await riverside.refers(house.referral(riverside, mounds.reference))
    await house.settled()
    [asked] = await mounds.find(f"Task?owner={mounds.reference}")
    whom = await riverside.read(sent.patient)
    email = "lee@rides.example.org"
    await browser.sets_up(email, await joins(house, house.rides, email))
    assert "Nothing new" in browser.page.text
    assert 'href="/portal/board"' not in browser.page.text, "a desk that is not hers is not named"
    foreign = await browser.opens(f"/portal/tasks/{asked['id']}")
    absent = await browser.opens("/portal/tasks/00000000-0000-4000-8000-000000000000")
    assert foreign.status_code == absent.status_code == 404
    assert foreign.text.replace(asked["id"], "x") == absent.text.replace(
        "00000000-0000-4000-8000-000000000000", "x"
    )
    assert whom["name"][0]["family"] not in foreign.text

    # What others of her own organization have a desk for is not there, until she is one of them
    board = await browser.opens("/portal/board")
    nothing = await browser.opens("/portal/nothing")
    assert (board.status_code, board.text) == (404, nothing.text.replace("/nothing", "/board"))
    await people.take_on(
        house.hub.engine, Operator("rosa"), email, ["admin", "coordinator"], house.hub.clock()
    )
    assert (await browser.opens("/portal/board")).status_code == 200
    # In Spanish, where the browser asks for it, or it was chosen
    spanish = await browser.opens(
        "/portal/worklist", headers={"Accept-Language": "es-MX, en;q=0.5"}
    )
    assert '<html lang="es">' in spanish.text
    assert "Nada nuevo" in spanish.text
    await browser.opens("/portal/language/es?back=/worklist?show=done")
    assert browser.page.url.path == "/portal/worklist"
    assert '<html lang="es">' in browser.page.text


async def test_given_a_coordinator_when_it_looks_at_its_board_then_it_sees_what_is_next_and_may_withdraw(
    house, browser
):
    riverside, mounds, email = house.riverside, house.mounds, "chris@riverside.example.org"
    sent, task = await house.given_asked(riverside, mounds)
    other, another = await house.given_asked(house.lakeside, mounds)
    await house.settled()
    await browser.sets_up(email, await joins(house, riverside, email, "coordinator"))

    # The board has its own referrals only
    board = await browser.opens("/portal/board")
    mine = f"/portal/referrals/{sent.task.partition('/')[2]}"
    assert mine in board.text
    theirs = f"/portal/referrals/{other.task.partition('/')[2]}"
    assert theirs not in board.text
    assert (await browser.opens(theirs)).status_code == 404
    asked = f"/portal/referrals/{task.partition('/')[2]}"
    assert (await browser.opens(asked)).status_code == 404, "what asks another is no referral"
    assert (await browser.opens("/portal/referrals/%00")).status_code == 404

    # A long list is turned over by pages, each line on one of them
    async with house.hub.engine.pool.acquire() as conn:
        rid = await conn.fetchval("select rid from resource where fhir_id = $1", mounds.id)
        first, second, beyond = [
            await worklist.worklist(house.hub, conn, rid, "open", start, 1) for start in (0, 1, 2)
        ]
    assert [(each.start, each.following) for each in (first, second, beyond)] == [
        (0, 1), (1, 0), (0, 1),
    ]  # fmt: skip
    assert {each.items[0].id for each in (first, second)} == {
        each.partition("/")[2] for each in (task, another)
    }
    assert all(each.items[0].person and len(each.rids) < 4 for each in (first, second))
    assert first == beyond

    # What happened, and who is waited for
    page = await browser.opens(mine)
    assert "asked by the hub" in page.text
    assert re.search(r"<strong>Mounds Food Bank</strong>: accept or decline", page.text)

    # It withdraws it, once; who was asked has it no more
    refused = await browser.http.post(mine, data={"act": "cancel", "seal": "of another"})
    assert refused.status_code == 404
    done = await browser.sends(mine, act="cancel", words="family has moved")
    assert done.status_code == 200
    assert "Nothing: this is over." in done.text
    assert (await riverside.read(sent.task))["status"] == "cancelled"
    assert "family has moved" in (await riverside.read(sent.task))["statusReason"]["text"]
    again = await browser.sends(
        mine, act="cancel", seal=re.search(r'name="seal" value="([^"]+)"', done.text)[1]
    )
    assert again.status_code == 409
    assert mine in (await browser.opens("/portal/board?show=done")).text
