"""Which servers the directory vouches for as an organization's own."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Party

from coordhub.directory.bases import Base, at, verified
from coordhub.record.operations import Update

ADDRESS = "https://ehr.example/fhir"


def endpoint(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "payloadType": [{"text": "any"}],
        "address": ADDRESS,
        "header": ["Authorization: Bearer ours"],
        **elements,
    }


async def _names(house: House, who: Party, by: Any, **elements: Any) -> None:
    """The directory says that the organization has this Endpoint; `by` wrote that one."""
    made = await house.create(by, endpoint(**elements))
    document = await house.document(who.reference)
    document |= {"endpoint": [{"reference": made.reference}]}
    await house.commit(house.steward, Update("Organization", document["id"], document))


async def _found(house: House, who: Party) -> list[str]:
    async with house.engine.pool.acquire() as conn:
        found = await verified(conn, who.rid, house.hub.base, house.hub.clock())
    return [one.address for one in found]


async def test_given_an_endpoint_of_the_directory_when_asked_then_it_is_a_base_with_our_token(
    house: House,
) -> None:
    await _names(house, house.clinic, house.steward, address=f"{ADDRESS}/")
    async with house.engine.pool.acquire() as conn:
        [found] = await verified(conn, house.clinic.rid, house.hub.base, house.hub.clock())
    assert (found.address, found.headers) == (ADDRESS, {"Authorization": "Bearer ours"})
    assert await _found(house, house.kitchen) == []


@pytest.mark.parametrize(
    "elements",
    [
        {"status": "suspended"},
        {"connectionType": {"code": "hl7v2-mllp"}},
        {"period": {"end": "2001-01-01"}},
        {"payloadMimeType": ["application/fhir+xml"]},
    ],
)
async def test_given_an_endpoint_that_cannot_be_used_when_asked_then_it_is_none(
    house: House, elements: dict[str, Any]
) -> None:
    await _names(house, house.clinic, house.steward, **elements)
    assert await _found(house, house.clinic) == []


async def test_given_an_endpoint_that_somebody_wrote_itself_when_asked_for_then_it_is_none(
    house: House,
) -> None:
    own = await house.create(house.clinic, endpoint())
    of_steward = await house.create(house.steward, endpoint())
    async with house.engine.pool.acquire() as conn:
        assert await at(conn, own.rid, house.hub.clock()) is None
        assert await at(conn, of_steward.rid, house.hub.clock()) is not None


async def test_given_the_endpoint_of_another_when_named_then_its_token_is_not_used_for_it(
    house: House,
) -> None:
    theirs = {"managingOrganization": {"reference": house.kitchen.reference}}
    await _names(house, house.clinic, house.steward, **theirs)
    assert await _found(house, house.clinic) == []


async def test_given_an_organization_it_is_part_of_when_asked_then_that_ones_server_is_its_own(
    house: House,
) -> None:
    of_both = {"managingOrganization": {"reference": house.kitchen.reference}}
    await _names(house, house.kitchen, house.steward, **of_both)
    for part, whole in ((house.clinic, house.kitchen), (house.kitchen, house.clinic)):  # a circle
        document = await house.document(part.reference)
        document |= {"partOf": {"reference": whole.reference}}
        await house.commit(house.steward, Update("Organization", document["id"], document))
    assert await _found(house, house.clinic) == [ADDRESS]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (f"{ADDRESS}/Patient/1", "Patient/1"),
        (f"{ADDRESS}/Patient/1/_history/2", "Patient/1/_history/2"),
        (f"{ADDRESS}/Patient/1#part", "Patient/1"),
        ("HTTPS://EHR.example/fhir/Patient/1", "Patient/1"),
        (f"{ADDRESS}//Patient/1", None),
        (f"{ADDRESS}/../Patient/1", None),
        (f"{ADDRESS}/Patient/1/../2", None),
        (f"{ADDRESS}/Patient?name=x", None),
        (f"{ADDRESS}/Patient/%2e%2e", None),
        (f"{ADDRESS}/Patient", None),
        (f"{ADDRESS}2/Patient/1", None),
        ("https://ehr.example/FHIR/Patient/1", None),
        ("https://ehr.example:444/fhir/Patient/1", None),
        ("https://ehr.example@evil.example/fhir/Patient/1", None),
        ("https://evil.example/?https://ehr.example/fhir/Patient/1", None),
        ("http://ehr.example/fhir/Patient/1", None),
        ("Patient/1", None),
    ],
)
def test_given_a_url_when_looked_for_below_a_base_then_only_what_is_there_is_found(
    url: str, path: str | None
) -> None:
    assert Base(1, ADDRESS, {}).below(url) == path
