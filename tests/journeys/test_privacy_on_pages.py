"""The privacy officer's desk: what a patient has agreed to in words and its end; nothing of it for anybody else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

NOBODY = "00000000-0000-4000-8000-000000000000"
TERMS = "http://terminology.hl7.org/CodeSystem"


async def signs_in(house, browser, organization, *roles):
    email = f"dana@{organization.key}.example.org"
    browser.http.cookies.clear()
    return await browser.sets_up(email, await joins(house, organization, email, *roles))


async def is_absent(browser, path, fhir_id, like=NOBODY):
    """Whatever is there with this id looks as if nothing were."""
    foreign = await browser.opens(path)
    absent = await browser.opens(path.replace(fhir_id, like))
    assert foreign.status_code == absent.status_code == 404
    assert foreign.text.replace(fhir_id, "x") == absent.text.replace(like, "x")
    return True


def with_exceptions(permit, but):
    """What is permitted to all, but what is sensitive to nobody, unless it is `but`, for treatment, for a while."""
    [actor] = permit["provision"]["actor"]
    return {
        **permit,
        "category": [{"text": "Sharing"}],
        "provision": {
            "type": "permit",
            "actor": [actor],
            "provision": [
                {
                    "type": "deny",
                    "securityLabel": [{"system": f"{TERMS}/v3-ActCode", "code": "HIV"}],
                    "provision": [
                        {
                            "type": "permit",
                            "actor": [{**actor, "reference": {"reference": but}}],
                            "class": [
                                {"system": "http://hl7.org/fhir/resource-types", "code": "Goal"}
                            ],
                            "code": [{"coding": [{"system": "urn:x", "code": "17-4"}]}],
                            "purpose": [{"system": f"{TERMS}/v3-ActReason", "code": "TREAT"}],
                            "period": {"end": "2199-01-31"},
                        }
                    ],
                }
            ],
        },
    }


async def test_given_consents_when_the_officer_reads_and_ends_one_then_it_is_in_words_and_over_for_all(
    house, browser
):
    riverside, rides = house.riverside, house.rides
    sent, task = await house.given_asked(riverside, rides)
    [permit] = await riverside.find(f"Consent?patient={sent.patient}")
    written = await riverside.ask(
        "PUT", f"/Consent/{permit['id']}", with_exceptions(permit, rides.reference)
    )
    assert written.status_code == 200, written.text
    await rides.answers(task, "accepted")
    assert await rides.sees(sent.patient)
    hers = sent.patient.partition("/")[2]
    page, one = (
        f"/portal/privacy/{hers}/consents",
        f"/portal/privacy/{hers}/consents/{permit['id']}",
    )

    await signs_in(house, browser, riverside, "privacy-officer")
    read = await browser.opens(page)
    for said in ("In force", "May be seen", "May not be seen", "<dd>HIV</dd>", "<dd>goals</dd>",
                 "something that is named by a code only", "<dd>treatment</dd>",
                 "until 31 Jan 2199", "Springvale Ride Service", "Sharing"):  # fmt: skip
        assert said in read.text, said
    assert "17-4" not in read.text
    spanish = await browser.opens(page, headers={"Accept-Language": "es"})
    assert "<dd>metas</dd>" in spanish.text or "No se puede ver" in spanish.text

    # It is ended with a reason, and after a question
    await browser.opens(one)
    assert (await browser.sends(one, act="ask")).status_code == 422
    asked = await browser.sends(one, act="ask", reason="patient", words="by telephone")
    assert "End this Consent?" in asked.text
    assert await rides.sees(sent.patient)
    reason = re.search(r'name="words" value="([^"]+)"', asked.text)[1]
    ended = await browser.sends(one, act="end", words=reason)
    assert ended.status_code == 200, ended.text
    assert "Ended" in ended.text
    assert "The patient has withdrawn it: by telephone" in ended.text
    assert not await rides.sees(sent.patient)
    assert (await riverside.read(f"Consent/{permit['id']}"))["status"] == "inactive"
    [abort] = await house.until(lambda: rides.find("Task?code=abort&status=requested"))
    assert house.target(abort["focus"]) == task
    assert "In force" not in (await browser.opens(page)).text
    assert (await browser.sends(one, act="end", words="again")).status_code == 409

    # What was shown before, was by this Consent, and the accounting leads there; what is shown after, is not
    account = await browser.opens(page.removesuffix("/consents"))
    chains = re.findall(r'href="([^"]+/disclosures/[0-9]+)"', account.text)
    permitted = [(await browser.opens(chain)).text for chain in chains]
    assert any("A Consent permitted it" in text and f'href="{one}"' in text for text in permitted)

    # What is another patient's, is not there under this one, though both are theirs
    another, _ = await house.given_asked(riverside, rides)
    [foreign] = await riverside.find(f"Consent?patient={another.patient}")
    assert await is_absent(browser, f"{page}/{foreign['id']}", foreign["id"])
    account = await browser.opens(f"/portal/privacy/{another.patient.partition('/')[2]}")
    number = re.search(r"/disclosures/([0-9]+)", account.text)[1]
    under = f"/portal/privacy/{hers}/disclosures/{number}"
    assert await is_absent(browser, under, f"/{number}", "/999999999")

    # Who only saw the patient, or has another role, is told nothing
    await signs_in(house, browser, rides, "privacy-officer")
    assert await is_absent(browser, page, hers)
    assert await is_absent(browser, one, hers)
    posted = await browser.http.post(one, data={"act": "end", "words": "x"})
    assert posted.status_code == 404
