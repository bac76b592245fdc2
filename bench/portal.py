"""First views of the portal's desks beside a full store, with hundreds of people at them (S35).

Time is that of a whole page over HTTP on one connection, from request to last byte; statements and pages of the
buffer cache are counted in the same application in this process. Then everybody is there at once, looks at
something, reads for a while, and looks at the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx2
from pydantic import SecretStr
from rich.table import Table

from bench import desks, machine, report
from bench.desks import County
from bench.drive import Refused, percentile
from bench.place import KEY, Place, place, postgres
from bench.wire import Server, Wire
from coordhub import app
from coordhub.portal import signing_in
from coordhub.record.bootstrap import open_hub
from coordhub.record.hub import Hub
from coordhub.settings import Settings
from coordhub.store import accounts
from coordhub.store.accounts import Person, Secret
from coordhub.store.engine import Engine

EACH: Final = 5
"""People of an organization."""

READS: Final = 20.0
"""Seconds, on average, that somebody looks at a page before it asks for the next."""

ALONE: Final = 40
"""How often each view is asked for alone."""

VIEWS: Final = {
    "worklist": ("program-staff", "worklist"),
    "task": ("program-staff", "tasks/{task}"),
    "board": ("coordinator", "board"),
    "referral": ("coordinator", "referrals/{task}"),
    "patients": ("coordinator", "patients"),
    "chart": ("coordinator", "patients/{patient}"),
}
"""Name -> whose, and its path below the portal."""

_OF = {
    "program-staff": "select r.fhir_id, '' from candidate c join resource r on r.rid = c.task"
    " where c.organization = $1 and c.ended_at is null order by c.asked_at desc limit 50",
    "coordinator": "select r.fhir_id, p.fhir_id from episode e join resource r on r.rid = e.id"
    " join resource p on p.rid = e.patient"
    " where e.requester = $1 and e.closed_at is null order by e.opened_at desc limit 50",
}


@dataclass(frozen=True, slots=True)
class Plan:
    tasks: int
    users: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who has signed in. known: ids of a Task and a Patient that it has to do with."""

    role: str
    token: str
    known: Sequence[tuple[str, str]]

    def request(self, server: Server, view: str, chance: random.Random) -> bytes:
        task, patient = chance.choice(self.known)
        path = VIEWS[view][1].format(task=task, patient=patient)
        return server.request("GET", f"/portal/{path}", headers={"Cookie": self.cookie})

    @property
    def cookie(self) -> str:
        return f"coordhub_session={self.token}"


async def run(plan: Plan) -> dict[str, Any]:
    async with postgres() as at:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        async with place(at, works=False) as here:
            engine = await Engine.open(at.url)
            try:
                hub = await open_hub(engine, here.base)
                begun = time.perf_counter()
                most = max(2, plan.users // EACH // 2)
                county = await desks.county(hub, most, most)
                await desks.fill(hub, county, plan.tasks)
                loaded = time.perf_counter() - begun
                stored, size = await _stored(engine)
                guests = await _people(hub, county, plan.users)
                costs = await _costs(hub, here, guests)
                report.tell(f"statements and pages: {costs}")
            finally:
                await engine.close()
            server = Server(here.base.removesuffix("/fhir"))
            alone = await _alone(server, guests)
            for view, taken in alone.items():
                report.tell(f"{view} alone: p50 {percentile(taken, 0.5) * 1000:.1f} ms")
            before = machine.cpu(here.pids, at.postmaster)
            crowd, refused = await _crowd(server, guests, plan.seconds)
            used = machine.cpu(here.pids, at.postmaster) - before
    report.show(str(known))
    table = Table(title=f"{stored} Tasks, {len(guests)} people", title_justify="left")
    for name in (
        "view",
        "statements",
        "pages",
        "alone p50 ms",
        "p95",
        "all at once p50 ms",
        "p95",
        "views",
    ):
        table.add_column(name, justify="right")
    told: dict[str, Any] = {}
    for view in VIEWS:
        row = [
            *(percentile(alone[view], share) * 1000 for share in (0.5, 0.95)),
            *(percentile(crowd[view], share) * 1000 for share in (0.5, 0.95)),
        ]
        table.add_row(
            view, *map(str, costs[view]), *(f"{ms:.1f}" for ms in row), str(len(crowd[view]))
        )
        told[view] = {"statements": costs[view][0], "pages": costs[view][1], "ms": row}
    views = sum(map(len, crowd.values()))
    report.show(table)
    print(
        f"loaded in {loaded:.0f} s, {size / 2**30:.1f} GiB; {views / plan.seconds:.1f} views a second,"
        f" CPU of a view {used.hub * 1000 / max(1, views):.1f} ms of the hub and"
        f" {used.postgres * 1000 / max(1, views):.1f} ms of Postgres; refused {dict(refused) or 'none'}"
    )
    return {
        "machine": known,
        "tasks": stored,
        "people": len(guests),
        "views": told,
        "refused": dict(refused),
    }


async def _stored(engine: Engine) -> tuple[int, int]:
    """Tasks, and bytes of the database."""
    async with engine.pool.acquire() as conn:
        return (
            await conn.fetchval(
                "select (select count(*) from episode) + (select count(*) from candidate)"
                " + (select count(*) from errand)"
            ),
            await conn.fetchval("select pg_database_size(current_database())"),
        )


async def _people(hub: Hub, county: County, users: int) -> list[Guest]:
    """One after the other of the services' staff and the clinics' coordinators, signed in."""
    guests = []
    nobody = Secret(b"\0" * 16, hashlib.sha256(b"").digest())
    for number in range(users):
        role = ("program-staff", "coordinator")[number % 2]
        those = county.services if number % 2 == 0 else county.clinics
        one = those[number // 2 % len(those)]
        email = f"p{number}@example.org"
        person = Person(uuid4().hex, one.rid, email, f"Person {number}", (role,), True)
        async with hub.engine.pool.acquire() as conn:
            await accounts.add(conn, person, nobody, hub.clock())
            rows = await conn.fetch(_OF[role], one.rid)
        begun = await signing_in.begin(hub, person, signing_in.name_of(email), None)
        guests.append(Guest(role, begun.token, [tuple(row) for row in rows]))
    return guests


def _who(guests: Sequence[Guest], view: str) -> list[Guest]:
    return [one for one in guests if one.role == VIEWS[view][0] and one.known]


async def _costs(hub: Hub, here: Place, guests: Sequence[Guest]) -> dict[str, tuple[int, int]]:
    """Statements of each view, and pages that those which read touch: medians of three people."""
    settings = Settings(token_key=SecretStr(KEY), base_url=here.base)
    application = app.build(settings, hub)
    found = {}
    async with (
        application.router.lifespan_context(application),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=application),
            base_url=here.base.removesuffix("/fhir"),
        ) as http,
    ):
        for view, (_, path) in VIEWS.items():
            told = []
            for guest in _who(guests, view)[:3]:
                task, patient = guest.known[0]
                there = f"/portal/{path.format(task=task, patient=patient)}"
                for _ in range(2):  # what a connection asks once, it knows after that
                    asked = await _asked(hub.engine, http, there, guest.cookie)
                told.append((len(asked), await _pages(hub.engine, asked)))
            told.sort(key=lambda one: one[1])
            found[view] = told[len(told) // 2]
    return found


async def _asked(
    engine: Engine, http: httpx2.AsyncClient, path: str, cookie: str
) -> list[tuple[str, tuple[Any, ...]]]:
    heard: list[tuple[str, tuple[Any, ...]]] = []

    def hear(record: Any) -> None:
        if record.query.lstrip().startswith(("select", "with")):
            heard.append((record.query, tuple(record.args)))

    async with contextlib.AsyncExitStack() as stack:
        pool = engine.pool
        conns = [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_size())]
        for conn in conns:
            conn.add_query_logger(hear)
    answered = await http.get(path, headers={"Cookie": cookie})
    if answered.status_code != 200:
        raise RuntimeError(f"{path} was answered {answered.status_code}")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(engine.pool.get_size()):
            conn = await stack.enter_async_context(engine.pool.acquire())
            with contextlib.suppress(KeyError, ValueError):
                conn.remove_query_logger(hear)
    return heard


