from __future__ import annotations

import asyncio
import dataclasses
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from coordhub.r4.search import parse_query
from coordhub.record import reindex
from coordhub.record.operations import Delete
from coordhub.store import search
from coordhub.store.tables import metadata

if TYPE_CHECKING:
    from open_hub import House

WAITING = (
    "select count(*) from pg_locks l join pg_stat_activity a using (pid)"
    " where not l.granted and a.datname = current_database()"
)

INDEXES = [name for name in metadata.tables if name.startswith("idx_")]


def everything(subject: str) -> list[dict[str, Any]]:
    """Something for each index table."""
    return [
        {
            "resourceType": "Location",
            "name": "harbour",
            "position": {"latitude": Decimal("59.91"), "longitude": Decimal("10.75")},
        },
        {
            "resourceType": "Observation",
            "status": "final",
            "subject": {"reference": subject},
            "meta": {"profile": ["http://profile.example/weight"]},
            "effectiveDateTime": "2026-01-01",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "valueQuantity": {
                "value": Decimal("71.50"),
                "unit": "kg",
                "system": "http://unitsofmeasure.org",
                "code": "kg",
                "comparator": ">=",
            },
        },
        {
            "resourceType": "RiskAssessment",
            "status": "final",
            "subject": {"reference": subject},
            "prediction": [{"probabilityDecimal": Decimal("0.5")}],
        },
    ]


@pytest.fixture
async def lived_in(house: House) -> House:
    """A referral that was asked and answered, something of every kind, something deleted."""
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    for document in everything(sent.patient):
        await house.create(house.clinic, document)
    gone = await house.create(house.clinic, everything(sent.patient)[1])
    await house.commit(house.clinic, Delete("Observation", gone.id))
    for name in INDEXES:
        assert await house.value(f"select count(*) from {name}") > 0
    return house


async def run(house: House, *, mend: bool = True, size: int = 7, after: int = 0) -> list[int]:
    pages = reindex.reindex(house.hub, mend=mend, size=size, after=after)
    return [rid async for page in pages for rid in page.wrong]


async def test_given_a_house_that_was_lived_in_when_compared_then_every_index_row_is_its_bodys(
    lived_in: House,
) -> None:
    assert await run(lived_in, mend=False) == []
    assert await run(lived_in, mend=False, size=1000) == []


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize(
    "broken",
    [
        "delete from {}",
        "insert into {} select * from {}",
        "update {} set source = source + 256",
        "update {} set param = param + 1",
        "update {} set rid = rid + (1 << 30)",
    ],
)
async def test_given_an_index_broken_when_reindexed_then_it_is_as_before(
    lived_in: House, name: str, broken: str
) -> None:
    before = sorted(await lived_in.rows(f"select * from {name}"), key=str)
    await lived_in.rows(broken.format(name, name))
    found = await run(lived_in, mend=False)
    assert found != []
    assert sorted(await lived_in.rows(f"select * from {name}"), key=str) != before
    assert await run(lived_in) == found
    assert await run(lived_in, mend=False) == []
    assert sorted(await lived_in.rows(f"select * from {name}"), key=str) == before


async def test_given_an_earlier_run_when_continued_then_it_goes_on_behind_it(
    lived_in: House,
) -> None:
    await lived_in.rows("delete from idx_token")
    first = await anext(reindex.reindex(lived_in.hub, size=5))
    assert first.resources == 5
    wrong = await run(lived_in, mend=False)
    assert wrong != []
    assert min(wrong) > first.last
    assert await run(lived_in, after=first.last) == wrong
    assert await run(lived_in, mend=False) == []


async def test_given_what_is_right_when_reindexed_then_no_lock_is_waited_for(
    lived_in: House,
) -> None:
    async with lived_in.engine.pool.acquire() as conn, conn.transaction():
        await conn.execute("select from resource for update")
        async with asyncio.timeout(60):
            assert await run(lived_in) == []


