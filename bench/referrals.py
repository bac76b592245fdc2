"""How many referrals a second the hub coordinates, and what each costs, part by part.

Offered load (a referral is due when it is due, whatever became of the one before) to five partners that are
well, from submission at the API to arrival at the partner's server. The highest rate counts at which 99 of
100 arrive within the aim and none is lost. Then the same steps without HTTP, one part after the other, so
that the CPU of each can be told apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table

from bench import machine, report
from bench.drive import Lap, Refused, offered, percentile
from bench.items import Asker, received
from bench.place import (
    PROVIDERS,
    SENDER,
    Place,
    Postgres,
    founded,
    place,
    postgres,
    sending,
    simulating,
)
from bench.wire import Server
from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.operations import Create, Update
from coordhub.routing import relay
from coordhub.routing.deliver import deliver
from coordhub.sandbox import demo
from coordhub.store import deliveries, resources

PARTNERS = tuple(one.key for one in PROVIDERS)
AIM = 0.250
"""Seconds, at the 99th percentile."""

PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """first: the rate that is offered first, per second. seconds: of one step. alone: for the parts."""

    first: float
    seconds: float
    alone: int


class Arrivals:
    """Which referrals have come to which partner, asked of the simulator every 5 ms."""

    def __init__(self, here: Place) -> None:
        self._here = here
        self._asker = Asker(here.server())
        self._waited: dict[str, asyncio.Future[None]] = {}
        self._turn = 0

    async def refer(self, client: int) -> None:
        """Send one to the next partner; return when that has it."""
        self._turn += 1
        partner = self._here.members[PARTNERS[self._turn % len(PARTNERS)]]
        run = uuid.uuid4().hex[:12]
        sender = self._here.members[SENDER].reference
        bundle = demo.referral(run, sender, partner.reference, datetime.now(UTC))
        arrived = self._waited[run] = asyncio.get_running_loop().create_future()
        request = self._here.server().request("POST", "", fhir_json.encode(bundle))
        await self._asker.ask(client, request, 200)
        try:
            async with asyncio.timeout(PATIENCE):
                await arrived
        except TimeoutError:
            raise Refused(f"not delivered within {PATIENCE:.0f} s") from None

    async def watch(self, partner: str) -> None:
        server = Server(self._here.simulator)
        wire, after = await server.connect(), 0
        while True:
            request = server.request("GET", f"/partners/{partner}/received?after={after}")
            answer = await wire.ask(request)
            for entry in received(fhir_json.parse(b'{"all":' + answer.body + b"}")["all"]):
                after = max(after, entry["sequence"])
                for resource in entry["resources"]:
                    for identifier in resource.get("identifiers", ()):
                        waited = self._waited.pop(identifier.rpartition("|demo-")[2], None)
                        if waited is not None and not waited.done():
                            waited.set_result(None)
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was offered. cpu: milliseconds for each referral, by part."""

    rate: float
    lap: Lap
    cpu: dict[str, float]

    @property
    def p99(self) -> float:
        return percentile(self.lap.latencies, 0.99)

    @property
    def lost(self) -> int:
        return sum(self.lap.refused.values())

    @property
    def is_met(self) -> bool:
        return bool(self.lap.latencies) and self.lost == 0 and self.p99 < AIM


async def run(plan: Plan) -> dict[str, Any]:
    async with postgres() as at:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        async with place(at) as here:
            steps = await _climb(here, plan)
        parts = await _alone(at, plan.alone)
    report.show(str(known), _table(steps), _parts(parts))
    return {
        "machine": known,
        "partners": PARTNERS,
        "steps": [
            {
                "rate": step.rate,
                "p50_ms": percentile(step.lap.latencies, 0.5) * 1000,
                "p99_ms": step.p99 * 1000,
                "lost": step.lost,
                "cpu_ms": step.cpu,
            }
            for step in steps
        ],
        "highest": max((step.rate for step in steps if step.is_met), default=0),
        "parts": parts,
    }


async def _climb(here: Place, plan: Plan) -> list[Step]:
    """Rates up by half until one is too high, then twice between."""
    arrivals = Arrivals(here)
    watching = [asyncio.create_task(arrivals.watch(partner)) for partner in PARTNERS]
    try:
        await offered(arrivals.refer, 64, plan.first, 3)  # plans are made, connections open
        steps = [await _step(here, arrivals, plan.first, plan.seconds)]
        while steps[-1].is_met:
            steps.append(await _step(here, arrivals, steps[-1].rate * 1.5, plan.seconds))
        for _ in range(2):
            met = max((step.rate for step in steps if step.is_met), default=0.0)
            missed = min(step.rate for step in steps if not step.is_met)
            steps.append(await _step(here, arrivals, (met + missed) / 2, plan.seconds))
        return steps
    finally:
        for one in watching:
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one


async def _step(here: Place, arrivals: Arrivals, rate: float, seconds: float) -> Step:
    report.tell(f"{rate:.1f} referrals a second")
    before = _cpu(here)
    lap = await offered(arrivals.refer, 256, rate, seconds)
    used = {name: after - before[name] for name, after in _cpu(here).items()}
    return Step(rate, lap, {name: 1000 * used[name] / max(1, lap.done) for name in used})


