"""An order that is sent again is the one that is there: known by the number that its sender gave it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from open_hub import House, Party, opened, patient, service_request, task

from coordhub.errors import FhirError
from coordhub.record.operations import Create, Delete, Written
from coordhub.referral.results import IDENTIFIER_TYPES

NUMBER = {"system": "urn:clinic:orders", "value": "4711"}


async def subject(house: House) -> str:
    return (await house.create(house.clinic, patient())).reference


def order(who: str, of: Party, **elements: Any) -> dict[str, Any]:
    return service_request(who, of.reference, identifier=[NUMBER], **elements)


async def refused(house: House, who: Party, *documents: dict[str, Any]) -> FhirError:
    before = await house.value("select count(*) from resource")
    with pytest.raises(FhirError) as caught:
        await house.commit(who, *(Create(one["resourceType"], one) for one in documents))
    assert await house.value("select count(*) from resource") == before
    assert caught.value.status == 422
    assert caught.value.issues[0].code == "duplicate"
    return caught.value


async def test_given_an_order_with_a_number_when_created_again_then_it_is_the_one_that_is_there(
    house: House,
) -> None:
    who = await subject(house)
    first = await house.create(house.clinic, order(who, house.clinic))
    again = await house.create(house.clinic, order(who, house.clinic))
    assert (first.status, again.status) == (201, 200)
    assert (again.reference, again.version, again.body) == (first.reference, 1, first.body)

    error = await refused(house, house.clinic, order(who, house.clinic, priority="urgent"))
    assert first.reference in error.issues[0].diagnostics
    assert error.issues[0].expression == "ServiceRequest.identifier[0]"


async def test_given_a_number_when_a_task_or_another_organization_has_it_too_then_it_is_another(
    house: House,
) -> None:
    who = await subject(house)
    first = await house.create(house.clinic, order(who, house.clinic))
    asking = task(first.reference, who, house.clinic.reference, identifier=[NUMBER], status="draft")
    assert (await house.create(house.clinic, asking)).status == 201
    theirs = (await house.create(house.kitchen, patient())).reference
    assert (await house.create(house.kitchen, order(theirs, house.kitchen))).status == 201


@pytest.mark.parametrize(
    "identifier",
    [
        {"value": "4711"},
        {**NUMBER, "use": "old"},
        {**NUMBER, "type": {"coding": [{"system": IDENTIFIER_TYPES, "code": "PGN"}]}},
    ],
)
async def test_given_what_is_no_number_of_one_order_when_it_comes_twice_then_both_are_made(
    house: House, identifier: dict[str, Any]
) -> None:
    who = await subject(house)
    document = {**order(who, house.clinic), "identifier": [identifier]}
    assert [(await house.create(house.clinic, document)).status for _ in "12"] == [201, 201]
    both = [Create("ServiceRequest", document), Create("ServiceRequest", document)]
    assert [one.status for one in await house.commit(house.clinic, *both)] == [201, 201]


async def test_given_one_number_for_two_orders_when_sent_together_then_refused(
    house: House,
) -> None:
    who = await subject(house)
    error = await refused(
        house, house.clinic, order(who, house.clinic), order(who, house.clinic, priority="urgent")
    )
    assert "PGN" in error.issues[0].diagnostics


def referral(of: Party, asked_of: str, **of_task: Any) -> list[Create]:
    who, asked = "urn:uuid:patient", "urn:uuid:order"
    return [
        Create("Patient", patient(), full_url=who, at="Bundle.entry[0].resource"),
        Create(
            "ServiceRequest",
            order(who, of, performer=[{"reference": asked_of}]),
            full_url=asked,
            at="Bundle.entry[1].resource",
        ),
        Create("Task", task(asked, who, of.reference, **of_task), at="Bundle.entry[2].resource"),
    ]


def references(written: Any) -> list[str]:
    return [one.reference for one in written]


async def test_given_a_referral_when_all_of_it_comes_again_then_all_of_it_is_there(
    house: House,
) -> None:
    first = await house.commit(house.clinic, *referral(house.clinic, house.kitchen.service))
    again = await house.commit(house.clinic, *referral(house.clinic, house.kitchen.service))
    assert references(again) == references(first)
    assert [one.status for one in again] == [200] * 3
    # With a key of its own it is known as well, and the key then has that answer
    for _ in "12":
        keyed = await house.commit(
            house.clinic, *referral(house.clinic, house.kitchen.service), key="k"
        )
        assert references(keyed) == references(first)
    assert await house.value("select count(*) from episode") == 1
    changed = referral(house.clinic, house.kitchen.service, description="something else")
    with pytest.raises(FhirError) as caught:  # its Patient would be made twice
        await house.commit(house.clinic, *changed)
    assert first[1].reference in caught.value.issues[0].diagnostics


async def test_given_an_order_that_is_there_when_another_task_comes_with_it_then_it_is_about_that(
    house: House,
) -> None:
    who = await subject(house)
    sent = order(who, house.clinic)
    first = await house.create(house.clinic, sent)
    asked = "urn:uuid:order"
    [again, asking] = await house.commit(
        house.clinic,
        Create("ServiceRequest", sent, full_url=asked),
        Create("Task", task(asked, who, house.clinic.reference, status="draft")),
    )
    assert (again.status, asking.status) == (200, 201)
    stored = await house.document(asking.reference)
    assert stored["focus"]["reference"] == first.reference


async def test_given_a_number_of_what_was_deleted_when_it_comes_again_then_it_is_new(
    house: House,
) -> None:
    who = await subject(house)
    first = await house.create(house.clinic, order(who, house.clinic))
    await house.commit(house.clinic, Delete("ServiceRequest", first.id))
    again = await house.create(house.clinic, order(who, house.clinic, priority="urgent"))
    assert again.status == 201
    assert again.reference != first.reference
    assert await house.value("select count(*) from order_number") == 1


async def test_given_a_condition_when_it_makes_an_order_then_its_number_is_known_from_then_on(
    house: House,
) -> None:
    who = await subject(house)
    criteria = "identifier=urn:clinic:orders|4711"
    [first] = await house.commit(
        house.clinic, Create("ServiceRequest", order(who, house.clinic), if_none_exist=criteria)
    )
    [met] = await house.commit(
        house.clinic,
        Create("ServiceRequest", order(who, house.clinic, priority="stat"), if_none_exist=criteria),
    )
    assert (met.status, met.reference) == (200, first.reference)
    await refused(house, house.clinic, order(who, house.clinic, priority="urgent"))
    assert (await house.create(house.clinic, order(who, house.clinic))).status == 200


async def test_given_one_order_at_two_servers_when_both_come_at_once_then_one_is_made(
    house: House,
) -> None:
    who = await subject(house)

    async def created(at: House, priority: str) -> Written | FhirError:
        try:
            return await at.create(house.clinic, order(who, house.clinic, priority=priority))
        except FhirError as error:
            return error

    async with opened(house.url, size=4) as other:
        for round_ in range(5):
            done = await asyncio.gather(
                *(created(at, "urgent") for at in (house, other) * 3),
                *(created(at, "routine") for at in (house, other)),
            )
            made = [one for one in done if isinstance(one, Written)]
            assert len({one.reference for one in made}) == 1
            assert sorted(one.status for one in made) == [200] * (len(made) - 1) + [201]
            assert {e.status for e in done if isinstance(e, FhirError)} <= {422}
            assert len(made) in (2, 6), round_
            await house.commit(house.clinic, Delete("ServiceRequest", made[0].id))
