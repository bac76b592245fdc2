"""Whatever is asked leaves its row, also when nothing could answer it."""

from __future__ import annotations

import asyncpg
import httpx2
import pytest


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "said"),
    [
        ("POST", "/Patient", b"{", 400, ("near", "create", None)),
        ("PUT", "/Patient/7", b"\xff", 400, ("near", "update", "7")),
        ("GET", "/Nothing/family-secret", None, 404, ("near", "unknown", None)),
        ("GET", "/Patient/1/family-secret", None, 404, ("near", "unknown", None)),
        ("DELETE", "/_history", None, 405, ("near", "unknown", None)),
        ("TRACE", "/Patient/1", None, 405, ("near", "unknown", None)),
        ("GET", "/Patient?family=%ff", None, 400, ("near", "unknown", None)),
        ("GET", "/Patient/$secret", None, 400, ("near", "unknown", None)),
    ],
)
async def test_given_what_no_interaction_answers_when_refused_then_the_audit_says_by_whom_and_no_more(
    house, method, path, content, status, said
):
    asked = await house.near.ask(method, path, content=content)
    assert asked.status_code == status
    row = (await house.audited())[-1]
    assert (row["client"], row["interaction"], row["fhir_id"]) == said
    assert (row["outcome"], row["query"]) == (status, None)
    assert row["request_id"] == asked.headers["x-request-id"]
    assert "secret" not in str(row)


async def test_given_strangers_when_refused_then_the_audit_has_each_and_nothing_of_their_tokens(
    house,
):
    for headers in ({}, {"Authorization": "Bearer my-secret"}, {"Authorization": "Basic secret"}):
        asked = await house.http.get("/fhir/Patient/1", headers=headers)
        assert asked.status_code == 401
    rows = (await house.audited())[-3:]
    assert {
        (row["client"], row["interaction"], row["outcome"], row["fhir_id"]) for row in rows
    } == {(None, "unauthenticated", 401, None)}
    assert "secret" not in str(rows)
    assert len([row for row in await house.audited() if row["outcome"] == 401]) == 3
    elsewhere = await house.http.get("/favicon.ico")
    assert elsewhere.status_code == 404
    assert (await house.audited())[-1]["interaction"] == "unknown"


async def test_given_a_batch_with_an_unreadable_entry_when_answered_then_the_audit_has_it(house):
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "Nothing/1"}}],
    }
    assert (await house.near.ask("POST", "", bundle)).status_code == 200
    row = (await house.audited())[-1]
    assert (row["client"], row["interaction"], row["outcome"]) == ("near", "unknown", 404)


async def test_given_a_fault_of_the_hub_when_answered_then_the_audit_has_the_attempt(
    house, database_url
):
    owner = await asyncpg.connect(database_url)
    await owner.execute("alter table resource_version rename to away")
    await owner.close()
    transport = httpx2.ASGITransport(app=house.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:
        asked = await http.get(
            "/fhir/Patient/1/_history/1", headers={"Authorization": f"Bearer {house.near.token}"}
        )
    assert asked.status_code == 500
    row = (await house.audited())[-1]
    assert (row["client"], row["interaction"], row["outcome"]) == ("near", "vread", 500)
