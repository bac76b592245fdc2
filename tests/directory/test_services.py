"""From a recipient as addressed to the organization behind it."""

from __future__ import annotations

from typing import Any

from open_hub import BASE, House, Party

from coordhub.directory.services import HIGHEST_PART_OF, Recipient, recipient
from coordhub.record.operations import Delete, Update


async def _behind(house: House, text: str) -> Recipient | None:
    async with house.engine.pool.acquire() as conn:
        return await recipient(conn, text, BASE)


async def _add(house: House, kind: str, **elements: Any) -> str:
    made = await house.create(house.steward, {"resourceType": kind, **elements})
    return made.reference


def _at(party: Party) -> dict[str, str]:
    return {"reference": party.reference}


async def test_given_every_way_to_address_when_resolved_then_it_is_the_organization_behind(
    house: House,
) -> None:
    kitchen = house.kitchen
    addresses = [
        kitchen.reference,
        kitchen.service,
        f"{BASE}/{kitchen.service}",
        await _add(house, "PractitionerRole", organization=_at(kitchen)),
        await _add(house, "Location", managingOrganization=_at(kitchen)),
        await _add(house, "CareTeam", managingOrganization=[_at(kitchen), _at(house.pantry)]),
    ]
    for address in addresses:
        found = await _behind(house, address)
        assert found is not None, address
        assert found.organization.rid == kitchen.rid, address


async def test_given_what_leads_to_no_organization_when_resolved_then_nobody(
    house: House,
) -> None:
    addresses = [
        await _add(house, "HealthcareService", name="nobody's"),
        await _add(house, "Practitioner", active=True),
        "Organization/none",
        "http://elsewhere.example/Organization/1",
        f"Organization?identifier=urn:x|{house.kitchen.name}",
        "nonsense",
        "",
    ]
    for address in addresses:
        assert await _behind(house, address) is None, address


async def test_given_an_entry_that_a_member_wrote_itself_when_resolved_then_it_is_no_address(
    house: House,
) -> None:
    mine = await house.create(
        house.clinic,
        {"resourceType": "HealthcareService", "providedBy": _at(house.kitchen)},
    )
    assert await _behind(house, mine.reference) is None


async def test_given_a_deleted_entry_when_resolved_then_nobody(house: House) -> None:
    kind, _, fhir_id = house.kitchen.service.partition("/")
    await house.commit(house.steward, Delete(kind, fhir_id))
    assert await _behind(house, house.kitchen.service) is None


async def test_given_organizations_that_are_part_of_each_other_when_resolved_then_it_ends(
    house: House,
) -> None:
    for one, other in ((house.kitchen, house.pantry), (house.pantry, house.kitchen)):
        document = {
            **await house.document(one.reference),
            "partOf": _at(other),
            "endpoint": [{"reference": "http://elsewhere.example/Endpoint/1"}],
        }
        await house.commit(house.steward, Update("Organization", document["id"], document))
    found = await _behind(house, house.kitchen.service)
    assert found is not None
    assert found.endpoints == ("http://elsewhere.example/Endpoint/1",)


async def test_given_a_long_chain_of_organizations_when_resolved_then_only_so_far_is_climbed(
    house: House,
) -> None:
    above: dict[str, Any] = {}
    for level in range(HIGHEST_PART_OF + 2, -1, -1):
        name = await _add(
            house,
            "Organization",
            name=f"level {level}",
            endpoint=[{"reference": f"http://elsewhere.example/Endpoint/{level}"}],
            **above,
        )
        above = {"partOf": {"reference": name}}
    found = await _behind(house, name)
    assert found is not None
    assert found.endpoints == tuple(
        f"http://elsewhere.example/Endpoint/{level}" for level in range(HIGHEST_PART_OF)
    )
