"""AuditEvents rendered from the audit: by BALP's patterns, and to nobody but those concerned."""

from __future__ import annotations

import base64
from typing import Any

import asyncpg
import pytest

from coordhub.fhir.audit_ids import AuditIds, is_reserved
from coordhub.store import audit_trail

PATIENT = {"resourceType": "Patient", "name": [{"family": "Water"}]}


async def found(sender: Any, query: str = "", **how: Any) -> list[dict[str, Any]]:
    answered = await sender.ask("GET", f"/AuditEvent{query and '?' + query}", **how)
    assert answered.status_code == 200, answered.text
    return [entry["resource"] for entry in answered.json().get("entry", [])]


async def share(house: Any, database_url: str, reference: str) -> None:
    """Let far see a resource of near's."""
    conn = await asyncpg.connect(database_url)
    await conn.execute(
        "insert into access_grant (shard, organization, rid, because, rule, since)"
        " select shard, $2, rid, rid, 'party', now() from resource where fhir_id = $1",
        reference.partition("/")[2],
        house.far.rid,
    )
    await conn.close()


def entities(event: dict[str, Any]) -> list[str]:
    return [one["what"].get("reference") for one in event.get("entity", []) if "what" in one]


async def test_given_a_read_when_looked_up_then_it_follows_the_pattern_of_patient_read(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    name = f"Patient/{made['id']}"
    await house.near.ask("GET", f"/{name}", headers={"X-Request-Id": "trace-7"})
    [event] = await found(house.near, "subtype=read")
    assert event["meta"]["profile"] == [
        "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"
    ]
    assert (event["type"]["code"], event["subtype"][0]["code"]) == ("rest", "read")
    assert (event["action"], event["outcome"]) == ("R", "0")
    client, server = event["agent"]
    assert client["who"] == {"reference": house.near.reference}
    assert (client["name"], client["requestor"], server["requestor"]) == ("near", True, False)
    assert server["who"] == {"reference": house.context.hub.organization}
    assert (client["type"]["coding"][0]["code"], server["type"]["coding"][0]["code"]) == (
        "110152", "110153",
    )  # fmt: skip
    patient, request = event["entity"]
    assert (patient["role"]["code"], patient["what"]) == ("1", {"reference": name})
    assert request["what"] == {"identifier": {"value": "trace-7"}}


async def test_given_an_event_when_read_by_its_id_then_it_is_the_same_always(house):
    await house.near.ask("POST", "/Patient", PATIENT)
    [event] = await found(house.near, "subtype=create")
    path = f"/AuditEvent/{event['id']}"
    first, again = await house.near.ask("GET", path), await house.near.ask("GET", path)
    assert first.json() == again.json() == event
    assert (await house.near.ask("GET", f"{path}/_history/1")).json() == event
    assert (await house.near.ask("GET", f"{path}/_history/2")).status_code == 404
    etag = {"If-None-Match": first.headers["etag"]}
    assert (await house.near.ask("GET", path, headers=etag)).status_code == 304
    assert [one["id"] for one in await found(house.near, f"_id={event['id']}")] == [event["id"]]


async def test_given_another_organization_when_it_looks_then_an_event_is_as_absent(house):
    await house.near.ask("POST", "/Patient", PATIENT)
    [event] = await found(house.near, "subtype=create")
    hidden = await house.far.ask("GET", f"/AuditEvent/{event['id']}")
    absent = await house.far.ask("GET", f"/AuditEvent/{'audit-' + '0' * 32}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["issue"][0]["diagnostics"].replace(event["id"], "") == (
        absent.json()["issue"][0]["diagnostics"].replace("audit-" + "0" * 32, "")
    )
    assert await found(house.far, f"_id={event['id']}") == []
    assert await found(house.far, "subtype=create") == []


async def test_given_a_token_without_the_scope_when_it_looks_then_403(house):
    narrow = house.near.narrow("system/Patient.rs", house.context)
    assert (await house.near.ask("GET", "/AuditEvent", token=narrow)).status_code == 403
    auditor = house.near.narrow("system/AuditEvent.rs", house.context)
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    query = f"patient={made['id']}"
    assert [one["action"] for one in await found(house.near, query, token=auditor)] == ["C"]


async def test_given_another_that_reads_mine_when_i_look_then_i_see_that_and_none_of_its_words(
    house, database_url
):
    mine = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    name = f"Patient/{mine['id']}"
    await share(house, database_url, name)
    theirs = (await house.far.ask("POST", "/Patient", PATIENT)).json()
    await house.far.ask("GET", "/Patient?family=Water", headers={"X-Request-Id": "their-trace"})
    for query in (f"patient={name}", f"entity={name}", f"agent={house.far.reference}"):
        [event] = [one for one in await found(house.near, query) if one["action"] == "E"]
        assert entities(event) == [name]
        assert event["agent"][0]["who"] == {"reference": house.far.reference}
        assert "name" not in event["agent"][0]
        for word in ("family", "their-trace", theirs["id"], "Water"):
            assert word not in str(event)
            assert base64.b64encode(word.encode()).decode()[:-4] not in str(event)
    [own] = await found(house.far, "subtype=search")
    assert entities(own)[:2] == [name, f"Patient/{theirs['id']}"] or entities(own)[:2] == [
        f"Patient/{theirs['id']}", name,
    ]  # fmt: skip
    [query] = [one["query"] for one in own["entity"] if "query" in one]
    assert base64.b64decode(query) == b"Patient?family=Water"


async def test_given_a_victim_service_provider_that_reads_mine_when_i_look_then_nothing_is_seen(
    house, database_url
):
    mine = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    name = f"Patient/{mine['id']}"
    await share(house, database_url, name)
    assert (await house.far.ask("GET", f"/{name}")).status_code == 200
    accounting = f"/{name}/$accounting-of-disclosures"
    assert len(await found(house.near, f"entity={name}&action=R")) == 1
    assert "disclosure" in (await house.near.ask("GET", accounting)).text
    conn = await asyncpg.connect(database_url)
    await conn.execute(
        "insert into party (organization, kind) values ($1, 'vsp')"
        " on conflict (organization) do update set kind = 'vsp'",
        house.far.rid,
    )
    await conn.close()
    for query in (f"entity={name}&action=R", f"patient={name}&action=R", "action=R"):
        assert await found(house.near, query) == []
    assert "disclosure" not in (await house.near.ask("GET", accounting)).text.replace(
        "accounting", ""
    )
    assert len(await found(house.far, "subtype=read")) == 1


async def test_given_who_read_nothing_of_mine_when_i_look_then_i_see_nothing_of_it(house):
    mine = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    await house.far.ask("GET", f"/Patient/{mine['id']}")
    await house.far.ask("GET", "/Patient?family=Water")
    assert await found(house.near, f"agent={house.far.reference}") == []
    [refused] = await found(house.far, f"entity=Patient/{mine['id']}")
    assert (refused["outcome"], entities(refused)[0]) == ("4", f"Patient/{mine['id']}")
    assert await found(house.far, f"patient=Patient/{mine['id']}") == []


async def test_given_refusals_when_looked_up_then_outcome_tells_who_was_not_let_in(house):
    narrow = house.near.narrow("system/Task.r", house.context)
    await house.near.ask("GET", "/Patient/1", token=narrow)
    await house.near.ask("GET", "/Patient/1")
    await house.near.ask("GET", "/Nothing")
    assert [one["action"] for one in await found(house.near, "outcome=8")] == ["R"]
    assert [one["action"] for one in await found(house.near, "outcome=4")] == ["E", "R"]
    assert len(await found(house.near, "outcome=8,4")) == 3


async def test_given_dates_actions_and_types_when_searched_then_those_are_found(house):
    await house.near.ask("POST", "/Patient", PATIENT)
    await house.near.ask("GET", "/Patient")
    created, searched = (await found(house.near, "action=C"))[0], (await found(house.near))[-1]
    for query, meant in (
        ("type=rest&action=C", [created]),
        ("type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest&action=C", [created]),
        ("type=http://dicom.nema.org/resources/ontology/DCM|rest", []),
        ("subtype=http://hl7.org/fhir/restful-interaction|create", [created]),
        (f"date={created['recorded']}&action=C", [created]),
        (f"date=lt{created['recorded']}", []),
        (f"_lastUpdated=lt{created['recorded']}", []),
        ("date=ge2999", []),
        ("action=D", []),
        (f"source={house.context.hub.organization}&action=C", [created]),
        (f"agent={house.context.hub.organization}&action=C", [created]),
        ("agent=Organization/nobody", []),
        ("patient=nobody", []),
    ):
        assert await found(house.near, query) == meant, query
    assert searched["action"] == "C"


async def test_given_many_events_when_paged_then_each_comes_once_newest_first(house):
    for _ in range(5):
        await house.near.ask("GET", "/Patient")
    seen: list[str] = []
    url = "/AuditEvent?subtype=search&date=lt2999&_count=2"
    until = (await found(house.near))[0]["recorded"]
    url += f"&date=le{until}"
    while True:
        page = (await house.near.ask("GET", url)).json()
        seen += [entry["resource"]["recorded"] for entry in page.get("entry", [])]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            break
        url = following[0].partition("/fhir")[2]
        assert (await house.far.ask("GET", url)).status_code == 400
    assert seen == sorted(seen, reverse=True)
    assert len(seen) >= 5


async def test_given_a_long_audit_when_searched_in_stretches_then_nothing_is_passed_over(
    house, monkeypatch
):
    for _ in range(4):
        await house.near.ask("GET", "/Patient")
        await house.far.ask("GET", "/Task")
    whole = [one["id"] for one in await found(house.near, "subtype=search-type&date=le2998")]
    assert len(whole) == 4
    monkeypatch.setattr(audit_trail, "STRETCH", 3)
    for patience in (0.0, 2.0):
        monkeypatch.setattr(audit_trail, "PATIENCE", patience)
        seen, url, pages = [], "/AuditEvent?subtype=search-type&date=le2998&_count=2", 0
        while url:
            page = (await house.near.ask("GET", url)).json()
            seen += [entry["resource"]["id"] for entry in page.get("entry", [])]
            following = [link["url"] for link in page["link"] if link["relation"] == "next"]
            url, pages = (following or [""])[0].partition("/fhir")[2], pages + 1
        assert [one for one in seen if one in whole] == whole
        assert pages > 2


@pytest.mark.parametrize(
    "query",
    ["_sort=date", "entity-name=x", "agent:missing=true", "patient.name=x", "_include=*", "altid=1",
     "_total=accurate", "_count=0", "agent-name=x", "subtype:not=read"],
)  # fmt: skip
async def test_given_what_is_not_served_when_searched_then_it_is_refused_by_name(house, query):
    refused = await house.near.ask("GET", f"/AuditEvent?{query}")
    assert refused.status_code == 400
    issue = refused.json()["issue"][0]
    assert (issue["code"], issue["expression"]) == (
        "not-supported", [f"http.{query.partition('=')[0]}"],
    )  # fmt: skip


async def test_given_an_event_that_a_partner_stored_when_its_source_is_named_then_it_is_found(
    house,
):
    sent = {
        "resourceType": "AuditEvent",
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
        },
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"requestor": True, "name": "someone", "who": {"display": "someone"}}],
        "source": {"observer": {"reference": house.near.reference}},
    }
    made = (await house.near.ask("POST", "/AuditEvent", sent)).json()
    assert not is_reserved(made["id"])
    assert (await house.near.ask("GET", f"/AuditEvent/{made['id']}")).json() == made
    by_source = await found(house.near, f"source={house.near.reference}&agent-name=someone")
    assert [one["id"] for one in by_source] == [made["id"]]
    assert [one["id"] for one in await found(house.near, f"_id={made['id']}")] == [made["id"]]
    assert made["id"] not in str([one["id"] for one in await found(house.near)])


async def test_given_an_id_of_the_hubs_form_when_written_then_it_is_refused(house):
    await house.near.ask("POST", "/Patient", PATIENT)
    [event] = await found(house.near, "subtype=create")
    path = f"/AuditEvent/{event['id']}"
    for method, body in (("PUT", event), ("DELETE", None)):
        assert (await house.near.ask(method, path, body)).status_code == 405
    entry = {"resource": event, "request": {"method": "PUT", "url": f"AuditEvent/{event['id']}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert (await house.near.ask("POST", "", bundle)).status_code == 405
    by_criteria = await house.near.ask("PUT", "/AuditEvent?source=Device/none", event)
    assert by_criteria.status_code == 405
    assert (await house.near.ask("GET", path)).json() == event


def test_given_a_number_when_named_then_it_comes_back_under_its_key_only() -> None:
    ids, others = AuditIds(b"k" * 32), AuditIds(b"o" * 32)
    for seq in (1, 2, 2**40, 2**62):
        assert ids.seq(ids.of(seq)) == seq
        assert others.seq(ids.of(seq)) is None
        assert is_reserved(ids.of(seq))
    assert ids.seq("audit-" + "0" * 32) is None
    assert ids.seq("3") is None
