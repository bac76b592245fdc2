"""Records of one person are linked behind the gap; twins stay two; what a person decided stands."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import House, Party, observation

from coordhub.record import linking
from coordhub.record.operations import Delete
from coordhub.record.reindex import reindex
from coordhub.store.invariants import violations


def patient(given: str, family: str, born: str, phone: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "name": [{"family": family, "given": given.split()}],
        "birthDate": born,
        "gender": "female",
        "telecom": [{"system": "phone", "value": phone}],
        **elements,
    }


JANE = ("Jane", "Doe", "1961-04-02", "+1-918-555-0101")
AT_HOME = {"address": [{"line": ["12 Elm Street"], "postalCode": "74101"}]}


async def linked(house: House) -> None:
    while await linking.link(house.hub):
        pass


async def pairs(house: House) -> dict[tuple[str, str], str]:
    """`Patient/x` of both -> state."""
    rows = await house.rows(
        "select a.fhir_id, b.fhir_id, k.state from person_link k"
        " join resource a on a.rid = k.one join resource b on b.rid = k.other"
    )
    return {(f"Patient/{one}", f"Patient/{other}"): state for one, other, state in rows}


async def create(house: House, who: Party, *said: str, **elements: Any) -> str:
    return (await house.create(who, patient(*said, **elements))).reference


def pair(one: str, other: str, found: dict[tuple[str, str], str]) -> str | None:
    return found.get((one, other)) or found.get((other, one))


async def test_given_three_numbers_of_one_person_when_looked_at_then_what_is_certain_is_linked_and_twins_are_not(
    house: House,
) -> None:
    riverside = await create(house, house.clinic, *JANE)
    endocrinology = await create(house, house.kitchen, "Jane A.", *JANE[1:])
    laboratory = await create(house, house.pantry, "Jane", "DOE-SMITH", "1961-02-04", JANE[3])
    ana = await create(house, house.clinic, "Ana", "Ruiz", "2015-05-05", "918-555-0199", **AT_HOME)
    anna = await create(house, house.van, "Anna", "Ruiz", "2015-05-05", "918-555-0199", **AT_HOME)
    await linked(house)
    found = await pairs(house)
    assert found.pop((riverside, endocrinology)) == "linked"
    assert {frozenset(each) for each in found} == {
        frozenset((riverside, laboratory)),
        frozenset((endocrinology, laboratory)),
        frozenset((ana, anna)),
    }
    assert set(found.values()) == {"review"}
    [(evidence, score)] = await house.rows(
        "select evidence, score from person_link where state = 'linked'"
    )
    assert round(score, 7) == 0.9999988
    fields = linking.evidence(evidence).fields
    assert fields["birth"] == fields["given"] == fields["phone"] == "exact"
    assert "Doe" not in evidence
    [(query,)] = await house.rows("select query from audit where interaction = 'person-linked'")
    assert "by=coordhub" in query


async def test_given_a_link_when_its_evidence_is_gone_then_it_is_undone_and_who_saw_both_is_named(
    house: House,
) -> None:
    one = await create(house, house.clinic, *JANE)
    other = await create(house, house.kitchen, *JANE)
    await linked(house)
    assert set((await pairs(house)).values()) == {"linked"}
    house.clock.ahead += timedelta(seconds=1)
    for who, subject in ((house.clinic, one), (house.kitchen, other)):
        await house.create(who, observation(subject))
    await house.by_owner(
        "insert into audit (at, organization, interaction, outcome, rids)"
        f" select now(), {house.van.rid}, 'search-type', 200, array_agg(rid) from resource"
        " where patient is not null and type <> 0"
    )
    changed = patient("Ines", "Poe", "1999-12-12", "918-555-7777")
    await house.update(house.kitchen, other.removeprefix("Patient/"), {**changed, "id": other[8:]})
    await linked(house)
    assert await pairs(house) == {}
    [(query,)] = await house.rows("select query from audit where interaction = 'person-unlinked'")
    assert f"seen-by={house.van.reference.replace('/', '%2F')}" in query


async def test_given_twins_when_a_record_is_like_both_then_it_joins_neither_to_the_other(
    house: House,
) -> None:
    said = ("Ruiz", "2015-05-05", "918-555-0199")
    ana = await create(house, house.clinic, "Ana", *said, **AT_HOME)
    anna = await create(house, house.kitchen, "Anna", *said, **AT_HOME)
    names = [{"family": "Ruiz", "given": ["Ana"]}, {"family": "Ruiz", "given": ["Anna"]}]
    both = await create(house, house.van, "Ana", *said, **AT_HOME, name=names)
    await linked(house)
    found = await pairs(house)
    assert pair(ana, anna, found) == "review"
    assert sorted(filter(None, (pair(ana, both, found), pair(anna, both, found)))) == [
        "linked",
        "review",
    ]


async def test_given_a_decision_of_a_person_when_written_again_then_it_stands(house: House) -> None:
    one = await create(house, house.clinic, *JANE)
    other = await create(house, house.kitchen, *JANE)
    await linked(house)
    await house.by_owner("update person_link set state = 'apart', by = 'steward', reason = 'seen'")
    again = patient(*JANE, active=True)
    await house.update(house.kitchen, other.removeprefix("Patient/"), {**again, "id": other[8:]})
    await linked(house)
    assert pair(one, other, await pairs(house)) == "apart"


async def test_given_a_record_that_is_deleted_when_looked_at_then_it_is_with_nobodys(
    house: House,
) -> None:
    await create(house, house.clinic, *JANE)
    other = await create(house, house.kitchen, *JANE)
    await linked(house)
    await house.commit(house.kitchen, Delete("Patient", other.removeprefix("Patient/")))
    await linked(house)
    assert await pairs(house) == {}
    async with house.engine.pool.acquire() as conn:
        assert await violations(conn, house.hub.clock()) == []


async def test_given_a_shelters_phone_when_many_have_it_then_it_joins_nobody(house: House) -> None:
    for number in range(6):
        await create(
            house, house.clinic, f"Name{number}", "Other", f"1970-0{number + 1}-11", JANE[3]
        )
    one = await create(house, house.clinic, *JANE)
    other = await create(house, house.kitchen, *JANE)
    await linked(house)
    assert pair(one, other, await pairs(house)) == "review"


async def test_given_keys_that_are_lost_when_indexed_anew_then_they_are_as_written(
    house: House,
) -> None:
    await create(house, house.clinic, *JANE)
    before = await house.rows("select param, key from idx_person order by 1, 2")
    assert {kind for kind, _ in before} == {1, 2, 3, 6, 9, 10, 11}
    await house.by_owner("delete from idx_person where param = 1")
    assert [page.wrong for page in [page async for page in reindex(house.hub)] if page.wrong]
    assert await house.rows("select param, key from idx_person order by 1, 2") == before