def _cpu(here: Place) -> dict[str, float]:
    server, worker = here.pids
    return {
        "API": machine.cpu([server], None).hub,
        "worker": machine.cpu([worker], None).hub,
        "Postgres": machine.cpu([], here.postgres.postmaster).postgres,
    }


# ---- each part alone


async def _alone(at: Postgres, count: int) -> dict[str, dict[str, float]]:
    """Milliseconds of CPU for each referral, of this process and of Postgres, from sent to completed."""
    report.tell(f"{count} referrals, part by part")
    async with (
        simulating(at) as partners,
        founded(at.url, "http://127.0.0.1:1/fhir", partners) as (hub, seats),
        sending(hub, seats) as (ready, callers),
    ):
        turn = 0

        async def submit() -> bool:
            nonlocal turn
            turn += 1
            sender, partner = callers[SENDER], callers[PARTNERS[turn % len(PARTNERS)]]
            bundle = demo.referral(
                uuid.uuid4().hex[:12], sender.reference, partner.reference, hub.clock()
            )
            creates = [
                Create(each["resource"]["resourceType"], each["resource"], each["fullUrl"])
                for each in bundle["entry"]
            ]
            await commit(hub, sender, creates, interaction="transaction")
            return turn % count != 0

        async def send() -> bool:
            async with hub.engine.pool.acquire_at_last() as conn:
                held = await deliveries.claim(conn, hub.clock(), 16, timedelta(seconds=60))
            for one in held:
                await deliver(ready, one)
            return bool(held)

        asked: list[tuple[Caller, str]] = []
        by_rid = {one.organization: one for one in callers.values()}

        def answer(status: str, before: str) -> Callable[[], Awaitable[bool]]:
            async def step() -> bool:
                if not asked:
                    async with hub.engine.pool.acquire() as conn:
                        rows = await conn.fetch(_ANSWERING, before)
                    asked.extend((by_rid[row[0]], row[1]) for row in rows)
                who, task = asked.pop()
                async with hub.engine.pool.acquire() as conn:
                    found = await resources.read(conn, viewer.of(who), "Task", task)
                assert found is not None
                assert found.body is not None
                document = {**fhir_json.parse(found.body.encode()), "status": status}
                await commit(hub, who, [Update("Task", task, document)], interaction="update")
                return bool(asked)

            return step

        steps: dict[str, Callable[[], Awaitable[bool]]] = {"submit, without HTTP": submit}
        told = {"relay": lambda: relay.relay(hub, uuid.uuid4), "deliver": send}
        steps |= told
        for said, (status, before) in _ANSWERS.items():
            steps[said] = answer(status, before)
            steps |= {f"{name}, {said}": step for name, step in told.items()}
        await _through(steps, at, 1)  # plans are made
        return await _through(steps, at, count)


_ANSWERING = "select c.organization, r.fhir_id from candidate c join resource r on r.rid = c.task where c.status = $1"
_ANSWERS = {
    "accepted": ("accepted", "requested"),
    "begun": ("in-progress", "accepted"),
    "completed": ("completed", "in-progress"),
}
"""What its recipient says of a Task, one after the other: the status, and that before."""


async def _through(
    steps: dict[str, Callable[[], Awaitable[bool]]], at: Postgres, count: int
) -> dict[str, dict[str, float]]:
    found = {}
    for name, step in steps.items():
        of_hub, of_postgres = time.process_time(), machine.cpu([], at.postmaster).postgres
        while await step():
            pass
        found[name] = {
            "hub": 1000 * (time.process_time() - of_hub) / count,
            "postgres": 1000 * (machine.cpu([], at.postmaster).postgres - of_postgres) / count,
        }
    return found


def _table(steps: list[Step]) -> Table:
    table = Table(
        title=f"referrals to {len(PARTNERS)} partners, submitted to delivered", title_justify="left"
    )
    for name in ("offered /s", "p50 ms", "p99 ms", "lost", "API", "worker", "Postgres CPU ms"):
        table.add_column(name, justify="right")
    for step in sorted(steps, key=lambda one: one.rate):
        half = percentile(step.lap.latencies, 0.5)
        table.add_row(
            f"{step.rate:.1f}{' *' if step.is_met else ''}", f"{half * 1000:.0f}", f"{step.p99 * 1000:.0f}",
            str(step.lost), *(f"{step.cpu[name]:.1f}" for name in ("API", "worker", "Postgres")),
        )  # fmt: skip
    return table


def _parts(parts: dict[str, dict[str, float]]) -> Table:
    table = Table(title="each part alone, CPU ms for a referral", title_justify="left")
    for name in ("part", "hub", "Postgres"):
        table.add_column(name, justify="left" if name == "part" else "right")
    whole = {kind: sum(one[kind] for one in parts.values()) for kind in ("hub", "postgres")}
    for name, one in {**parts, "all": whole}.items():
        table.add_row(name, f"{one['hub']:.2f}", f"{one['postgres']:.2f}")
    return table


__all__ = ["Plan", "run"]
