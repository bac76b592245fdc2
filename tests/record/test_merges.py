"""What a source says of its own records is taken as it is said, for as long as it is said."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import House, observation

from coordhub.admin import persons
from coordhub.admin.acts import Operator
from coordhub.record import linking


def patient(number: str, given: str, born: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:mrn", "value": number}],
        "name": [{"family": "Doe", "given": [given]}],
        "birthDate": born,
        **elements,
    }


JANE = ("1", "Jane", "1961-04-02")
OTHER = ("2", "Ines", "1999-12-12")


def by(other: dict[str, Any], kind: str = "replaced-by") -> dict[str, Any]:
    return {"active": False, "link": [{"other": other, "type": kind}]}


async def looked(house: House) -> None:
    while await linking.link(house.hub):
        pass


async def states(house: House) -> list[tuple[str, str]]:
    """State and evidence of each pair."""
    rows = await house.rows("select state, evidence from person_link order by one, other")
    return [(state, ",".join(linking.evidence(text).held)) for state, text in rows]


async def test_given_two_records_of_a_source_when_it_says_that_one_replaced_the_other_then_both_are_one(
    house: House,
) -> None:
    stays = await house.create(house.clinic, patient(*JANE))
    goes = await house.create(house.clinic, patient(*OTHER))
    await looked(house)
    assert await states(house) == []
    said = patient(*OTHER, **by({"reference": stays.reference}), id=goes.id)
    await house.update(house.clinic, goes.id, said)
    await looked(house)
    assert await states(house) == [("linked", "source-says")]
    house.clock.ahead += timedelta(seconds=1)
    await house.update(house.clinic, stays.id, patient(*JANE, gender="female", id=stays.id))
    await looked(house)  # the other says it, and still does
    assert await states(house) == [("linked", "source-says")]

    for subject in (stays.reference, goes.reference):
        await house.create(house.clinic, observation(subject))
    await house.by_owner(
        "insert into audit (at, organization, interaction, outcome, rids)"
        f" select now(), {house.van.rid}, 'search-type', 200, array_agg(rid) from resource"
        " where patient is not null and type <> 0"
    )
    await house.update(house.clinic, goes.id, patient(*OTHER, id=goes.id))
    await looked(house)
    assert await states(house) == []
    [(query,)] = await house.rows("select query from audit where interaction = 'person-unlinked'")
    assert house.van.reference in parse_qs(query)["seen-by"][0].split()


async def test_given_the_number_of_a_record_to_come_when_it_has_come_then_it_is_linked(
    house: House,
) -> None:
    number = {"identifier": {"system": "urn:mrn", "value": "1"}}
    await house.create(house.clinic, patient(*OTHER, **by(number)))
    await looked(house)
    await house.create(house.clinic, patient(*JANE))
    await looked(house)
    assert await states(house) == [("linked", "source-says")]


async def test_given_a_record_of_another_when_a_source_says_that_it_is_the_same_then_nothing_follows(
    house: House,
) -> None:
    number = {"identifier": {"system": "urn:mrn", "value": "1"}}
    await house.create(house.clinic, patient(*JANE))
    await house.create(house.kitchen, patient(*OTHER, **by(number)))
    await looked(house)
    assert await states(house) == []


async def test_given_records_that_a_steward_keeps_apart_when_their_source_says_otherwise_then_they_stay_apart(
    house: House,
) -> None:
    stays = await house.create(house.clinic, patient(*JANE))
    goes = await house.create(house.clinic, patient(*OTHER, **by({"reference": stays.reference})))
    await looked(house)
    rosa = Operator("rosa")
    await persons.decide(house.hub, rosa, stays.reference, goes.reference, "apart", "seen both")
    said = patient(*OTHER, **by({"reference": stays.reference}, "seealso"), id=goes.id)
    await house.update(house.clinic, goes.id, said)
    await looked(house)
    assert [state for state, _ in await states(house)] == ["apart"]
