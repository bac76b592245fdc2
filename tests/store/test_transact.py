"""The one write path: how often Postgres is asked, what a write changes, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from open_hub import House, counted, observation, opened, patient

from coordhub.errors import FhirError
from coordhub.r4.search import parse_query
from coordhub.record.operations import Create, Delete, Update, Written
from coordhub.store import history, index, search
from coordhub.store.transact import Batch, Overtaken, Write, transact

RESET = "select pg_advisory_unlock_all(); close all; unlisten *; reset all;"


def asked(queries: Sequence[str]) -> list[str]:
    """The first words, without what the pool does when a connection is given back."""
    kept = [query.lower() for query in queries if query.lower() != RESET]
    return [query.split()[0].rstrip(";") for query in kept]


# ---- how often Postgres is asked


async def test_given_a_resource_that_refers_to_nothing_when_created_then_one_statement_commits_it(
    house: House,
) -> None:
    await house.create(house.clinic, patient())  # rids are in hand and systems known from here on
    async with counted(house.engine.pool, house.engine.searches) as statements:
        await house.create(house.clinic, patient("2"))
    assert asked(statements.queries) == ["with"]


async def test_given_an_observation_of_a_patient_when_created_then_it_is_looked_up_and_written(
    house: House,
) -> None:
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, observation(who.reference))
    async with counted(house.engine.pool, house.engine.searches) as statements:
        await house.create(house.clinic, observation(who.reference))
    assert asked(statements.queries) == ["select", "with"]


async def test_given_a_resource_when_updated_then_it_is_looked_up_and_written(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    async with counted(house.engine.pool, house.engine.searches) as statements:
        await house.update(house.clinic, made.id, patient(active=True))
    assert asked(statements.queries) == ["select", "with"]
    async with counted(house.engine.pool, house.engine.searches) as statements:
        await house.commit(house.clinic, Delete("Patient", made.id))
    # With a Patient goes what others see of it by acting for it: that is looked up too, and who is to be
    # told that it is gone.
    assert asked(statements.queries) == ["select", "select", "select", "with"]


async def test_given_a_patient_with_an_address_when_updated_by_its_version_then_no_more_is_asked(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    moved = patient(address=[{"city": "Springvale"}])
    await house.update(house.clinic, made.id, moved, if_match=1)
    async with counted(house.engine.pool, house.engine.searches) as statements:
        await house.update(house.clinic, made.id, {**moved, "active": True}, if_match=2)
    assert asked(statements.queries) == ["select", "with"]


async def test_given_a_referral_when_sent_and_answered_then_so_many_statements_do(
    house: House,
) -> None:
    await house.asking(house.kitchen.service)
    async with counted(house.engine.pool, house.engine.searches) as statements:
        sent = await house.refer(house.kitchen.service)
    # Who is named is looked up, who takes no such kind, and whose calendar its deadlines go by; it has no timers yet.
    assert asked(statements.queries) == ["select"] * 5 + ["with"]
    await house.relay()
    [task] = (await sent.tasks()).values()
    document = {**await house.document(task), "status": "accepted"}
    async with counted(house.engine.pool, house.engine.searches) as statements:
        await house.update(house.kitchen, document["id"], document, if_match=1)
    # Under its lock: the referral, all its Tasks at once, the profile, the timers, the calendar, who may see it; then
    # what its writer is shown of it.
    assert len(statements) <= 13, statements.queries


async def test_given_two_resources_when_updated_then_they_are_locked_in_one_order(
    house: House,
) -> None:
    made = [await house.create(house.clinic, patient(str(n))) for n in range(2)]
    updates = [Update("Patient", one.id, patient(one.id)) for one in made]
    async with counted(house.engine.pool, house.engine.searches) as statements:
        await house.commit(house.clinic, *updates)
    assert asked(statements.queries) == ["select", "begin", "select", "with", "commit"]


async def test_given_a_hundred_resources_when_committed_then_it_takes_no_more_than_for_two(
    house: House,
) -> None:
    def operations(count: int) -> list[Create]:
        people = [
            Create("Patient", patient(str(number)), full_url=f"urn:uuid:{number}")
            for number in range(count // 2)
        ]
        results = [
            Create("Observation", observation(f"urn:uuid:{number}")) for number in range(count // 2)
        ]
        return [*people, *results]

    await house.commit(house.clinic, *operations(2))
    counts = []
    for count in (2, 100):
        async with counted(house.engine.pool, house.engine.searches) as statements:
            written = await house.commit(house.clinic, *operations(count))
        assert len(written) == count
        counts.append(asked(statements.queries))
    assert counts[0] == counts[1]
    assert len(counts[1]) <= 4


async def test_given_a_read_and_a_search_when_asked_then_each_is_one_statement(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    async with counted(house.engine.pool) as statements:
        await house.read(house.clinic, made.reference)
    assert asked(statements.queries) == ["select"]
    query = parse_query("Patient", [("identifier", "urn:test:mrn|1"), ("family", "wat")])
    async with house.engine.searches.acquire() as conn:
        await search.search(conn, house.engine, house.clinic.viewer, query, limit=9)
        queries: list[str] = []
        with conn.query_logger(lambda record: queries.append(record.query)):
            page = await search.search(conn, house.engine, house.clinic.viewer, query, limit=9)
            await asyncio.sleep(0)  # asyncpg tells its loggers in the loop's next turn
        assert len(page.versions) == 1
        assert asked(queries) == ["select"]


async def test_given_a_system_not_seen_before_when_searched_then_it_is_looked_up_once(
    house: House, database_url: str
) -> None:
    await house.create(house.clinic, patient())
    query = parse_query("Patient", [("identifier", "urn:test:mrn|1")])
    async with opened(database_url, size=2) as other, other.engine.searches.acquire() as conn:
        unrelated = parse_query("Patient", [("identifier", "1")])  # asyncpg learns the types
        await search.search(conn, other.engine, house.clinic.viewer, unrelated, limit=9)
        for expected in (["select", "select"], ["select"]):
            queries: list[str] = []
            with conn.query_logger(lambda record, queries=queries: queries.append(record.query)):
                await search.search(conn, other.engine, house.clinic.viewer, query, limit=9)
                await asyncio.sleep(0)  # asyncpg tells its loggers in the loop's next turn
            assert asked(queries) == expected


# ---- how Postgres plans it


async def _asked_by_writes(house: House) -> list[str]:
    """The statements of a create, an update and a deletion of what refers to something."""
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, observation(who.reference))
    async with counted(house.engine.pool) as statements:
        made = await house.create(house.clinic, observation(who.reference))
        changed = observation(who.reference) | {"id": made.id, "status": "amended"}
        await house.update(house.clinic, made.id, changed)
        await house.commit(house.clinic, Delete("Observation", made.id))
    return [one for one in statements.queries if asked([one])[0] in ("select", "with")]


async def test_given_writes_when_repeated_then_no_statement_of_theirs_is_planned_again(
    house: House,
) -> None:
    statements = set(await _asked_by_writes(house))
    for _ in range(10):
        await _asked_by_writes(house)
    async with house.engine.pool.acquire() as conn:
        rows = await conn.fetch(
            "select statement, generic_plans, custom_plans from pg_prepared_statements"
        )
    plans = {" ".join(row[0].split()): (row[1] >= 10, row[2]) for row in rows}
    for one in statements:
        assert plans[" ".join(one.split())] == (True, 0)


async def test_given_a_store_known_to_be_small_when_writes_are_planned_then_for_a_large_one(
    house: House,
) -> None:
    statements = await _asked_by_writes(house)
    async with house.engine.pool.acquire() as conn:
        await conn.execute("vacuum analyze")
        for number, one in enumerate(statements):
            nulls = ["null"] * len((await conn.prepare(one)).get_parameters())
            await conn.execute(f"prepare kept{number} as {one}")
            given = f"({','.join(nulls)})" if nulls else ""
            explain = f"explain execute kept{number}{given}"
            lines = [row[0] for row in await conn.fetch(explain)]
            assert not [line for line in lines if "Seq Scan" in line or "Hash Join" in line]


# ---- what a write changes

INDEXES = ("idx_token", "idx_string", "idx_reference", "idx_date")


async def _index_rows(house: House, rid: int) -> dict[str, dict[str, Any]]:
    """Index rows of a resource by what they say, with their physical version."""
    found: dict[str, dict[str, Any]] = {}
    for table in INDEXES:
        rows = await house.rows(
            f"select (to_jsonb(i) - 'rid')::text, i.ctid::text || '.' || i.xmin::text"
            f" from {table} i where rid = $1",
            rid,
        )
        assert len(rows) == len({row[0] for row in rows}), "a row is there twice"
        found[table] = dict(rows)
    return found


async def test_given_an_update_when_written_then_only_the_index_rows_that_differ_are_touched(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient(gender="female", birthDate="1970-01-01"))
    before = await _index_rows(house, made.rid)
    await house.update(house.clinic, made.id, patient(gender="male", birthDate="1970-01-01"))
    after = await _index_rows(house, made.rid)
    assert before["idx_string"] == after["idx_string"]
    assert before["idx_date"] == after["idx_date"]
    kept = before["idx_token"].items() & after["idx_token"].items()
    assert len(before["idx_token"]) == len(after["idx_token"]) == len(kept) + 1
    assert any('"male"' in text for text in after["idx_token"])
    assert not any('"female"' in text for text in after["idx_token"])


async def _equal(house: House, changed: Written, document: dict[str, Any]) -> bool:
    """Whether the index of `changed` is that of the same document made anew."""
    anew = await house.create(house.clinic, document)
    rows, wanted = [await _index_rows(house, each.rid) for each in (changed, anew)]

    def told(found: dict[str, Any], rid: int) -> dict[str, set[str]]:
        """Without the shard: it is the one of the patient that it was made for."""
        return {
            table: {text.replace(f'"shard": {rid & 255},', "") for text in texts}
            for table, texts in found.items()
        }

    return told(rows, changed.rid) == told(wanted, anew.rid)


async def test_given_updates_of_every_kind_of_value_when_written_then_the_index_is_as_made_anew(
    house: House,
) -> None:
    one, other = [await house.create(house.clinic, patient(str(n))) for n in (1, 2)]
    first = observation(one.reference, effectiveDateTime="2026-01-01", valueString="a")
    second = observation(
        other.reference,
        code="2345-7",
        effectiveDateTime="2026-02-02",
        focus=[{"reference": one.reference}, {"reference": "http://elsewhere.example/Patient/9"}],
        valueString="b",
    )
    changed = await house.create(house.clinic, first)
    for document in (second, first):
        await house.update(house.clinic, changed.id, document)
        assert await _equal(house, changed, document)


async def test_given_one_of_several_values_when_taken_away_then_the_index_keeps_the_others(
    house: House,
) -> None:
    several = patient(
        name=[{"family": "Water", "given": ["Ada", "Bea"]}],
        identifier=[{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "1"}],
        generalPractitioner=[
            {"reference": house.clinic.reference},
            {"reference": house.kitchen.reference},
        ],
    )
    made = await house.create(house.clinic, several)
    fewer = {
        **several,
        "name": [{"family": "Water", "given": ["Bea"]}],
        "identifier": several["identifier"][1:],
        "generalPractitioner": several["generalPractitioner"][1:],
    }
    await house.update(house.clinic, made.id, fewer)
    rows = await _index_rows(house, made.rid)
    again = await house.create(house.clinic, fewer)
    anew = await _index_rows(house, again.rid)
    for table in INDEXES:
        assert len(rows[table]) == len(anew[table]), table


async def test_given_a_deletion_when_written_then_no_index_row_is_left_and_an_update_brings_all(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    before = await _index_rows(house, made.rid)
    assert all(before[table] for table in ("idx_token", "idx_string"))
    await house.commit(house.clinic, Delete("Patient", made.id))
    assert await _index_rows(house, made.rid) == {table: {} for table in INDEXES}
    [back] = await house.commit(house.clinic, Update("Patient", made.id, patient()))
    assert (back.status, back.version) == (201, 3)
    after = await _index_rows(house, made.rid)
    assert {t: set(rows) for t, rows in after.items()} == {t: set(r) for t, r in before.items()}
    async with house.engine.pool.acquire() as conn:
        past = await history.history(conn, house.clinic.viewer, ["Patient"], made.id, count=9)
    assert [(one.version, one.op, one.deleted) for one in past.versions] == [
        (3, "create", False),
        (2, "delete", True),
        (1, "create", False),
    ]


def test_given_rows_of_two_versions_when_subtracted_then_each_kind_keeps_what_the_other_lacks() -> (
    None
):
    one = index.TokenRow(1, 0, "a", 256, 256, None)
    other = index.TokenRow(1, 0, "b", 256, 256, None)
    date = index.StringRow(2, "x", "X", 256, 256, None)
    left = index.IndexRows({one, other}, {date}).without(index.IndexRows({other}))
    assert (left.tokens, left.strings) == ({one}, {date})


async def test_given_two_writers_of_one_chosen_id_when_at_once_then_the_second_is_told_to_repeat(
    house: House,
) -> None:
    write = Write(
        77 << 8 | 5, "Patient", "chosen", 1, "create", 256, 256, None, "{}", assigned=True
    )
    again = write._replace(rid=78 << 8 | 6)
    async with house.engine.transaction() as conn:
        await transact(conn, Batch(writes=[write]), now=house.hub.clock())
    with pytest.raises(FhirError) as refused:
        async with house.engine.transaction() as conn:
            await transact(conn, Batch(writes=[again]), now=house.hub.clock())
    assert refused.value.status == 409
    assert await house.value("select count(*) from resource where fhir_id = 'chosen'") == 1


async def test_given_many_updates_of_one_resource_when_at_once_then_each_is_a_version(
    database_url: str,
) -> None:
    async with opened(database_url, size=12) as house:
        made = await house.create(house.clinic, patient())
        answers = await asyncio.gather(
            *(house.update(house.clinic, made.id, patient(str(n))) for n in range(24))
        )
        assert sorted(one.version for one in answers) == list(range(2, 26))
        past = await house.rows("select version from resource_version where rid = $1", made.rid)
        assert sorted(version for (version,) in past) == list(range(1, 25))


async def test_given_updates_based_on_one_version_when_at_once_then_one_wins(
    database_url: str,
) -> None:
    async with opened(database_url, size=12) as house:
        made = await house.create(house.clinic, patient())
        answers = await asyncio.gather(
            *(house.update(house.clinic, made.id, patient(str(n)), 1) for n in range(12)),
            return_exceptions=True,
        )
        refused = [one.status for one in answers if isinstance(one, FhirError)]
        assert refused == [412] * 11
        assert await house.value("select version from resource where rid = $1", made.rid) == 2


async def test_given_a_resource_that_moved_on_when_written_then_nothing_of_the_commit_is(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    await house.update(house.clinic, made.id, patient("2"))
    stale = Write(made.rid, "Patient", made.id, 2, "update", 256, 256, None, "{}")
    later = stale._replace(version=4)
    labelled = stale._replace(version=3, seen=1)
    other = Write(99 << 8 | 5, "Patient", "other", 1, "create", 256, 256, None, "{}")
    for write in (stale, later, labelled):
        async with house.engine.pool.acquire() as conn:
            with pytest.raises(Overtaken):
                await transact(conn, Batch(writes=[other, write]), now=house.hub.clock())
    assert await house.value("select count(*) from resource where fhir_id = 'other'") == 0
    assert await house.value("select count(*) from change where rid = $1", made.rid) == 2


# ---- what Postgres refuses

_RESOURCE = (
    "insert into resource (shard, rid, type, fhir_id, version, op, updated, author, source, body)"
    " values ({shard}, {rid}, 1, 'x', {version}, {op}, now(), 256, 256, {body})"
)
_DELIVERY = (
    "insert into delivery (id, shard, change, episode, organization, endpoint, rid, version, state,"
    " created_at, next_at, lease_until, settled_at, reason) values (gen_random_uuid(), 0, 1, 256,"
    " 256, 0, 256, 1, {state}, now(), now(), {lease}, {settled}, {reason})"
)
_POSSIBLE: list[tuple[str, dict[str, object]]] = [
    (_RESOURCE, {"shard": 1, "rid": 257, "version": 1, "op": "'create'", "body": "'{}'"}),
    (_DELIVERY, {"state": "'queued'", "lease": "null", "settled": "null", "reason": "null"}),
    (_DELIVERY, {"state": "'leased'", "lease": "now()", "settled": "null", "reason": "null"}),
    (_DELIVERY, {"state": "'delivered'", "lease": "null", "settled": "now()", "reason": "null"}),
    (_DELIVERY, {"state": "'dead'", "lease": "null", "settled": "now()", "reason": "'x'"}),
    (_DELIVERY, {"state": "'parked'", "lease": "null", "settled": "null", "reason": "'x'"}),
    (
        (
            "insert into episode (id, shard, requester, request, state, opened_at, closed_at)"
            " values (256, 0, 256, 256, {state}, now(), {closed})"
        ),
        {"state": "'closed'", "closed": "now()"},
    ),
    (
        (
            "insert into idx_reference (shard, param, target, uri, rid, source)"
            " values (0, 1, {target}, {uri}, 256, 256)"
        ),
        {"target": "256", "uri": "null"},
    ),
    (
        (
            "insert into access_grant (shard, organization, rid, because, rule, since)"
            " values (0, 1, 1, 1, {rule}, now())"
        ),
        {"rule": "'party'"},
    ),
    (
        "insert into timer (shard, episode, kind, subject, since, due_at) values (0, 1, {kind}, 1, now(), now())",
        {"kind": "'accept-by'"},
    ),
    (
        (
            "insert into attempt (delivery, number, at, outcome, latency_ms)"
            " values (gen_random_uuid(), 1, now(), {outcome}, 1)"
        ),
        {"outcome": "'refused'"},
    ),
    (
        (
            "insert into resource_version (shard, rid, version, op, updated, author, source, body)"
            " values (0, 256, 1, {op}, now(), 256, 256, {body})"
        ),
        {"op": "'delete'", "body": "null"},
    ),
]
_IMPOSSIBLE = [
    (0, {"op": "'delete'"}, "deleted_has_no_body"),
    (0, {"body": "null"}, "deleted_has_no_body"),
    (0, {"op": "'forget'"}, "op_known"),
    (0, {"version": 0}, "version_positive"),
    (0, {"rid": 258}, "rid_carries_shard"),
    (1, {"lease": "now()"}, "lease_only_when_leased"),
    (1, {"settled": "now()"}, "settled_has_time"),
    (1, {"state": "'lost'"}, "state_known"),
    (2, {"lease": "null"}, "lease_only_when_leased"),
    (3, {"settled": "null"}, "settled_has_time"),
    (4, {"reason": "null"}, "reason_given"),
    (5, {"reason": "null"}, "reason_given"),
    (6, {"closed": "null"}, "closed_has_time"),
    (6, {"state": "'open'"}, "closed_has_time"),
    (6, {"state": "'lost'", "closed": "null"}, "state_known"),
    (7, {"uri": "'http://elsewhere.example'"}, "one_target"),
    (7, {"target": "null"}, "one_target"),
    (8, {"rule": "'friend'"}, "rule_known"),
    (9, {"kind": "'whenever'"}, "kind_known"),
    (10, {"outcome": "'odd'"}, "outcome_known"),
    (11, {"op": "'update'"}, "deleted_has_no_body"),
]


async def test_given_possible_states_when_inserted_then_taken_and_impossible_ones_are_refused(
    database_url: str,
) -> None:
    conn = await asyncpg.connect(database_url)
    for statement, values in _POSSIBLE:
        await conn.execute("begin")
        await conn.execute(statement.format(**values))
        await conn.execute("rollback")
    for number, changed, constraint in _IMPOSSIBLE:
        statement, values = _POSSIBLE[number]
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await conn.execute(statement.format(**{**values, **changed}))
        assert str(refused.value.constraint_name).endswith(constraint)
    await conn.close()


async def test_given_a_pool_that_is_full_of_waiting_writers_when_one_needs_rids_then_none_hangs(
    database_url: str,
) -> None:
    async with opened(database_url, size=2) as house:
        house.engine._left = 0  # the next write has to fetch a block of rids
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(
                    house.create(
                        house.clinic,
                        patient(identifier=[{"system": f"urn:test:{n}", "value": "1"}]),
                    )
                    for n in range(8)
                )
            )
