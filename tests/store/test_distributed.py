"""On a Citus: the history of resources lies on its workers, and the hub is the same."""

from __future__ import annotations

import asyncio
import os

import pytest
from open_hub import opened, patient
from typer.testing import CliRunner

from coordhub.cli import cli
from coordhub.record.operations import Create, Update
from coordhub.store import distributed, history, invariants, migrate
from coordhub.store.engine import Engine
from coordhub.store.history import Span


async def test_given_a_postgres_without_citus_when_distributed_then_it_is_said_what_is_missing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["distribute"])
    assert done.exit_code == 1
    assert "no extension citus" in done.output
    engine = await Engine.open(database_url)
    try:
        async with engine.pool.acquire() as conn:
            assert not await distributed.is_spread(conn)
            assert await conn.fetchval("show plan_cache_mode") == "force_generic_plan"
    finally:
        await engine.close()


@pytest.mark.skipif(
    "COORDHUB_TEST_CITUS" not in os.environ,
    reason="COORDHUB_TEST_CITUS names no coordinator: an empty database, its workers added",
)
async def test_given_a_citus_when_distributed_then_versions_are_on_its_workers_and_told_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = os.environ["COORDHUB_TEST_CITUS"]
    await migrate.upgrade(url)
    monkeypatch.setenv("DATABASE_URL", url)
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["distribute"])
    assert done.exit_code == 0, done.output
    async with opened(url) as house:
        made = []
        for number in range(8):  # of several shards
            [one] = await house.commit(house.clinic, Create("Patient", patient(str(number))))
            for gender in ("female", "male"):
                changed = {**patient(str(number), gender=gender), "id": one.id}
                await house.commit(house.clinic, Update("Patient", one.id, changed))
            made.append(one.id)
        async with house.engine.pool.acquire() as conn:
            assert await conn.fetchval("show plan_cache_mode") == "force_custom_plan"
            spread = await conn.fetch(
                "select nodename, nodeport from citus_shards where table_name = 'resource_version'::regclass"
            )
            assert len(set(spread)) > 1, "on more than one server"
            assert await conn.fetchval("select count(*) from resource_version") == 16
            told = await history.history(
                conn, house.clinic.viewer, ["Patient"], made[0], count=10, before=None, span=Span()
            )
            assert [one.version for one in told.versions] == [3, 2, 1]
            hidden = await history.history(
                conn,
                house.stranger.viewer,
                ["Patient"],
                made[0],
                count=10,
                before=None,
                span=Span(),
            )
            assert hidden.versions == []
            assert await invariants.violations(conn, house.clock()) == []
