"""The ladder: the same searches at a thousand patients, at four thousand, at sixteen thousand.

https://www.postgresql.org/docs/current/sql-explain.html

Flat is what takes at the highest rung at most 1.5 times as long as at the lowest and reads at most
1.2 times the buffers; asked by callers who see nothing, a thousandth, a third, everything.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx2
from fastapi import FastAPI
from pydantic import SecretStr
from rich.table import Table

from bench import machine, report, shapes
from bench.loader import Loader, Patient, differences
from bench.place import KEY, SENDER, Place, place, postgres
from bench.wire import Server, Wire
from coordhub import app
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record.bootstrap import open_hub
from coordhub.settings import Settings
from coordhub.store.engine import Engine

MOST_TIME = 1.5
MOST_BUFFERS = 1.2
CALLERS = {"0 %": "mounds", "0.1 %": "lakeside", "30 %": "metrolab", "100 %": SENDER}
"""Share of the patients that is seen -> who sees so much; the last wrote them."""

SMALL_MS = 0.5
"""Differences below this are the clock's and the neighbours', not the store's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """rungs: patients. times: requests of each shape and caller, within `budget` seconds."""

    rungs: Sequence[int]
    times: int
    budget: float


@dataclass(slots=True)
class Rung:
    """What was measured with so many patients. p50: ms by (shape, caller); buffers: 8 kB pages."""

    patients: int
    p50: dict[tuple[str, str], float] = field(default_factory=dict)
    buffers: dict[tuple[str, str], int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    bytes_each: float = math.nan
    seconds_to_load: float = 0.0


async def run(plan: Plan) -> dict[str, Any]:
    """Climb it, print the table, return all of it."""
    async with postgres() as at:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        async with place(at) as here:
            engine = await Engine.open(at.url)
            try:
                rungs, unlike = await _climb(plan, here, engine)
            finally:
                await engine.close()
    report.show(str(known), *(_table(rungs, caller) for caller in CALLERS))
    each = ", ".join(f"{rung.patients}: {rung.bytes_each:.0f}" for rung in rungs)
    report.show(f"bytes on disk per resource (indexes and history in, audit apart): {each}")
    report.show(f"rows unlike those of a POST: {unlike or 'none'}")
    return {
        "machine": known,
        "unlike": unlike,
        "rungs": [
            {
                "patients": rung.patients,
                "seconds_to_load": round(rung.seconds_to_load, 1),
                "bytes_per_resource": round(rung.bytes_each, 1),
                "refused": rung.refused,
                "p50_ms": {" | ".join(key): round(ms, 2) for key, ms in rung.p50.items()},
                "buffers": {" | ".join(key): pages for key, pages in rung.buffers.items()},
            }
            for rung in rungs
        ],
    }


async def _climb(plan: Plan, here: Place, engine: Engine) -> tuple[list[Rung], list[str]]:
    hub = await open_hub(engine, here.base)
    owner = here.members[SENDER]
    caller = Caller(SENDER, owner.rid, owner.reference, EVERYTHING)
    loader = Loader(hub, caller)
    third, few = here.members[CALLERS["30 %"]].rid, here.members[CALLERS["0.1 %"]].rid

    def granted(number: int) -> list[int]:
        return [third] * (number % 10 < 3) + [few] * (number % 1000 == 0)

    settings = Settings(token_key=SecretStr(KEY), base_url=here.base)
    application = app.build(settings, hub)
    asked = _Inside(application, engine)
    rungs = []
    async with application.router.lifespan_context(application):
        for patients in plan.rungs:
            rung = Rung(patients)
            report.tell(f"loading {patients} patients")
            begun = time.perf_counter()
            await loader.grow(patients, granted)
            rung.seconds_to_load = time.perf_counter() - begun
            rung.bytes_each = await _bytes_each(engine)
            report.tell(f"asking; loaded in {rung.seconds_to_load:.0f} s")
            for share, member in CALLERS.items():
                await _ask(plan, rung, loader.patients, share, here.server(member), asked)
            rungs.append(rung)
    sample = [loader.patients[-1], loader.patients[len(loader.patients) // 2]]
    unlike = [each for patient in sample for each in await differences(hub, caller, patient)]
    return rungs, unlike


async def _bytes_each(engine: Engine) -> float:
    """Bytes of all tables with their indexes, but the audit, by current resources."""
    async with engine.pool.acquire() as conn:
        total = await conn.fetchval(
            "select sum(pg_total_relation_size(oid)) from pg_class"
            " where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> 'audit'"
        )
        return float(total) / float(await conn.fetchval("select count(*) from resource"))


async def _ask(
    plan: Plan, rung: Rung, patients: Sequence[Patient], share: str, server: Server, inside: _Inside
) -> None:
    wire = await server.connect()
    chosen = [patients[number * 977 % len(patients)] for number in range(plan.times)]
    for shape in shapes.SHAPES:
        if shape in rung.refused:
            continue
        taken: list[float] = []
        until = time.perf_counter() + plan.budget
        for patient in chosen:
            if wire.closed:
                wire = await server.connect()
            status, seconds = await _timed(wire, server, shapes.path(shape, patient))
            if status != 200:
                rung.refused[shape] = str(status)
                break
            taken.append(seconds)
            if time.perf_counter() > until:
                break
        if shape in rung.refused:
            continue
        rung.p50[shape, share] = statistics.median(taken) * 1000
        pages = [
            await inside.buffers(server, shapes.path(shape, patient)) for patient in chosen[:3]
        ]
        rung.buffers[shape, share] = round(statistics.median(pages))
    wire.close()


async def _timed(wire: Wire, server: Server, path: str) -> tuple[int, float]:
    begun = time.perf_counter()
    try:
        answer = await wire.ask(server.request("GET", path))
    except TimeoutError:
        return 0, 0.0
    return answer.status, time.perf_counter() - begun


class _Inside:
    """The same application in this process, so that its statements can be had and explained."""

    def __init__(self, application: FastAPI, engine: Engine) -> None:
        self._application = application
        self._engine = engine

    async def buffers(self, server: Server, path: str) -> int:
        """Pages that the statements of this search touch, planning apart."""
        async with self._engine.searches.acquire() as conn:
            heard: list[tuple[str, tuple[Any, ...]]] = []

            def hear(record: Any) -> None:
                if record.query.lstrip().startswith(("select", "with")):
                    heard.append((record.query, tuple(record.args)))

            conn.add_query_logger(hear)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self._application), base_url=server.base
        ) as http:
            await http.get(
                f"{server.base}{path}", headers={"Authorization": f"Bearer {server.token}"}
            )
        async with self._engine.searches.acquire() as conn:
            conn.remove_query_logger(hear)
            return sum([await _pages(conn, *one) for one in heard])


async def _pages(conn: Any, query: str, arguments: tuple[Any, ...]) -> int:
    try:
        text = await conn.fetchval(
            f"explain (analyze, buffers, timing off, format json) {query}", *arguments
        )
    except asyncpg.PostgresError:
        return 0
    plan = json.loads(text)[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def _table(rungs: Sequence[Rung], share: str) -> Table:
    """One caller's figures: p50 and buffers by shape and rung, and whether they stay flat."""
    table = Table(title=f"caller who sees {share}: p50 ms (pages)", title_justify="left")
    table.add_column("search")
    for rung in rungs:
        table.add_column(str(rung.patients), justify="right")
    table.add_column("time x", justify="right")
    table.add_column("pages x", justify="right")
    for shape in shapes.SHAPES:
        key = (shape, share)
        if key not in rungs[0].p50:
            refused = next((rung.refused.get(shape) for rung in rungs), None)
            table.add_row(shape, f"skipped: {refused}")
            continue
        cells = [
            f"{rung.p50[key]:.1f} ({rung.buffers[key]})" if key in rung.p50 else "over"
            for rung in rungs
        ]
        table.add_row(shape, *cells, *_growth(rungs[0], rungs[-1], key))
    return table


def _growth(low: Rung, high: Rung, key: tuple[str, str]) -> tuple[str, str]:
    if low is high or key not in high.p50:
        return "", ""
    slower = high.p50[key] / low.p50[key]
    more = high.buffers[key] / max(1, low.buffers[key])
    steep = slower > MOST_TIME and high.p50[key] - low.p50[key] > SMALL_MS
    return (
        f"{slower:.2f}{' STEEP' if steep else ''}",
        f"{more:.2f}{' STEEP' if more > MOST_BUFFERS else ''}",
    )
