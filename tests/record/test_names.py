"""How common names are is counted as records come, change and go; to read it costs the same for any name."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import House

from coordhub.identity.normalise import BLOCKS, key
from coordhub.record import linking
from coordhub.record.operations import Delete
from coordhub.store import names, persons, vsp
from coordhub.store.invariants import violations

MANY = 6_000


def named(given: str, family: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "name": [{"family": family, "given": given.split()}],
        **elements,
    }


async def counted(house: House, *said: tuple[str, str]) -> list[int]:
    """After all is added up: how many say each of these, and how many there are."""
    while await linking.link(house.hub):
        pass
    async with house.engine.pool.acquire() as conn:
        assert not await persons.is_due(conn)
        assert await violations(conn, house.hub.clock()) == []
        found = await names.how_many(conn, {key(*each) for each in said})
        return [found[key(*each)] for each in said] + [await names.of_kind(conn, BLOCKS["surname"])]


async def test_given_names_when_records_come_change_and_go_then_they_are_counted_as_they_are_said(
    house: House,
) -> None:
    asked = ("given", "rosa"), ("given", "ines"), ("surname", "vane"), ("surname", "poe")
    one = await house.create(house.clinic, named("Rosa Maria", "Vane"))
    other = await house.create(house.kitchen, named("Rosa", "Vane"))
    await house.create(house.van, named("Ines", "Poe"))
    assert await counted(house, *asked) == [2, 1, 2, 1, 3]
    await house.update(house.kitchen, other.id, named("Ines", "Vane", id=other.id))
    assert await counted(house, *asked) == [1, 2, 2, 1, 3]
    await house.update(house.kitchen, other.id, named("Ines", "Vane", id=other.id, active=True))
    assert await house.value("select count(*) from name_change") == 0
    await house.commit(house.kitchen, Delete("Patient", other.id))
    assert await counted(house, *asked) == [1, 1, 1, 1, 2]
    async with house.engine.transaction() as conn:  # as for who turns out to be a provider's
        await vsp.forget_index(conn, [one.rid])
    assert await counted(house, *asked) == [0, 1, 0, 1, 1]
    assert await house.value("select count(*) from name_count where number = 0") == 0


async def test_given_a_name_that_thousands_have_when_counted_then_no_more_is_read_than_for_a_rare_one(
    house: House,
) -> None:
    await house.by_owner(
        "insert into idx_person (shard, param, key, rid, source)"
        f" select n & 255, {BLOCKS['surname']}, case when n % 2 = 0 then 5 else n end, n, 1"
        f" from generate_series(1, {MANY}) n"
    )
    async with house.engine.transaction() as conn:
        while await names.add_up(conn):
            pass
        assert await names.of_kind(conn, BLOCKS["surname"]) == MANY
    await house.by_owner("analyze name_count")
    (read, number), (for_rare, one) = [
        await _pages(house, (BLOCKS["surname"], at)) for at in (5, 7)
    ]
    assert (number, one) == (MANY // 2 + 1, 1)
    assert read == for_rare <= 5


async def _pages(house: House, at: tuple[int, int]) -> tuple[int, int]:
    """That its count touches, and what it is."""
    async with house.engine.pool.acquire() as conn:
        heard: list[Any] = []
        conn.add_query_logger(heard.append)
        found = await names.how_many(conn, [at])
        await asyncio.sleep(0)  # loggers are called by the loop
        [asked] = heard
        text = await conn.fetchval(
            f"explain (analyze, buffers, format json) {asked.query}", *asked.args
        )
    plan = json.loads(text)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], found[at]
