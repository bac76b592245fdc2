"""What stewards decide about who is who, and that it is written down."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from coordhub.admin import persons
from coordhub.admin.acts import NothingDone, Operator
from coordhub.record import linking
from coordhub.store.invariants import violations

if TYPE_CHECKING:
    from open_hub import House, Party

BY = Operator("rosa")


async def record(house: House, who: Party, given: str = "Jane", **elements: Any) -> str:
    document = {
        "resourceType": "Patient",
        "name": [{"family": "Doe", "given": [given]}],
        "birthDate": "1961-04-02",
        "gender": "female",
        "telecom": [{"system": "phone", "value": "+1-918-555-0101"}],
        **elements,
    }
    return (await house.create(who, document)).reference


async def looked(house: House) -> None:
    while await linking.link(house.hub):
        pass


async def states(house: House) -> list[str]:
    return [row[0] for row in await house.rows("select state from person_link order by one, other")]


async def test_given_a_pair_in_review_when_listed_and_linked_then_its_fields_are_told_and_the_act_is_on_record(
    house: House,
) -> None:
    one = await record(house, house.clinic)
    other = await record(house, house.kitchen, name=[{"family": "Doe-Smith", "given": ["Jane"]}],
                         birthDate="1961-02-04")  # fmt: skip
    await looked(house)
    [pair] = await persons.listed(house.hub)
    assert (pair.one, pair.other, pair.state) == (one, other, "review")
    assert pair.organizations == (house.clinic.reference, house.kitchen.reference)
    assert (pair.fields["birth"], pair.fields["family"]) == ("swapped", "part")
    assert not re.search("jane|doe|1961|918-?555", str(pair).casefold())
    assert await persons.listed(house.hub, after=pair.after) == []
    assert await persons.decide(house.hub, BY, one, other, "linked", "asked her") == []
    [linked] = await persons.listed(house.hub, "linked")
    assert (linked.by, linked.reason, linked.score) == ("rosa", "asked her", pair.score)
    [(said,)] = await house.rows("select query from audit where interaction = 'person-linked'")
    assert said.startswith("by=rosa&one=Patient")
    assert "reason=asked+her" in said


async def test_given_two_that_were_linked_when_kept_apart_then_who_saw_both_is_told_and_they_stay_so(
    house: House,
) -> None:
    one, other = await record(house, house.clinic), await record(house, house.kitchen)
    await looked(house)
    assert await states(house) == ["linked"]
    house.clock.ahead += timedelta(seconds=1)
    await house.by_owner(
        "insert into audit (at, organization, interaction, outcome, rids)"
        f" select now() + interval '5 s', {house.van.rid}, 'search-type', 200, array_agg(rid) from resource"
        " where patient = rid"
    )
    saw = await persons.decide(house.hub, BY, other, one, "apart", "two sisters")
    assert saw == [house.van.reference]
    async with house.engine.pool.acquire() as conn:
        assert await violations(conn, house.clock()) == []
    assert await states(house) == ["apart"]
    await record(house, house.van)  # like both
    await looked(house)
    assert sorted(await states(house)) == ["apart", "linked", "review"]
    await persons.reconsider(house.hub, BY, one, other, "one after all")
    await looked(house)
    assert "apart" not in await states(house)


async def test_given_two_joined_by_a_third_when_kept_apart_then_the_third_is_with_one_of_them_only(
    house: House,
) -> None:
    one, other = await record(house, house.clinic), await record(house, house.kitchen)
    await record(house, house.van)
    await looked(house)
    assert await states(house) == ["linked", "linked", "linked"]
    await persons.decide(house.hub, BY, one, other, "apart", "two sisters")
    await looked(house)
    assert sorted(await states(house)) == ["apart", "linked", "review"]


async def test_given_a_link_across_what_is_apart_when_asked_for_then_it_is_refused(
    house: House,
) -> None:
    one, other = await record(house, house.clinic), await record(house, house.kitchen)
    third = await record(house, house.van, "Janet", birthDate="1990-09-09")
    await persons.decide(house.hub, BY, one, other, "apart", "two")
    await persons.decide(house.hub, BY, one, third, "linked", "one")
    with pytest.raises(NothingDone, match="kept apart"):
        await persons.decide(house.hub, BY, other, third, "linked", "one")


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [("Patient/none", "", "r"), ("", "", "r"), ("Organization/x", "", "r"), ("", "Patient/n", " ")],
)
async def test_given_what_cannot_be_linked_when_asked_for_then_nothing_is_done(
    house: House, one: str, other: str, reason: str
) -> None:
    there = await record(house, house.clinic)
    with pytest.raises(NothingDone):
        await persons.decide(house.hub, BY, one or there, other or there, "linked", reason)
    assert await states(house) == []