async def _pages(engine: Engine, asked: Sequence[tuple[str, tuple[Any, ...]]]) -> int:
    pages = 0
    async with engine.pool.acquire() as conn:
        for query, arguments in asked:
            with contextlib.suppress(asyncpg.PostgresError):
                text = await conn.fetchval(
                    f"explain (analyze, buffers, timing off, format json) {query}", *arguments
                )
                plan = json.loads(text)[0]["Plan"]
                pages += int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
    return pages


async def _alone(server: Server, guests: Sequence[Guest]) -> dict[str, list[float]]:
    """Each view by one person after another, and nobody else."""
    taken: dict[str, list[float]] = defaultdict(list)
    wire, chance = await server.connect(), random.Random(1)
    for number in range(ALONE + 3):
        for view in VIEWS:
            those = _who(guests, view)
            wire, seconds = await _look(server, wire, those[number * 7 % len(those)], view, chance)
            if number >= 3:
                taken[view].append(seconds)
    wire.close()
    return taken


async def _look(
    server: Server, wire: Wire, guest: Guest, view: str, chance: random.Random
) -> tuple[Wire, float]:
    if wire.closed:
        wire = await server.connect()
    request, begun = guest.request(server, view, chance), time.perf_counter()
    answer = await wire.ask(request)
    if answer.status != 200:
        raise Refused(str(answer.status))
    return wire, time.perf_counter() - begun


async def _crowd(
    server: Server, guests: Sequence[Guest], seconds: float
) -> tuple[dict[str, list[float]], Counter[str]]:
    """All of them: a list, mostly, and often what stands on it; and how many were refused, by status."""
    taken: dict[str, list[float]] = defaultdict(list)
    told: Counter[str] = Counter()
    until = time.perf_counter() + seconds

    async def person(number: int, guest: Guest) -> None:
        chance = random.Random(number)
        views = [one for one in VIEWS if VIEWS[one][0] == guest.role]
        await asyncio.sleep(chance.uniform(0, READS))
        wire = await server.connect()
        while time.perf_counter() < until:
            for view in (views[0], chance.choice(views[1:])):
                if (
                    time.perf_counter() >= until
                ):  # else all would ask at once when their time is over
                    break
                try:
                    wire, passed = await _look(server, wire, guest, view, chance)
                    taken[view].append(passed)
                except Refused as refused:  # told to come again
                    told[str(refused)] += 1
                rest = until - time.perf_counter()
                await asyncio.sleep(max(0, min(chance.expovariate(1 / READS), rest)))
        wire.close()

    await asyncio.gather(*(person(n, one) for n, one in enumerate(guests) if one.known))
    return taken, told
