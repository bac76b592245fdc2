"""A CareTeam opens a record to who belongs to it and treats, as long as it stands."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import PROVIDER, House, Party, observation, patient

from coordhub.access import caller
from coordhub.record.hub import instant
from coordhub.record.operations import Delete
from coordhub.store.visibility import DIRECTORY


def team(subject: str, *members: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": subject},
        "participant": [*members],
        **elements,
    }


def member(reference: str) -> dict[str, Any]:
    return {"member": {"reference": reference}}


async def chart(house: House) -> tuple[str, str, str]:
    """A patient of the clinic's, a plain result and one that is labelled."""
    who = (await house.create(house.clinic, patient())).reference
    plain = (await house.create(house.clinic, observation(who))).reference
    labelled = (await house.create(house.clinic, observation(who, "75622-1"))).reference
    return who, plain, labelled


async def sees(house: House, who: Party, *references: str) -> list[bool]:
    return [await house.read(who, one) is not None for one in references]


async def test_given_a_team_when_written_then_its_organizations_see_the_record_without_what_is_labelled(
    house: House,
) -> None:
    who, plain, labelled = await chart(house)
    role = {
        "resourceType": "PractitionerRole",
        "organization": {"reference": house.pantry.reference},
    }
    desk = (await house.create(house.steward, role)).reference
    doctor = (await house.create(house.steward, {"resourceType": "Practitioner"})).reference
    members = [
        member(house.kitchen.reference),
        member(desk),
        {"member": {"reference": doctor}, "onBehalfOf": {"reference": house.van.reference}},
    ]
    assert await sees(house, house.kitchen, who) == [False]
    made = await house.create(house.clinic, team(who, *members))
    for one in (house.kitchen, house.pantry, house.van):
        assert await sees(house, one, who, plain, labelled, made.reference) == [
            True, True, False, True,
        ], one.name  # fmt: skip
    assert await sees(house, house.stranger, who, plain) == [False, False]


async def test_given_a_team_when_it_ends_by_change_status_or_deletion_then_the_record_closes(
    house: House,
) -> None:
    who, plain, _ = await chart(house)
    both = team(who, member(house.kitchen.reference), member(house.van.reference))
    made = await house.create(house.clinic, both)
    left = team(who, member(house.van.reference), id=made.id)
    await house.update(house.clinic, made.id, left)
    assert await sees(house, house.kitchen, plain) == [False]
    assert await sees(house, house.van, plain) == [True]
    await house.update(house.clinic, made.id, {**left, "status": "inactive"})
    assert await sees(house, house.van, plain) == [False]
    await house.update(house.clinic, made.id, left)
    assert await sees(house, house.van, plain) == [True]
    await house.commit(house.clinic, Delete("CareTeam", made.id))
    assert await sees(house, house.van, plain) == [False]


async def test_given_a_period_when_looked_at_then_it_opens_and_closes_by_it(house: House) -> None:
    who, plain, _ = await chart(house)
    now = house.clock()
    past = {"end": instant(now - timedelta(minutes=1))}
    later = {"start": instant(now + timedelta(hours=1))}
    soon = {"start": "2020-01-01", "end": instant(now + timedelta(hours=1))}
    for period, open_now in ((past, False), (later, False), (soon, True)):
        made = await house.create(
            house.clinic, team(who, member(house.kitchen.reference), period=period)
        )
        assert await sees(house, house.kitchen, plain) == [open_now], period
        await house.commit(house.clinic, Delete("CareTeam", made.id))
    await house.create(house.clinic, team(who, member(house.kitchen.reference), period=soon))
    [(until,)] = await house.rows(
        "select until from access_rule where since <= now() and until > now()"
    )
    assert until == now + timedelta(hours=1, milliseconds=1)


async def test_given_a_team_of_somebody_else_when_written_then_it_opens_nothing_and_says_so(
    house: House,
) -> None:
    who, plain, _ = await chart(house)
    await house.create(house.clinic, team(who, member(house.kitchen.reference)))
    assert await sees(house, house.kitchen, who) == [True]
    made = await house.create(house.kitchen, team(who, member(house.stranger.reference)))
    assert [one.code for one in made.warnings] == ["business-rule"]
    assert await sees(house, house.stranger, who, plain) == [False, False]


async def test_given_a_team_of_the_hub_when_written_then_it_opens(house: House) -> None:
    who, plain, _ = await chart(house)
    me = caller.hub(house.hub.organization)
    await house.create(me, team(who, member(house.kitchen.reference)))
    assert await sees(house, house.kitchen, plain) == [True]


@pytest.mark.parametrize("status", ["proposed", "suspended", "entered-in-error", None])
async def test_given_a_team_that_is_not_active_when_written_then_it_opens_nothing(
    house: House, status: str | None
) -> None:
    who, plain, _ = await chart(house)
    document = team(who, member(house.kitchen.reference), status=status)
    if status is None:
        del document["status"]
    await house.create(house.clinic, document)
    assert await sees(house, house.kitchen, plain) == [False]


async def test_given_a_member_that_does_not_treat_when_looked_at_then_it_sees_nothing(
    house: House,
) -> None:
    who, plain, _ = await chart(house)
    social = {**PROVIDER, "name": "kitchen"}
    del social["type"]
    await house.update(
        house.steward, house.kitchen.reference.partition("/")[2],
        {**social, "id": house.kitchen.reference.partition("/")[2]},
    )  # fmt: skip
    assert house.steward.organization == DIRECTORY
    await house.create(house.clinic, team(who, member(house.kitchen.reference)))
    assert await sees(house, house.kitchen, who, plain) == [False, False]