async def test_given_an_update_at_the_same_moment_when_reindexed_then_the_update_wins(
    lived_in: House,
) -> None:
    """The update has read and locked; the reindexing comes between its lock and its commit."""
    house = lived_in
    made = await house.create(house.clinic, everything("Patient/1")[0])
    await house.rows("delete from idx_string where rid = $1", made.rid)
    async with house.engine.pool.acquire() as conn, house.engine.pool.acquire() as watching:
        async with conn.transaction():
            await conn.execute(
                "with s as (insert into resource_version (shard, rid, version, op, updated, author, source, patient,"
                " labels, body) select shard, rid, version, op, updated, author, source, patient, labels, body"
                " from resource where rid = $1)"
                " update resource set version = 2, op = 'update', body = replace(body, 'harbour', 'quay')"
                " where rid = $1",
                made.rid,
            )
            running = asyncio.create_task(run(house))
            async with asyncio.timeout(60):
                while not await watching.fetchval(WAITING):
                    assert not running.done()
            await conn.execute(
                "insert into idx_string (shard, param, value, exact, rid, source, patient)"
                " select (rid & 255)::smallint, 1, 'by the update', 'by the update', rid, source, patient"
                " from resource where rid = $1",
                made.rid,
            )
        assert await running == [made.rid]
    assert await house.value("select body from resource where rid = $1", made.rid) != made.body
    values = await house.rows("select distinct value from idx_string where rid = $1", made.rid)
    assert values == [("quay",)]


async def test_given_an_update_without_lock_when_reindexed_meanwhile_then_nothing_old_is_left(
    house: House,
) -> None:
    """The reindexing holds the row when the update comes, which has seen neither its rows nor a new version."""
    document = everything("Patient/1")[0] | {"identifier": [{"system": "urn:test", "value": "1"}]}
    made = await house.create(house.clinic, document)
    await house.rows("delete from idx_string where rid = $1", made.rid)
    async with house.engine.pool.acquire() as conn, house.engine.pool.acquire() as watching:

        async def until_waiting(sessions: int) -> None:
            async with asyncio.timeout(60):
                while sessions != await watching.fetchval(WAITING):
                    pass

        async with conn.transaction():
            await conn.execute("select from idx_token where rid = $1 for update", made.rid)
            reindexing = asyncio.create_task(run(house))
            await until_waiting(1)
            changed = document | {"id": made.id, "name": "quay"}
            updating = asyncio.create_task(house.update(house.clinic, made.id, changed))
            await until_waiting(2)
        assert await reindexing == [made.rid]
        assert (await updating).version == 2
    values = await house.rows("select distinct value from idx_string where rid = $1", made.rid)
    assert values == [("quay",)]
    assert await run(house, mend=False) == []


async def test_given_a_target_that_came_later_when_reindexed_then_it_is_found_by_it(
    house: House,
) -> None:
    writer = dataclasses.replace(house.clinic.choosing_ids(), reference_policy="warn")
    made = await house.create(writer, everything("Patient/later")[1])
    await house.update(writer, "later", {"resourceType": "Patient", "id": "later"})
    hidden = await house.create(writer, everything("Patient/theirs")[1])
    await house.update(
        house.stranger.choosing_ids(), "theirs", {"resourceType": "Patient", "id": "theirs"}
    )
    assert await run(house, mend=False) == []

    async def found(patient: str) -> list[int]:
        query = parse_query("Observation", [("subject", patient)])
        async with house.engine.searches.acquire() as conn:
            page = await search.search(conn, house.engine, house.clinic.viewer, query, limit=5)
        return [one.rid for one in page.versions]

    await house.rows("delete from idx_reference where rid = any($1)", [made.rid, hidden.rid])
    assert await found("Patient/later") == []
    assert await run(house) == [made.rid, hidden.rid]
    assert await found("Patient/later") == [made.rid]
    assert await house.value("select uri from idx_reference where rid = $1", hidden.rid) is not None


async def test_given_the_hub_when_opened_then_its_own_organizations_are_found_by_name(
    house: House,
) -> None:
    query = parse_query("Organization", [("name", "coordhub")])
    async with house.engine.searches.acquire() as conn:
        page = await search.search(conn, house.engine, house.clinic.viewer, query, limit=5)
    assert len(page.versions) == 2
