"""What the planner makes of searches over many resources, for callers who see little or much.

Measured in pages of the buffer cache that one search touches: time depends on the machine, these do
not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from many import VIEWERS, fill

from coordhub.r4.search import parse_query
from coordhub.r4.types import NUMBER
from coordhub.store import priors, search
from coordhub.store.engine import Engine

PATIENTS, EACH = 200, 100

# What is searched, and how many pages it may touch for each of 100 %, 30 %, 0.1 % and 0 %.
SHAPES = [
    ("Observation?patient=<patient>&code=http://loinc.org|c3&_sort=-date", 400),
    ("Observation?patient=<patient>&_sort=-date", 1000),
    ("Observation?category=laboratory&_sort=-date", 800),
    ("Task?owner:identifier=o&status=requested", 1500),
    ("ServiceRequest?patient=<patient>", 100),
    ("Patient?identifier=http://mr.example|77", 50),
    ("Patient?_id=<id>", 50),
    ("Patient?name=family5", 400),
    ("Patient?name=given", 1000),
    ("Observation?value-quantity=ge0", 1000),
    ("Observation?value-quantity=gt299.5", 400),
    ("Observation?value-quantity=lt1.2|http://unitsofmeasure.org|mg/dL", 400),
    ("Observation?code=http://local.example|all", 1000),
    ("Observation?code=http://local.example|none", 50),
    ("Observation?code=http://local.example|rare7", 100),
    ("Observation?date=ge2026-06-01", 1000),
    ("Observation?patient.identifier=http://mr.example|77", 1500),
    ("Patient?_has:Observation:patient:code=rare7", 300),
    ("Patient?_has:Observation:patient:code=none", 100),
    ("Patient?_has:Observation:patient:code=all", 2500),
    ("Observation?patient.name=given", 2500),
    ("Observation", 200),
]


@pytest.fixture(scope="module")
def filled(postgres: Any, _template: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A database of some 20,000 resources, for all tests of this module."""
    url = postgres.create(_template)
    ids: dict[str, str] = {}

    async def filling() -> None:
        engine = await Engine.open(url, size=4)
        try:
            ids.update(await fill(engine, patients=PATIENTS, each=EACH))
        finally:
            await engine.close()

    with asyncio.Runner() as runner:
        runner.run(filling())
    yield url, ids
    postgres.drop(url)


@pytest.fixture
async def engine(filled: tuple[str, dict[str, str]]) -> AsyncIterator[Engine]:
    engine = await Engine.open(filled[0], size=4)
    yield engine
    await engine.close()


@pytest.mark.parametrize("who", VIEWERS)
@pytest.mark.parametrize(("asked", "most"), SHAPES)
async def test_given_many_resources_when_searched_then_few_pages_are_touched(
    engine: Engine, filled: tuple[str, dict[str, str]], asked: str, most: int, who: str
) -> None:
    kind, _, query = asked.partition("?")
    patient = next(known for name, known in filled[1].items() if name.startswith("Patient"))
    query = query.replace("<patient>", patient).replace("<id>", patient.split("/")[-1])
    read = parse_query(kind, parse_qsl(query, keep_blank_values=True))
    async with engine.searches.acquire() as conn:
        statement, arguments = await search.composed(conn, engine, VIEWERS[who], read, limit=10)
        assert await _pages(conn, statement, arguments) <= most
    if search.keeps_its_plan(read):
        async with engine.pool.acquire() as conn:
            statement, arguments = await search.composed(conn, engine, VIEWERS[who], read, limit=10)
            assert await _pages_of_kept_plan(conn, statement, arguments) <= most


@pytest.mark.parametrize("who", VIEWERS)
async def test_given_many_resources_when_asked_for_prior_results_then_few_pages_are_touched(
    engine: Engine, filled: tuple[str, dict[str, str]], who: str
) -> None:
    async with engine.pool.acquire() as conn:
        patient = await conn.fetchval(
            "select min(patient) from resource where type = $1", NUMBER["Patient"]
        )
        codes = [("http://loinc.org", f"c{number}") for number in range(4)]
        statement, arguments = priors.statement(VIEWERS[who], [patient], codes)
        assert await _pages(conn, statement, arguments) <= 600
        assert await _pages_of_kept_plan(conn, statement, arguments) <= 600


async def test_given_a_viewer_of_nothing_when_searching_then_nothing_is_touched_but_the_index_top(
    engine: Engine,
) -> None:
    async with engine.searches.acquire() as conn:
        for asked in ("Observation", "Observation?code=all", "Observation?value-quantity=ge0"):
            kind, _, query = asked.partition("?")
            read = parse_query(kind, parse_qsl(query))
            statement, arguments = await search.composed(
                conn, engine, VIEWERS["0 %"], read, limit=10
            )
            assert await _pages(conn, statement, arguments) <= 20


async def test_given_large_attachments_when_searched_then_none_is_opened_but_those_of_the_page(
    engine: Engine, filled: tuple[str, dict[str, str]]
) -> None:
    patient = next(known for name, known in filled[1].items() if name.startswith("Patient"))
    read = parse_query("Observation", [("patient", patient), ("_sort", "-date")])
    async with engine.searches.acquire() as conn:
        statement, arguments = await search.composed(conn, engine, VIEWERS["100 %"], read, limit=3)
        slim = await _pages(conn, statement, arguments)
        grown = conn.transaction()
        await grown.start()
        try:
            large = await conn.execute(
                "update resource set body = rpad(left(body, length(body) - 1), 200000,"
                " (select string_agg(md5(n::text), '') from generate_series(1, 6250) n))"
                " where patient = (select patient from resource where fhir_id = $1 limit 1)",
                patient,
            )
            assert int(large.split()[1]) >= EACH
            bodies = "select sum(length(body)) from resource where length(body) > 190000"
            texts = await _pages(conn, bodies, [])
            assert texts > EACH * 10
            # The rows moved: each may be looked for on two pages. Four texts are read for a page of three.
            opened = 4 * texts // EACH
            assert await _pages(conn, statement, arguments) <= 2 * slim + EACH + opened
        finally:
            await grown.rollback()


async def _pages(conn: Any, statement: str, arguments: list[object]) -> int:
    """Pages that it touches; the first time a session also reads the catalog, which is not counted."""
    for _ in range(2):
        explained = await conn.fetchval(
            f"explain (analyze, buffers, format json) {statement}", *arguments
        )
    plan = json.loads(explained)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def _pages_of_kept_plan(conn: Any, statement: str, arguments: list[object]) -> int:
    """The same where the plan is made once, for whatever values: what one patient's records are asked."""
    await conn.execute(f"prepare kept as {statement}")
    values = ", ".join(map(_literal, arguments))
    for _ in range(2):
        explained = await conn.fetchval(
            f"explain (analyze, buffers, format json) execute kept({values})"
        )
    await conn.execute("deallocate kept")
    plan = json.loads(explained)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "'{" + ",".join(map(str, value)) + "}'"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
