"""Who helps in the community: found on pages by need, place and hours, told of as it stands, and referred to."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.directory.hsds.offers import COST, STATUS
from coordhub.portal import moments, remarks
from coordhub.portal.language import words
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.referral.hours import SCHEDULE, TIME_ZONE
from coordhub.referral.offered import CAPACITY, ELIGIBLE, USAGE_CONTEXT
from coordhub.referral.same_kind import SDOHCC
from coordhub.store import resources, twins
from coordhub.store.visibility import DIRECTORY, EVERYONE

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

FOOD = "food-insecurity"
EARLY = "Closes early on Fridays"
ABSENT = "00000000-0000-4000-8000-000000000000"
STEWARD = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)


async def written(house, *documents):
    """`Type/id` of each; a part of a key names another of them."""
    operations = [
        Create(one["resourceType"], fhir_json.parse(json.dumps(one).encode()), full_url=url)
        for url, one in documents
    ]
    done = await commit(house.hub, STEWARD, operations, interaction="transaction")
    return {
        url: f"{one.type}/{one.id}"
        for (url, _), one in zip(documents, done.written, strict=True)
    }  # fmt: skip


def place(name, latitude, code, city):
    return f"urn:uuid:at-{name}", {
        "resourceType": "Location", "name": name, "position": {"latitude": latitude, "longitude": -72.5},
        "address": {"line": ["1 Elm Street"], "city": city, "state": "MA", "postalCode": code},
    }  # fmt: skip


def service(name, organization, **more):
    return f"urn:uuid:{name}", {
        "resourceType": "HealthcareService", "name": name, "providedBy": {"reference": organization},
        "category": [{"coding": [{"system": SDOHCC, "code": FOOD, "display": "Food"}]}],
        "location": [{"reference": f"urn:uuid:at-{name}"}], **more,
    }  # fmt: skip


def room(now, available):
    return {
        "url": CAPACITY,
        "extension": [
            {"url": "available", "valueInteger": available},
            {"url": "updated", "valueDateTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"},
        ],
    }


def adults():
    context = {
        "code": {"system": USAGE_CONTEXT, "code": "age"},
        "valueRange": {"low": {"value": 18}},
    }
    return {"extension": [{"url": ELIGIBLE, "valueUsageContext": context}]}


def names(page):
    """Of the services of a page, in order, by the addresses of their pages."""
    return re.findall(r'<h2><a href="/portal/services/([^"]+)">', page.text)


async def test_given_a_directory_when_looked_through_on_pages_then_who_fits_is_there_and_can_be_asked(
    house, safe, browser
):
    riverside, mounds, now = house.riverside, house.mounds, house.hub.clock()
    day = moments.DAYS[(now.weekday() + 3) % 7]  # not now, whenever that is
    zone = {"url": TIME_ZONE, "valueCode": "America/New_York"}
    monthly = {"url": SCHEDULE, "extension": [
        {"url": "rule", "valueString": f"FREQ=MONTHLY;BYDAY=2{day[:2].upper()}"},
        {"url": "opens", "valueTime": "09:00:00"},
        {"url": "closes", "valueTime": "17:00:00"},
    ]}  # fmt: skip
    cost = {"url": COST, "extension": [{"url": "option", "valueString": "Free of charge"}]}
    spanish = [{"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}]
    paused = {"url": STATUS, "valueCode": "temporarily closed"}
    ended = {"url": STATUS, "valueCode": "defunct"}
    its = await written(
        house,
        place("Near", 42.51, "01301", "Milltown"), place("Far", 42.9, "01376", "Orange"),
        place("Full", 42.5, "01301", "Milltown"), place("Paused", 42.52, "01301", "Milltown"),
        place("Ended", 42.52, "01301", "Milltown"), place("Hidden", 42.0, "01301", "Milltown"),
        service(
            "Near", mounds.reference, extension=[monthly, zone, cost], eligibility=[adults()],
            telecom=[{"system": "phone", "value": "+1-555-0140"}], comment="Groceries & <more>.",
        ),
        service(
            "Far", mounds.reference, extension=[zone, room(now - timedelta(hours=3), 2)],
            availableTime=[{"allDay": True}], communication=spanish,
        ),
        service("Full", mounds.reference, extension=[room(now, 0)]),
        service("Paused", mounds.reference, active=False, extension=[paused]),
        service("Ended", mounds.reference, active=False, extension=[ended]),
        service("Hidden", safe.reference),
    )  # fmt: skip
    known = {name: its[f"urn:uuid:{name}"].partition("/")[2] for name in ("Near", "Far", "Full")}
    known["Paused"] = its["urn:uuid:Paused"].partition("/")[2]
    named = {fhir_id: name for name, fhir_id in known.items()}
    email = "rosa@riverside.example"
    await browser.sets_up(email, await joins(house, riverside, email, "coordinator"))

    async def found(query):
        page = await browser.opens(f"/portal/community?{query}")
        assert page.status_code == 200
        return [named[one] for one in names(page) if one in named], page.text

    assert (await found(""))[0] == []
    listed, text = await found(f"need={FOOD}&place=Milltown")
    assert listed == ["Near", "Far", "Full", "Paused"]
    for said in (
        f"the second {day} of each month", "has places now", "said 3 h ago", "has no places now", "open now",
        "temporarily closed", 'href="tel:+15550140"', "1 Elm Street, Milltown MA 01301", "0.3 km (0.2 mi)",
    ):  # fmt: skip
        assert said in text, said
    assert "Hidden" not in text
    for query, expected in {
        "place=01301&within=10": ["Near", "Full", "Paused"],
        "place=01301&within=10&name=nea": ["Near"],
        "place=Nowhere&within=10": ["Far", "Near", "Full", "Paused"],
        "place=01301&language=ar": ["Near", "Full", "Paused"],
        "place=01301&age=17": ["Far", "Full", "Paused"],
        "open=on": ["Far"],
        "room=on": ["Far"],
        "within=nonsense&age=x&sex=x&language=x": ["Far", "Near", "Full", "Paused"],
    }.items():
        assert (await found(f"need={FOOD}&{query}"))[0] == expected, query
    assert (await found("name=ar"))[0] == ["Far", "Near"]
    assert "Nothing of this in the directory" in (await found("name=hidd"))[1]

    page = await browser.opens(f"/portal/services/{known['Near']}")
    for said in (
        "Groceries &amp; &lt;more&gt;.", "18 years or older", "Free of charge", "closed now, opens ",
        "by the clock of America/New York", "does not say whether it has places",
    ):  # fmt: skip
        assert said in page.text, said
    spanish_page = await browser.opens(page.url.path, headers={"Accept-Language": "es"})
    assert f"el segundo {words('es')(day)} de cada mes" in spanish_page.text
    secret = its["urn:uuid:Hidden"].partition("/")[2]
    hidden = await browser.opens(f"/portal/services/{secret}")
    absent = await browser.opens(f"/portal/services/{ABSENT}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace(secret, ABSENT) == absent.text

    # The same on a map, without who must not be found, and how it went, once there is something
    for query, expected in {"": 3, f"need={FOOD}": 3, "need=utility-insecurity": 0}.items():
        drawn = await browser.opens(f"/portal/community/map?{query}")
        listed = {one for one in known if known[one] in drawn.text}
        assert listed == ({"Near", "Far", "Full"} if expected else set()), query
        assert ("<circle" in drawn.text) == bool(expected)
        assert "Hidden" not in drawn.text
        assert secret not in drawn.text
    assert "Nothing to tell of the last" in (await browser.opens("/portal/community/months")).text

    # From its page somebody is referred to it
    sent = await riverside.ask("POST", "/Patient", {
        "resourceType": "Patient", "name": [{"family": "Quillfeather"}],
    })  # fmt: skip
    looked = await browser.opens(f"/portal/services/{known['Full']}?who=Quillfeather")
    [link] = re.findall(r'href="(/portal/refer/[^"]+)"', looked.text)
    assert link.startswith(f"/portal/refer/{sent.json()['id']}?")
    refer = await browser.opens(link.replace("&amp;", "&"))
    assert f".{its['urn:uuid:Full']}" not in refer.text
    assert "<strong>Full</strong>: has no places now" in refer.text
    link = link.replace(known["Full"], known["Far"]).replace("&amp;", "&")
    refer = await browser.opens(link)
    first = re.search(
        r'<input type="checkbox" name="whom[^"]*(HealthcareService/[^"]+)" checked>', refer.text
    )
    assert first is not None
    assert first[1] == its["urn:uuid:Far"]

    # What somebody has noticed of it stands there for all
    page = f"/portal/services/{known['Near']}"
    await browser.opens(page)
    assert (await browser.sends(page, words=" ")).status_code == 422
    assert (await browser.sends(page, words=EARLY, seal="of another")).status_code == 404
    await browser.opens(page)
    assert EARLY in (await browser.sends(page, words=EARLY)).text
    assert (await browser.sends(f"/portal/services/{secret}", words=EARLY)).status_code == 404

    async with house.hub.engine.pool.acquire() as conn:
        whose = await resources.read(conn, EVERYONE, "Organization", safe.id)
        assert not await remarks.may_write(conn, whose.rid)

    # Who does not refer looks, and is not led there
    browser.http.cookies.clear()
    email = "pat@mounds.example.org"
    await browser.sets_up(email, await joins(house, mounds, email, "program-staff"))
    looked = await browser.opens(f"/portal/services/{known['Near']}?who=Quillfeather")
    assert looked.status_code == 200
    assert "/portal/refer/" not in looked.text
    assert "Quillfeather" not in looked.text

    # What Riverside's staff noted there is an errand of who keeps it, and shown until that has looked after it
    assert EARLY in looked.text
    worklist = await browser.opens("/portal/worklist")
    [errand] = re.findall(r'href="/portal/tasks/([^"]+)">Look after what was noted', worklist.text)
    asked = await browser.opens(f"/portal/tasks/{errand}")
    assert EARLY in asked.text
    assert ">Near<" in asked.text
    await browser.sends(f"/portal/tasks/{errand}", act="did")
    [note] = await riverside.find("Communication?category=service-note")
    assert note["status"] == "completed"
    assert (await mounds.read(f"Task/{errand}"))["status"] == "completed"
    assert EARLY not in (await browser.opens(f"/portal/services/{known['Near']}")).text

    # Whoever runs the hub looks after what nobody else has, and after services that two feeds tell of
    nowhere = await browser.opens("/portal/community/steward")
    assert nowhere.status_code == 404
    await browser.opens(f"/portal/services/{known['Far']}")
    await browser.sends(f"/portal/services/{known['Far']}", words="Moved to Main Street")
    async with house.hub.engine.pool.acquire() as conn:
        pair = [
            (await resources.read(conn, EVERYONE, "HealthcareService", known[one])).rid
            for one in ("Near", "Far")
        ]
        await twins.propose(conn, [(*pair, "name-alike phone")], house.hub.clock())
    browser.http.cookies.clear()
    runs = SimpleNamespace(reference=house.hub.organization)
    await browser.sets_up("ops@hub.example", await joins(house, runs, "ops@hub.example", "admin"))
    steward = "/portal/community/steward"
    shown = await browser.opens(steward)
    for said in (
        "Moved to Main Street",
        "names that are alike, the same telephone",
        ">Near<",
        ">Far<",
    ):
        assert said in shown.text, said
    note = re.search(r'name="note" value="([^"]+)"', shown.text)[1]
    assert (await browser.sends(steward, act="corrected", note=note, seal="x")).status_code == 404
    await browser.opens(steward)
    assert "Moved to Main" not in (await browser.sends(steward, act="corrected", note=note)).text
    assert (await browser.sends(steward, act="corrected", note=note)).status_code == 409
    errands = await mounds.find("Task?code=service-note&status=completed")
    assert sum(one["focus"]["reference"].endswith(note) for one in errands) == 1
    both = {"kept": known["Near"], "other": known["Far"]}
    assert "No two are alike." in (await browser.sends(steward, act="merged", **both)).text
    assert (await riverside.read(f"HealthcareService/{known['Far']}"))["active"] is False
    await browser.sends(steward, act="apart", **both)
    assert (await browser.opens(steward)).text.count("They are two") == 0
    assert (await browser.sends(steward, act="apart", kept="x", other="y")).status_code == 409
