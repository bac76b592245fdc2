"""Servers, workers and Postgres are killed at random while referrals go in and partners answer badly.

The clocks of one server's machine and of a worker's are off by minutes. `make chaos` runs it in full, `make
test` a small count; what was done, to how many deliveries, and what became of them is printed as a table.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import httpx2
import pytest
from tests.chaos import ledger, weather
from tests.chaos.faults import NAMED, Faults
from tests.chaos.ledger import Verdict
from tests.chaos.network import Wire
from tests.chaos.processes import CLI, SIMULATOR, SKEWED, Process, free_port
from tests.chaos.speaking import Organization, Speaker
from tests.chaos.weather import EXPIRED, Partners, Weather

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from certificates import certificate

from coordhub.access.token import Tokens
from coordhub.admin import letters
from coordhub.admin.acts import NothingDone, Operator
from coordhub.record.bootstrap import open_hub
from coordhub.sandbox import community
from coordhub.store import counterparts, deliveries, embedded, migrate, resources
from coordhub.store.counterparts import Custom
from coordhub.store.engine import UNAVAILABLE, Engine
from coordhub.store.visibility import EVERYONE

REFERRALS = int(os.environ.get("COORDHUB_CHAOS_REFERRALS", "40"))
KILLS = int(os.environ.get("COORDHUB_CHAOS_KILLS", "4"))
CRASHES = int(os.environ.get("COORDHUB_CHAOS_CRASHES", "0"))
"""How often Postgres is killed as well; then it is one of its own, as durable as in production."""

CRASH = "SIGKILL of Postgres"
SEED = int(os.environ.get("COORDHUB_CHAOS_SEED", "2"))
SENDERS = 6
SERVERS = ("server 0", "server 1")
"""A client asks whichever it likes, and the other one again where it got no answer."""
NAMES = (*SERVERS, "worker 0", "worker 1")
KEY = "a test key that is long enough for it"
RECIPIENTS = ("lakeside", "metrolab", "northgate", "mounds")
SERVED = ("riverside", "lakeside", "metrolab", "northgate")
MINUTES_OFF = {"server 0": -4, "worker 1": 7}
"""Whose machine's clock is wrong."""
CUT, SECURED = "metrolab", "northgate"
"""Who is reached by a wire that is cut at times, and by one whose certificate expires."""
LONGEST_DRAIN = 120.0 + REFERRALS / 10
STORM_AFTER = 10.0
"""Seconds at most that partners still answer badly when all referrals are accepted."""


@dataclass(slots=True)
class House:
    """All processes, and what is said and heard around them."""

    url: str
    hub: list[Process]
    sender: Organization
    recipients: list[Organization]
    rids: dict[str, int]
    http: httpx2.AsyncClient
    speaker: Speaker
    partners: Partners
    weather: Weather
    faults: Faults
    rnd: Random
    crashes: int = 0
    start_seconds: float = 0.0
    accepted: dict[str, str] = field(default_factory=dict)

    @property
    def members(self) -> list[Organization]:
        return [self.sender, *self.recipients]

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        async with asyncio.timeout(60):
            while True:
                try:
                    conn = await asyncpg.connect(self.url)
                    break
                except (OSError, asyncpg.PostgresError):  # it recovers from a crash
                    await asyncio.sleep(0.2)
        try:
            yield conn
        finally:
            await conn.close()


