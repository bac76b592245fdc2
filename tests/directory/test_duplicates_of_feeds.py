"""A service of two feeds: merged where it is certain, else by a steward, and taken apart again."""

from __future__ import annotations

from typing import Any

import pytest
from hsds_county import as_json, county, uid
from open_hub import House

from coordhub.record import feeds, twins
from coordhub.store import feeds as store


async def reads(house: House, name: str, services: list[dict[str, Any]]) -> feeds.Outcome:
    async with house.engine.pool.acquire() as conn:
        await store.keep(conn, name, "/feed", "America/New_York", None, None)
        feed = await store.by_name(conn, name)
    assert feed is not None
    return await feeds.take_in(house.hub, feed, as_json(services), gone_for_sure=True)


async def of(house: House, feed: str, number: int) -> dict[str, Any]:
    [(reference,)] = await house.rows(
        "select 'HealthcareService/' || fhir_id from resource r join directory_entry e on e.rid = r.rid"
        " where e.feed = $1 and e.key = 'services/' || $2",
        feed,
        uid("service", number),
    )
    return await house.document(reference)


def into(document: dict[str, Any]) -> str | None:
    found = [
        x["valueReference"]["reference"] for x in document["extension"] if x["url"] == twins.MERGED
    ]
    return found[0] if found else None


async def test_given_two_feeds_of_one_county_when_read_then_what_is_certain_is_merged_and_can_be_undone(
    house: House,
) -> None:
    await reads(house, "county", county(6, shelters=0))
    [*both, alike] = county(6, shelters=0)[2:5]
    alike["name"] += "s"
    second = await reads(house, "state", [*both, alike])
    assert (second.merged, second.to_look_at) == (2, 1)
    kept, other = await of(house, "county", 2), await of(house, "state", 2)
    assert (kept["active"], other["active"]) == (True, False)
    assert into(other) == f"HealthcareService/{kept['id']}"

    # told anew by its feed, it stays so; what is alike only waits for a steward
    both[0]["description"] = "Told anew."
    again = await reads(house, "state", [*both, alike])
    assert (again.written, again.merged, again.to_look_at) == (1, 0, 1)
    other = await of(house, "state", 2)
    assert (other["comment"], other["active"]) == ("Told anew.", False)
    [(pair, first, _)] = await twins.listed(house.hub, ["proposed"])
    assert "name-alike" in pair.because
    assert first.reference == f"HealthcareService/{(await of(house, 'county', 4))['id']}"

    # a steward: these two are one, those are two
    names = [
        f"HealthcareService/{(await of(house, feed, 4))['id']}" for feed in ("county", "state")
    ]
    await twins.decide(house.hub, names[0], names[1], "merged", "rosa")
    assert into(await of(house, "state", 4)) == names[0]
    with pytest.raises(twins.CannotMergeError):
        await twins.decide(house.hub, names[1], names[0], "merged", "rosa")
    parted = [f"HealthcareService/{one['id']}" for one in (kept, other)]
    await twins.decide(house.hub, parted[0], parted[1], "apart", "rosa")
    other = await of(house, "state", 2)
    assert (other["active"], into(other)) == (True, None)
    assert await twins.look(house.hub) == (0, 0)  # what a steward has said stands

    # what stays is gone: the other one is offered again
    await reads(house, "county", county(4, shelters=0))
    assert (await of(house, "county", 4))["active"] is False
    alone = await of(house, "state", 4)
    assert (alone["active"], into(alone)) == (True, None)


async def test_given_names_of_none_when_decided_then_refused(house: House) -> None:
    await reads(house, "county", county(2, shelters=0))
    mine = f"HealthcareService/{(await of(house, 'county', 1))['id']}"
    for one, state in ((f"{mine}x", "merged"), (house.clinic.reference, "merged"), (mine, "apart")):
        with pytest.raises(twins.CannotMergeError):
            await twins.decide(house.hub, mine, one, state, "rosa")
