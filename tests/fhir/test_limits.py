"""How much a client may ask of the FHIR door, over HTTP, and what it is told of that."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from coordhub.access.rates import Rates
from coordhub.admin import limiting
from coordhub.admin.acts import NothingDone, Operator
from coordhub.errors import FhirError
from coordhub.store.clients import Allowance

ROSA = Operator("rosa")


async def _allow(house, client, **allowed):
    context = house.context
    await limiting.allow(
        context.hub.engine, ROSA, client, Allowance(**allowed), context.hub.clock()
    )
    context.tokens._clients.clear()


@pytest.fixture
def clock(house):
    """The clock that requests are counted by, stopped."""
    now = [1_700_000_000.0]
    house.context.admission.clock = lambda: now[0]
    house.context.admission.rates = Rates(house.context.admission.clock)
    return now


async def test_given_more_than_was_agreed_when_asked_then_429_says_when_and_others_are_answered(
    house, clock
):
    await _allow(house, "near", per_second=2, burst=3)
    answers = [await house.near.ask("GET", "/Patient") for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["ratelimit-policy"].startswith('"rate";q=3;w=2, ')
    assert answers[0].headers["ratelimit"] == '"rate";r=2;t=1'
    refused = answers[3]
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"].startswith('"rate";r=0;')
    assert refused.json()["issue"][0]["code"] == "throttled"
    assert (await house.far.ask("GET", "/Patient")).status_code == 200
    outcomes = [row["outcome"] for row in await house.audited() if row["client"] == "near"]
    assert outcomes == [200, 200, 200], "what is too much is not written down as well"
    clock[0] += 0.5
    assert (await house.near.ask("GET", "/Patient")).status_code == 200


async def test_given_a_number_for_the_day_when_it_is_used_then_429_until_midnight(house, clock):
    await _allow(house, "near", per_day=3)
    answers = [await house.near.ask("GET", "/Patient") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[2].headers["ratelimit"].split(", ")[1].startswith('"day";r=0;')
    assert int(answers[3].headers["retry-after"]) == 86400 - 1_700_000_000 % 86400
    here = house.context.admission
    another = replace(here)  # a process that has counted nothing
    with pytest.raises(FhirError, match="429"):
        await another.count_of_day(here.presumed(f"Bearer {house.near.token}"))
    clock[0] += 86400
    assert (await house.near.ask("GET", "/Patient")).status_code == 200


async def test_given_a_noisy_client_at_ten_times_its_share_when_others_ask_then_they_do_not_wait_for_it(
    house,
):
    order: list[str] = []

    async def ask(sender):
        answered = await sender.ask("GET", "/Patient?name=x")
        assert answered.status_code == 200
        order.append(sender.client)

    async with asyncio.TaskGroup() as group:  # all connections there are, opened
        for sender in (house.near, house.far, house.third) * 8:
            group.create_task(ask(sender))
    order.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(ask(house.near))
        for sender in (house.far, house.third) * 2:
            group.create_task(ask(sender))
    others = [place for place, client in enumerate(order) if client != "near"]
    assert others[-1] < 22, order


async def test_given_a_bundle_of_many_entries_when_sent_then_it_counts_as_more_than_one(
    house, clock
):
    await _allow(house, "near", per_second=1, burst=4)
    entry = {"request": {"method": "GET", "url": "Patient/none"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry] * 100}
    assert (await house.near.ask("POST", "", bundle)).headers["ratelimit"] == '"rate";r=1;t=3'


async def test_given_a_token_that_is_good_no_longer_when_used_then_it_is_401_and_no_request_stays_under_way(
    house,
):
    await house.near.ask("GET", "/Patient")
    async with house.context.hub.engine.pool.acquire() as conn:
        await conn.execute("update client set active = false where id = 'near'")
    house.context.tokens._clients.clear()
    refused = await house.near.ask("GET", "/Patient")
    assert refused.status_code == 401
    assert house.context.admission.presumed(f"Bearer {house.near.token}") is None
    assert [one.under_way for one in house.context.admission.rates._counts.values()] == [0]


async def test_given_what_cannot_be_agreed_when_asked_then_nothing_is(house):
    with pytest.raises(NothingDone):
        await _allow(house, "near", per_second=-1)
    with pytest.raises(NothingDone):
        await _allow(house, "nobody", per_second=1)
    await _allow(house, "near", per_second=5, at_once=3)
    await _allow(house, "near", per_second=0)
    async with house.context.hub.engine.pool.acquire() as conn:
        assert await limiting.of(conn, "near") == Allowance(at_once=3)