@contextlib.asynccontextmanager
async def durable_postgres() -> AsyncIterator[str]:
    """A server of its own, fsync and all: killed, it must know every commit."""
    home = Path(tempfile.mkdtemp(prefix="coordhub-chaos-"))
    home.chmod(0o711)
    started = await embedded.start(home)
    try:
        await migrate.upgrade(started.url)
        yield started.url
    finally:
        await started.stop()
        if started.data.parent != home:
            shutil.rmtree(started.data.parent, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.asynccontextmanager
async def house_at(url: str, out: Path, crashes: int) -> AsyncIterator[House]:
    """The sample community in the database, and hub, workers and simulator as processes."""
    rnd = Random(SEED)
    ports, partners_port = [free_port() for _ in SERVERS], free_port()
    bases_of_hub = [f"http://127.0.0.1:{port}/fhir" for port in ports]
    base = bases_of_hub[0]
    simulated = f"http://127.0.0.1:{partners_port}"
    faults = Faults()
    certificates = {
        name: certificate(_folder(out / name), "127.0.0.1", valid=timedelta(days=days))
        for name, days in (("good", 30), ("expired", -1))
    }
    wires = {
        CUT: Wire(partners_port, rnd, faults),
        SECURED: Wire(partners_port, rnd, faults, certificates),
    }
    for wire in wires.values():
        await wire.lay("good")
    bases = {key: wire.base for key, wire in wires.items()}
    members, rids = await _found(url, base, simulated, bases)
    trusted = out / "authorities.pem"
    trusted.write_text("".join(one.read_text() for one, _ in certificates.values()))
    environment = {
        "COORDHUB_CONSENT_POLICY": "opt-out",
        "DATABASE_URL": url,
        "COORDHUB_TOKEN_KEY": KEY,
        "COORDHUB_BASE_URL": base,
        "COORDHUB_OUTBOUND_NETWORKS": "127.0.0.0/8",
        "COORDHUB_OUTBOUND_AUTHORITIES": str(trusted),
        "COORDHUB_RETRY_BASE": "0.1",
        "COORDHUB_RETRY_CAP": "1",
        "COORDHUB_PROBE_AFTER": "0.2",
        "COORDHUB_PROBE_CAP": "1",
        "COORDHUB_DELIVERY_LEASE": "3",
        "COORDHUB_WORKER_POLL": "0.25",
        "COORDHUB_LOG_LEVEL": "warning",
        "COORDHUB_CLIENT_AT_ONCE": "1000",
        "COORDHUB_SERVING_PROCESSES": str(len(SERVERS)),
    }
    own = {name: {"COORDHUB_PORT": str(port)} for name, port in zip(SERVERS, ports, strict=True)}
    hub = [_process(name, {**environment, **own.get(name, {})}, out) for name in NAMES]
    simulator = Process(
        "simulator", SIMULATOR, [str(partners_port), str(SEED)], {}, out / "simulator.out"
    )
    try:
        for process in (simulator, *hub):
            process.start()
        limits = httpx2.Limits(max_connections=50, max_keepalive_connections=20)
        async with httpx2.AsyncClient(timeout=30, limits=limits) as http:
            partners = Partners(http, simulated)
            await partners.up()
            house = House(
                url,
                hub,
                members[0],
                members[1:],
                rids,
                http,
                Speaker(http, bases_of_hub, rnd, may_be_unavailable=crashes > 0),
                partners,
                Weather(partners, [one for one in members if one.server], wires, faults, rnd),
                faults,
                rnd,
                crashes,
            )
            begun = time.monotonic()
            await house.speaker.until_all_answer()
            house.start_seconds = time.monotonic() - begun
            yield house
    finally:
        for process in (*hub, simulator):
            process.stop()
        for wire in wires.values():
            await wire.remove()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _process(name: str, environment: dict[str, str], out: Path) -> Process:
    command = ["serve" if name in SERVERS else "work"]
    off = MINUTES_OFF.get(name)
    code, arguments = (CLI, command) if off is None else (SKEWED, [str(off), *command])
    return Process(name, code, arguments, environment, out / f"{name.replace(' ', '-')}.out")


async def _found(
    url: str, base: str, simulated: str, elsewhere: dict[str, str]
) -> tuple[list[Organization], dict[str, int]]:
    """Riverside and those it refers to, and the rids of those with a server."""
    engine = await Engine.open(url, size=3)
    try:
        hub = await open_hub(engine, base)
        seats = await community.found(hub, simulated, "http://127.0.0.1:9/portal", elsewhere)
        said = community.credentials(seats, Tokens(KEY.encode(), engine), base, hub.clock())
        tokens = said["organizations"]
        assert isinstance(tokens, dict)
        members = []
        async with engine.pool.acquire() as conn:
            for seat in seats.values():
                await counterparts.agree(conn, seat.rid, Custom(each_state=True))
            for key in ("riverside", *RECIPIENTS):
                rid = await conn.fetchval(
                    "select i.rid from idx_token i join resource r on r.rid = i.rid"
                    " where i.code = $1 order by i.rid limit 1",
                    f"{key}-service",
                )
                [service] = (await resources.read_rids(conn, EVERYONE, [rid])).values()
                members.append(
                    Organization(
                        key,
                        f"Organization/{seats[key].id}",
                        service.reference,
                        tokens[key]["token"],
                        key in SERVED,
                    )
                )
        return members, {key: seats[key].rid for key in SERVED}
    finally:
        await engine.close()


async def send_all(house: House, released: asyncio.Queue[int | None]) -> None:
    """Refer what is released, several at once, each under a key of its own."""

    async def one_after_another() -> None:
        while (number := await released.get()) is not None:
            key = f"chaos-{number}"
            recipients = house.rnd.sample(house.recipients, 2 if number % 5 == 0 else 1)
            asked = (key, house.sender, recipients, datetime.now(UTC))
            made = await house.speaker.refer(*asked)
            house.accepted[key] = made.get("Task", "")
            if number % 10 == 0:  # a client that does not believe it
                assert await house.speaker.refer(*asked) == made
        released.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(one_after_another())


async def kill_all(house: House, released: asyncio.Queue[int | None]) -> None:
    """Release referrals by and by, and kill one process after each part of them."""
    crash_after = set(house.rnd.sample(range(KILLS), house.crashes))
    for kill in range(KILLS + 1):
        for number in range(REFERRALS * kill // (KILLS + 1), REFERRALS * (kill + 1) // (KILLS + 1)):
            released.put_nowait(number)
        # Some are killed while they start, some at work, however slow the machine is.
        await asyncio.sleep(house.rnd.uniform(0.1, 0.5 + 2 * house.start_seconds))
        while len(house.accepted) < REFERRALS * kill // (KILLS + 1) - SENDERS:
            await asyncio.sleep(0.2)
        if kill == KILLS:
            break
        victim = house.rnd.choice(house.hub)
        underway = await _underway(house)
        victim.kill()
        victim.start()
        house.faults.inject(f"SIGKILL of {victim.name}", *underway)
        if kill in crash_after:
            await _crash_postgres(house)
    released.put_nowait(None)


async def supervise(house: House) -> None:
    """Start again what ended by itself, as whoever runs a hub has set up; until cancelled."""
    while True:
        for process in house.hub:
            if process.note_end():
                process.start()
        await asyncio.sleep(0.2)


async def _underway(house: House) -> list[str]:
    async with house.database() as conn:
        rows = await conn.fetch("select id::text from delivery where state = 'leased'")
    return [row[0] for row in rows]


async def _crash_postgres(house: House) -> None:
    """SIGKILL one of its processes: Postgres ends all others at once and recovers from its log."""
    house.faults.inject(CRASH, *await _underway(house))
    begun = time.monotonic()
    async with house.database() as conn:
        pid = await conn.fetchval(
            "select pid from pg_stat_activity where backend_type = 'client backend'"
            " order by pid = pg_backend_pid(), random() limit 1"
        )
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            while True:  # until it has noticed
                await conn.execute("select 1")
                await asyncio.sleep(0.05)
    async with house.database() as conn:
        await conn.execute("select 1")
    house.faults.of(CRASH).drained.append(time.monotonic() - begun)


async def operate(house: House) -> None:
    """Tell the hub of a certificate that is renewed, as an operator would; until cancelled.

    coordhub deliveries probe
    """
    engine = await Engine.open(house.url, size=2)
    somebody = Operator("chaos")
    try:
        while True:
            await asyncio.sleep(1)
            with contextlib.suppress(TimeoutError, NothingDone, *UNAVAILABLE):
                for endpoint, circuit in await letters.troubled(engine):
                    if circuit.state == "open" and "CertVerif" in (circuit.reason or ""):
                        await letters.probe(engine, somebody, endpoint, engine.now())
    finally:
        await engine.close()


async def _noticed(house: House) -> bool:
    """Whether the hub leaves the partner with the expired certificate alone."""
    async with house.database() as conn:
        found: bool = await conn.fetchval(
            "select exists (select from circuit c join delivery d on d.endpoint = c.endpoint"
            " where d.organization = $1 and c.reason like '%CertVerif%')",
            house.rids[SECURED],
        )
    return found


async def drain(house: House, at_most: float = LONGEST_DRAIN) -> float:
    """Wait until nothing is owed any more; how many seconds that took."""
    begun = time.monotonic()
    while True:
        async with house.database() as conn:
            owed = await deliveries.owed(conn)
            unrelayed = await conn.fetchval(
                "select count(*) from change where relayed_at is null and episode is not null"
            )
        elapsed = time.monotonic() - begun
        if (owed.open == 0 and unrelayed == 0) or elapsed > at_most:
            return elapsed
        await asyncio.sleep(0.2)


async def run(house: House) -> tuple[Verdict, float]:
    """The storm, its end, the drain, and what is left."""
    released: asyncio.Queue[int | None] = asyncio.Queue()
    supervisor = asyncio.create_task(supervise(house))
    operator = asyncio.create_task(operate(house))
    storms = [
        asyncio.create_task(house.weather.storm()),
        asyncio.create_task(house.weather.expire(SECURED, lambda: _noticed(house))),
    ]
    answering = asyncio.create_task(
        weather.answer_all(house.partners, house.speaker, house.recipients, house.rnd)
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(send_all(house, released))
        group.create_task(kill_all(house, released))
    await drain(house, STORM_AFTER)
    for storm in storms:
        storm.cancel()
    await asyncio.wait(storms)
    await house.weather.clear()
    seconds = await drain(house)
    await asyncio.sleep(0.5)  # who was asked last has heard it now
    answering.cancel()
    await answering
    seconds += await drain(house)
    for watching in (supervisor, operator):
        watching.cancel()
    await asyncio.wait([supervisor, operator])
    received = {
        house.rids[one.key]: await house.partners.received(one)
        for one in house.members
        if one.server
    }
    async with house.database() as conn:
        await _attribute(house, conn, received)
        now = await conn.fetchval("select now()")
        return await ledger.judge(conn, now, house.accepted, received), seconds


async def _attribute(
    house: House, conn: asyncpg.Connection, received: dict[int, list[dict[str, Any]]]
) -> None:
    """Which deliveries met which fault, and how long who had waited for its end went on waiting."""
    for notes in received.values():
        for note in notes:
            if note["mode"] in NAMED:
                house.faults.inject(NAMED[note["mode"]], note["deliveryId"])
    expired = await conn.fetch("select delivery::text from attempt where detail like 'tls%'")
    house.faults.of(EXPIRED).met.update(row[0] for row in expired)
    for fault, key, passed in house.weather.over:
        waited = await conn.fetchval(
            "select extract(epoch from max(settled_at) - $2)::float from delivery"
            " where organization = $1 and created_at < $2 and settled_at > $2 and endpoint <> 0",
            house.rids[key],
            passed,
        )
        if waited is not None:
            house.faults.of(fault).drained.append(waited)


def table(house: House, verdict: Verdict, drained: float, elapsed: float) -> str:
    heard = house.speaker.heard
    rows: dict[str, object] = {
        "referrals accepted": verdict.referrals,
        "kills": ", ".join(f"{one.name} {one.kills}" for one in house.hub),
        "crashes of Postgres": house.crashes,
        "ended by themselves": sum(one.ended for one in house.hub),
        "requests without answer": heard.lost,
        "answers 503": heard.unavailable,
        "answers replayed by key": heard.replayed,
        "deliveries": verdict.deliveries,
        "attempts on record": verdict.attempts,
        "arrivals at partners": verdict.arrivals,
        "repeats, known by id": verdict.repeats,
        "lost": verdict.lost,
        "out of order": verdict.disordered,
        "undetectable repeats": len(verdict.unseen),
        "dead": verdict.dead,
        "seconds to drain": f"{drained:.1f}",
        "seconds in all": f"{elapsed:.1f}",
        "faults": len(verdict.faults),
    }
    whole = "\n".join(f"  {name:<26}{value}" for name, value in rows.items())
    verdict_of_each = house.faults.table(verdict.gone, verdict.late, verdict.unseen, verdict.every)
    return f"{verdict_of_each}\n\n{whole}"


@pytest.fixture
def given_url(request: pytest.FixtureRequest) -> str | None:
    """A database of the session's server; None where Postgres is killed as well."""
    return None if CRASHES else str(request.getfixturevalue("database_url"))


@pytest.mark.chaos
async def test_given_hub_killed_at_random_when_all_is_quiet_then_nothing_is_lost_or_out_of_order(
    given_url: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        url = given_url or await stack.enter_async_context(durable_postgres())
        house = await stack.enter_async_context(house_at(url, tmp_path, CRASHES))
        verdict, drained = await run(house)
    off = ", ".join(f"{name} {minutes:+} min" for name, minutes in MINUTES_OFF.items())
    with capsys.disabled():
        print(f"\n  clocks off: {off}\n" + table(house, verdict, drained, time.monotonic() - begun))
    said = [one.out.read_text()[-2000:] for one in house.hub if one.ended and not CRASHES]
    assert said == []
    assert house.speaker.heard.unexpected == []
    assert verdict.faults == []
    assert len(house.accepted) == REFERRALS
    assert sum(one.kills for one in house.hub) == KILLS
    assert verdict.deliveries > REFERRALS
    assert house.faults.of(EXPIRED).met
