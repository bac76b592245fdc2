"""How fast changes become acknowledged deliveries, to one partner and to fifty, and what one delivery costs.

A backlog of referrals waits for the relay; then the worker, its relay and its attempts as in production but
in this process, works it off until every delivery is acknowledged over HTTP by a partner's server, or lies
in an inbox. The partners' servers are a process of their own, whose time does not count. The floor plans,
claims and settles the same number of deliveries of the same size, by asyncpg alone and without HTTP. All
three take turns, round by round; a ratio is the median over rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg
from rich.table import Table

from bench import machine, report
from bench.place import SENDER, Postgres, founded, postgres, providers, sending, simulating
from coordhub.access.caller import Caller
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.routing.deliver import Sending
from coordhub.routing.worker import Pace, Worker
from coordhub.sandbox import demo
from coordhub.store.engine import Engine

PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """partners: how many, once few and once many. changes: referrals of one lap. rounds: laps of each."""

    partners: tuple[int, int] = (1, 50)
    changes: int = 100
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Lap:
    """CPU in seconds; hub: of the worker's process (of the floor: of asyncpg)."""

    changes: int
    deliveries: int
    seconds: float
    hub: float
    postgres: float

    @property
    def rate(self) -> float:
        return self.deliveries / self.seconds


async def run(plan: Plan) -> dict[str, Any]:
    async with postgres() as at, simulating(at) as partners:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        everyone = providers(max(plan.partners))
        async with (
            founded(at.url, "http://127.0.0.1:1/fhir", partners, everyone) as (hub, seats),
            sending(hub, seats) as (ready, callers),
            asyncpg.create_pool(at.floor, min_size=16, max_size=16, reset=_as_it_is) as pool,
        ):
            await pool.execute(_TABLES)
            laps: dict[str, list[Lap]] = {}

            async def round_of(changes: int) -> None:
                for count in plan.partners:
                    report.tell(f"{changes} referrals to {count}")
                    among = [callers[one.key] for one in everyone[:count]]
                    lap = await _hub(at, ready, callers[SENDER], among, changes)
                    laps.setdefault(f"{count}", []).append(lap)
                report.tell("the floor")
                each = laps[f"{plan.partners[0]}"][-1].deliveries / changes
                laps.setdefault("floor", []).append(await _floor(at, pool, changes, each))

            await round_of(8)  # plans are made, connections open
            laps.clear()
            for _ in range(plan.rounds):
                await round_of(plan.changes)
            after = machine.calibrate(
                at.folder if machine.writable(at.folder) else at.folder.parent
            )
    report.show(str(known), str(after), _table(laps))
    return {
        "machine": [known, after],
        "plan": asdict(plan),
        "laps": {name: [asdict(lap) for lap in of] for name, of in laps.items()},
        "ratio": {name: _ratio(of, laps["floor"]) for name, of in laps.items()},
    }


async def _hub(
    at: Postgres, ready: Sending, sender: Caller, partners: list[Caller], changes: int
) -> Lap:
    """Refer so many, in turn to each; then have the worker do all that this asks for."""
    hub = ready.hub
    for number in range(changes):
        to = partners[number % len(partners)].reference
        bundle = demo.referral(uuid.uuid4().hex[:12], sender.reference, to, hub.clock())
        creates = [
            Create(each["resource"]["resourceType"], each["resource"], each["fullUrl"])
            for each in bundle["entry"]
        ]
        await commit(hub, sender, creates, interaction="transaction")
    before = await _delivered(hub.engine)
    stop = asyncio.Event()
    worker = Worker(ready, Pace())
    begun, of_hub, of_postgres = _times(at)
    working = asyncio.create_task(worker.run(stop))
    async with asyncio.timeout(PATIENCE):
        while await hub.engine.pool.fetchval(_OPEN):
            await asyncio.sleep(0.1)
    ended, then_hub, then_postgres = _times(at)
    stop.set()
    await working
    made = await _delivered(hub.engine) - before
    return Lap(changes, made, ended - begun, then_hub - of_hub, then_postgres - of_postgres)


_OPEN = (
    "select exists (select from change where relayed_at is null and episode is not null)"
    " or exists (select from delivery where state in ('queued', 'leased', 'parked'))"
)


async def _delivered(engine: Engine) -> int:
    """Raises where one was not: a bench that counts only what went well would flatter."""
    row = await engine.pool.fetchrow(
        "select count(*) filter (where state = 'delivered'), count(*) filter (where state = 'dead') from delivery"
    )
    assert row is not None
    if row[1]:
        raise RuntimeError(f"{row[1]} deliveries were given up")
    delivered: int = row[0]
    return delivered


