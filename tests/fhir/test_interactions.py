"""The RESTful API over HTTP, on a real database."""

from __future__ import annotations

from typing import Any

import msgspec

from coordhub.fhir import openapi

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:test:mrn", "value": "1"}],
    "name": [{"family": "Water"}],
}
JSON = "application/fhir+json"


def observation(value: str, patient: str | None = None) -> bytes:
    """Its value is spelled as given."""
    document: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "valueQuantity": {"value": msgspec.Raw(value.encode()), "unit": "%"},
    }
    if patient is not None:
        document["subject"] = {"reference": patient}
    return msgspec.json.encode(document)


async def test_given_a_resource_when_created_then_it_is_answered_and_read_as_it_was_sent(house):
    made = await house.near.ask("POST", "/Observation", content=observation("7.50"))
    assert made.status_code == 201, made.text
    fhir_id = made.json()["id"]
    assert made.headers["location"] == f"http://hub.example/fhir/Observation/{fhir_id}/_history/1"
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["content-type"].startswith(JSON)
    assert b'"value":7.50' in made.content
    read = await house.near.ask("GET", f"/Observation/{fhir_id}")
    assert read.status_code == 200
    assert read.content == made.content
    assert read.headers["etag"] == 'W/"1"'
    assert read.headers["last-modified"].endswith("GMT")


async def test_given_a_version_the_reader_has_when_read_then_304(house):
    made = await house.near.ask("POST", "/Patient", PATIENT)
    path = f"/Patient/{made.json()['id']}"
    by_tag = await house.near.ask("GET", path, headers={"If-None-Match": 'W/"1"'})
    assert (by_tag.status_code, by_tag.content) == (304, b"")
    when = made.headers["last-modified"]
    assert (
        await house.near.ask("GET", path, headers={"If-Modified-Since": when})
    ).status_code == 304
    other = await house.near.ask("GET", path, headers={"If-None-Match": 'W/"2"'})
    assert other.status_code == 200


async def test_given_what_became_sensitive_without_a_version_when_read_again_then_it_is_told(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    subject = {"reference": f"Patient/{made['id']}"}
    harmless = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J00"}]}
    origin = {
        "resourceType": "Observation", "status": "final", "code": harmless, "subject": subject
    }  # fmt: skip
    first = (await house.near.ask("POST", "/Observation", origin)).json()
    derived = {**origin, "derivedFrom": [{"reference": f"Observation/{first['id']}"}]}
    path = f"/Observation/{(await house.near.ask('POST', '/Observation', derived)).json()['id']}"
    known = {"If-None-Match": 'W/"1"'}
    assert (await house.near.ask("GET", path, headers=known)).status_code == 304
    opioid = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]}
    raised = {**origin, "id": first["id"], "code": opioid}
    await house.near.ask("PUT", f"/Observation/{first['id']}", raised)
    again = await house.near.ask("GET", path, headers=known)
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')
    assert "SUD" in [one["code"] for one in again.json()["meta"]["security"]]


async def test_given_a_list_header_when_sent_in_parts_then_all_of_them_count(house):
    who = ("authorization", f"Bearer {house.near.token}")
    parts = ("return=minimal", "handling=lenient")
    asked = [who, *(("prefer", part) for part in parts)]
    lenient = await house.http.get("/fhir/Patient?nonsense=x", headers=asked)
    assert lenient.status_code == 200, lenient.text
    takes = [who, ("accept", "application/fhir+xml"), ("accept", "application/fhir+json")]
    answered = await house.http.get("/fhir/Patient", headers=takes)
    assert answered.status_code == 200, answered.text


async def test_given_updates_when_read_by_version_then_each_is_there_and_history_lists_them(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    path = f"/Patient/{made['id']}"
    changed = {**made, "active": True}
    second = await house.near.ask("PUT", path, changed, headers={"If-Match": 'W/"1"'})
    assert (second.status_code, second.headers["etag"]) == (200, 'W/"2"')
    stale = await house.near.ask(
        "PUT", path, {**made, "active": False}, headers={"If-Match": '"1"'}
    )
    assert stale.status_code == 412
    assert (await house.near.ask("DELETE", path)).status_code == 204
    assert (await house.near.ask("GET", path)).status_code == 410
    assert (await house.near.ask("GET", f"{path}/_history/1")).json()["meta"]["versionId"] == "1"
    assert (await house.near.ask("GET", f"{path}/_history/2")).json()["active"] is True
    assert (await house.near.ask("GET", f"{path}/_history/3")).status_code == 410
    assert (await house.near.ask("GET", f"{path}/_history/4")).status_code == 404
    assert (await house.near.ask("GET", f"{path}/_history/99999999999")).status_code == 404
    history = (await house.near.ask("GET", f"{path}/_history")).json()
    assert history["type"] == "history"
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "PUT", "POST"]
    assert "resource" not in history["entry"][0]
    first = (await house.near.ask("GET", f"{path}/_history?_count=2")).json()
    assert [entry["response"]["etag"] for entry in first["entry"]] == ['W/"3"', 'W/"2"']
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    rest = (await house.near.ask("GET", following.removeprefix("http://hub.example/fhir"))).json()
    assert [entry["response"]["etag"] for entry in rest["entry"]] == ['W/"1"']
    assert [link["relation"] for link in rest["link"]] == ["self"]


