"""Which Endpoint a recipient is reached through."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from open_hub import BASE, House

from coordhub.record.operations import Update
from coordhub.routing.resolve import endpoint_of, usable
from coordhub.store.deliveries import INBOX

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "resourceType": "Endpoint",
    "status": "active",
    "connectionType": {"code": "hl7-fhir-rest"},
    "payloadType": [{"text": "any"}],
    "address": "https://partner.example/fhir",
}


@pytest.mark.parametrize(
    ("elements", "answer"),
    [
        ({}, True),
        ({"status": "suspended"}, False),
        ({"status": "off"}, False),
        ({"connectionType": {"code": "direct-project"}}, False),
        ({"connectionType": {}}, False),
        ({"address": None}, False),
        ({"period": {"end": "2026-11-21"}}, False),
        ({"period": {"start": "2026-11-23"}}, False),
        ({"period": {"start": "2026-01-01", "end": "2026-11-22"}}, True),
        ({"payloadMimeType": ["application/fhir+xml"]}, False),
        ({"payloadMimeType": ["application/fhir+xml", "application/fhir+json"]}, True),
    ],
)
def test_given_an_endpoint_when_judged_then_only_what_the_hub_speaks_and_is_open_now(
    elements: dict[str, Any], answer: bool
) -> None:
    assert usable({**GOOD, **elements}, NOW) is answer


async def _set(house: House, reference: str, **elements: Any) -> None:
    document = {**await house.document(reference), **elements}
    await house.commit(house.steward, Update(document["resourceType"], document["id"], document))


async def _endpoint(house: House, recipient: str) -> int:
    async with house.engine.pool.acquire() as conn:
        return await endpoint_of(conn, recipient, BASE, house.hub.clock())


async def test_given_endpoints_at_service_and_organizations_when_resolved_then_the_nearest_usable(
    house: House,
) -> None:
    near, far, top = [await house.create(house.steward, GOOD) for _ in range(3)]
    parent = await house.create(
        house.steward,
        {
            "resourceType": "Organization",
            "name": "above",
            "endpoint": [{"reference": top.reference}],
        },
    )
    assert await _endpoint(house, house.kitchen.service) == INBOX
    await _set(house, house.kitchen.reference, partOf={"reference": parent.reference})
    assert await _endpoint(house, house.kitchen.service) == top.rid
    await _set(house, house.kitchen.reference, endpoint=[{"reference": far.reference}])
    assert await _endpoint(house, house.kitchen.service) == far.rid
    await _set(house, house.kitchen.service, endpoint=[{"reference": near.reference}])
    assert await _endpoint(house, house.kitchen.service) == near.rid
    assert await _endpoint(house, house.kitchen.reference) == far.rid
    await _set(house, near.reference, status="off")
    assert await _endpoint(house, house.kitchen.service) == far.rid
    await _set(house, far.reference, connectionType={"code": "direct-project"})
    assert await _endpoint(house, house.kitchen.service) == top.rid


@pytest.mark.parametrize("written", ["{base}/{it}", "{it}/_history/1", "{base}/{it}/_history/1"])
async def test_given_an_endpoint_named_absolutely_or_by_version_when_resolved_then_it_is_found(
    house: House, written: str
) -> None:
    made = await house.create(house.steward, GOOD)
    text = written.format(base=BASE, it=made.reference)
    await _set(house, house.kitchen.service, endpoint=[{"reference": text}])
    assert await _endpoint(house, house.kitchen.service) == made.rid


async def test_given_an_endpoint_that_only_its_writer_sees_when_named_then_it_is_not_used(
    house: House,
) -> None:
    made = await house.create(house.kitchen, GOOD)
    service = await house.document(house.kitchen.service)
    await house.rows(
        "update resource set body = $2 where fhir_id = $1",
        service["id"],
        json.dumps({**service, "endpoint": [{"reference": made.reference}]}),
    )
    assert await _endpoint(house, house.kitchen.service) == INBOX


async def test_given_a_recipient_that_is_not_in_the_directory_when_resolved_then_the_inbox(
    house: House,
) -> None:
    for recipient in ("Organization/none", "Patient/none", "nonsense"):
        assert await _endpoint(house, recipient) == INBOX
