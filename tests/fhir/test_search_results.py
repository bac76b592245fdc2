"""How a search is answered: what a page brings along, totals, views, several types, compartments."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from coordhub.fhir.interactions import search
from coordhub.r4.views import SUBSETTED

LOINC = "http://loinc.org"


def patient(family: str = "Water", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"family": family}], **more}


def observation(subject: str, code: str = "4548-4", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": subject},
        **more,
    }


async def made(sender, document) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def found(sender, path: str, **more: Any) -> dict[str, Any]:
    answered = await sender.ask("GET", path, **more)
    assert answered.status_code == 200, answered.text
    return answered.json()


def modes(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (entry["search"]["mode"], f"{entry['resource']['resourceType']}/{entry['resource']['id']}")
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] != "outcome"
    ]


def references(bundle: dict[str, Any]) -> set[str]:
    return {reference for _, reference in modes(bundle)}


async def everyone_of(sender, path: str) -> list[str]:
    """References of all matches, page by page."""
    names: list[str] = []
    while path:
        bundle = await found(sender, path)
        names += [reference for mode, reference in modes(bundle) if mode == "match"]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = urlsplit(links["next"]) if "next" in links else None
        path = f"{following.path.removeprefix('/fhir')}?{following.query}" if following else ""
    return names


@pytest.fixture
async def care(house):
    """A patient with a managing organization, a panel and its two members, an encounter."""
    who = await made(house.near, patient(managingOrganization={"reference": house.near.reference}))
    visit = await made(
        house.near,
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": who},
        },
    )
    first = await made(house.near, observation(who, "1", encounter={"reference": visit}))
    second = await made(house.near, observation(who, "2"))
    panel = await made(
        house.near,
        observation(who, "3", hasMember=[{"reference": first}, {"reference": second}]),
    )
    return {"who": who, "visit": visit, "first": first, "second": second, "panel": panel}


async def test_given_references_when_included_then_targets_follow_the_matches_marked_include(
    house, care
):
    bundle = await found(house.near, "/Observation?code=3&_include=Observation:subject")
    assert modes(bundle) == [("match", care["panel"]), ("include", care["who"])]
    both = await found(
        house.near,
        "/Observation?code=3&_include=Observation:subject&_include=Observation:has-member",
    )
    assert references(both) == {care["panel"], care["who"], care["first"], care["second"]}
    assert len(both["entry"]) == 4


async def test_given_a_target_type_when_included_then_only_targets_of_that_type(house, care):
    of_type = await found(house.near, "/Observation?code=3&_include=Observation:subject:Group")
    assert references(of_type) == {care["panel"]}
    of_type = await found(house.near, "/Observation?code=3&_include=Observation:subject:Patient")
    assert references(of_type) == {care["panel"], care["who"]}


async def test_given_iterate_when_included_then_includes_include_too_and_without_it_not(
    house, care
):
    once = await found(
        house.near,
        "/Observation?code=3&_include=Observation:subject&_include=Patient:organization",
        headers={"Prefer": "handling=lenient"},
    )
    assert house.near.reference not in references(once)
    iterated = await found(
        house.near,
        "/Observation?code=3&_include=Observation:subject&_include:iterate=Patient:organization",
    )
    assert references(iterated) == {care["panel"], care["who"], house.near.reference}


async def test_given_no_iterate_when_the_included_refer_on_then_they_are_not_followed(house, care):
    outer = await made(
        house.near, observation(care["who"], "4", hasMember=[{"reference": care["panel"]}])
    )
    once = await found(house.near, "/Observation?code=4&_include=Observation:has-member")
    assert references(once) == {outer, care["panel"]}
    deep = await found(house.near, "/Observation?code=4&_include:iterate=Observation:has-member")
    assert references(deep) == {outer, care["panel"], care["first"], care["second"]}


async def test_given_reverse_includes_when_searched_then_what_refers_to_the_matches_follows(
    house, care
):
    bundle = await found(house.near, "/Patient?_revinclude=Observation:subject")
    assert references(bundle) == {care["who"], care["first"], care["second"], care["panel"]}
    assert modes(bundle)[0] == ("match", care["who"])
    everything = await found(house.near, "/Patient?_revinclude=*")
    assert references(everything) == set(care.values())
    iterated = await found(
        house.near,
        "/Encounter?_revinclude=Observation:encounter&_revinclude:iterate=Observation:has-member",
    )
    assert references(iterated) == {care["visit"], care["first"], care["panel"]}


async def test_given_stars_when_included_then_every_reference_is_followed(house, care):
    for star in ("*", "Observation:*"):
        bundle = await found(house.near, f"/Observation?code=1&_include={star}")
        assert references(bundle) == {care["first"], care["who"], care["visit"]}


async def test_given_a_match_that_is_also_referred_to_when_included_then_it_is_there_once(
    house, care
):
    bundle = await found(house.near, "/Observation?_include=Observation:has-member")
    assert len(bundle["entry"]) == 3
    assert {mode for mode, _ in modes(bundle)} == {"match"}


async def test_given_resources_of_others_when_included_then_they_are_as_absent(house, care):
    far = await made(house.far, patient("Far"))
    await made(house.far, observation(far))
    granted = house.near.narrow("system/Observation.rs", house.context)
    narrow = await house.near.ask(
        "GET", "/Observation?code=3&_include=*&_revinclude=*", token=granted
    )
    assert references(narrow.json()) == {care["panel"], care["first"], care["second"]}
    # the far organization is shown one Observation, but not whom it is about
    fhir_id = care["first"].partition("/")[2]
    async with house.context.hub.engine.pool.acquire() as conn:
        await conn.execute(
            "insert into access_grant (shard, organization, rid, because, rule, since)"
            " select shard, $1, rid, rid, 'party', now() from resource where fhir_id = $2",
            house.far.rid,
            fhir_id,
        )
    shared = await found(house.far, f"/Observation?_id={fhir_id}&_include=*&_revinclude=*")
    assert references(shared) == {care["first"]}
    beyond = await found(
        house.far,
        f"/Observation?_id={fhir_id}&_include:iterate=*&_revinclude:iterate=*",
    )
    assert references(beyond) == {care["first"]}


@pytest.mark.parametrize(
    ("query", "code", "expression"),
    [
        ("_include=Observation:subjct", "not-supported", "http._include"),
        ("_include=Observaton:subject", "not-supported", "http._include"),
        ("_include=Task:focus", "not-supported", "http._include"),
        ("_include=Observation:code", "not-supported", "http._include"),
        ("_include=Observation", "not-supported", "http._include"),
        ("_include=Observation:subject:Pateint", "not-supported", "http._include"),
        ("_include:first=Observation:subject", "invalid", "http._include:first"),
        ("_total=roughly", "invalid", "http._total"),
        ("_total=none&_total=accurate", "invalid", "http._total"),
        ("_summary=short", "invalid", "http._summary"),
        ("_summary:not=true", "invalid", "http._summary:not"),
        ("_elements=subjct", "not-supported", "http._elements"),
    ],
)
async def test_given_result_parameters_that_make_no_sense_when_searched_then_400_names_them(
    house, query, code, expression
):
    refused = await house.near.ask("GET", f"/Observation?{query}&nonsense=1")
    assert refused.status_code == 400
    issues = refused.json()["issue"]
    assert (issues[0]["code"], issues[0]["expression"]) == (code, [expression])
    assert issues[-1]["expression"] == ["http.nonsense"], "every fault at once"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/Goal?_include=Goal:subjct", ("no reference parameter subjct", "mean subject?", "It has patient, subject.")),
        ("/Goal?_include=Goal:zzz", ("It has patient, subject.",)),
        ("/Binary?_include=Binary:subject", ("It has none", "leave this out")),
        ("/Goal?_include=Goal", ("as Task:focus is",)),
        ("/Goal?_include=Goal:subject:Pateint", ("as in Task:focus:ServiceRequest", "leave it out")),
        ("/Goal?_elements=targt", ("no top-level element targt", "mean target?", "lifecycleStatus", "commas")),
        ("/Goal?_elements=target.measure", ("stands before the dot", "leave it out")),
        ("?_type=Goal,Task&_elements=zzz", ("None of the types searched has", "zzz")),
        ("/Goal?_id=Goal/1", ("what follows the slash", "identifier=system|value")),
    ],
)  # fmt: skip
async def test_given_a_parameter_that_names_nothing_when_refused_then_it_says_what_there_is(
    house, path, said
):
    refused = await house.near.ask("GET", path)
    assert refused.status_code == 400
    for words in said:
        assert words in refused.json()["issue"][0]["diagnostics"], refused.text


async def test_given_a_lenient_search_when_an_include_is_unknown_then_the_others_are_applied(
    house, care
):
    bundle = await found(
        house.near,
        "/Observation?code=3&_include=Observation:subject&_include=Observation:nothing",
        headers={"Prefer": "handling=lenient"},
    )
    assert references({"entry": bundle["entry"][:2]}) == {care["panel"], care["who"]}
    assert bundle["entry"][-1]["search"]["mode"] == "outcome"
    own = bundle["link"][0]["url"]
    assert "Observation%3Asubject" in own
    assert "nothing" not in own


async def test_given_too_many_includes_when_searched_then_it_is_too_costly(
    house, care, monkeypatch
):
    from coordhub.fhir.interactions import search

    monkeypatch.setattr(search, "MOST_INCLUDED", 2)
    refused = await house.near.ask("GET", "/Patient?_revinclude=Observation:subject")
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["code"] == "too-costly"
    fits = await found(house.near, "/Observation?code=3&_include=Observation:has-member")
    assert len(fits["entry"]) == 3


async def test_given_totals_when_asked_for_then_what_the_caller_sees_is_counted(house, care):
    await made(house.far, observation(await made(house.far, patient())))
    assert "total" not in await found(house.near, "/Observation")
    assert "total" not in await found(house.near, "/Observation?_total=none")
    for kind in ("accurate", "estimate"):
        bundle = await found(house.near, f"/Observation?_total={kind}&_count=1")
        assert (bundle["total"], len(bundle["entry"])) == (3, 1)
    assert (await found(house.far, "/Observation?_total=accurate"))["total"] == 1


async def test_given_more_than_an_estimate_counts_when_asked_for_then_it_stops_there(
    house, care, monkeypatch
):
    monkeypatch.setattr(search, "ESTIMATED", 2)
    assert (await found(house.near, "/Observation?_total=estimate"))["total"] == 2
    assert (await found(house.near, "/Observation?_total=accurate"))["total"] == 3


@pytest.mark.parametrize("query", ["_summary=count", "_count=0"])
async def test_given_only_a_count_when_asked_for_then_there_are_no_entries(house, care, query):
    bundle = await found(house.near, f"/Observation?code=1,2&{query}")
    assert bundle["total"] == 2
    assert "entry" not in bundle
    assert query in bundle["link"][0]["url"]
    assert len(bundle["link"]) == 1


async def test_given_a_summary_when_searched_or_read_then_only_that_is_there_and_it_says_so(house):
    who = await made(
        house.near,
        patient(
            text={
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">W</div>',
            },
            maritalStatus={"text": "married"},
            birthDate="1970-01-01",
        ),
    )
    for path in ("/Patient?_summary=true", "/Patient?_elements=birthDate,name"):
        [entry] = (await found(house.near, path))["entry"]
        shown = entry["resource"]
        assert shown["birthDate"] == "1970-01-01"
        assert "maritalStatus" not in shown
        assert "text" not in shown
        assert shown["meta"]["tag"] == [SUBSETTED]
    read = await found(house.near, f"/{who}?_elements=birthDate")
    assert set(read) == {"resourceType", "id", "meta", "birthDate"}
    text = await found(house.near, f"/{who}?_summary=text")
    assert set(text) == {"resourceType", "id", "meta", "text"}
    data = await found(house.near, f"/{who}?_summary=data")
    assert set(data) == {"resourceType", "id", "meta", "name", "maritalStatus", "birthDate"}
    whole = await found(house.near, f"/{who}?_summary=false")
    assert "tag" not in whole["meta"]
    version = await found(house.near, f"/{who}/_history/1?_summary=data")
    assert "text" not in version
    refused = await house.near.ask("GET", f"/{who}?_summary=count")
    assert refused.status_code == 400


async def test_given_a_trimmed_resource_when_put_back_then_422_and_nothing_is_lost(house):
    who = await made(house.near, patient(maritalStatus={"text": "married"}))
    trimmed = await found(house.near, f"/{who}?_elements=name")
    refused = await house.near.ask("PUT", f"/{who}", trimmed)
    assert refused.status_code == 422
    [issue] = refused.json()["issue"]
    assert (issue["code"], issue["expression"]) == ("business-rule", ["Patient.meta.tag"])
    assert "whole" in issue["diagnostics"]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": trimmed, "request": {"method": "PUT", "url": who}}],
    }
    refused = await house.near.ask("POST", "", bundle)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.meta.tag"]
    assert (await found(house.near, f"/{who}"))["maritalStatus"] == {"text": "married"}


async def test_given_elements_and_includes_when_searched_then_only_matches_are_trimmed(house, care):
    bundle = await found(
        house.near, "/Observation?code=3&_elements=code&_include=Observation:subject"
    )
    match, included = (entry["resource"] for entry in bundle["entry"])
    assert "subject" not in match
    assert included["name"] == [{"family": "Water"}]
    assert "tag" not in included["meta"]


async def test_given_several_types_when_searched_then_each_page_mixes_them(house, care):
    bundle = await found(house.near, "?_type=Patient,Encounter")
    assert references(bundle) == {care["who"], care["visit"]}
    named = await everyone_of(house.near, "?_type=Patient,Encounter,Observation&_count=2")
    assert sorted(named) == sorted(care.values())
    one = await found(house.near, f"?_id={care['who'].partition('/')[2]}")
    assert references(one) == {care["who"]}
    posted = await house.near.http.post(
        "/fhir/_search",
        content="_type=Patient",
        headers={
            "Authorization": f"Bearer {house.near.token}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert references(posted.json()) == {care["who"]}
    newest = await found(
        house.near, "?_type=Patient,Observation&_sort=-_lastUpdated&_total=accurate"
    )
    assert newest["total"] == 4
    assert modes(newest)[0][1] == care["panel"]


async def test_given_tags_when_several_types_are_searched_then_each_is_found_by_its_own(house):
    tag = {"system": "urn:test:tags", "code": "t"}
    tagged = await made(house.near, patient(meta={"tag": [tag]}))
    other = await made(house.near, observation(tagged, meta={"tag": [tag]}))
    await made(house.near, observation(tagged))
    bundle = await found(house.near, "?_tag=urn:test:tags|t&_type=Patient,Observation,Task")
    assert references(bundle) == {tagged, other}
    assert references(await found(house.near, "?_tag=urn:test:tags|t")) == {tagged, other}


async def test_given_what_two_types_have_when_both_are_searched_then_each_by_its_own(house, care):
    who = care["who"]
    both = await found(house.near, f"?_type=Observation,Encounter&patient={who}&_count=2")
    assert len(both["entry"]) == 2
    named = await everyone_of(
        house.near, f"?_type=Observation,Encounter&patient={who}&_count=2&status=final,finished"
    )
    assert sorted(named) == sorted(set(care.values()) - {who})
    chained = await found(house.near, "?_type=Observation,Encounter&subject:Patient.family=Water")
    assert references(chained) == set(care.values()) - {who}
    one = await found(house.near, f"?_type=Observation,Encounter&patient={who}&status=finished")
    assert references(one) == {care["visit"]}
    refused = await house.near.ask("GET", f"?_type=Observation,Patient&patient={who}")
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["expression"] == ["http.patient"]


async def test_given_a_search_over_several_types_when_it_asks_for_more_then_400_or_403(house):
    for query, expression in (
        ("_type=Patient,Task&code=1", "http.code"),
        ("_type=Patient,Tusk", "http._type"),
        ("_type=Patient,Task&_sort=family", "http._sort"),
        (f"_type=Patient,Task&_count={'9' * 5000}", "http._count"),
    ):
        refused = await house.near.ask("GET", f"?{query}")
        assert refused.status_code == 400, refused.text
        assert [issue["expression"] for issue in refused.json()["issue"]] == [[expression]]
    narrow = house.near.narrow("system/Patient.rs", house.context)
    refused = await house.near.ask("GET", "?_type=Patient,Task", token=narrow)
    assert refused.status_code == 403
    await made(house.near, patient())
    seen = await house.near.ask("GET", "", token=narrow)
    assert {kind.partition("/")[0] for kind in references(seen.json())} == {"Patient"}


async def test_given_a_compartment_when_searched_then_only_what_belongs_to_it(house, care):
    other = await made(house.near, patient("Other"))
    await made(house.near, observation(other))
    results = await found(house.near, f"/{care['who']}/Observation")
    assert references(results) == {care["first"], care["second"], care["panel"]}
    coded = await found(
        house.near, f"/{care['who']}/Observation?code=2&_include=Observation:subject"
    )
    assert references(coded) == {care["second"], care["who"]}
    everything = await found(house.near, f"/{care['who']}/*")
    assert references(everything) == set(care.values())
    typed = await found(house.near, f"/{care['who']}/*?_type=Encounter")
    assert references(typed) == {care["visit"]}
    visit = await found(house.near, f"/{care['visit']}/Observation")
    assert references(visit) == {care["first"]}
    paged = await everyone_of(house.near, f"/{care['who']}/Observation?_count=1")
    assert sorted(paged) == sorted([care["first"], care["second"], care["panel"]])
    assert results["link"][0]["url"] == f"http://hub.example/fhir/{care['who']}/Observation"
    assert references(await found(house.far, f"/{care['who']}/*")) == set()


async def test_given_a_task_for_a_patient_when_its_compartment_is_searched_then_it_is_there(house):
    who = await made(house.near, patient())
    task = await made(
        house.near,
        {"resourceType": "Task", "status": "draft", "intent": "order", "for": {"reference": who}},
    )
    assert references(await found(house.near, f"/{who}/Task")) == {task}


@pytest.mark.parametrize("owner", ["Practitioner", "RelatedPerson", "Device"])
async def test_given_other_compartments_when_searched_then_by_their_own_parameters(house, owner):
    who = await made(house.near, patient())
    own = {"RelatedPerson": {"patient": {"reference": who}}}.get(owner, {})
    someone = await made(house.near, {"resourceType": owner, **own})
    sent = await made(
        house.near,
        {"resourceType": "Communication", "status": "completed", "sender": {"reference": someone}},
    )
    await made(house.near, {"resourceType": "Communication", "status": "completed"})
    assert references(await found(house.near, f"/{someone}/Communication")) == {sent}
    assert references(await found(house.near, f"/{someone}/*")) == {someone, sent}


async def test_given_writers_when_a_search_is_paged_then_what_was_there_comes_exactly_once(house):
    who = await made(house.near, patient())
    there = {await made(house.near, observation(who, str(number))) for number in range(12)}
    stop = asyncio.Event()
    written: list[str] = []

    async def write() -> None:
        while not stop.is_set():
            new = await made(house.near, observation(who, "new"))
            written.append(new)
            if len(written) % 3 == 0:
                answered = await house.near.ask("DELETE", f"/{new}")
                assert answered.status_code == 204

    for query in ("_count=2", "_count=2&_sort=_lastUpdated", "_count=3&_sort=code"):
        stop.clear()
        writers = [asyncio.create_task(write()) for _ in range(2)]
        seen = []
        path = f"/Observation?subject={who}&code=0,1,2,3,4,5,6,7,8,9,10,11,new&{query}"
        pages = 0
        while path and pages < 200:
            bundle = await found(house.near, path)
            pages += 1
            seen += [reference for _, reference in modes(bundle)]
            links = {link["relation"]: link["url"] for link in bundle["link"]}
            following = urlsplit(links["next"]) if "next" in links else None
            path = f"{following.path.removeprefix('/fhir')}?{following.query}" if following else ""
            if there <= set(seen):
                stop.set()
        stop.set()
        await asyncio.gather(*writers)
        assert len(seen) == len(set(seen)), "nothing twice"
        assert there <= set(seen), "what was there and did not change"
    assert written


async def test_given_a_page_link_when_used_by_others_or_for_more_then_400(house, care):
    bundle = await found(house.near, "/Observation?_count=1&_include=Observation:subject")
    link = urlsplit({each["relation"]: each["url"] for each in bundle["link"]}["next"])
    path = f"{link.path.removeprefix('/fhir')}?{link.query}"
    assert (await house.near.ask("GET", path)).status_code == 200
    assert (await house.far.ask("GET", path)).status_code == 400
    assert (await house.near.ask("GET", f"{path}&_revinclude=*")).status_code == 400
    compartment = path.replace("/Observation", f"/{care['who']}/Observation")
    assert (await house.near.ask("GET", compartment)).status_code == 400
    narrow = house.near.narrow("system/Observation.rs", house.context)
    assert (await house.near.ask("GET", path, token=narrow)).status_code == 400
