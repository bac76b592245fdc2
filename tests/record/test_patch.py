"""Patches in the record: races, references, and the rules of referrals."""

from __future__ import annotations

import asyncio

import pytest
from open_hub import House, connect_all, counted, observation, opened, patient

from coordhub.errors import FhirError
from coordhub.r4 import fhirpath_patch, json_patch
from coordhub.record.operations import Create, Patch, Update

CRITERIA = "identifier=urn:test:mrn|1"


def appending(text: str) -> json_patch.JsonPatch:
    return json_patch.read(
        b'[{"op":"add","path":"/name/-","value":{"family":"%s"}}]' % text.encode()
    )


def setting_status(status: str) -> fhirpath_patch.FhirPathPatch:
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Task.status"},
        {"name": "value", "valueCode": status},
    ]
    return fhirpath_patch.read({"parameter": [{"name": "operation", "part": part}]})


async def test_given_many_patches_of_one_resource_when_at_once_then_none_is_lost(
    database_url: str,
) -> None:
    async with opened(database_url, size=12) as house:
        made = await house.create(house.clinic, patient())
        await asyncio.gather(
            *(
                house.commit(house.clinic, Patch("Patient", made.id, appending(f"N{number}")))
                for number in range(24)
            )
        )
        names = [one["family"] for one in (await house.document(made.reference))["name"]]
        assert sorted(names[1:]) == sorted(f"N{number}" for number in range(24))
        version = await house.value("select version from resource where rid = $1", made.rid)
        assert version == 25


async def test_given_a_row_that_moved_on_when_patched_then_its_new_references_are_indexed(
    house: House,
) -> None:
    """The patch waits for a writer that brings a reference; it must not lose its index row."""
    subject = await house.create(house.clinic, patient())
    made = await house.create(house.clinic, observation())
    async with house.engine.transaction() as held:
        await held.execute("select from resource where rid = $1 for update", made.rid)
        change = json_patch.read(b'[{"op":"replace","path":"/status","value":"amended"}]')
        first = asyncio.create_task(
            house.update(house.clinic, made.id, observation(subject.reference))
        )
        await _until_waiting(house, 1)
        second = asyncio.create_task(
            house.commit(house.clinic, Patch("Observation", made.id, change))
        )
        await _until_waiting(house, 2)
    await first
    [patched] = await second
    assert patched.version == 3
    document = await house.document(made.reference)
    assert document["subject"]["reference"] == subject.reference
    assert document["status"] == "amended"
    indexed = await house.value(
        "select count(*) from idx_reference where rid = $1 and target = $2", made.rid, subject.rid
    )
    assert indexed == await house.value(
        "select count(*) from idx_reference where rid = $1", made.rid
    )
    assert indexed > 0


async def _until_waiting(house: House, number: int) -> None:
    for _ in range(500):
        waiting = await house.value("select count(*) from pg_locks where not granted")
        if waiting >= number:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


async def test_given_a_patch_and_an_update_of_one_version_when_at_once_then_one_is_told_412(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    for version in range(1, 11):
        answers = await asyncio.gather(
            house.commit(
                house.clinic, Patch("Patient", made.id, appending(f"N{version}"), if_match=version)
            ),
            house.update(
                house.clinic, made.id, patient(birthDate=f"19{version + 10}"), if_match=version
            ),
            return_exceptions=True,
        )
        refused = [one for one in answers if isinstance(one, FhirError)]
        assert [one.status for one in refused] == [412]


async def test_given_the_one_asked_when_it_patches_the_status_then_it_has_accepted(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    asks = (await sent.tasks())["kitchen"].removeprefix("Task/")
    [done] = await house.commit(house.kitchen, Patch("Task", asks, setting_status("accepted")))
    assert done.status == 200
    assert await sent.status() == "in-progress"
    other = (await sent.tasks())["pantry"].removeprefix("Task/")
    with pytest.raises(FhirError) as late:
        await house.commit(house.pantry, Patch("Task", other, setting_status("accepted")))
    assert late.value.status == 409


async def test_given_the_one_asked_when_it_patches_what_is_not_its_own_then_403(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    asks = (await sent.tasks())["kitchen"].removeprefix("Task/")
    change = json_patch.read(b'[{"op":"replace","path":"/intent","value":"plan"}]')
    with pytest.raises(FhirError) as refused:
        await house.commit(house.kitchen, Patch("Task", asks, change))
    assert refused.value.status == 403
    own = json_patch.read(b'[{"op":"replace","path":"/status","value":"completed"}]')
    with pytest.raises(FhirError) as refused:
        await house.commit(house.clinic, Patch("Task", sent.task.removeprefix("Task/"), own))
    assert refused.value.status == 409


async def test_given_criteria_when_the_one_asked_patches_then_the_task_that_asks_it_is_found(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    done = await house.commit(
        house.kitchen,
        Patch("Task", "", setting_status("accepted"), criteria="status=requested"),
    )
    assert [one.reference for one in done] == [(await sent.tasks())["kitchen"]]
    assert await sent.status() == "in-progress"


async def test_given_64_equal_conditional_updates_when_at_once_then_one_resource_is_made(
    database_url: str,
) -> None:
    async with opened(database_url, size=24) as house:
        await connect_all(house)
        answers = await asyncio.gather(
            *(
                house.commit(
                    house.clinic,
                    Update("Patient", "", patient(birthDate=f"19{number + 10}"), criteria=CRITERIA)
                    if number % 2
                    else Create("Patient", patient(), if_none_exist=CRITERIA),
                )
                for number in range(64)
            )
        )
        assert len({written.reference for [written] in answers}) == 1
        assert [written.status for [written] in answers].count(201) == 1
        [(version, count)] = await house.rows(
            "select max(version), count(*) from resource where type ="
            " (select type from resource where rid = $1)",
            answers[0][0].rid,
        )
        assert (count, version >= 32) == (1, True)


async def test_given_many_conditional_operations_when_committed_then_few_statements_do(
    house: House,
) -> None:
    def operations() -> list[Update]:
        return [
            Update(
                "Patient", "", patient(f"n{number}"), criteria=f"identifier=urn:test:mrn|n{number}"
            )
            for number in range(50)
        ]

    await house.commit(house.clinic, *operations())
    async with counted(house.engine.pool) as statements:
        await house.commit(house.clinic, *operations())
    assert len(statements) < 10, statements.queries


async def test_given_a_large_and_small_commits_of_the_same_identities_when_at_once_then_each_is_made_once(
    database_url: str,
) -> None:
    """More identities than are locked one by one meet commits that lock their own only."""

    def operation(number: int) -> Create:
        criteria = f"identifier=urn:test:mrn|n{number}"
        return Create("Patient", patient(f"n{number}"), if_none_exist=criteria)

    async with opened(database_url, size=12) as house:
        await asyncio.gather(
            *(
                house.commit(house.clinic, *(operation(number) for number in numbers))
                for numbers in (range(100), range(100), *([n, n + 50] for n in range(12)))
            )
        )
        found = await house.rows(
            "select code, count(*) from idx_token where code like 'n%' group by 1 having count(*) > 1"
        )
        assert found == []
        assert await house.value("select count(*) from idx_token where code like 'n%'") == 100
