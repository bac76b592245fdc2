"""Who sees what, on every way to read: hidden equals absent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from open_hub import House, observation, patient

from coordhub.access import viewer
from coordhub.r4 import types
from coordhub.r4.search import parse_query
from coordhub.record.operations import Delete, Written
from coordhub.store import history, resources, search
from coordhub.store.visibility import EVERYONE, HUB, Viewer


async def grant(house: House, organization: int, rid: int, *, until: timedelta | None) -> None:
    await house.value(
        "insert into access_grant (shard, organization, rid, because, rule, since, until)"
        " values (($2::bigint & 255)::smallint, $1, $2, $2, 'referral', now(),"
        " now() + $3::interval)"
        " returning 1",
        organization,
        rid,
        until,
    )


async def found(house: House, view: Viewer, query: str = "", kind: str = "Patient") -> list[str]:
    """References that a search finds, over all its pages of two."""
    pairs = [
        (name, value)
        for name, _, value in (part.partition("=") for part in query.split("&") if part)
    ]
    names: list[str] = []
    after = None
    async with house.engine.searches.acquire() as conn:
        while True:
            page = await search.search(
                conn, house.engine, view, parse_query(kind, pairs), limit=2, after=after
            )
            names += [version.reference for version in page.versions]
            after = page.next
            if after is None:
                return names


async def ways(house: House, view: Viewer, made: Written) -> set[str]:
    """By which of the ways to read this viewer gets at the resource."""
    kind, fhir_id, rid = made.type, made.id, made.rid
    async with house.engine.pool.acquire() as conn:
        got = {
            "read": await resources.read(conn, view, kind, fhir_id),
            "read_rids": await resources.read_rids(conn, view, [rid]),
            "read_version": await resources.read_version(conn, view, kind, fhir_id, 1),
            "read_written": await resources.read_written(conn, view, [(rid, 1)]),
            "history": (await history.history(conn, view, [kind], fhir_id, count=9)).versions,
            "history of type": (await history.history(conn, view, [kind], None, count=9)).versions,
        }
        located = await resources.locate(conn, view, [(kind, fhir_id)])
        got["locate"] = located[kind, fhir_id].visible
    got["search"] = await found(house, view)
    got["search by _id"] = await found(house, view, f"_id={fhir_id}")
    got["search by token"] = await found(house, view, "identifier=urn:test:mrn|1")
    got["search by string"] = await found(house, view, "family=water")
    got["search by date"] = await found(house, view, "_lastUpdated=gt2020")
    got["search sorted"] = await found(house, view, "_sort=family")
    return {way for way, answer in got.items() if answer}


EVERY_WAY = {
    "read", "read_rids", "read_version", "read_written", "history", "history of type", "locate", "search",
    "search by _id", "search by token", "search by string", "search by date", "search sorted",
}  # fmt: skip


async def test_given_a_resource_when_read_by_its_writer_then_on_every_way(house: House) -> None:
    made = await house.create(house.clinic, patient())
    assert await ways(house, house.clinic.viewer, made) == EVERY_WAY


async def test_given_a_resource_of_another_when_read_then_on_no_way(house: House) -> None:
    made = await house.create(house.clinic, patient())
    await house.update(house.clinic, made.id, patient(active=True))
    assert await ways(house, house.stranger.viewer, made) == set()
    assert await ways(house, EVERYONE, made) == set()
    assert await ways(house, Viewer(HUB), made) == set(), "the hub sees all only while it decides"


async def test_given_a_grant_when_read_by_whom_it_names_then_on_every_way_and_by_no_one_else(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    await house.create(house.clinic, patient())
    await grant(house, house.kitchen.rid, made.rid, until=None)
    assert await ways(house, house.kitchen.viewer, made) == EVERY_WAY
    assert await found(house, house.kitchen.viewer) == [made.reference]
    assert await ways(house, house.pantry.viewer, made) == set()


async def test_given_quarantine_when_read_then_on_no_way_but_by_its_writer_s_also_in_a_report(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    steward = await house.read(EVERYONE, house.clinic.reference)
    assert steward is not None
    await grant(house, house.kitchen.rid, made.rid, until=None)
    reported = "select access_shows($1, rid, patient, type, labels, quarantined, null) from resource where rid = $2"
    assert await house.value(reported, house.kitchen.rid, made.rid) == 0
    await house.rows(
        "update resource set dangling = true, quarantined = true where rid = any($1)",
        [made.rid, steward.rid],
    )
    assert await ways(house, house.clinic.viewer, made) == EVERY_WAY
    assert await ways(house, house.kitchen.viewer, made) == set()
    assert await house.value(reported, house.kitchen.rid, made.rid) is None
    assert await house.read(EVERYONE, house.clinic.reference) == steward, "its own"
    assert await house.read(house.kitchen.viewer, house.clinic.reference) is None
    assert house.clinic.reference not in await found(
        house, house.kitchen.viewer, kind="Organization"
    )


@pytest.mark.parametrize(
    ("until", "seen"), [(timedelta(minutes=1), EVERY_WAY), (timedelta(seconds=-1), set())]
)
async def test_given_a_grant_with_an_end_when_read_then_until_that_end_only(
    house: House, until: timedelta, seen: set[str]
) -> None:
    made = await house.create(house.clinic, patient())
    await grant(house, house.kitchen.rid, made.rid, until=until)
    assert await ways(house, house.kitchen.viewer, made) == seen


async def test_given_the_directory_when_read_then_by_everyone(house: House) -> None:
    for view in (house.stranger.viewer, EVERYONE):
        version = await house.read(view, house.clinic.reference)
        assert version is not None
        assert house.clinic.reference in await found(house, view, kind="Organization")


async def test_given_scopes_without_a_type_when_read_then_it_is_as_absent_as_a_stranger_s(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    narrow = viewer.of(house.clinic.with_scopes("system/Observation.rs system/Patient.cud"))
    assert await ways(house, narrow, made) == set()
    await grant(house, house.kitchen.rid, made.rid, until=None)
    granted = viewer.of(house.kitchen.with_scopes("system/Observation.rs"))
    assert await ways(house, granted, made) == set()
    wide = viewer.of(house.kitchen.with_scopes("system/Patient.rs"))
    assert await ways(house, wide, made) == EVERY_WAY
    directory = Viewer(house.clinic.rid, frozenset({types.NUMBER["Patient"]}))
    assert await house.read(directory, house.clinic.reference) is None


async def test_given_scopes_of_parts_of_types_when_a_chain_is_planned_then_no_linked_row_is_looked_for_by_its_type(
    house: House,
) -> None:
    scopes = " ".join(f"system/{kind}.rs?status=active" for kind in ("Condition", "Observation"))
    narrow = viewer.of(
        house.clinic.with_scopes(f"system/Task.rs system/ServiceRequest.rs {scopes}")
    )
    asked = parse_query("Task", [("focus:ServiceRequest.status", "active")])
    async with house.engine.searches.acquire() as conn:
        composed = await search.composed(conn, house.engine, narrow, asked, limit=10)
        plan = await conn.fetch(f"explain {composed[0]}", *composed[1])
    found = "\n".join(line[0] for line in plan)
    assert "BitmapOr" not in found


async def test_given_the_hub_deciding_when_it_looks_then_it_sees_everything(house: House) -> None:
    made = await house.create(house.clinic, patient())
    assert await ways(house, viewer.deciding(), made) == EVERY_WAY


async def test_given_no_such_id_and_a_hidden_one_when_located_then_only_one_exists_none_is_visible(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    names = [("Patient", made.id), ("Patient", "absent")]
    async with house.engine.pool.acquire() as conn:
        located = await resources.locate(conn, house.stranger.viewer, names)
    assert set(located) == {("Patient", made.id)}
    assert not located["Patient", made.id].visible


async def test_given_a_hidden_patient_when_its_observations_are_searched_then_none_is_found(
    house: House,
) -> None:
    who = await house.create(house.clinic, patient())
    seen = await house.create(house.clinic, observation(who.reference))
    for query in (f"subject={who.reference}", f"patient={who.id}", f"subject=Patient/{who.id}"):
        assert await found(house, house.clinic.viewer, query, "Observation") == [seen.reference]
        assert await found(house, house.stranger.viewer, query, "Observation") == []
    await grant(house, house.kitchen.rid, seen.rid, until=None)
    by_patient = await found(house, house.kitchen.viewer, f"patient={who.id}", "Observation")
    assert by_patient == [seen.reference]
    assert await found(house, house.kitchen.viewer, f"_id={who.id}") == []


async def test_given_hidden_rows_between_when_paged_then_pages_are_full_and_tell_nothing_of_them(
    house: House,
) -> None:
    own: list[str] = []
    for number in range(7):
        party = house.stranger if number % 2 else house.clinic
        made = await house.create(party, patient(name=[{"family": f"N{number}"}]))
        if party is house.clinic:
            own.append(made.reference)
    assert await found(house, house.clinic.viewer, "_sort=family") == own
    assert await found(house, house.clinic.viewer, "_sort=-family") == own[::-1]
    assert await found(house, house.clinic.viewer) == own[::-1]
    async with house.engine.searches.acquire() as conn:
        page = await search.search(
            conn, house.engine, house.clinic.viewer, parse_query("Patient", []), limit=4
        )
    assert len(page.versions) == 4
    assert page.next is None, "a hidden fifth must not be felt"


async def test_given_a_deleted_resource_when_read_then_its_viewers_learn_so_and_others_nothing(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    await house.commit(house.clinic, Delete("Patient", made.id))
    version = await house.read(house.clinic, made.reference)
    assert version is not None
    assert version.deleted
    assert await house.read(house.stranger, made.reference) is None
    assert await found(house, house.clinic.viewer) == []


@pytest.mark.parametrize("own", [1, 6, 100])
async def test_given_who_won_when_it_reads_what_it_was_asked_blindly_then_it_is_shown_by_its_data_set(
    house: House, own: int
) -> None:
    made = await house.create(house.clinic, patient())
    for dataset in (5, own):
        await house.value(
            "insert into access_grant (shard, organization, rid, because, rule, since, dataset)"
            " values (($2::bigint & 255)::smallint, $1, $2, $3::smallint, 'party', now(), $3::smallint) returning 1",
            house.kitchen.rid, made.rid, dataset,
        )  # fmt: skip
    shown = await house.value(
        "select access_shows($1, rid, patient, type, labels, quarantined, null) from resource where rid = $2",
        house.kitchen.rid, made.rid,
    )  # fmt: skip
    assert shown == own
