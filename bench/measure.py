"""The table of work items: hub, floor and peers in turns, so that all meet the same machine.

Of each item a round is the floor's lap, the hub's, then the peers'; figures are medians over rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench import floors, items, machine, report
from bench.drive import Lap, Refused, Work, closed, offered
from bench.items import Asker, Referrals
from bench.place import RECIPIENT, SENDER, Place, place, postgres
from bench.report import Measured
from bench.wire import Server

OFFERED_SHARE = 0.5
"""Of the rate of the closed loop, as offered load."""


@dataclass(frozen=True, slots=True)
class Plan:
    """rounds: laps of each item. seconds: of one lap. peers: FHIR servers on the same work."""

    items: str
    clients: int
    rounds: int
    seconds: float
    observations: int
    peers: Sequence[Server] = ()


async def run(plan: Plan) -> dict[str, Any]:
    """Measure, print the tables, and return all of it."""
    async with postgres() as at:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        async with (
            place(at) as here,
            floors.floor(at.floor, plan.clients, plan.observations) as floor,
        ):
            return await _Bench(plan, here, floor, known).all()


class _Bench:
    def __init__(
        self, plan: Plan, here: Place, floor: floors.Floor, known: machine.Machine
    ) -> None:
        self._plan = plan
        self._here = here
        self._floor = floor
        self._machine = known

    async def all(self) -> dict[str, Any]:
        plan = self._plan
        asker = Asker(self._here.server())
        peers = {server.base: Asker(server) for server in plan.peers}
        for one in (asker, *peers.values()):
            report.tell(f"filling with {plan.observations} observations")
            await one.fill(plan.observations)
        await self._settle()
        hub: dict[str, Measured] = {}
        floor: dict[str, Measured] = {}
        loaded: dict[str, Measured] = {}
        others: dict[str, dict[str, Measured]] = {base: {} for base in peers}
        for letter in plan.items:
            if letter == "g":
                report.tell(f"g: {NAMES['g']}")
                hub["g"], loaded["g"] = await self._referrals(asker)
                continue
            work = asker.works()[letter]
            below = [name for name in (letter, f"{letter}2") if name in self._floor.works()]
            report.tell(f"{letter}: {NAMES[letter]}")
            hub[letter] = Measured(letter)
            for name in below:
                floor[name] = Measured(name)
            for side in others.values():
                side[letter] = Measured(letter)
            if not await _served(work, hub[letter]):
                continue
            for _ in range(plan.rounds):
                for name in below:
                    await self._lap(floor[name], self._floor.works()[name])
                await self._lap(hub[letter], work)
                for base, peer in peers.items():
                    if await _served(peer.works()[letter], others[base][letter]):
                        await self._lap(others[base][letter], peer.works()[letter])
            loaded[letter] = await self._offered(letter, work, hub[letter].rate)
        for one in (asker, *peers.values()):
            one.close()
        return self._told(hub, floor, loaded, others)

    async def _settle(self) -> None:
        """Statistics and visibility map as they are in a database that was not filled just now."""
        import asyncpg

        conn = await asyncpg.connect(self._here.postgres.url)
        await conn.execute("vacuum analyze")
        await conn.execute("checkpoint")
        await conn.close()

    async def _lap(self, into: Measured, work: Work) -> None:
        before = self._cpu()
        into.laps.append(await closed(work, self._plan.clients, self._plan.seconds))
        into.cpu.append(self._cpu() - before)

    async def _offered(self, letter: str, work: Work, rate: float) -> Measured:
        made = Measured(letter)
        for _ in range(self._plan.rounds):
            lap = await offered(
                work, self._plan.clients * 2, rate * OFFERED_SHARE, self._plan.seconds
            )
            made.laps.append(lap)
        return made

    async def _referrals(self, asker: Asker) -> tuple[Measured, Measured]:
        members = self._here.members
        referrals = Referrals(
            asker, self._here.server(), members[SENDER].reference, members[RECIPIENT].reference
        )
        path = f"/partners/{RECIPIENT}/received"
        watching = asyncio.create_task(referrals.watch(Server(self._here.simulator), path))
        made = Measured("g")
        try:
            for _ in range(self._plan.rounds):
                await self._lap(made, referrals.refer)
            return made, await self._offered("g", referrals.refer, made.rate)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    def _cpu(self) -> machine.Cpu:
        return machine.cpu(self._here.pids, self._here.postgres.postmaster)

    def _told(
        self,
        hub: dict[str, Measured],
        floor: dict[str, Measured],
        loaded: dict[str, Measured],
        others: dict[str, dict[str, Measured]],
    ) -> dict[str, Any]:
        rows = []
        for letter, measured in hub.items():
            name = NAMES[letter]
            rows.append((letter, name, measured, floor.get(letter), loaded.get(letter)))
            if f"{letter}2" in floor:
                rows.append(
                    (f"{letter}2", "the same, floor audited", measured, floor[f"{letter}2"], None)
                )
        clients = self._plan.clients
        title = f"{clients} clients, closed loop, then half its rate offered; ms"
        report.show(str(self._machine), report.items_table(title, rows))
        for base, side in others.items():
            report.show(
                report.items_table(
                    f"peer {base}",
                    [
                        (letter, NAMES[letter], one, floor.get(letter), None)
                        for letter, one in side.items()
                    ],
                )
            )
        return {
            "machine": self._machine,
            "plan": {"clients": clients, "rounds": self._plan.rounds, "seconds": self._plan.seconds,
                     "observations": self._plan.observations},
            "hub": {letter: one.as_json() for letter, one in hub.items()},
            "offered": {letter: one.as_json() for letter, one in loaded.items()},
            "floor": {letter: one.as_json() for letter, one in floor.items()},
            "ratio": {
                letter: round(report.ratio(hub[letter[0]], one), 4)
                for letter, one in floor.items()
                if hub[letter[0]].laps
            },
            "aims": report.AIMS,
            "peers": {
                base: {letter: one.as_json() for letter, one in side.items()}
                for base, side in others.items()
            },
        }  # fmt: skip


NAMES = {**items.NAMES, "g": "referral, submitted to delivered"}


async def _served(work: Callable[[int], Any], measured: Measured) -> bool:
    """Whether it is done at all, tried once; if not, `measured` has the reason."""
    try:
        await work(0)
    except Refused as refused:
        lap = Lap()
        lap.refused[str(refused)] += 1
        measured.laps.append(lap)
        return False
    return True
