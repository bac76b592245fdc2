"""A pool: food pantries that share the work see one open request, and the first to claim it has it."""

from __future__ import annotations

import asyncio
import json

import pytest

from coordhub.referral import strategies

FOOD = "food-insecurity"
OPEN = "Task?owner:missing=true&status=requested"
OFFERED = b'{"kind": {"food-insecurity": {"default": {"strategy": "pool"}}}}'


@pytest.fixture(autouse=True)
def going_by():
    before = strategies.in_use()
    strategies.use(strategies.read(OFFERED))
    yield
    strategies.use(before)


async def offered(house, pantries):
    """A referral to these, and the Task that each of them finds among what nobody has claimed."""
    sent = await house.riverside.refers(
        house.referral(house.riverside, *(one.reference for one in pantries), kind=FOOD)
    )
    await house.settled()
    found = [await one.find(OPEN) for one in pantries]
    assert [len(each) for each in found] == [1] * len(pantries)
    assert len({each[0]["id"] for each in found}) == 1
    return sent, f"Task/{found[0][0]['id']}"


async def claims(pantry, task, *, match=None):
    """It reads the Task, and puts it back with itself as the owner."""
    read = await pantry.ask("GET", f"/{task}")
    assert read.status_code == 200
    headers = {"If-Match": match if match is not None else read.headers["ETag"]}
    body = {**read.json(), "owner": {"reference": pantry.reference}}
    return await pantry.ask("PUT", f"/{task}", body, headers=headers)


async def test_given_five_pantries_when_all_claim_at_once_then_one_has_it_and_no_other_ever_sees_for_whom(
    house,
):
    pantries = [await house.joins(f"pantry-{number}") for number in range(5)]
    stranger = await house.joins("elsewhere")
    for _ in range(4):
        sent, task = await offered(house, pantries)
        assert await stranger.find(OPEN) == []
        for pantry in pantries:
            seen = await pantry.read(task)
            assert "for" not in seen
            assert not await pantry.sees(sent.patient)
        reads = [(await pantry.ask("GET", f"/{task}")).json() for pantry in pantries]
        answers = await asyncio.gather(
            *(
                pantry.ask("PUT", f"/{task}", {**read, "owner": {"reference": pantry.reference}})
                for pantry, read in zip(pantries, reads, strict=True)
            )
        )
        assert sorted(one.status_code for one in answers) == [200, 409, 409, 409, 409]
        [winner] = [
            pantry for pantry, one in zip(pantries, answers, strict=True) if one.status_code == 200
        ]
        await house.settled()
        for pantry in pantries:
            if pantry is winner:
                assert (await pantry.read(task))["for"]["reference"].endswith(sent.patient)
                assert await pantry.sees(sent.patient)
                continue
            for hidden in (task, sent.patient, sent.order):
                assert not await pantry.sees(hidden)
            assert await pantry.find(OPEN) == []
            assert await pantry.find(f"Task?owner={winner.reference}") == []
            late = await pantry.ask(
                "PUT", f"/{task}", {**reads[0], "owner": {"reference": pantry.reference}}
            )
            assert late.status_code == 409
            assert winner.id not in late.text
        mine = await house.riverside.read(sent.task)
        assert (mine["status"], mine["businessStatus"]["coding"][0]["code"]) == (
            "in-progress", "matched",
        )  # fmt: skip
        assert (await winner.answers(task, "in-progress"))["status"] == "in-progress"
        await winner.answers(task, "completed")
        await house.settled()
        assert (await house.riverside.read(sent.task))["status"] == "completed"


async def test_given_two_that_name_the_version_they_read_when_they_claim_then_the_slower_gets_412(
    house,
):
    pantries = [await house.joins(f"pantry-{number}") for number in range(2)]
    _, task = await offered(house, pantries)
    answers = await asyncio.gather(*(claims(one, task, match='W/"1"') for one in pantries))
    assert sorted(one.status_code for one in answers) == [200, 412]


async def test_given_a_claim_by_patch_when_given_back_by_patch_then_the_other_finds_a_new_one(
    house,
):
    first, second = [await house.joins(f"pantry-{number}") for number in range(2)]
    sent, task = await offered(house, [first, second])
    headers = {"Content-Type": "application/json-patch+json"}

    async def patches(one, *operations):
        return await one.ask(
            "PATCH", f"/{task}", content=json.dumps(operations).encode(), headers=headers
        )

    owner = {"op": "add", "path": "/owner", "value": {"reference": first.reference}}
    claimed = await patches(first, owner)
    assert (claimed.status_code, claimed.json()["status"]) == (200, "accepted")
    assert (
        await patches(second, owner | {"value": {"reference": second.reference}})
    ).status_code == 409
    whole, (asked,) = await house.riverside.whereabouts(sent)
    assert asked["recipient"] == {"reference": first.reference}
    back = await patches(first, {"op": "remove", "path": "/owner"})
    assert (back.status_code, back.json()["status"]) == (200, "cancelled")
    await house.settled()
    [again] = await second.find(OPEN)
    assert f"Task/{again['id']}" != task
    assert await first.find(OPEN) == []
    assert (await claims(second, f"Task/{again['id']}")).status_code == 200
    await house.settled()
    whole, asked = await house.riverside.whereabouts(sent)
    assert [one["recipient"]["reference"] for one in asked] == [first.reference, second.reference]
    assert whole["status"] == "in-progress"


async def test_given_nobody_has_claimed_when_its_sender_asks_where_it_is_then_a_pool_is_asked(
    house,
):
    pantries = [await house.joins(f"pantry-{number}") for number in range(2)]
    sent, _ = await offered(house, pantries)
    told = await house.riverside.told(sent.task)
    [asked] = told.asked
    assert asked["recipient"] == {"display": "whoever claims it"}
    assert asked["status"] == "requested"
    assert all(one.key not in str(told) for one in pantries)
