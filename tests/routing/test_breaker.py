"""An endpoint that fails is left alone but for one probe at a time, and taken up again step by step."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_hub import opened
from open_post import LEASE, TAKEN, Post

from coordhub.routing import breaker, deliver
from coordhub.routing.breaker import BreakerPolicy
from coordhub.routing.channels.channel import Delivered, Outcome, Refused, Unreachable
from coordhub.store import circuits, deliveries
from coordhub.store.circuits import Circuit

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY = BreakerPolicy()
TAKEN_WELL = Delivered(200)
BROKEN = Refused(500, "transient", None, "500")
SILENT = Unreachable("timeout", True, "timeout")
UNKNOWN_TO_IT = Refused(401, "auth", None, "401")
NOT_FOR_IT = Refused(422, "permanent", None, "422")


def after(*outcomes: Outcome, begin: Circuit | None = None) -> Circuit:
    circuit = begin or Circuit(7)
    for outcome in outcomes:
        if circuit.state == "open":  # as a claim leaves it
            circuit = replace(circuit, state="probing")
        circuit = breaker.after(circuit, outcome, NOW, POLICY)
    return circuit


def test_given_what_was_under_way_when_it_opened_then_it_is_no_probe() -> None:
    late = breaker.after(after(*[BROKEN] * 5), SILENT, NOW + timedelta(seconds=9), POLICY)
    assert (late.probes, late.probe_at) == (0, NOW + timedelta(minutes=1))
    back = breaker.after(late, TAKEN_WELL, NOW, POLICY)
    assert (back.state, back.allowance) == ("recovering", 1)


def test_given_failures_in_a_row_when_there_are_five_then_it_opens_and_is_probed_in_a_minute() -> (
    None
):
    assert after(*[BROKEN, SILENT] * 2).state == "closed"
    opened_now = after(*[BROKEN] * 5)
    assert (opened_now.state, opened_now.opened_at) == ("open", NOW)
    assert opened_now.probe_at == NOW + timedelta(minutes=1)
    assert after(*[BROKEN] * 4, NOT_FOR_IT, *[BROKEN] * 4).state == "closed"


def test_given_a_failed_probe_when_it_is_noted_then_the_next_waits_twice_as_long_up_to_five_minutes() -> (
    None
):
    waits = [after(*[BROKEN] * (5 + probes)).probe_at for probes in range(6)]
    assert [each - NOW for each in waits if each] == [
        timedelta(minutes=minutes) for minutes in (1, 2, 4, 5, 5, 5)
    ]


def test_given_a_partner_that_asks_for_time_when_it_fails_then_it_is_given_that() -> None:
    asked = replace(BROKEN, retry_after=timedelta(minutes=12))
    assert after(*[BROKEN] * 4, asked).probe_at == NOW + timedelta(minutes=12)
    endless = replace(BROKEN, retry_after=timedelta(days=9))
    assert after(*[BROKEN] * 4, endless).probe_at == NOW + timedelta(minutes=15)


@pytest.mark.parametrize(
    "outcome", [UNKNOWN_TO_IT, Unreachable("tls", False, "tls"), Unreachable("blocked", False, "x")]
)
def test_given_what_somebody_has_to_mend_when_noted_then_it_opens_at_once(outcome: Outcome) -> None:
    opened_now = after(outcome)
    assert (opened_now.state, opened_now.probe_at) == ("open", NOW + timedelta(minutes=15))


def test_given_a_probe_that_is_taken_when_more_are_then_twice_as_many_go_until_all_do() -> None:
    recovering = [after(*[BROKEN] * 5, *[TAKEN_WELL] * taken) for taken in range(1, 5)]
    assert [(one.state, one.allowance) for one in recovering] == [
        ("recovering", 1), ("recovering", 2), ("recovering", 4), ("recovering", 8),
    ]  # fmt: skip
    assert after(TAKEN_WELL, begin=recovering[-1]) == Circuit(7)
    relapsed = after(SILENT, begin=recovering[2])
    assert (relapsed.state, relapsed.allowance, relapsed.opened_at) == ("open", 0, NOW)


OUTCOMES = st.sampled_from([TAKEN_WELL, BROKEN, SILENT, UNKNOWN_TO_IT, NOT_FOR_IT])


@given(st.lists(OUTCOMES, max_size=40))
def test_given_any_history_when_the_endpoint_answers_long_enough_then_it_is_as_usual(
    outcomes: list[Outcome],
) -> None:
    circuit = after(*outcomes)
    assert (circuit.state in ("open", "probing")) == (circuit.probe_at is not None)
    assert circuit.state != "recovering" or 0 < circuit.allowance < POLICY.full
    assert after(*[TAKEN_WELL] * 5, begin=circuit) == Circuit(7)


async def referrals(post: Post, count: int) -> None:
    for _ in range(count):
        await post.house.asking(post.house.kitchen.service)


async def tried(post: Post) -> int:
    """Whatever is due, at once; how many of it went to the kitchen."""
    held = await post.claim(99)
    await asyncio.gather(*(deliver.deliver(post.sending, one) for one in held))
    return sum(one.organization == post.house.kitchen.rid for one in held)


async def test_given_an_endpoint_that_is_down_when_it_opened_then_one_probe_goes_and_none_is_used_up(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = ("503 Service Unavailable", b"")
    await referrals(post, 8)
    attempts = 0
    while (count := await tried(post)) and attempts < 5:
        attempts += count
    [(state,)] = await house.rows("select state from circuit")
    assert state == "open"
    before = len(post.partner.bundles)
    assert await tried(post) == 0, "not before its time"
    house.clock.ahead += timedelta(minutes=2)
    async with opened(house.url, size=3) as other:
        mine = await post.claim(99)
        async with other.engine.pool.acquire() as conn:
            theirs = await deliveries.claim(conn, house.hub.clock(), 99, LEASE)
    assert len([*mine, *theirs]) == 1
    await deliver.deliver(post.sending, [*mine, *theirs][0])
    assert len(post.partner.bundles) == before + 1
    [(failed, probes)] = await house.rows("select failures, probes from circuit")
    assert (failed, probes) == (before + 1, 1)


async def test_given_an_endpoint_that_is_back_when_probed_then_all_goes_step_by_step(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = ("503 Service Unavailable", b"")
    await referrals(post, 12)
    await tried(post)
    assert await house.value("select state from circuit") == "open"
    post.partner.answer = ("200 OK", TAKEN)
    house.clock.ahead += timedelta(minutes=1, seconds=1)
    steps = []
    while count := await tried(post):
        steps.append(count)
    assert steps == [1, 1, 2, 8], "one probe, then as many as were taken before, doubled by each"
    assert await house.rows("select * from circuit") == []
    assert await house.value("select count(*) from delivery where state <> 'delivered'") == 0


async def test_given_one_that_is_down_when_others_are_well_then_they_do_not_notice(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = None
    await referrals(post, 6)
    await tried(post)
    await house.asking(house.pantry.service)
    held = await post.claim(99)
    asked = {one.organization for one in held}
    assert house.pantry.rid in asked
    assert house.kitchen.rid not in asked


async def test_given_an_open_circuit_when_the_time_of_a_delivery_is_over_then_it_is_given_up(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = ("500 Broken", b"")
    await referrals(post, 6)
    await tried(post)
    house.clock.ahead += timedelta(hours=73)
    await tried(post)
    states = [state for rid, state in await post.ledger() if rid == house.kitchen.rid]
    assert states == ["dead"] * 6


async def test_given_an_operator_when_asking_for_a_probe_then_it_goes_at_once(post: Post) -> None:
    house = post.house
    post.partner.answer = ("401 Unauthorized", b"")
    await referrals(post, 2)
    await tried(post)
    assert await tried(post) == 0
    async with house.engine.pool.acquire() as conn:
        [circuit] = await circuits.troubled(conn)
        assert await circuits.probe_now(conn, circuit.endpoint, house.hub.clock())
        assert not await circuits.probe_now(conn, circuit.endpoint + 1, house.hub.clock())
    post.partner.answer = ("200 OK", TAKEN)
    assert await tried(post) >= 1