async def test_given_another_organization_when_it_looks_then_there_is_nothing(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    absent = made["id"][:-4] + "0000"
    for path in ("/Patient/{}", "/Patient/{}/_history", "/Patient/{}/_history/1"):
        hidden = await house.far.ask("GET", path.format(made["id"]))
        nothing = await house.far.ask("GET", path.format(absent))
        assert hidden.status_code == nothing.status_code == 404
        assert hidden.text.replace(made["id"], "x") == nothing.text.replace(absent, "x")
    found = await house.far.ask("GET", f"/Patient?_id={made['id']}")
    assert found.status_code == 200
    assert "entry" not in found.json()
    assert "total" not in found.json()
    for method, body in (("PUT", made), ("DELETE", None)):
        hidden = await house.far.ask(method, f"/Patient/{made['id']}", body)
        other = None if body is None else {**body, "id": absent}
        nothing = await house.far.ask(method, f"/Patient/{absent}", other)
        assert hidden.status_code == nothing.status_code
        assert hidden.text.replace(made["id"], "x") == nothing.text.replace(absent, "x")
    assert (await house.near.ask("GET", f"/Patient/{made['id']}")).headers["etag"] == 'W/"1"'


async def test_given_what_the_sender_prefers_when_written_then_only_that_is_answered(house):
    minimal = await house.near.ask(
        "POST", "/Patient", PATIENT, headers={"Prefer": "return=minimal"}
    )
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert "location" in minimal.headers
    outcome = await house.near.ask(
        "POST", "/Patient", PATIENT, headers={"Prefer": "return=OperationOutcome"}
    )
    assert outcome.json()["resourceType"] == "OperationOutcome"


async def test_given_an_idempotency_key_when_sent_again_then_the_first_answer_comes_back(house):
    headers = {"Idempotency-Key": "k-1"}
    first = await house.near.ask("POST", "/Patient", PATIENT, headers=headers)
    again = await house.near.ask("POST", "/Patient", PATIENT, headers=headers)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await house.near.ask("POST", "/Patient", {**PATIENT, "active": True}, headers=headers)
    assert other.status_code == 422
    elsewhere = await house.far.ask("POST", "/Patient", PATIENT, headers=headers)
    assert "idempotency-replayed" not in elsewhere.headers


async def test_given_if_none_exist_when_created_twice_then_the_match_is_answered(house):
    headers = {"If-None-Exist": "identifier=urn:test:mrn|1"}
    first = await house.near.ask("POST", "/Patient", PATIENT, headers=headers)
    again = await house.near.ask("POST", "/Patient", PATIENT, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    await house.near.ask("POST", "/Patient", PATIENT)
    many = await house.near.ask("POST", "/Patient", PATIENT, headers=headers)
    assert many.status_code == 412


async def test_given_more_matches_than_a_page_when_followed_then_each_comes_once(house):
    made = set()
    for number in range(7):
        one = await house.near.ask(
            "POST", "/Patient", {**PATIENT, "name": [{"family": f"F{number}"}]}
        )
        made.add(one.json()["id"])
    path: str | None = "/Patient?identifier=urn:test:mrn|1&_count=3&_sort=family"
    seen, pages = [], 0
    while path is not None:
        page = await house.near.ask("GET", path)
        assert page.status_code == 200, page.text
        document = page.json()
        assert document["type"] == "searchset"
        seen += [entry["resource"]["id"] for entry in document["entry"]]
        assert all(entry["search"]["mode"] == "match" for entry in document["entry"])
        links = {link["relation"]: link["url"] for link in document["link"]}
        following = links.get("next")
        path = following.removeprefix("http://hub.example/fhir") if following else None
        pages += 1
        assert pages <= 3, "the link next goes round in circles"
    assert pages == 3
    assert len(seen) == 7
    assert set(seen) == made


async def test_given_a_count_beyond_a_page_when_asked_for_then_self_says_how_many_were(house):
    for path in ("/Patient", "/Patient/_history", "/_history"):
        page = (await house.near.ask("GET", f"{path}?_count=1001")).json()
        assert page["link"][0]["relation"] == "self"
        assert page["link"][0]["url"].endswith(f"{path}?_count=1000")
    refused = await house.near.ask("GET", "/Patient?_count=many")
    assert refused.status_code == 400


async def test_given_a_search_by_post_when_sent_as_a_form_then_it_is_the_same_search(house):
    await house.near.ask("POST", "/Patient", PATIENT)
    found = await house.near.ask(
        "POST",
        "/Patient/_search",
        content=b"identifier=urn:test:mrn%7C1",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert len(found.json()["entry"]) == 1
    assert found.json()["link"][0]["url"].startswith("http://hub.example/fhir/Patient?identifier=")


async def test_given_an_unknown_parameter_when_searched_then_400_names_the_nearest(house):
    wrong = await house.near.ask("GET", "/Patient?identifer=x&_filter=true")
    assert wrong.status_code == 400
    assert [issue["code"] for issue in wrong.json()["issue"]] == ["invalid", "not-supported"]
    assert "identifier" in wrong.json()["issue"][0]["diagnostics"]
    lenient = await house.near.ask(
        "GET", "/Patient?identifer=x&_filter=true", headers={"Prefer": "handling=lenient"}
    )
    assert lenient.status_code == 200
    assert lenient.json()["entry"][-1]["search"]["mode"] == "outcome"
    assert lenient.json()["link"][0]["url"] == "http://hub.example/fhir/Patient"


async def test_given_a_cursor_when_altered_or_used_elsewhere_then_400(house):
    for _ in range(2):
        await house.near.ask("POST", "/Patient", PATIENT)
    page = (await house.near.ask("GET", "/Patient?_count=1")).json()
    links = {link["relation"]: link["url"] for link in page["link"]}
    path = links["next"].removeprefix("http://hub.example/fhir")
    assert (await house.near.ask("GET", path)).status_code == 200
    assert (await house.far.ask("GET", path)).status_code == 400
    assert (await house.near.ask("GET", path.replace("_cursor=W", "_cursor=X"))).status_code == 400
    assert (await house.near.ask("GET", path + "&family=W")).status_code == 400
    assert (await house.near.ask("GET", path.replace("Patient", "Person"))).status_code == 400
    narrow = house.near.narrow("system/Patient.rs", house.context)
    assert (await house.near.ask("GET", path, token=narrow)).status_code == 400


async def test_given_less_scope_when_asked_for_more_then_403_and_audited(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    narrow = house.near.narrow("system/Patient.r", house.context)
    path = f"/Patient/{made['id']}"
    assert (await house.near.ask("GET", path, token=narrow)).status_code == 200
    for method, where, body in (
        ("DELETE", path, None),
        ("PUT", path, made),
        ("POST", "/Patient", PATIENT),
        ("GET", "/Patient?_id=1", None),
        ("GET", "/Task/1", None),
    ):
        refused = await house.near.ask(method, where, body, token=narrow)
        assert refused.status_code == 403, (method, where, refused.text)
    rows = await house.audited()
    assert [row["interaction"] for row in rows if row["outcome"] == 403] == [
        "delete", "update", "create", "search-type", "read",
    ]  # fmt: skip


async def test_given_looks_when_answered_then_the_audit_says_who_saw_what(house):
    made = await house.near.ask("POST", "/Patient", PATIENT)
    path = f"/Patient/{made.json()['id']}"
    await house.near.ask("GET", path, headers={"X-Request-Id": "trace-7"})
    await house.far.ask("GET", path)
    await house.near.ask("GET", "/Patient?family=Water")
    rows = await house.audited()
    create, read, refused, search = rows[-4:]
    assert create["interaction"] == "create"
    assert (read["interaction"], read["outcome"], read["request_id"]) == ("read", 200, "trace-7")
    assert (refused["client"], refused["outcome"], refused["rids"]) == ("far", 404, [])
    assert (search["interaction"], search["query"]) == ("search-type", "family=Water")
    assert search["rids"] == read["rids"] == create["rids"]


async def test_given_a_request_id_when_it_is_a_plain_word_then_it_is_echoed_else_replaced(house):
    kept = await house.near.ask("GET", "/Patient", headers={"X-Request-Id": "a.b-1"})
    assert kept.headers["x-request-id"] == "a.b-1"
    replaced = await house.near.ask("GET", "/Patient", headers={"X-Request-Id": "a b"})
    assert replaced.headers["x-request-id"] not in ("", "a b")
    stranger = await house.http.get("/fhir/Patient")
    assert stranger.headers["x-request-id"]


async def test_given_pretty_and_head_when_read_then_numbers_stay_and_bodies_stay_away(house):
    made = await house.near.ask("POST", "/Observation", content=observation("1.00"))
    path = f"/Observation/{made.json()['id']}"
    pretty = await house.near.ask("GET", path + "?_pretty=true")
    assert b'\n  "id"' in pretty.content
    assert b"1.00" in pretty.content
    before = await house.stored()
    refused = await house.near.ask("POST", "/Observation?_pretty=1", content=observation("1.00"))
    assert (refused.status_code, await house.stored()) == (400, before)
    head = await house.near.ask("HEAD", path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", 'W/"1"')


async def test_given_no_token_when_asked_then_only_the_capabilities_answer(house):
    stated = await house.http.get("/fhir/metadata")
    assert stated.status_code == 200
    statement = stated.json()
    assert (statement["resourceType"], statement["fhirVersion"], statement["kind"]) == (
        "CapabilityStatement",
        "4.0.1",
        "instance",
    )
    rest = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    assert len(rest) == 146
    assert {"name": "identifier", "type": "token"} in rest["Patient"]["searchParam"]
    assert all(p["name"] != "phonetic" for p in rest["Patient"]["searchParam"])
    from coordhub.r4 import structure

    assert structure.check(statement) == []
    for method, path in (("GET", "/Patient"), ("GET", "/Nonsense"), ("POST", ""), ("GET", "")):
        refused = await house.http.request(method, f"/fhir{path}")
        assert refused.status_code == 401
        assert refused.json()["issue"][0]["code"] == "login"
        assert refused.headers["www-authenticate"].startswith("Bearer")


async def test_given_a_document_that_replaces_another_when_asked_by_both_then_it_is_found(house):
    document = {"resourceType": "DocumentReference", "status": "current"}
    document["content"] = [{"attachment": {"url": "http://documents.example/1"}}]
    made = [await house.near.ask("POST", "/DocumentReference", document) for _ in range(2)]
    old, other = (f"DocumentReference/{one.json()['id']}" for one in made)
    relates = [
        {"code": "replaces", "target": {"reference": old}},
        {"code": "appends", "target": {"reference": other}},
    ]
    new = await house.near.ask("POST", "/DocumentReference", {**document, "relatesTo": relates})
    assert new.status_code == 201, new.text
    for value, count in ((f"{old}$replaces", 1), (f"{other}$appends", 1), (f"{old}$appends", 0)):
        found = await house.near.ask("GET", f"/DocumentReference?relationship={value}")
        assert len(found.json().get("entry", [])) == count, (value, found.text)


async def test_given_what_is_not_offered_when_asked_then_it_is_refused_by_its_name(house):
    for method, path, status, word in (
        ("PATCH", "/Patient", 400, "Which Patient?"),
        ("PUT", "/Patient", 400, "Which Patient?"),
        ("DELETE", "/Patient", 400, "Which Patient?"),
        ("DELETE", "/Patient?nonsense=1", 400, "nonsense"),
        ("GET", "/Patient/$everything", 400, "$everything"),
        ("GET", "/Patientt/1", 404, "Did you mean Patient?"),
        ("GET", "/patient", 404, "Did you mean Patient?"),
        ("GET", "/Patient/1/_history/1/more", 404, "no such address"),
        ("GET", "/Patient/not~an~id", 404, "ids are"),
        ("GET", "/Patient%3F_count=1", 404, "resource type"),
        ("POST", "/Patient/1", 405, "POST does not exist"),
        ("PUT", "", 405, "PUT does not exist"),
        ("OPTIONS", "/Patient", 405, "OPTIONS does not exist"),
        ("POST", "/metadata", 405, "POST does not exist"),
        ("GET", "/Patient/1?_sumary=true", 400, "no such parameter"),
        ("BREW", "/Patient", 405, "BREW does not exist"),
        ("GET", "/Patient?_pretty=null", 400, "_pretty is true or false"),
        ("GET", "/metadata?mode=terminology", 400, "no terminology is served"),
        ("GET", "/metadata?mode=all", 400, "full, normative or terminology"),
        ("GET", "/metadata?_summary=count", 400, "not counted"),
        ("GET", "/Patient/$", 400, "The operation of that name is not offered"),
        ("GET", "/Patient?_count=-1", 400, "0 for the number of matches"),
        ("GET", "/Patient?_type=Task", 400, "a search over several types"),
        ("DELETE", "/Patient?name=x&_include=Patient:organization", 400, "no place in criteria"),
        ("DELETE", "/Patient?name=x&_count=0", 400, "no place in criteria"),
    ):
        refused = await house.near.ask(method, path)
        assert refused.status_code == status, (method, path, refused.text)
        assert refused.json()["resourceType"] == "OperationOutcome"
        assert word in refused.json()["issue"][0]["diagnostics"], refused.text
    outside = await house.http.get("/nothing")
    assert (outside.status_code, outside.json()["resourceType"]) == (404, "OperationOutcome")


async def test_given_a_none_match_when_updated_then_it_is_refused_and_nothing_written(house):
    made = (await house.near.ask("POST", "/Patient", PATIENT)).json()
    before = await house.stored()
    changed = {**made, "active": False}
    refused = await house.near.ask(
        "PUT", f"/Patient/{made['id']}", changed, headers={"If-None-Match": "*"}
    )
    assert refused.status_code == 400
    assert "If-None-Match" in refused.json()["issue"][0]["diagnostics"]
    assert await house.stored() == before


async def test_given_a_subscription_when_created_then_it_is_kept_and_stays_only_requested(house):
    asked = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": "Task?status=requested",
        "channel": {"type": "rest-hook", "endpoint": "https://a.example/hook"},
    }
    made = (await house.near.ask("POST", "/Subscription", asked)).json()
    await house.near.ask("POST", "/Patient", PATIENT)
    read = (await house.near.ask("GET", f"/Subscription/{made['id']}")).json()
    assert (read["status"], read["meta"]["versionId"]) == ("requested", "1")
    assert (await house.stored())["delivery"] == 0


async def test_given_a_method_that_an_address_has_not_when_sent_then_allow_says_what_it_has(house):
    for method, path, allowed in (
        ("TRACE", "/fhir/Task", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("QUERY", "/fhir/Task/1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("CONNECT", "/fhir/_history", "GET, HEAD"),
        ("POST", "/fhir/metadata", "GET, HEAD"),
        ("PUT", "/fhir", "GET, HEAD, POST"),
        ("BREW", "/fhir/Task", "POST"),
        ("POST", "/health", "GET"),
    ):
        sent = {"Authorization": f"Bearer {house.near.token}"}
        refused = await house.http.request(method, path, headers=sent)
        assert refused.status_code == 405, (method, path)
        assert allowed in refused.headers["allow"], (method, path)
        assert refused.json()["issue"][0]["code"] == "not-supported"
    unknown = {"resourceType": "Patient", "id": "unknown"}
    refused = await house.near.ask("PUT", "/Patient/unknown", unknown)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, PATCH, DELETE")


async def test_given_formats_when_json_is_not_wanted_then_406_and_else_json(house):
    for accept, status in (
        ("application/fhir+json", 200),
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+json; fhirVersion=5.0", 406),
        ("application/xml", 406),
        ("text/turtle", 406),
        ("text/html, */*;q=0.8", 200),
        ("application/json;q=0, application/xml", 406),
    ):
        answered = await house.near.ask("GET", "/Patient", headers={"Accept": accept})
        assert answered.status_code == status, accept
    assert (await house.near.ask("GET", "/Patient?_format=xml")).status_code == 406
    json = await house.near.ask("GET", "/Patient?_format=json", headers={"Accept": "text/xml"})
    assert json.status_code == 200


async def test_given_the_process_when_asked_how_it_is_then_it_says_so_without_a_token(house):
    assert (await house.http.get("/health")).json() == {"status": "alive"}
    assert (await house.http.get("/ready")).json() == {"status": "ready"}
    for encoding in ("gzip", "identity"):
        served = await house.http.get("/openapi.json", headers={"Accept-Encoding": encoding})
        assert served.json() == openapi.document()
    page = await house.http.get("/docs")
    assert "swagger-ui-bundle.js" in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js", "favicon.png"):
        assert (await house.http.get(f"/docs/{name}")).status_code == 200
    assert (await house.http.get("/docs/other.js")).status_code == 404
