"""Development mode: Postgres, hub, worker, sample community and partner simulator in one process.

https://www.uvicorn.org/concepts/lifespan/

One process and one loop, so that a killed one leaves no orphan but Postgres, to which the next
start attaches. What was begun is ended in the opposite order. The first interrupt lets requests
finish, a second one does not wait, a third ends the process where it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from coordhub.access.token import Tokens
from coordhub.record.bootstrap import open_hub
from coordhub.record.hub import Hub
from coordhub.sandbox import community, login, place, simulator, staff
from coordhub.sandbox.place import Taken
from coordhub.store import embedded, migrate, roles
from coordhub.store.engine import Engine
from coordhub.store.postgres_binaries import PostgresUnavailableError
from coordhub.wire import InOnePiece

GRACE_SECONDS = 5
"""How long requests under way, and the worker's deliveries, are waited for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. base: FHIR base that clients are told; None: made of host and port.

    database_url: a Postgres to use; None: an embedded one in `home`. token_key: None: one that is
    kept in `home`. postgres_bin: folder of the embedded server's programs; None: looked for.
    """

    home: Path
    host: str
    port: int
    base: str | None = None
    database_url: str | None = None
    token_key: bytes | None = None
    postgres_bin: Path | None = None
    consent_policy: str = "by-purpose"


@dataclass(frozen=True, slots=True)
class Ground:
    """What the parts stand on: made here, given to `Parts`. login: issuer of the sample provider."""

    database_url: str
    base: str
    token_key: bytes
    hub: Hub
    login: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the composition root gives.

    build: the ASGI application; work: the routing worker, until the event is set.
    """

    build: Callable[[Ground], Any]
    work: Callable[[Ground, asyncio.Event], Coroutine[Any, Any, None]]


async def run(plan: Plan, parts: Parts) -> int:
    """Run until interrupted; the exit code. What prevents it is said in a sentence on stderr."""
    running = _Running()
    main = asyncio.create_task(running.all(plan, parts))
    with _interrupts(running, main):
        try:
            await main
        except (Taken, PostgresUnavailableError, PartEnded) as error:
            print(f"coordhub dev: {error}", file=sys.stderr)
            return 1
        except asyncio.CancelledError:
            if not running.stop.is_set():
                raise
    return 0


class PartEnded(Exception):
    """A part that runs until it is told to stop has ended by itself."""


class _Server(uvicorn.Server):
    """A server among others: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Running:
    """stop: an interrupt has come. up: everything runs, so it can be stopped in order."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.up = False

    async def all(self, plan: Plan, parts: Parts) -> None:
        plan.home.mkdir(parents=True, exist_ok=True)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(place.sole_use(plan.home))
            listening = stack.enter_context(place.listen(plan.host, plan.port))
            partners = stack.enter_context(place.listen_for_partners(plan.home, plan.port + 1))
            ground = await _ground(stack, plan, listening)
            simulated = f"http://127.0.0.1:{partners.getsockname()[1]}"
            ground = replace(ground, login=f"{simulated}{login.PATH}")
            portal = f"{ground.base.removesuffix('/fhir')}/portal"
            provider = login.Login(
                ground.login, f"{portal}/sign-in/back", staff.known_there(), ground.hub.clock
            )
            beside = Starlette(routes=[*provider.routes(), Mount("/", simulator.build())])
            seats = await community.found(ground.hub, simulated, portal)
            ended = [
                await _serve(stack, beside, partners),
                _work(stack, parts, ground),
                await _serve(stack, parts.build(ground), listening),
            ]
            tokens = Tokens(ground.token_key, ground.hub.engine)
            credentials = community.credentials(seats, tokens, ground.base, ground.hub.clock())
            known = await staff.found(ground.hub, seats, ground.token_key)
            place.write_credentials(plan.home, {**credentials, "people": known})
            print(
                place.banner(ground.base, simulated, plan.home, staff.told(portal, known)),
                flush=True,
            )
            self.up = True
            stopped = asyncio.create_task(self.stop.wait())
            done, _ = await asyncio.wait([stopped, *ended], return_when="FIRST_COMPLETED")
            stopped.cancel()
            for task in done - {stopped}:
                raise PartEnded(f"{task.get_name()} ended by itself") from task.exception()
            print("Stopping; once more does not wait.", flush=True)


@contextlib.contextmanager
def _interrupts(running: _Running, main: asyncio.Task[None]) -> Iterator[None]:
    """SIGINT and SIGTERM: stop in order, then without waiting, then at once."""
    loop = asyncio.get_running_loop()
    count = 0

    def interrupt() -> None:
        nonlocal count
        count += 1
        running.stop.set()
        if count > 2:
            os._exit(130)
        if count == 2 or not running.up:
            main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _ground(stack: contextlib.AsyncExitStack, plan: Plan, listening: socket) -> Ground:
    """A migrated database and the hub in it."""
    url = plan.database_url
    if url is None:
        url = (
            await stack.enter_async_context(await embedded.start(plan.home, plan.postgres_bin))
        ).url
    await migrate.upgrade(url)
    url = await roles.application(url)
    engine = await Engine.open(url, consent_policy=plan.consent_policy)
    stack.push_async_callback(_within, engine.close)
    base = plan.base or f"http://{plan.host}:{listening.getsockname()[1]}/fhir"
    hub = await open_hub(engine, base)
    return Ground(url, base, plan.token_key or place.token_key(plan.home), hub)


async def _serve(
    stack: contextlib.AsyncExitStack, application: Any, listening: socket
) -> asyncio.Task[None]:
    """Serve until the stack unwinds; returns when the first request can be answered."""
    server = _Server(
        uvicorn.Config(
            application,
            http=InOnePiece,
            log_config=None,
            access_log=False,
            ws="websockets-sansio",
            ws_max_size=16384,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    name = f"The server on port {listening.getsockname()[1]}"
    task = asyncio.create_task(server.serve(sockets=[listening]), name=name)

    async def end() -> None:
        server.should_exit = True
        await _ended(task)

    stack.push_async_callback(end)
    while not server.started:
        if task.done():
            raise PartEnded(f"{name} did not start") from task.exception()
        await asyncio.sleep(0.01)
    return task


def _work(stack: contextlib.AsyncExitStack, parts: Parts, ground: Ground) -> asyncio.Task[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(parts.work(ground, stop), name="The routing worker")

    async def end() -> None:
        stop.set()
        await _ended(task)

    stack.push_async_callback(end)
    return task


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for a part that was told to stop; what it fails with then is of no more use."""
    await asyncio.wait([task], timeout=GRACE_SECONDS + 1)
    task.cancel()
    await asyncio.wait([task], timeout=1)


async def _within(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_SECONDS):
            await close()
