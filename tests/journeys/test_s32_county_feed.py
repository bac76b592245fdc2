"""S32: a county's services, taken from its HSDS feed night by night: only what has changed, nothing of shelters."""

from __future__ import annotations

import json
import os

from county_feed import kinds, reads
from hsds_county import (
    SECRET_PERSON,
    SECRET_PHONE,
    SECRET_STREET,
    as_json,
    county,
    uid,
)

from coordhub.r4 import document as fhir_json
from coordhub.record import feeds
from coordhub.referral.same_kind import SDOHCC
from coordhub.store import feeds as store

__all__ = ["kinds"]

SERVICES = int(os.environ.get("COORDHUB_FEED_SERVICES", "80"))
"""Of the county; 2000 by `make feed`."""

SECRETS = (
    SECRET_STREET,
    "Hidden Lane",
    SECRET_PERSON,
    SECRET_PHONE,
    "Domestic Violence",
    "Quiet Haven",
)


def as_told(told):
    return {"county.json": fhir_json.encode(told)}


async def offered(house):
    """Who could help with food, and who cannot, with all codes of what was found, as the clinic is told."""
    asked = {
        "resourceType": "ServiceRequest", "status": "draft", "intent": "order",
        "category": [{"coding": [{"system": SDOHCC, "code": "food-insecurity"}]}],
        "subject": {"display": "someone"},
    }  # fmt: skip
    part = {"name": "serviceRequest", "resource": asked}
    answered = await house.riverside.ask(
        "POST",
        "/ServiceRequest/$route?_count=1000",
        {"resourceType": "Parameters", "parameter": [part]},
    )
    assert answered.status_code == 200, answered.text
    found = {}
    for one in answered.json()["parameter"]:
        parts = one.get("part", ())
        for recipient in (part for part in parts if part["name"] == "recipient"):
            found[recipient["valueReference"]["reference"]] = json.dumps(parts)
    return found


async def service(house, number):
    [found] = await house.riverside.find(
        f"/HealthcareService?identifier=urn:hsds:county:services|{uid('service', number)}"
    )
    return found


async def test_given_a_county_when_its_feed_is_read_nightly_then_the_directory_is_in_step(
    house, kinds
):
    services = county(SERVICES)
    first = await reads(house, as_json(services))
    assert (first.withheld, first.refused, first.gone) == (2, 0, 0)
    assert first.written == first.entries > 2 * (SERVICES - 2)

    again = await reads(house, as_json(services))
    assert (again.written, again.gone, again.unchanged) == (0, 0, first.entries)

    # what came from where, and when
    pantry = await service(house, 3)
    reference = f"HealthcareService/{pantry['id']}"
    [told] = await house.riverside.find(f"/Provenance?target={reference}")
    assert told["entity"][0]["what"]["identifier"]["value"] == "county"
    assert told["agent"][0]["who"]["reference"] == house.hub.organization
    assert pantry["meta"]["versionId"] == "1"

    # it is offered; what is closed for a time is not
    found = await offered(house)
    closed = await service(house, 0)
    assert closed["active"] is False
    assert '"inactive"' in found[f"HealthcareService/{closed['id']}"]
    assert '"inactive"' not in found[reference]

    # told as HSDS again, it is what it was
    told = await feeds.told(house.hub, "county")
    assert {one["id"] for one in told["services"]} == {one["id"] for one in services[:-2]}
    other = await reads(house, as_told(told))
    assert (other.written, other.gone, other.unchanged) == (0, 0, first.entries)

    # the next night: one has a new name, one is closed, one is gone
    services[3] |= {"name": "Renamed Pantry"}
    services[6] |= {"status": "temporarily closed"}
    last = services.pop(9)
    night = await reads(house, as_json(services))
    assert (night.written, night.gone) == (2, 2)  # its location is gone too
    assert (await service(house, 3))["name"] == "Renamed Pantry"
    assert (await service(house, 3))["meta"]["versionId"] == "2"
    assert (await service(house, 6))["active"] is False
    assert (await service(house, 9))["active"] is False
    services.insert(9, last)
    back = await reads(house, as_json(services))
    assert (back.written, back.gone) == (2, 0)
    assert (await service(house, 9))["active"] is True

    # a feed that comes with next to nothing ends nothing
    broken = await reads(house, as_json(services[:3]))
    assert broken.gone == 0
    assert broken.kept > SERVICES
    assert (await service(house, 9))["active"] is True


async def test_given_shelters_in_the_feed_when_everything_is_read_then_nothing_tells_of_them(
    house, caplog
):
    """S11's clause about the import: also for one that the feed marks only later."""
    services = county(6)
    shelter = services[4]
    marked, shelter["attributes"] = shelter["attributes"], services[0]["attributes"]
    await reads(house, as_json(services))
    [known] = await house.riverside.find("/HealthcareService?name=Quiet Haven")
    shelter["attributes"] = marked
    caplog.clear()
    night = await reads(house, as_json(services))
    assert night.withheld == 2
    for path in (
        "/HealthcareService?_count=200&_include=*", "/Location?_count=200", "/Organization?_count=200",
        "/Provenance?_count=200", f"/HealthcareService/{known['id']}/_history",
        f"/HealthcareService/{known['id']}", f"/HealthcareService/{known['id']}/_history/1",
        "/Location?near=42.5|-72.5|500|km&_count=200",
    ):  # fmt: skip
        for who in (house.riverside, house.lakeside):
            text = (await who.ask("GET", path)).text
            assert [secret for secret in SECRETS if secret in text] == []
    assert [secret for secret in SECRETS if secret in caplog.text] == []
    async with house.hub.engine.pool.acquire() as conn:
        feed = await store.by_name(conn, "county")
        assert [secret for secret in SECRETS if secret in str(feed)] == []
        hidden = uid("shelter", 1)  # named as what it is from the first night on
        rows = await conn.fetch(
            "select key from directory_entry where key like '%' || $1 || '%'", hidden
        )
        assert rows == []
        count = await conn.fetchval(
            "select count(*) from resource where body like '%' || $1 || '%'", hidden
        )
        assert count == 0
