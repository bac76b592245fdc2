from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from coordhub.record import reproject
from coordhub.routing import deliver, expire
from coordhub.routing.retry import RetryPolicy
from coordhub.store import deliveries

if TYPE_CHECKING:
    from open_hub import House

TABLES = ("episode", "need", "candidate", "errand", "timer")


@pytest.fixture
async def lived_in(house: House) -> House:
    """Referrals told and accepted, with a loser; refused; expired; withdrawn; just sent; for nobody."""
    later = (house.clock() + timedelta(days=30)).date().isoformat()
    accepted = await house.asking(
        house.kitchen.service,
        house.pantry.service,
        restriction={"period": {"end": later}},
    )
    sending = deliver.Sending(house.hub, {}, RetryPolicy(), Random(1).random)
    async with house.engine.pool.acquire() as conn:
        held = await deliveries.claim(conn, house.clock(), 10, timedelta(seconds=60))
    for one in held:
        await deliver.deliver(sending, one)
    assert await house.value("select count(*) from candidate where delivered_at is not null") == 2
    await accepted.answer(house.kitchen, "accepted")
    await accepted.answer(house.kitchen, "in-progress")
    refused = await house.asking(house.van.service)
    await refused.answer(house.van, "rejected")
    soon = house.clock() + timedelta(days=1)
    await house.asking(house.van.service, restriction={"period": {"end": soon.isoformat()}})
    house.clock.ahead = timedelta(days=2)
    while await expire.fire(house.hub):
        pass
    withdrawn = await house.asking(house.pantry.service)
    await withdrawn.withdraw()
    await house.refer(house.kitchen.service)
    for table, rows in (("episode", 5), ("candidate", 5)):
        assert await house.value(f"select count(*) from {table}") == rows
    assert set(await house.rows("select kind from timer")) == {
        (kind,) for kind in ("whole", "progress", "progress-overdue")
    }
    return house


async def run(house: House, *, mend: bool = True) -> list[str]:
    referrals = reproject.reproject(house.hub, mend=mend)
    return [text async for one in referrals for text in one.differences]


async def contents(house: House) -> list[list[tuple[object, ...]]]:
    return [
        sorted(await house.rows(f"select to_jsonb(t) - 'id' from {table} t"), key=str)
        for table in TABLES
    ]


async def test_given_a_house_that_was_lived_in_when_compared_then_all_is_as_its_tasks_say(
    lived_in: House,
) -> None:
    assert await run(lived_in, mend=False) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("update episode set state = 'open', closed_at = null", "state, closed_at"),
        ("update episode set requester = 1", ": requester"),
        ("update episode set request = 1", ": request"),
        ("update episode set patient = 1", ": patient"),
        ("update episode set opened_at = opened_at - interval '1 h'", ": opened_at"),
        ("update episode set planned_at = null", ": planned_at"),
        ("delete from episode", ": missing"),
        ("update candidate set status = 'on-hold', accepted_at = null", "status, accepted_at"),
        ("update candidate set ended_at = null", ": ended_at"),
        ("update candidate set delivered_at = null", ": delivered_at"),
        ("update candidate set organization = 1, request = 1", "organization, request"),
        ("update candidate set recipient = ''", ": recipient"),
        ("update candidate set ordinal = ordinal + 1", "not from any Task"),
        ("update candidate set started_at = null, reason = 'x'", "reason, started_at"),
        ("delete from candidate", ": missing"),
        ("update need set state = 'won', closed_at = null", ": state, closed_at"),
        (
            "update need set request = 1, opened_at = opened_at - interval '1 h'",
            "request, opened_at",
        ),
        ("update need set wave = 7", ": wave"),
        ("delete from need", ": missing"),
        ("update timer set due_at = due_at + interval '1 h'", ": due_at"),
        ("update timer set since = since - interval '1 h'", ": since"),
        ("update timer set stood_at = since", ": stood_at"),
        ("delete from timer where kind = 'progress'", "timer progress of"),
        (
            (
                "insert into timer (shard, episode, kind, subject, since, due_at)"
                " select shard, id, 'accept-by', id, opened_at, opened_at from episode"
            ),
            "not from any Task",
        ),
        (
            (
                "insert into episode (id, shard, requester, request, state, opened_at)"
                " values (77, 0, 1, 1, 'open', now())"
            ),
            "episode 77: not from any Task",
        ),
    ],
)
async def test_given_a_projection_broken_when_reprojected_then_it_is_as_before(
    lived_in: House, broken: str, said: str
) -> None:
    before = await contents(lived_in)
    await lived_in.rows(broken)
    assert await contents(lived_in) != before
    found = await run(lived_in, mend=False)
    assert [text for text in found if said in text] != []
    assert await run(lived_in) == found
    assert await run(lived_in, mend=False) == []
    assert await contents(lived_in) == before


async def test_given_a_timer_made_again_when_it_fires_then_what_was_answered_stays(
    lived_in: House,
) -> None:
    statuses = "select task, status from candidate order by task"
    before = await lived_in.rows(statuses)
    await lived_in.rows("delete from timer")
    assert await run(lived_in) != []
    lived_in.clock.ahead = timedelta(days=365)
    while await expire.fire(lived_in.hub):
        pass
    assert await lived_in.rows(statuses) == before
