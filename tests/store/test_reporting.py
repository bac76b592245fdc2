"""The reporting role: what it may not read at all, whatever the rows."""

from __future__ import annotations

import asyncpg
import pytest
from open_hub import House, observation, patient

from coordhub.r4.sensitivity import VSP
from coordhub.store import migrate, reporting


async def reporter(url: str, **settings: str) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(url, server_settings={"role": reporting.REPORT, **settings})


async def test_given_any_table_when_the_report_reads_it_then_only_those_it_is_given(
    house: House,
) -> None:
    names = [
        row[0]
        for row in await house.rows(
            "select relname::text from pg_class where relnamespace = 'public'::regnamespace"
            " and relkind in ('r', 'p') and not relispartition"
        )
    ]
    assert {"audit", "access_grant", "access_rule", "delivery", "party", "client"} <= set(names)
    conn = await reporter(house.url)
    for name in names:
        if name in (*reporting.READABLE, *reporting.PUBLIC):
            await conn.fetch(f"select from {name}")
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.fetch(f"select from {name}")
        for text in (
            f"delete from {name}",
            f"truncate {name}",
            f"alter table {name} disable row level security",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.execute(text)
    await conn.close()


async def test_given_an_index_table_when_there_is_a_new_one_then_it_has_its_wall(
    house: House,
) -> None:
    walled = {
        row[0]
        for row in await house.rows(
            "select tablename::text from pg_policies where policyname = 'reports'"
        )
    }
    indexes = {
        row[0]
        for row in await house.rows(
            "select relname::text from pg_class where relname like 'idx\\_%' and relkind = 'r'"
        )
    }
    assert walled == set(reporting.READABLE)
    # by what records of one person are found, nobody reports on
    assert indexes == {*reporting.INDEXES, "idx_person"}
    assert "idx_person" not in reporting.READABLE


async def test_given_a_condition_that_leaks_when_a_report_asks_then_hidden_rows_do_not_reach_it(
    house: House,
) -> None:
    await house.create(house.clinic, patient(name=[{"family": "CANARY"}]))
    conn = await reporter(house.url, **{"coordhub.organization": str(house.stranger.rid)})
    told: list[str] = []
    conn.add_log_listener(lambda _, message: told.append(str(message)))
    leak = (
        "create function pg_temp.leak(text) returns boolean language plpgsql cost 0.0001 as"
        " 'begin raise notice ''%'', $1; return true; end'"
    )
    await conn.execute(leak)
    await conn.fetch("select from resource where pg_temp.leak(body)")
    await conn.close()
    assert told
    assert "CANARY" not in "".join(told)


async def test_given_a_table_of_its_own_when_a_session_shadows_the_rules_then_they_still_decide(
    house: House,
) -> None:
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, observation(who.reference))
    conn = await reporter(house.url, **{"coordhub.organization": str(house.stranger.rid)})
    before = await conn.fetchval("select count(*) from resource")
    await conn.execute("create temp table access_grant (organization bigint, rid bigint, until timestamptz,"
                       " dataset smallint, labels bigint, rule text)")  # fmt: skip
    await conn.execute(
        f"insert into access_grant values ({house.stranger.rid}, {who.rid}, null, 0, 127, 'party')"
    )
    await conn.execute("set search_path = pg_temp, public")
    assert await conn.fetchval("select count(*) from public.resource") == before
    await conn.close()


async def test_given_a_migration_when_it_runs_again_then_the_wall_stands_and_the_hub_passes(
    house: House,
) -> None:
    await migrate.upgrade(house.url)
    made = await house.create(house.clinic, patient())
    assert await house.read(house.clinic, made.reference) is not None
    assert await house.value(
        "select count(*) from pg_policies where policyname in ('reports', 'everyone')"
    ) == 2 * len(reporting.READABLE)


async def test_given_a_login_that_is_no_report_when_it_reads_then_the_wall_is_not_in_its_way(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    name = f"reader_{await house.value('select current_database()')}"
    owner = await asyncpg.connect(house.url)
    await owner.execute(f"create role {name}")
    try:
        await owner.execute(f"grant select on resource to {name}")
        conn = await asyncpg.connect(house.url, server_settings={"role": name})
        assert await conn.fetchval("select count(*) from resource where rid = $1", made.rid) == 1
        await conn.close()
    finally:
        await owner.execute(f"drop owned by {name}")
        await owner.execute(f"drop role {name}")
        await owner.close()


async def test_given_the_directory_when_a_report_looks_then_not_at_what_only_its_steward_is_shown(
    house: House,
) -> None:
    place = {"resourceType": "Location", "name": "a place"}
    shown, hidden = [await house.create(house.steward, place) for _ in range(2)]
    door = await house.create(
        house.steward,
        {
            "resourceType": "Endpoint", "status": "active", "address": "https://partner.test/fhir",
            "connectionType": {"system": "urn:x", "code": "hl7-fhir-rest"}, "payloadType": [{"text": "any"}],
            "header": ["Authorization: Bearer not for all"],
        },
    )  # fmt: skip
    await house.rows("update resource set labels = $2 where rid = $1", hidden.rid, VSP)
    conn = await reporter(house.url, **{"coordhub.organization": str(house.stranger.rid)})
    rids = [shown.rid, hidden.rid, door.rid]
    seen = await conn.fetch("select rid from resource where rid = any($1)", rids)
    await conn.close()
    assert [row[0] for row in seen] == [shown.rid]