def _times(at: Postgres) -> tuple[float, float, float]:
    return time.perf_counter(), time.process_time(), machine.cpu([], at.postmaster).postgres


# ---- the floor

_TABLES = """
create table change_row (seq bigint generated always as identity primary key, relayed timestamptz);
create index on change_row (seq) where relayed is null;
create table delivery_row (id uuid primary key, change bigint not null, recipient bigint not null,
    state text not null, attempts int not null default 0, next_at timestamptz, lease_until timestamptz,
    settled timestamptz, unique (change, recipient));
create index on delivery_row (next_at) where state = 'queued';
create table attempt_row (delivery uuid not null, number int not null, at timestamptz not null,
    outcome text not null, status int, primary key (delivery, number));
create table audit_row (seq bigint generated always as identity primary key, at timestamptz not null,
    recipient bigint not null, delivery uuid not null);
"""

_PLAN = """
with due as (
    select seq from change_row where relayed is null order by seq limit 1 for update skip locked
), told as (
    update change_row c set relayed = now() from due where c.seq = due.seq returning c.seq
)
insert into delivery_row (id, change, recipient, state, next_at)
select gen_random_uuid(), told.seq, n, 'queued', now() from told, generate_series(1, $1::int) n
"""

_CLAIM = """
update delivery_row d set state = 'leased', attempts = attempts + 1, lease_until = now() + interval '60 s'
from (select id from delivery_row where state = 'queued' order by next_at limit 16 for update skip locked) due
where d.id = due.id returning d.id, d.attempts
"""

_SETTLE = """
with settled as (
    update delivery_row set state = 'delivered', settled = now() where id = $1 and attempts = $2
    returning id, recipient
), attempted as (
    insert into attempt_row select id, $2, now(), 'delivered', 200 from settled
)
insert into audit_row (at, recipient, delivery) select now(), recipient, id from settled
"""
"""One transaction, one durable commit, as each of the hub's."""


async def _as_it_is(_: object) -> None:
    """As the hub's connections do: given back without a round trip."""


async def _floor(
    at: Postgres, pool: asyncpg.Pool[asyncpg.Record], changes: int, each: float
) -> Lap:
    await pool.execute(
        "insert into change_row (relayed) select null from generate_series(1, $1::int)", changes
    )
    begun, of_hub, of_postgres = _times(at)
    settled = 0

    async def plan() -> bool:
        made: str = await pool.execute(_PLAN, round(each))
        return not made.endswith(" 0")

    async def deliver() -> bool:
        nonlocal settled
        held = await pool.fetch(_CLAIM)
        await asyncio.gather(*(pool.execute(_SETTLE, *one) for one in held))
        settled += len(held)
        return bool(held) or bool(await pool.fetchval(_WAITING))

    await asyncio.gather(_until_idle(plan), _until_idle(deliver))
    ended, then_hub, then_postgres = _times(at)
    return Lap(changes, settled, ended - begun, then_hub - of_hub, then_postgres - of_postgres)


_WAITING = (
    "select exists (select from change_row where relayed is null)"
    " or exists (select from delivery_row where state = 'queued')"
)


async def _until_idle(step: Callable[[], Awaitable[bool]]) -> None:
    while await step():
        pass


# ---- what is shown


def _ratio(of: list[Lap], floor: list[Lap]) -> float:
    return statistics.median(lap.rate / under.rate for lap, under in zip(of, floor, strict=True))


def _each(laps: list[Lap], used: Callable[[Lap], float]) -> float:
    """Milliseconds of one delivery, over all laps."""
    return 1000 * sum(map(used, laps)) / sum(lap.deliveries for lap in laps)


def _table(laps: dict[str, list[Lap]]) -> Table:
    table = Table(
        title="changes relayed, delivered and acknowledged; CPU ms for a delivery",
        title_justify="left",
    )
    for name in (
        "partners",
        "changes /s",
        "deliveries /s",
        "of the floor",
        "CPU hub",
        "CPU Postgres",
    ):
        table.add_column(name, justify="right")
    for name, of in laps.items():
        table.add_row(
            name,
            f"{statistics.median(lap.changes / lap.seconds for lap in of):.1f}",
            f"{statistics.median(lap.rate for lap in of):.1f}",
            f"{_ratio(of, laps['floor']):.2%}",
            f"{_each(of, lambda lap: lap.hub):.2f}",
            f"{_each(of, lambda lap: lap.postgres):.2f}",
        )
    return table


__all__ = ["Plan", "run"]
