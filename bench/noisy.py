"""One client at ten times its share: how long the others wait for their answers before and meanwhile.

Offered load, so that who waits is measured from when it was due. Twice: with a rate agreed with the noisy
client, beyond which it is refused, and without one, where only the turns before the connections are fair.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from bench import machine, report
from bench.drive import Lap, Refused, offered, percentile
from bench.items import Asker
from bench.place import PROVIDERS, SENDER, Place, place, postgres

EACH = 1.0
"""Requests a second of each client: its share."""
TIMES = 10
SETTLED = 6.0
"""Seconds after which every process knows what was agreed."""


async def run(seconds: float) -> dict[str, Any]:
    async with postgres() as at:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        async with place(at) as here:
            for key in _others(here):
                await Asker(here.server(key)).fill(60)
            await Asker(here.server()).fill(400)
            await _lap(here, 5.0, loud=False)  # connections made, statements prepared
            before, _ = await _lap(here, seconds, loud=False)
            free, noisy_free = await _lap(here, seconds, loud=True)
            await _agree(here)
            held, noisy_held = await _lap(here, seconds, loud=True)
    rows = [
        ("alone", before, Lap()),
        ("noisy, no rate agreed", free, noisy_free),
        (f"noisy, {EACH:g} a second agreed", held, noisy_held),
    ]
    report.show(str(known))
    told = {}
    for name, others, noisy in rows:
        p95 = percentile(others.latencies, 0.95) * 1000
        ratio = p95 / (percentile(before.latencies, 0.95) * 1000)
        print(
            f"{name:32} others' p95 {p95:7.1f} ms, {ratio:.2f} of before; {others.done} answered,"
            f" {sum(others.refused.values())} refused; noisy: {noisy.done} answered,"
            f" {sum(noisy.refused.values())} refused {dict(noisy.refused)}"
        )
        told[name] = {"p95_ms": p95, "ratio": ratio, "answered": others.done}
    return told


async def _lap(here: Place, seconds: float, *, loud: bool) -> tuple[Lap, Lap]:
    keys = _others(here)
    others = [_asking(here, key) for key in keys]
    noisy = _asking(here, SENDER)

    async def work(number: int) -> None:
        await others[number % len(others)](number)

    async def silence() -> Lap:
        return Lap()

    quiet = offered(work, 4 * len(keys), EACH * len(keys), seconds)
    noise = offered(noisy, 60, EACH * TIMES, seconds) if loud else silence()
    return await asyncio.gather(quiet, noise)


def _others(here: Place) -> list[str]:
    """The organizations of the community that are clients."""
    return sorted(set(here.members) - {SENDER} - {one.key for one in PROVIDERS})


def _asking(here: Place, key: str) -> Any:
    server = here.server(key)
    asker = Asker(server)
    # What a worklist asks: some are found, or none, of a patient and an order with its patient.
    request = server.request("GET", "/ServiceRequest?_include=ServiceRequest:subject&_count=10")

    async def work(number: int) -> None:
        try:
            await asker.ask(number, request, 200)
        except Refused as refused:
            raise Refused(str(refused)[:3]) from None

    return work


async def _agree(here: Place) -> None:
    conn = await asyncpg.connect(here.postgres.url)
    try:
        await conn.execute(
            "update client set per_second = $2, burst = $3, at_once = 4 where id = $1",
            SENDER, EACH, int(EACH),
        )  # fmt: skip
    finally:
        await conn.close()
    await asyncio.sleep(SETTLED)
