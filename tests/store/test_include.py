"""What the shapes of an answer cost: statements, and how Postgres runs them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from open_hub import House, observation, patient, service_request

from coordhub.r4 import datasets, search_result, types
from coordhub.r4.compartments import compartment
from coordhub.r4.search import parse_query
from coordhub.store import history, include, lastn, search_types


def includes(kind: str, *pairs: tuple[str, str]) -> search_result.Shape:
    shape, left, issues = search_result.read([kind], pairs)
    assert (left, issues) == ([], [])
    return shape


class Asked:
    """The statements that a connection is asked, with their arguments."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Any]] = []

    def add(self, record: Any) -> None:
        self.statements.append((record.query, record.args))


SHAPES = (
    (("_include", "Observation:subject"),),
    (("_revinclude", "Provenance:target"),),
    (
        ("_include:iterate", "*"),
        ("_revinclude:iterate", "Observation:has-member"),
        ("_include", "Observation:encounter"),
    ),
)


@pytest.mark.parametrize("pairs", SHAPES)
async def test_given_includes_when_a_page_has_many_matches_then_they_are_one_statement(
    house: House, pairs: tuple[tuple[str, str], ...]
) -> None:
    who = await house.create(house.clinic, patient())
    for _ in range(5):
        await house.create(house.clinic, observation(who.reference))
    shape = includes("Observation", *pairs)
    view = house.clinic.viewer
    query = parse_query("Observation", [("subject", who.reference)])
    async with house.engine.searches.acquire() as conn:
        for _ in range(2):  # in the first round asyncpg learns the types
            asked = Asked()
            with conn.query_logger(asked.add):
                page = await search_types.search_types(conn, house.engine, view, [query], limit=9)
                await include.included(conn, view, page.versions, shape.includes, most=99)
                total = await search_types.count(conn, house.engine, view, [query])
                await asyncio.sleep(0)
    assert total == 5
    assert [statement.split()[0] for statement, _ in asked.statements] == [
        "with",
        "with",
        "select",
    ]


async def test_given_an_include_that_a_data_set_leaves_out_when_asked_for_beside_another_then_the_other_is_followed(
    house: House,
) -> None:
    who = await house.create(house.clinic, patient())
    order = await house.create(
        house.clinic, service_request(who.reference, house.clinic.reference, status="draft")
    )
    await house.create(house.clinic, observation(basedOn=[{"reference": order.reference}]))
    await house.rows(
        "insert into access_grant (shard, organization, rid, because, rule, since, dataset)"
        " select (rid & 255)::smallint, $1, rid, rid, 'referral', now(), $2"
        " from resource where type = any($3::smallint[])",
        house.van.rid,
        datasets.HOUSING,
        [types.NUMBER[each] for each in ("Patient", "ServiceRequest", "Observation")],
    )
    view, query = house.van.viewer, parse_query("ServiceRequest", [])
    left_out = ("_revinclude", "Observation:based-on")
    async with house.engine.searches.acquire() as conn:
        page = await search_types.search_types(conn, house.engine, view, [query], limit=9)
        found = []
        for pairs in ([left_out], [("_include", "ServiceRequest:subject"), left_out]):
            shape = includes("ServiceRequest", *pairs)
            brought = await include.included(conn, view, page.versions, shape.includes, most=99)
            found.append(None if brought is None else [one.rid for one in brought])
    assert found == [[], [who.rid]]


async def test_given_a_history_or_the_newest_when_asked_then_each_is_one_statement(
    house: House,
) -> None:
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, observation(who.reference))
    view = house.clinic.viewer
    query = parse_query("Observation", [("subject", who.reference)])
    async with house.engine.searches.acquire() as conn:
        for _ in range(2):
            asked = Asked()
            with conn.query_logger(asked.add):
                for kinds, fhir_id in ((None, None), (["Patient"], None), (["Patient"], who.id)):
                    past = await history.history(conn, view, kinds, fhir_id, count=5)
                    assert past.versions
                found = await lastn.newest(conn, house.engine, view, query, each=1, limit=9)
                assert len(found) == 1
                await search_types.search_types(
                    conn,
                    house.engine,
                    view,
                    [query],
                    limit=9,
                    within=compartment("Patient", who.id, ["Observation"]),
                )
                await asyncio.sleep(0)
    assert len(asked.statements) == 5


async def test_given_many_resources_when_shapes_are_asked_for_then_no_table_is_read_whole(
    house: House,
) -> None:
    """Every shape finds its rows by an index, also where a statement could do without."""
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, observation(who.reference))
    await _crowd(house)
    view = house.clinic.viewer
    query = parse_query("Observation", [])
    patients = parse_query("Patient", [("_id", who.id)])
    within = compartment("Patient", who.id, ["Observation"])
    async with house.engine.searches.acquire() as conn:
        asked = Asked()
        with conn.query_logger(asked.add):
            page = await search_types.search_types(
                conn, house.engine, view, [query], limit=9, within=within
            )
            assert len(page.versions) == 1
            await search_types.count(conn, house.engine, view, [query], within=within)
            for kind, found, pairs in (
                ("Observation", page, (("_include", "*"),)),
                (
                    "Patient",
                    await search_types.search_types(conn, house.engine, view, [patients], limit=9),
                    (("_revinclude", "Observation:subject"), ("_revinclude", "Encounter:subject")),
                ),
            ):
                shape = includes(kind, *pairs)
                brought = await include.included(
                    conn, view, found.versions, shape.includes, most=99
                )
                assert len(brought or ()) == 1
            await history.history(conn, view, ["Patient"], who.id, count=5)
            await asyncio.sleep(0)
        for statement, arguments in asked.statements:
            plan = await conn.fetchval(f"explain (format json) {statement}", *arguments)
            tables = _read_whole(json.loads(plan)[0]["Plan"])
            assert not tables & {"resource", "idx_reference", "change"}, (
                statement,
                plan,
            )


def _read_whole(plan: dict[str, Any]) -> set[str]:
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return found.union(*(_read_whole(each) for each in plan.get("Plans", ())))


async def _crowd(house: House) -> None:
    """20,000 Observations of 2,000 other patients, as rows."""
    await house.value(
        "with r as (insert into resource (shard, rid, type, fhir_id, version, op, updated, author,"
        " source, patient, body) select 1, (10000000 + n) << 8 | 1, case when n <= 2000 then 103"
        " else 96 end, 'crowd-' || n, 1, 'create', now(), $1, $1, (10000000 + n % 2000) << 8 | 1,"
        " '{}' from generate_series(1, 22000) n returning rid, type, patient)"
        ", c as (insert into change (at, shard, rid, version, type, op, author)"
        " select now(), 1, rid, 1, type, 'create', $1 from r)"
        " insert into idx_reference (shard, param, target, rid, source, patient)"
        " select 1, $2, patient, rid, $1, patient from r where type = 96",
        house.clinic.rid,
        search_result.references("Observation")[0].id,
    )
    await house.by_owner("analyze")
