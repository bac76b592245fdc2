"""What a patient or an organization is given on request: all of it, nothing of others, on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from open_hub import observation, patient

from coordhub.admin import exporting
from coordhub.admin.acts import NothingDone, Operator, bind_person
from coordhub.r4 import structure

if TYPE_CHECKING:
    from open_hub import House

BY = Operator("rosa")


async def export(house: House, about: str, whose: str, *, history: bool = False) -> dict[str, Any]:
    pieces: list[bytes] = []
    count = await exporting.export(house.hub, BY, about, whose, pieces.append, history=history)
    bundle: dict[str, Any] = json.loads(b"".join(pieces))
    assert len(bundle["entry"]) == count
    return bundle


def names(bundle: dict[str, Any]) -> list[str]:
    return [
        f"{one['resource']['resourceType']}/{one['resource'].get('id', '')}"
        for one in bundle["entry"]
    ]


async def test_given_a_chart_when_its_organization_asks_then_it_is_given_all_that_it_wrote(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    other = await house.create(house.kitchen, observation(sent.patient))
    elsewhere = await house.create(house.clinic, patient("2"))

    bundle = await export(house, sent.patient, house.clinic.reference)

    found = names(bundle)
    assert found[0] == sent.patient
    assert {sent.result, sent.request, sent.task} <= set(found)
    assert not {other.reference, elsewhere.reference} & set(found)
    assert found[-1] == "Parameters/"
    assert list(structure.check(bundle)) == []
    [row] = await house.rows("select organization, fhir_id, query, cardinality(rids) from audit"
                             " where interaction = 'export'")  # fmt: skip
    assert row == (
        house.clinic.rid, sent.patient.partition("/")[2],
        f"by=rosa&for=Organization%2F{house.clinic.reference.partition('/')[2]}&history=false", 4,
    )  # fmt: skip


async def test_given_older_versions_when_history_is_asked_for_then_they_are_there_too(
    house: House,
) -> None:
    who = await house.create(house.clinic, patient())
    await house.update(house.clinic, who.id, patient("7"))
    bundle = await export(house, who.reference, house.clinic.reference, history=True)
    versions = [one["resource"]["meta"]["versionId"] for one in bundle["entry"][:-1]]
    assert versions == ["1", "2"]
    assert list(structure.check(bundle)) == []
    assert len((await export(house, who.reference, house.clinic.reference))["entry"]) == 2


async def test_given_somebody_elses_patient_when_exported_then_only_what_was_written_by_who_asks(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    other = await house.create(house.kitchen, observation(sent.patient))
    assert names(await export(house, sent.patient, house.kitchen.reference)) == [other.reference]
    with pytest.raises(NothingDone, match="has nothing here"):
        await export(house, sent.patient, house.stranger.reference)


async def test_given_a_person_when_it_asks_then_it_is_given_what_it_may_see(house: House) -> None:
    sent = await house.asking(house.kitchen.service)
    other = await house.create(house.kitchen, observation(sent.patient))
    with pytest.raises(NothingDone, match="has nothing here"):
        await export(house, sent.patient, sent.patient)

    await bind_person(house.hub, BY, "app", sent.patient, "system/*.rs")

    found = names(await export(house, sent.patient, sent.patient))
    assert {sent.patient, sent.result, other.reference} <= set(found)
    assert "Parameters/" not in found
