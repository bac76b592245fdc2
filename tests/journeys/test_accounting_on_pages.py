"""A privacy officer reads on a page who saw or was sent what of a patient, and why; nobody else does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from coordhub.admin import people
from coordhub.admin.acts import Operator

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

from coordhub.sandbox import demo

__all__ = ["browser", "clock"]


async def test_given_a_referral_when_the_privacy_officer_looks_then_the_page_accounts_for_it(
    house, browser
):
    riverside, email = house.riverside, "dana@riverside.example.org"
    referral, _ = await house.given_asked(riverside, house.lakeside)
    await house.settled()
    await house.lakeside.ask("GET", f"/{referral.patient}")
    whom = await riverside.read(referral.patient)
    family = whom["name"][0]["family"]
    page = f"/portal/privacy/{referral.patient.partition('/')[2]}"
    begun = await browser.sets_up(email, await joins(house, riverside, email, "privacy-officer"))
    assert begun.url.path == "/portal/privacy"

    found = await browser.opens(f"/portal/privacy?who={family}")
    assert f'href="{page}"' in found.text
    told = await browser.opens(page)
    assert family in told.text
    assert "<h2>Lakeside" in told.text
    assert "sent to it: " in told.text
    assert "it looked: name, birth date" in told.text
    assert "For coordination of care" in told.text
    assert "a referral to it named this" in told.text
    assert re.search(
        r"From 20\d\d-\d\d-\d\d to 20\d\d-\d\d-\d\d, as of \w+ \d+ \w+ 20\d\d, ", told.text
    )
    # Of each line the chain: which rule and grant stood then, and because of what
    chains = re.findall(rf'href="({page}/disclosures/\d+)"', told.text)
    assert chains
    texts = [(await browser.opens(one)).text for one in chains]
    assert all("No rule of the patient&#39;s spoke of it" in text for text in texts)
    assert any("A referral to it named this" in text for text in texts)
    assert any(referral.task in text for text in texts), texts
    # (as it stood then: what was agreed to since, has not shown it)
    since = demo.consent(
        referral.patient, riverside.reference, [house.lakeside.reference], "2020-01-05T09:00:00Z"
    )
    assert (await riverside.ask("POST", "/Consent", since)).status_code == 201
    assert [(await browser.opens(one)).text for one in chains] == texts
    await house.lakeside.ask("GET", f"/{referral.patient}")
    newest = re.search(rf'href="({page}/disclosures/\d+)"', (await browser.opens(page)).text)[1]
    assert "A Consent permitted it" in (await browser.opens(newest)).text
    table = await browser.opens(f"{page}/disclosures.csv")
    rows = table.text.splitlines()
    assert rows[0] == "When,To whom,How,What,For what,Why,References"
    assert any(referral.patient in row and "coordination of care" in row for row in rows[1:])
    assert (
        "Nothing was disclosed in this time" in (await browser.opens(f"{page}?end=2020-01-01")).text
    )
    assert "it looked" in (await browser.opens(f"{page}?start=2020-01-01&end=nonsense")).text
    spanish = await browser.opens(page, headers={"Accept-Language": "es"})
    assert "una derivación dirigida a ella lo nombraba" in spanish.text

    # Whose the patient is not is told nothing, though it sees her, as of one who never was there;
    # neither is who has another role
    email = "lee@lakeside.example.org"
    browser.http.cookies.clear()
    await browser.sets_up(email, await joins(house, house.lakeside, email, "privacy-officer"))
    assert page not in (await browser.opens(f"/portal/privacy?who={family}")).text
    hers, nobodys = page.rpartition("/")[2], "00000000-0000-4000-8000-000000000000"
    for path in ("", "/disclosures.csv", chains[0].removeprefix(page)):
        foreign = await browser.opens(f"/portal/privacy/{hers}{path}")
        absent = await browser.opens(f"/portal/privacy/{nobodys}{path}")
        assert foreign.status_code == absent.status_code == 404
        assert foreign.text.replace(hers, "x") == absent.text.replace(nobodys, "x")
    await people.take_on(house.hub.engine, Operator("rosa"), email, ["admin"], house.hub.clock())
    assert (await browser.opens("/portal/privacy")).status_code == 404
