"""A sample of the hub's own records, from which the numbers of matching are learned."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "stage"))

import pytest
from open_hub import House

from coordhub.admin import persons
from coordhub.admin.acts import NothingDone, Operator
from coordhub.identity.compare import FIELDS
from coordhub.identity.learn import Pattern
from coordhub.record import learning, linking


def patient(given: str, born: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "name": [{"family": "Doe", "given": [given]}],
        "birthDate": born,
        **elements,
    }


def levels(of: Pattern) -> dict[str, str]:
    return {
        name: level
        for name, level in zip(FIELDS, of.levels, strict=True)
        if level not in ("missing", "other")
    }


async def test_given_records_when_sampled_then_pairs_with_a_key_are_counted_and_what_stewards_said_apart_of_them(
    house: House,
) -> None:
    jane = await house.create(house.clinic, patient("Jane", "1961-04-02"))
    again = await house.create(house.kitchen, patient("Jane", "1961-02-04"))
    await house.create(house.kitchen, patient("Ines", "1961-04-02"))
    await house.create(house.van, patient("Otto", "1999-12-12"))
    found = await learning.sample(house.hub, 100, 1)
    assert (found.records, found.all_of_them) == (4, 4)
    counted = sorted((str(levels(each)), number) for each, number in found.looked.items())
    assert counted == [
        ("{'birth': 'exact', 'family': 'exact'}", 2),  # from either side
        ("{'birth': 'swapped', 'family': 'exact', 'given': 'exact'}", 2),
        ("{'birth': 'swapped', 'family': 'exact'}", 2),
    ]
    assert sum(found.random.values()) == 3 * learning.LAPS
    assert not found.decided
    while await linking.link(house.hub):
        pass
    await persons.decide(
        house.hub, Operator("rosa"), jane.reference, again.reference, "apart", "asked them"
    )
    [((said, same), number)] = (await learning.sample(house.hub, 100, 1)).decided.items()
    assert (levels(said)["birth"], same, number) == ("swapped", False, 1)
    assert (await learning.sample(house.hub, 2, 1)).records == 2


async def test_given_other_weights_when_all_are_looked_at_again_then_each_is_due_once_and_it_stands_in_the_audit(
    house: House,
) -> None:
    for given in ("Jane", "Ines"):
        await house.create(house.clinic, patient(given, "1961-04-02"))
    while await linking.link(house.hub):
        pass
    with pytest.raises(NothingDone, match="say why"):
        await persons.again(house.hub, Operator("rosa"), " ")
    assert await persons.again(house.hub, Operator("rosa"), "learned") == 2
    assert await persons.again(house.hub, Operator("rosa"), "learned") == 0
    acts = await house.rows(
        "select query from audit where interaction = 'persons-looked-at-again' order by seq"
    )
    assert [query for (query,) in acts] == [
        "by=rosa&patients=2&reason=learned", "by=rosa&patients=0&reason=learned",
    ]  # fmt: skip
