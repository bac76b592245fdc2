"""What a referral may share: never more than its sender may see."""

from __future__ import annotations

from open_hub import House, observation, patient

from coordhub.store.grants import shareable


async def _shareable(house: House, *rids: int) -> set[int]:
    async with house.engine.pool.acquire() as conn:
        return set(await shareable(conn, house.clinic.rid, rids))


async def test_given_what_the_sender_does_not_see_when_named_then_it_is_not_shared(
    house: House,
) -> None:
    own = await house.create(house.clinic, patient())
    hidden = await house.create(house.stranger, patient())
    assert await _shareable(house, own.rid, hidden.rid, 99 << 8) == {own.rid}


async def test_given_the_directory_when_named_then_it_needs_no_grant(house: House) -> None:
    assert await _shareable(house, house.kitchen.rid) == set()


async def test_given_a_panel_when_named_then_its_members_too_and_one_level_only(
    house: House,
) -> None:
    who = await house.create(house.clinic, patient())
    leaf = await house.create(house.clinic, observation(who.reference))
    member = await house.create(
        house.clinic, observation(who.reference, derivedFrom=[{"reference": leaf.reference}])
    )
    panel = await house.create(
        house.clinic, observation(who.reference, hasMember=[{"reference": member.reference}])
    )
    assert await _shareable(house, panel.rid) == {panel.rid, member.rid}
    assert await _shareable(house, member.rid) == {member.rid, leaf.rid}
