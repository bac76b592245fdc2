"""S13: who is a client of a victim service provider is found and counted by nobody else."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from coordhub.record import label_acts, vsp_acts
from coordhub.record.label_acts import Act
from coordhub.record.reindex import reindex
from coordhub.record.reproject import reproject
from coordhub.store import vault
from coordhub.store.invariants import violations

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

ONE = Act("A. Operator", "it is no provider any more")
TWO = Act("B. Officer", "its board has said so")

SYSTEM = "urn:oid:2.16.840.1.113883.19.5"


def woman(number):
    return {
        "resourceType": "Patient",
        "identifier": [{"system": SYSTEM, "value": number}],
        "name": [{"family": "Quillfeather", "given": ["Jane"]}],
        "birthDate": "1961-04-02",
        "telecom": [{"system": "phone", "value": "+1-555-0142"}],
    }


async def creates(who, document, **headers):
    return await who.ask("POST", f"/{document['resourceType']}", document, headers=headers)


@pytest.fixture
async def twice(house, safe):
    """The same woman at Riverside and, under a number of its own, at SAFE."""
    at_riverside = (await creates(house.riverside, woman("R-1"))).json()["id"]
    at_safe = (await creates(safe, woman("S-1"))).json()["id"]
    return at_riverside, at_safe


SEARCHES = (
    "name=Quillfeather", "birthdate=1961-04-02", "phone=%2B1-555-0142",
    f"identifier={SYSTEM}%7CS-1", "identifier=S-1", "family=Quillfeather&given=Jane",
)  # fmt: skip


async def test_s13_given_the_same_woman_when_others_search_then_they_find_and_count_their_own_only(
    house, safe, twice
):
    at_riverside, at_safe = twice
    for query in SEARCHES:
        own = [] if "S-1" in query else [at_riverside]
        assert [each["id"] for each in await house.riverside.find(f"Patient?{query}")] == own, query
        counted = (await house.riverside.ask("GET", f"/Patient?{query}&_summary=count")).json()
        assert counted["total"] == len(own)
        assert await house.mounds.find(f"Patient?{query}") == []
    absent = await house.riverside.ask("GET", "/Patient/00000000-0000-4000-8000-000000000000")
    hidden = await house.riverside.ask("GET", f"/Patient/{at_safe}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace(at_safe, "") == absent.text.replace(
        "00000000-0000-4000-8000-000000000000", ""
    )


async def test_s13_given_the_same_woman_when_matched_then_a_shelters_record_is_never_in_it(
    house, safe, twice
):
    at_riverside, at_safe = twice

    async def nothing_due():
        return not await house.value("select exists (select from person_due)")

    await house.until(nothing_due)
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": woman("S-1")}],
    }
    for who, found in ((house.riverside, [at_riverside]), (house.mounds, []), (safe, [])):
        answered = await who.ask("POST", "/Patient/$match", asked)
        assert answered.status_code == 200, answered.text
        assert [each["resource"]["id"] for each in answered.json().get("entry", ())] == found
    assert await house.value("select count(*) from person_link") == 0
    keyed = await house.rows(
        "select distinct r.fhir_id from idx_person i join resource r on r.rid = i.rid"
    )
    assert at_safe not in {each["fhir_id"] for each in keyed}
    assert at_riverside in {each["fhir_id"] for each in keyed}


async def test_s13_given_records_that_are_linked_when_one_is_a_shelters_from_now_on_then_nothing_links_them(
    house, operators, tmp_path
):
    vault.use(vault.Vault(tmp_path / "keys"))
    named = {**woman("H-1"), "gender": "female"}
    await creates(house.riverside, named)
    at_harbor = (await creates(house.harbor, named)).json()["id"]

    async def linked():
        return await house.value("select count(*) from person_link where state = 'linked'") == 1

    await house.until(linked)
    await vsp_acts.new_key(operators, ONE, house.harbor.reference)
    await vsp_acts.mark(operators, ONE, house.harbor.reference, others_know_after=0)
    house.hub.lists.forget()
    assert await house.value("select count(*) from person_link") == 0
    left = "select count(*) from idx_person i join resource r on r.rid = i.rid where r.fhir_id = $1"
    assert await house.value(left, at_harbor) == 0
    vault.use(vault.Vault())


async def test_s13_given_the_same_woman_when_created_if_none_exists_then_no_other_record_is_met(
    house, safe, twice
):
    made = await creates(house.riverside, woman("S-1"), **{"If-None-Exist": "identifier=S-1"})
    assert made.status_code == 201
    assert made.json()["id"] not in twice
    again = await creates(safe, woman("S-1"), **{"If-None-Exist": f"identifier={SYSTEM}|S-1"})
    assert again.status_code == 200, again.text


async def test_s13_given_its_own_records_when_it_searches_then_by_code_identifier_and_link_it_finds(
    house, safe, twice
):
    _, at_safe = twice
    stay = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "74165-2"}]},
        "subject": {"reference": f"Patient/{at_safe}"},
        "effectiveDateTime": "2026-11-20",
    }
    made = (await creates(safe, stay)).json()["id"]
    for query in (
        f"subject=Patient/{at_safe}", f"patient={at_safe}", "code=http://loinc.org%7C74165-2",
        f"patient={at_safe}&status=final,amended", f"_id={made}",
    ):  # fmt: skip
        assert [each["id"] for each in await safe.find(f"Observation?{query}")] == [made], query
    assert [each["id"] for each in await safe.find("Patient?identifier=S-1")] == [at_safe]
    # no words and no dates stand in the index, so by these it finds nothing, its own neither
    assert await safe.find("Patient?name=Quillfeather") == []
    assert await safe.find("Observation?date=2026-11-20") == []
    assert len(await safe.find("Observation?code=74165-2&status:not=final")) == 0


async def test_s13_given_its_records_when_the_tables_are_looked_at_then_no_chart_holds_them(
    house, safe, twice
):
    sent = await house.riverside.refers(house.referral(house.riverside, safe.reference))
    task = await house.until(lambda: safe.asked(sent))
    await safe.answers(task, "accepted")
    rid = await house.value("select rid from resource where fhir_id = $1", safe.id)
    held = await house.rows(
        "select r.type, r.patient, r.labels, r.body from resource r"
        " where r.source = $1 or r.rid in (select task from candidate union select request from candidate)",
        rid,
    )
    assert len(held) >= 3
    assert all(each["patient"] is None and each["labels"] & 48 == 48 for each in held)
    assert all(each["body"].startswith("vsp1.") for each in held)
    old = await house.rows(
        "select body from resource_version where rid in (select task from candidate)"
    )
    assert old
    assert all(each["body"].startswith("vsp1.") for each in old)
    # what it does makes no treatment relationship; that the patient permits it is in a Consent
    rules = await house.rows("select rule from access_rule where actor = $1", rid)
    assert {each["rule"] for each in rules} <= {"consent"}
    charts = await house.value(
        "select count(*) from idx_reference i join resource r on r.rid = i.rid"
        " join resource p on p.rid = i.target and p.type = $2 where r.source = $1 or r.rid in"
        " (select task from candidate)",
        rid,
        house.type_number("Patient"),
    )
    assert charts == 0


async def test_s13_given_records_from_before_the_mark_when_it_is_marked_then_they_are_put_away_too(
    house, operators, tmp_path
):
    vault.use(vault.Vault(tmp_path / "keys"))
    safe = house.harbor
    sent = await house.riverside.refers(house.referral(house.riverside, safe.reference))
    task = await house.until(lambda: safe.asked(sent))
    await safe.answers(task, "accepted")
    order = house.target((await safe.read(task))["focus"])
    result = await safe.reports(sent.patient, order)
    await house.settled()
    assert await house.riverside.sees(result)

    await vsp_acts.new_key(operators, ONE, safe.reference)
    sealed = await vsp_acts.mark(operators, ONE, safe.reference, others_know_after=0)
    house.hub.lists.forget()

    assert sealed == 3
    bodies = await house.rows(
        "select body from resource_version where rid in (select task from candidate)"
    )
    assert len(bodies) == 1
    assert bodies[0]["body"].startswith("vsp1.")
    assert not await house.riverside.sees(result)
    assert await safe.sees(result)
    assert (await safe.read(task))["status"] == "accepted"
    assert [each["id"] for each in await safe.find("Task?status=accepted")] == [task[5:]]
    _, (asked,) = await house.riverside.whereabouts(sent)
    assert asked["status"] == "requested"
    await safe.answers(task, "in-progress")
    assert (await house.riverside.read(sent.task))["status"] == "in-progress"
    await safe.answers(task, "completed")
    assert (await house.riverside.read(sent.task))["status"] == "in-progress"
    vault.use(vault.Vault())


async def test_s13_given_a_process_that_does_not_know_of_the_mark_when_the_provider_writes_then_it_is_sealed(
    house, operators, tmp_path
):
    vault.use(vault.Vault(tmp_path / "keys"))
    safe = house.harbor
    await creates(safe, woman("S-0"))  # by now this process knows who is marked: nobody
    await vsp_acts.new_key(operators, ONE, safe.reference)
    await vsp_acts.mark(operators, ONE, safe.reference, others_know_after=0)

    made = await creates(safe, woman("S-1"))

    assert made.status_code == 201
    body = await house.value("select body from resource where fhir_id = $1", made.json()["id"])
    assert body.startswith("vsp1.")
    vault.use(vault.Vault())


async def test_s13_given_a_mark_when_it_is_to_be_taken_away_then_two_persons_and_reasons_are_needed(
    house, operators, safe, browser
):
    organization = safe.reference
    with pytest.raises(vsp_acts.CannotMarkError, match="Nobody has proposed"):
        await vsp_acts.confirm_release(operators, TWO, organization)
    with pytest.raises(vsp_acts.CannotMarkError, match="Say why"):
        await vsp_acts.propose_release(operators, Act("A. Operator", " "), organization)
    await vsp_acts.propose_release(operators, ONE, organization)
    with pytest.raises(vsp_acts.CannotMarkError, match="another person"):
        await vsp_acts.confirm_release(operators, Act("a.  operator", "me again"), organization)

    later = operators.clock() + timedelta(days=8)
    with pytest.raises(vsp_acts.CannotMarkError, match="within 7 days"):
        await vsp_acts.confirm_release(replace(operators, clock=lambda: later), TWO, organization)

    made = await creates(safe, woman("S-1"))

    # On the portal the provider's own officer is asked, and refuses; nobody else knows of the page
    async def signs_in(whose, name):
        browser.http.cookies.clear()
        email = f"{name}@officers.example.org"
        await browser.sets_up(email, await joins(house, whose, email, "privacy-officer"))
        return await browser.opens("/portal/marks")

    absent = (await signs_in(house.riverside, "dana")).text
    assert absent.replace("/marks", "/nowhere") == (
        await browser.opens("/portal/nowhere")
    ).text.replace("/marks", "/nowhere")
    assert (await browser.sends("/portal/marks", act="confirm", words="x")).status_code == 404
    assert "Marks" not in (await browser.opens("/portal/privacy")).text
    hers, nobody = made.json()["id"], "00000000-0000-4000-8000-000000000000"
    for path in ("", "/consents", "/disclosures/1", "/disclosures.csv"):
        foreign = await browser.opens(f"/portal/privacy/{hers}{path}")
        nothing = await browser.opens(f"/portal/privacy/{nobody}{path}")
        assert foreign.status_code == nothing.status_code == 404
        assert foreign.text.replace(hers, "x") == nothing.text.replace(nobody, "x")
    shown = await signs_in(safe, "kim")
    assert ONE.reason in shown.text
    mine = {"organization": organization.partition("/")[2]}
    assert (
        await browser.sends("/portal/marks", act="refuse", words=" ", **mine)
    ).status_code == 422
    await browser.sends("/portal/marks", act="refuse", words="we still help victims", **mine)
    assert "Nothing is proposed." in (await browser.opens("/portal/marks")).text
    with pytest.raises(vsp_acts.CannotMarkError, match="Nobody has proposed"):
        await vsp_acts.confirm_release(operators, TWO, organization)
    # Who runs the hub confirms it there, but not who has proposed it by the same name
    await vsp_acts.propose_release(operators, Act("pat  pantry", "closed"), organization)
    shown = await signs_in(SimpleNamespace(reference=house.hub.organization), "rosa")
    assert "You have proposed it yourself" in shown.text
    assert (
        await browser.sends("/portal/marks", act="confirm", words="x", **mine)
    ).status_code == 409
    await vsp_acts.propose_release(operators, ONE, organization)

    await browser.opens("/portal/marks")
    done = await browser.sends("/portal/marks", act="confirm", words="its work ends", **mine)
    assert done.status_code == 200, done.text
    house.hub.lists.forget()

    # what was the provider's stays so
    body = await house.value("select body from resource where fhir_id = $1", made.json()["id"])
    assert body.startswith("vsp1.")
    assert not await house.riverside.sees(f"Patient/{made.json()['id']}")
    acts = await house.rows("select act, account, reason from vsp_mark order by id")
    assert [(each["act"], each["account"]) for each in acts] == [
        ("mark", "A. Operator"), ("propose", "A. Operator"), ("refuse", acts[2]["account"]),
        ("propose", "pat  pantry"), ("propose", "A. Operator"), ("confirm", acts[5]["account"]),
    ]  # fmt: skip
    assert (
        await house.value(
            "select count(*) from audit where interaction in"
            " ('vsp-mark', 'vsp-release-proposed', 'vsp-release-refused', 'vsp-mark-released')"
        )
        == 6
    )


async def test_s13_given_sealed_records_when_the_hub_is_kept_up_then_they_stay_as_they_are(
    house, operators, safe, twice
):
    sent = await house.riverside.refers(house.referral(house.riverside, safe.reference))
    task = await house.until(lambda: safe.asked(sent))
    await safe.answers(task, "accepted")
    await house.settled()

    async def sealed():
        rows = await house.rows(
            "select rid, version, patient, labels, body from resource where body like 'vsp%'"
            " order by rid"
        )
        tokens = await house.rows(
            "select i.* from idx_token i join resource r on r.rid = i.rid"
            " where r.body like 'vsp%' order by i.rid, i.param, i.code"
        )
        return rows, tokens

    before = await sealed()
    assert len(before[0]) >= 4

    await label_acts.apply(operators, ONE)
    pages = [page async for page in reindex(operators)]
    assert [page.wrong for page in pages] == [()] * len(pages)
    projected = [each async for each in reproject(operators)]
    assert [each.differences for each in projected] == [()]
    async with house.hub.engine.pool.acquire() as conn:
        assert await violations(conn, house.hub.clock()) == []

    assert await sealed() == before
    assert (await safe.read(task))["status"] == "accepted"


async def test_s13_given_no_key_when_it_is_to_be_marked_then_a_key_is_asked_for(house, operators):
    with pytest.raises(vsp_acts.CannotMarkError, match="coordhub vsp key new"):
        await vsp_acts.mark(operators, ONE, house.harbor.reference)
