"""When the hub cannot answer, or is wrong: what is said, what is logged, and what is not."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from coordhub.errors import FhirError, not_found
from coordhub.fhir import refusal

SECRET = "Family name Water"


def test_given_any_exception_when_refused_then_its_text_is_not_told():
    for error in (RuntimeError(SECRET), ValueError(SECRET), KeyError(SECRET)):
        refused = refusal.of(error)
        assert refused.status == 500
        assert SECRET not in "".join(issue.diagnostics for issue in refused.issues)
    known = not_found("Task/1")
    assert refusal.of(known) is known
    assert refusal.of(ConnectionRefusedError(SECRET)).status == 503


async def test_given_a_fault_of_ours_when_asked_then_500_and_only_its_type_is_logged(house, caplog):
    class Broken:
        def __getattr__(self, name: str) -> object:
            raise LookupError(SECRET)

    context, house.app.state.context = house.app.state.context, Broken()
    try:
        with caplog.at_level(logging.INFO, "coordhub"):
            answered = await house.near.ask("GET", "/Patient", headers={"X-Request-Id": "r-1"})
    finally:
        house.app.state.context = context
    assert answered.status_code == 500
    assert answered.json()["issue"][0]["code"] == "exception"
    assert answered.headers["x-request-id"] == "r-1"
    assert SECRET not in answered.text
    assert SECRET not in caplog.text
    assert "request.failed" in caplog.text


async def test_given_no_database_when_asked_then_503_and_ready_says_no(house):
    await house.context.hub.engine.pool.close()
    for method, path, body in (
        ("GET", "/Patient/1", None),
        ("POST", "/Patient", {"resourceType": "Patient"}),
    ):
        answered = await house.near.ask(method, path, body)
        assert answered.status_code == 503, answered.text
        assert int(answered.headers["retry-after"]) > 0
        assert answered.json()["issue"][0]["code"] == "transient"
    assert (await house.http.get("/ready")).status_code == 503
    assert (await house.http.get("/health")).status_code == 200


async def test_given_searches_on_all_connections_when_another_comes_then_503_says_when_to_return(
    house,
):
    searches = house.context.hub.engine.searches
    usual = searches.patience
    try:
        async with contextlib.AsyncExitStack() as busy:
            for _ in range(searches.get_max_size()):
                await busy.enter_async_context(searches.acquire_at_last())
            searches.patience = 0.05
            refused = await house.near.ask("GET", "/Patient?name=x")
            assert (
                await house.near.ask("POST", "/Patient", {"resourceType": "Patient"})
            ).is_success
    finally:
        searches.patience = usual
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert refused.json()["issue"][0]["code"] == "transient"
    assert (await house.near.ask("GET", "/Patient?name=x")).status_code == 200


async def test_given_reads_and_writes_on_all_connections_when_another_comes_then_503_says_when_to_return(
    house,
):
    pool = house.context.hub.engine.pool
    assert (await house.near.ask("GET", "/Patient/1")).status_code == 404  # its token is known
    usual = pool.patience
    try:
        async with contextlib.AsyncExitStack() as busy:
            for _ in range(pool.get_max_size()):
                await busy.enter_async_context(pool.acquire_at_last())
            pool.patience = 0.05
            for method, path, body in (
                ("GET", "/Patient/1", None),
                ("POST", "/Patient", {"resourceType": "Patient"}),
            ):
                refused = await asyncio.wait_for(house.near.ask(method, path, body), 30)
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
                assert refused.json()["issue"][0]["code"] == "transient"
            waiting = asyncio.ensure_future(_a_transaction_at_last(house))
            with pytest.raises(TimeoutError):  # longer than a door would wait
                await asyncio.wait_for(asyncio.shield(waiting), 4 * pool.patience)
        assert await asyncio.wait_for(waiting, 30) == 1
    finally:
        pool.patience = usual
    assert (await house.near.ask("GET", "/Patient/1")).status_code == 404


async def _a_transaction_at_last(house) -> int:
    async with house.context.hub.engine.transaction(at_last=True) as conn:
        return await conn.fetchval("select 1")


async def test_given_searches_on_all_connections_when_a_conditional_write_needs_one_then_503_and_no_lock(
    house,
):
    engine = house.context.hub.engine
    usual = engine.searches.patience
    patient = {"resourceType": "Patient"}
    criteria = {"If-None-Exist": "family=Water&given=Ann"}
    try:
        async with contextlib.AsyncExitStack() as busy:
            for _ in range(engine.searches.get_max_size()):
                await busy.enter_async_context(engine.searches.acquire_at_last())
            engine.searches.patience = 0.05
            asked = house.near.ask("POST", "/Patient", patient, headers=criteria)
            refused = await asyncio.wait_for(asked, 30)
            async with engine.pool.acquire() as conn:
                held = await conn.fetchval(
                    "select count(*) from pg_locks where locktype = 'advisory'"
                )
    finally:
        engine.searches.patience = usual
    assert (refused.status_code, refused.headers["retry-after"], held) == (503, "2", 0)
    again = await house.near.ask("POST", "/Patient", patient, headers=criteria)
    assert again.status_code == 201


async def test_given_a_search_that_is_logged_when_answered_then_its_query_is_not_in_the_log(
    house, caplog
):
    with caplog.at_level(logging.INFO, "coordhub"):
        await house.near.ask("GET", "/Patient?family=Water")
        await house.near.ask("GET", "/Patient/secret-id-1")
    lines = [record for record in caplog.records if record.getMessage() == "request.answered"]
    fields = [record.coordhub for record in lines]  # type: ignore[attr-defined]
    assert [one["interaction"] for one in fields] == ["search-type", "read"]
    assert [one["status"] for one in fields] == [200, 404]
    assert fields[1]["route"] == "/fhir/{resource_type}/{id}"
    assert "Water" not in str(fields)


def test_given_a_refusal_within_a_bundle_when_named_then_every_issue_is_at_its_entry():
    moved = refusal.within(not_found("Task/1"), "Bundle.entry[2]")
    assert isinstance(moved, FhirError)
    assert [issue.expression for issue in moved.issues] == ["Bundle.entry[2]"]
    assert refusal.within(moved, "Bundle.entry[2]").issues == moved.issues
    with pytest.raises(FhirError):
        raise moved
