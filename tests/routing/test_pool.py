"""A need that several could meet, asked by one Task without owner: the first to claim it has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from open_hub import House, Party, Referral, connect_all
from open_post import Post

from coordhub.errors import FhirError
from coordhub.record import reproject
from coordhub.referral import strategies
from coordhub.routing import expire
from coordhub.store import invariants

FOOD = "food-insecurity"
POOL = b'{"kind": {"food-insecurity": {"default": {"strategy": "pool"}}}}'

Document = dict[str, Any]


@pytest.fixture(autouse=True)
def going_by() -> Iterator[None]:
    before = strategies.in_use()
    strategies.use(strategies.read(POOL))
    yield
    strategies.use(before)


async def offered(house: House, **task: Any) -> tuple[Referral, str]:
    """A referral that the kitchen, the pantry and the van could take on, and the Task they see."""
    sent = await house.asking(
        house.kitchen.service, house.pantry.service, house.van.service, kind=FOOD, **task
    )
    return sent, await newest(house)


async def newest(house: House) -> str:
    [(fhir_id,)] = await house.rows(
        "select t.fhir_id from candidate c join resource t on t.rid = c.task"
        " order by c.asked_at desc, c.ordinal desc limit 1"
    )
    return f"Task/{fhir_id}"


async def claims(house: House, who: Party, task: str, **more: Any) -> Any:
    version = more.pop("if_match", None)
    document = {**await house.document(task), "owner": {"reference": who.service}, **more}
    return await house.update(who, document["id"], document, if_match=version)


async def in_order(house: House) -> None:
    """What must always be true, and what the Tasks say of the rows."""
    async with house.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.clock()) == []
    async for one in reproject.reproject(house.hub, mend=False):
        assert one.differences == ()


async def test_given_a_pool_when_it_is_asked_then_all_see_one_task_that_tells_neither_for_whom_nor_who_else(
    house: House,
) -> None:
    sent, task = await offered(house)
    assert await house.rows("select organization, recipient, wave from candidate") == [(0, "", 1)]
    order = (await house.document(task))["focus"]["reference"]
    for who in (house.kitchen, house.pantry, house.van):
        for reference in (task, order):
            found = await house.read(who, reference)
            assert found is not None
            assert found.body is not None
            for hidden in (sent.patient, sent.request, house.van.service, house.pantry.service):
                assert hidden not in found.body
        assert await house.read(who, sent.patient) is None
    assert "owner" not in await house.document(task)
    assert await house.read(house.stranger, task) is None
    planned = "select d.organization from delivery d join candidate c on c.task = d.rid order by 1"
    assert await house.rows(planned) == [
        (house.kitchen.rid,), (house.pantry.rid,), (house.van.rid,),
    ]  # fmt: skip
    assert await sent.status() == "accepted"
    await in_order(house)


@pytest.mark.parametrize("status", ["requested", "accepted"])
async def test_given_a_pool_when_one_claims_it_then_it_has_accepted_and_it_alone_sees_for_whom(
    house: House, status: str
) -> None:
    sent, task = await offered(house)
    await claims(house, house.pantry, task, status=status)
    await house.relay()
    document = await house.document(task)
    assert (document["status"], document["owner"]["reference"]) == (
        "accepted",
        house.pantry.service,
    )
    assert document["for"] == {"reference": sent.patient}
    assert await sent.status() == "in-progress"
    assert await house.read(house.pantry, sent.patient) is not None
    for who in (house.kitchen, house.van):
        for reference in (task, document["focus"]["reference"], sent.patient, sent.request):
            assert await house.read(who, reference) is None
    assert await house.rows("select organization, recipient, status from candidate") == [
        (house.pantry.rid, house.pantry.service, "accepted")
    ]
    assert await house.value("select state from need") == "won"
    await in_order(house)
    for status in ("in-progress", "completed"):
        await sent.answer(house.pantry, status)
    await house.relay()
    assert await sent.status() == "completed"
    await in_order(house)


async def test_given_two_that_claim_at_once_when_both_are_written_then_one_has_it_and_the_other_is_told_so(
    house: House,
) -> None:
    await connect_all(house)
    for _ in range(5):
        _, task = await offered(house)
        before = await house.document(task)
        done = await asyncio.gather(
            *(
                house.update(who, before["id"], {**before, "owner": {"reference": who.service}})
                for who in (house.kitchen, house.pantry, house.van)
            ),
            return_exceptions=True,
        )
        refused = [one for one in done if isinstance(one, FhirError)]
        assert [one.status for one in refused] == [409, 409]
        assert len(done) - len(refused) == 1
        await house.relay()
    await in_order(house)


async def test_given_one_that_comes_late_when_it_claims_then_409_and_412_for_the_version_it_read(
    house: House,
) -> None:
    _, task = await offered(house)
    before = await house.document(task)
    mine = {**before, "owner": {"reference": house.van.service}}
    await claims(house, house.kitchen, task)
    for version, status in ((None, 409), (1, 412)):
        with pytest.raises(FhirError) as refused:
            await house.update(house.van, before["id"], mine, if_match=version)
        assert refused.value.status == status
        assert house.kitchen.service not in str(refused.value.issues)
    with pytest.raises(FhirError) as unknown:
        await house.update(house.stranger, before["id"], mine)
    assert unknown.value.status == 405, "who was not offered it knows nothing of it"


async def test_given_a_pool_when_claimed_in_another_s_name_or_not_at_all_then_it_is_refused(
    house: House,
) -> None:
    _, task = await offered(house)
    before = await house.document(task)
    for owner, status in (
        ({"owner": {"reference": house.pantry.service}}, 403),
        ({"status": "accepted"}, 409),
        ({"owner": {"reference": house.kitchen.service}, "priority": "stat"}, 403),
        ({"owner": {"reference": house.kitchen.service}, "status": "in-progress"}, 409),
    ):
        with pytest.raises(FhirError) as refused:
            await house.update(house.kitchen, before["id"], {**before, **owner})
        assert refused.value.status == status
    assert await house.value("select organization from candidate") == 0
    await in_order(house)


async def test_given_who_claimed_when_it_gives_it_back_then_the_others_are_asked_by_a_task_that_tells_nothing(
    house: House,
) -> None:
    sent, task = await offered(house)
    await claims(house, house.pantry, task)
    await house.relay()
    document = await house.document(task)
    del document["owner"]
    written = await house.update(house.pantry, document["id"], document)
    assert written.warnings
    await house.relay()
    ended = await house.document(task)
    assert ended["status"] == "cancelled"
    assert ended["statusReason"]["coding"][0]["code"] == "given-back"
    assert await house.read(house.pantry, sent.patient) is None
    again = await newest(house)
    assert again != task
    for who, sees in ((house.kitchen, True), (house.van, True), (house.pantry, False)):
        assert (await house.read(who, again) is not None) is sees
        assert await house.read(who, sent.patient) is None
    assert await sent.status() == "in-progress"
    await in_order(house)
    await claims(house, house.van, again)
    await house.relay()
    assert await house.value("select state from need") == "won"
    await in_order(house)


async def test_given_who_has_begun_when_it_would_give_back_then_it_is_refused(house: House) -> None:
    sent, task = await offered(house)
    await claims(house, house.pantry, task)
    await sent.answer(house.pantry, "in-progress")
    document = await house.document(task)
    del document["owner"]
    with pytest.raises(FhirError) as refused:
        await house.update(house.pantry, document["id"], {**document, "status": "accepted"})
    assert refused.value.status == 409


async def test_given_nobody_claims_in_time_when_it_runs_out_then_a_person_is_asked(
    house: House,
) -> None:
    end = (house.clock() + timedelta(days=1)).isoformat(timespec="milliseconds")
    only = [{"reference": one.reference} for one in (house.kitchen, house.pantry)]
    sent = await house.refer(kind=FOOD, restriction={"period": {"end": end}, "recipient": only})
    await house.relay()
    task = await newest(house)
    house.clock.ahead += timedelta(days=40)
    while await expire.fire(house.hub):
        pass
    await house.relay()
    assert (await house.document(task))["status"] == "cancelled"
    assert await house.value("select state from need") == "queued"
    assert await house.value("select count(*) from errand where kind = 'find-provider'") == 1
    assert await sent.status() == "in-progress"


async def test_given_a_care_team_when_it_is_named_then_its_organizations_are_the_pool(
    house: House,
) -> None:
    team = {
        "resourceType": "CareTeam",
        "status": "active",
        "participant": [
            {"member": {"reference": one.reference}} for one in (house.kitchen, house.van)
        ],
    }
    made = await house.create(house.steward, team)
    await house.asking(made.reference, kind=FOOD)
    task = await newest(house)
    for who, sees in ((house.kitchen, True), (house.van, True), (house.pantry, False)):
        assert (await house.read(who, task) is not None) is sees
    assert await house.value("select strategy from need") == "pool"
    await in_order(house)


async def test_given_a_pool_when_the_sender_cancels_then_nobody_can_claim(house: House) -> None:
    sent, task = await offered(house)
    await sent.withdraw()
    await house.relay()
    with pytest.raises(FhirError) as refused:
        await claims(house, house.kitchen, task)
    assert refused.value.status == 409
    await in_order(house)


async def test_given_who_has_a_copy_when_another_claims_then_its_copy_is_called_back_and_says_nothing(
    post: Post,
) -> None:
    house = post.house
    sent, task = await offered(house)
    await post.deliver()
    assert task in post.partner.named()
    assert sent.patient not in post.partner.named()
    await claims(house, house.pantry, task)
    await house.relay()
    await post.deliver()
    [entry] = post.partner.bundles[-1]["entry"]
    assert entry == {"request": {"method": "DELETE", "url": task}}
    told = len(post.partner.bundles)
    await sent.answer(house.pantry, "in-progress")
    await house.relay()
    await post.deliver()
    assert len(post.partner.bundles) == told, "what becomes of it is not told to who did not get it"
    await in_order(house)
