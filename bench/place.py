"""Where it is measured: a Postgres, the hub's processes, a sample community, partners that answer.

All of it is begun here and ended here; nothing of it is shared with a hub that runs already, except
the Postgres server if `DATABASE_URL` names one, where two databases are made and dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from random import random
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.wire import Server
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.access.token import Tokens
from coordhub.outbound.client import Outbound, Timeouts
from coordhub.record.bootstrap import open_hub
from coordhub.record.commit import commit
from coordhub.record.hub import Hub
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
from coordhub.routing.deliver import Sending
from coordhub.routing.resolve import SERVED
from coordhub.routing.retry import RetryPolicy
from coordhub.sandbox import community, members
from coordhub.sandbox.community import Seat
from coordhub.sandbox.members import documents
from coordhub.store import embedded, migrate
from coordhub.store.engine import Engine
from coordhub.store.visibility import DIRECTORY

KEY = secrets.token_hex(32)
SENDER = "riverside"
RECIPIENT = "lakeside"


def providers(count: int) -> tuple[members.Member, ...]:
    """Further organizations, who each have a server and are well."""
    [like] = [one for one in members.MEMBERS if one.key == RECIPIENT]
    return tuple(
        replace(
            like, key=f"provider-{number}", name=f"Provider {number}", npi=None, practitioner=None
        )
        for number in range(count)
    )


PROVIDERS = providers(5)

_CLI = "from coordhub.cli import main; main()"
_SIMULATOR = (
    "import asyncio, sys; from coordhub.sandbox import simulator;"
    " asyncio.run(simulator.serve('127.0.0.1', int(sys.argv[1]), seed=1))"
)


@dataclass(frozen=True, slots=True)
class Postgres:
    """url: of the hub's database; floor: of the floor's. postmaster: its process, if it is of this
    machine and ours. folder: where its data lies, or the temporary folder."""

    url: str
    floor: str
    postmaster: int | None
    folder: Path


@dataclass(frozen=True, slots=True)
class Member:
    """An organization of the community as a caller."""

    key: str
    reference: str
    rid: int
    server: Server


@dataclass(slots=True)
class Place:
    """Everything that runs. pids: of server and worker."""

    postgres: Postgres
    base: str
    simulator: str
    members: dict[str, Member]
    pids: list[int] = field(default_factory=list)

    def server(self, key: str = SENDER) -> Server:
        return self.members[key].server


@contextlib.asynccontextmanager
async def postgres() -> AsyncIterator[Postgres]:
    """A durable server of our own, or two fresh databases on the one that DATABASE_URL names."""
    given = os.environ.get("DATABASE_URL")
    home = Path(tempfile.mkdtemp(prefix="coordhub-bench-"))
    home.chmod(0o711)  # the account that Postgres gets from root must pass through
    try:
        if given:
            yield await _databases(given, None, home)
            return
        started = await embedded.start(home)
        try:
            yield await _databases(started.url, started.data, home)
        finally:
            await started.stop()
            if started.data.parent != home:
                shutil.rmtree(started.data.parent, ignore_errors=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _databases(url: str, data: Path | None, home: Path) -> Postgres:
    names = [f"bench_{secrets.token_hex(4)}" for _ in range(2)]
    conn = await asyncpg.connect(url)
    try:
        for name in names:
            await conn.execute(f"create database {name} template template0")
    finally:
        await conn.close()
    urls = [urlunsplit(urlsplit(url)._replace(path=f"/{name}")) for name in names]
    await migrate.upgrade(urls[0])
    pid = None if data is None else int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    return Postgres(urls[0], urls[1], pid, data or home)


@contextlib.asynccontextmanager
async def place(at: Postgres, *, works: bool = True) -> AsyncIterator[Place]:
    """The community founded; server, worker (unless not `works`) and partners running."""
    port, partners = _free_port(), _free_port()
    base, simulated = f"http://127.0.0.1:{port}/fhir", f"http://127.0.0.1:{partners}"
    here = Place(at, base, simulated, await _members(at.url, base, simulated))
    environment = {
        "DATABASE_URL": at.url,
        "COORDHUB_TOKEN_KEY": KEY,
        "COORDHUB_BASE_URL": base,
        "COORDHUB_PORT": str(port),
        "COORDHUB_OUTBOUND_NETWORKS": "127.0.0.0/8",
        "COORDHUB_CLIENT_RATE": "100000",  # it is measured what can be done, not what may be
        "COORDHUB_CLIENT_BURST": "100000",
    }
    out, python = _out(at), [sys.executable, "-c"]
    with (
        _running([*python, _SIMULATOR, str(partners)], {}, out / "simulator.out"),
        _running([*python, _CLI, "serve"], environment, out / "server.out") as server,
        contextlib.ExitStack() as further,
    ):
        processes = [server]
        if works:
            worker = _running([*python, _CLI, "work"], environment, out / "worker.out")
            processes.append(further.enter_context(worker))
        here.pids = [process.pid for process in processes]
        await _up(here, processes, out)
        yield here


def _out(at: Postgres) -> Path:
    """Where lines of processes go."""
    return at.folder.parent if os.access(at.folder.parent, os.W_OK) else Path(tempfile.gettempdir())


@contextlib.asynccontextmanager
async def simulating(at: Postgres) -> AsyncIterator[str]:
    """The partners alone; `http://host:port`."""
    port = _free_port()
    command = [sys.executable, "-c", _SIMULATOR, str(port)]
    with _running(command, {}, _out(at) / "simulator.out"):
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    (await Server(f"http://127.0.0.1:{port}").connect()).close()
                    break
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def founded(
    url: str, base: str, simulated: str, further: Sequence[members.Member] = PROVIDERS
) -> AsyncIterator[tuple[Hub, dict[str, Seat]]]:
    """The hub over its database, with the community and further providers who have servers."""
    engine = await Engine.open(url)
    try:
        hub = await open_hub(engine, base)
        seats = await community.found(hub, simulated, base.replace("/fhir", "/portal"))
        steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
        for member in further:
            creates = list(community.founding(documents(member, simulated, "")))
            made = (await commit(hub, steward, creates, interaction="transaction")).written
            moved = list(community.moved_endpoints(creates, made))
            if moved:
                await commit(hub, steward, moved, interaction="transaction")
            organization = made[[create.type for create in creates].index("Organization")]
            seats[member.key] = Seat(member.key, organization.id, organization.rid)
        yield hub, seats
    finally:
        await engine.close()


@contextlib.asynccontextmanager
async def sending(
    hub: Hub, seats: Mapping[str, Seat]
) -> AsyncIterator[tuple[Sending, dict[str, Caller]]]:
    """What the worker sends by, to partners on loopback; and each organization as a caller."""
    callers = {
        key: Caller(key, seat.rid, f"Organization/{seat.id}", EVERYTHING)
        for key, seat in seats.items()
    }
    second = timedelta(seconds=1)
    networks = (ip_network("127.0.0.0/8"),)
    async with Outbound(
        allowed_networks=networks, timeouts=Timeouts(second, 5 * second, 5 * second)
    ) as outbound:
        channel = HL7FhirRest(outbound, hub.clock)
        yield Sending(hub, {SERVED: channel}, RetryPolicy(), random), callers


async def _members(url: str, base: str, simulated: str) -> dict[str, Member]:
    async with founded(url, base, simulated) as (hub, seats):
        tokens = Tokens(KEY.encode(), hub.engine)
        return {
            seat.key: Member(
                seat.key,
                f"Organization/{seat.id}",
                seat.rid,
                Server(
                    base,
                    tokens.issue(
                        seat.key,
                        community.MEMBER_SCOPES,
                        now=datetime.now(UTC),
                        lifetime=community.TOKEN_LIFETIME,
                    ),
                ),
            )
            for seat in seats.values()
        }


@contextlib.contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], out: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, its lines in a file as in production, ended with SIGTERM."""
    inherited = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
    with out.open("ab") as lines:
        process = subprocess.Popen(
            command,
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _up(here: Place, processes: Sequence[subprocess.Popen[bytes]], out: Path) -> None:
    request = here.server().request("GET", "/Patient?_count=1")
    async with asyncio.timeout(60):
        while True:
            for process in processes:
                if process.poll() is not None:
                    raise RuntimeError(f"A process of the hub has ended; its lines are in {out}.")
            with contextlib.suppress(OSError):
                wire = await here.server().connect()
                status = (await wire.ask(request)).status
                wire.close()
                if status == 200:
                    return
            await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
