"""An integration engineer sees on a page what did not arrive at its organization, and has it sent again."""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins
from joserfc.jwk import ECKey

from coordhub.admin import checking, onboarding
from coordhub.admin.acts import Operator
from coordhub.admin.onboarding import Registration
from coordhub.admin.registering import Keys
from coordhub.portal import boarding
from coordhub.r4.types import NUMBER

__all__ = ["browser", "clock"]


async def test_given_a_server_that_refuses_when_its_engineer_looks_then_it_is_sent_again_when_mended(
    house, browser
):
    riverside, lakeside, email = house.riverside, house.lakeside, "lee@lakeside.example.org"
    await lakeside.behaves({"mode": "reject", "until_count": 1})
    referral = await riverside.refers(house.referral(riverside, lakeside.reference))
    dead = "select id from delivery where state = 'dead'"
    await house.until(lambda: house.value(dead))
    delivery = str(await house.value(dead))
    first = await joins(house, lakeside, email, "integration-engineer")
    begun = await browser.sets_up(email, first)
    assert begun.url.path == "/portal/deliveries"
    assert "As usual" in begun.text
    assert delivery in begun.text
    assert "Your server refused it (HTTP 422)" in begun.text
    assert referral.patient.partition("/")[2] not in begun.text
    spanish = await browser.opens("/portal/deliveries", headers={"Accept-Language": "es"})
    assert "Su servidor lo rechazó" in spanish.text

    # What it carries: what the server is sent, looked at on record
    path = f"/portal/deliveries/{delivery}"
    found = await browser.opens(f"/portal/deliveries?id={delivery}")
    assert (found.url.path, referral.patient.partition("/")[2] in found.text) == (path, False)
    assert (await browser.http.post(path, data={"seal": "0" * 32})).status_code == 404
    carried = await browser.sends(path)
    assert referral.patient.partition("/")[2] in carried.text
    theirs = await house.value("select rid from resource where fhir_id = $1", lakeside.id)
    looked = await house.rows(
        "select cardinality(rids) as held from audit where interaction = 'read' and organization = $1"
        " and query = $2 and client like 'person:%'",
        theirs,
        f"delivery={delivery}",
    )
    assert [row["held"] > 1 for row in looked] == [True]
    for odd, status in (("x", 404), ("0" * 32, 404), ("?id=nonsense", 422)):
        told = await browser.opens(f"/portal/deliveries{odd if odd[0] == '?' else '/' + odd}")
        assert told.status_code == status
    await browser.opens("/portal/deliveries")

    # The API on a page: what its organization's clients find, on record like theirs, and nothing is changed
    task = (await lakeside.find("Task?_count=1"))[0]["id"]
    api = "/portal/explore"
    searched = await browser.opens(api, params={"type": "Task", "query": "_count=1"})
    assert searched.text.count('<tr><td><a href="/portal/explore?path=Task/') == 1
    read = await browser.opens(api, params={"path": f"Task/{task}"})
    assert "&#34;resourceType&#34;: &#34;Task&#34;" in read.text
    assert f"/fhir/Task/{task}</pre>" in read.text, "the same at a terminal"
    for asked, status, said in (
        ({"path": referral.task}, 404, "HTTP 404"),  # the sender's own
        ({"path": "Task/nobody"}, 404, "HTTP 404"),
        ({"path": "Nothing"}, 404, "Nothing"),
        ({"path": "metadata"}, 400, "the API does the rest"),
        ({"path": f"Task/{task}/$why"}, 400, "the API does the rest"),
        ({"type": "Task", "query": "colour=red"}, 400, "colour"),
        ({"type": "Task", "query": "_format=xml"}, 406, "HTTP 406"),
        ({"path": "Task?" + "x" * 5000}, 400, "at most 4000"),
    ):
        told = await browser.opens(api, params=asked)
        assert (told.status_code, said in told.text) == (status, True), (asked, told.text)
    kept = await house.rows(
        "select interaction, outcome, coalesce(cardinality(rids), 0) as held, query from audit"
        " where organization = $1 and client like 'person:%' and type = $2 and delivery is null order by seq",
        theirs,
        NUMBER["Task"],
    )
    assert [tuple(row.values()) for row in kept] == [
        ("search-type", 200, 1, "_count=1"), ("read", 200, 1, None), ("read", 404, 0, None), ("read", 404, 0, None),
        ("search-type", 400, 0, None),
    ]  # fmt: skip
    await browser.opens("/portal/deliveries")

    unsaid = await browser.sends("/portal/deliveries", act="discard", delivery=delivery)
    assert (unsaid.status_code, "Say why" in unsaid.text) == (422, True)
    again = await browser.sends("/portal/deliveries", act="again", delivery=delivery)
    assert again.url.path == "/portal/deliveries"
    await house.settled()
    assert await house.value("select state from delivery where id = $1::text::uuid", delivery) == (
        "delivered"
    )
    assert await lakeside.received()
    assert "Everything arrived." in (await browser.opens("/portal/deliveries")).text
    for act, named, status in (
        ("again", delivery, 409),
        ("burn", delivery, 404),
        ("again", "x", 404),
    ):
        told = await browser.sends("/portal/deliveries", act=act, delivery=named)
        assert told.status_code == status
        await browser.opens("/portal/deliveries")
    assert (await browser.sends("/portal/deliveries", act="try", endpoint="x")).status_code == 404
    [endpoint] = await lakeside.find(f"Endpoint?organization={lakeside.reference}")
    await browser.opens("/portal/deliveries")
    tried = await browser.sends("/portal/deliveries", act="try", endpoint=endpoint["id"])
    assert tried.status_code == 409, "it is as usual"
    [said] = await house.rows("select query from audit where interaction = 'delivery-replayed'")
    assert re.fullmatch(r"by=person(:|%3A)[0-9a-f-]{32,36}", said["query"]), said

    # Its client in the sandbox is checked from the page, as an operator has it checked; approving is not theirs
    none = await browser.opens("/portal/onboarding")
    assert "No client of your organization came on board here." in none.text
    keys = Keys(
        jwks=json.dumps(
            {"keys": [ECKey.generate_key("P-384", {"kid": "1"}).as_dict(private=False)]}
        )
    )
    rosa = Operator("rosa")
    await onboarding.register(house.hub, rosa, Registration("lake", lakeside.reference, keys))
    assert "It was not checked yet." in (await browser.opens("/portal/onboarding")).text
    report = await browser.sends("/portal/onboarding", client="lake")
    assert ("Last checked" in report.text, "Your keys" in report.text) == (True, True)
    made = await checking.report_of(house.hub, "lake")
    assert made.by.startswith("person:")
    assert [one.name for one in made.items if one.name not in boarding.ITEMS] == []
    assert all(one.found in html.unescape(report.text) for one in made.items)
    assert (await browser.sends("/portal/onboarding", client="nobody")).status_code == 404
    await onboarding.suspend(house.hub, rosa, "lake", "ticket")
    await browser.opens("/portal/onboarding")
    assert (await browser.sends("/portal/onboarding", client="lake")).status_code == 409

    # Another organization's engineer neither sees nor moves it
    await house.value(
        "update delivery set state = 'dead', reason = 'x' where id = $1::text::uuid returning 1",
        delivery,
    )
    email = "dana@riverside.example.org"
    browser.http.cookies.clear()
    foreign = await browser.sets_up(
        email, await joins(house, riverside, email, "integration-engineer")
    )
    assert delivery not in foreign.text
    seal = re.search(r'name="seal" value="([^"]*)"', foreign.text)[1]
    assert "lake" not in (await browser.opens("/portal/onboarding")).text
    assert (await browser.sends("/portal/onboarding", client="lake", seal=seal)).status_code == 404
    assert (await browser.http.get(path)).status_code == 404
    assert (await browser.http.post(path, data={"seal": seal})).status_code == 404
    moved = await browser.sends("/portal/deliveries", act="again", delivery=delivery)
    assert moved.status_code == 409
    assert (
        await house.value("select state from delivery where id = $1::text::uuid", delivery)
        == "dead"
    )
