"""A Postgres server of one's own for development and tests, shared by every process of one home.

Who starts or stops it holds `start.lock`; who uses it holds `users.lock` shared; the last one out
stops it. Both are flocks, which the kernel drops with their process, so a killed process leaves
nothing stale: the next start attaches to a server still running, or lets Postgres recover. Whether
it runs is only ever learned by connecting to it. Durable as in production (fsync, synchronous
commit), on 127.0.0.1 only, with a generated password.

https://www.postgresql.org/docs/current/server-start.html
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from coordhub.store import postgres_binaries, postgres_folder
from coordhub.store.postgres_binaries import Account, PostgresUnavailableError
from coordhub.store.postgres_folder import USER, Place

DATABASE = "coordhub"

_RECOVERY_SECONDS = 60.0
"""How long a start may take: after a kill, Postgres first replays its log."""

_SERVER = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a path too long for a socket would stop the start
    "max_connections": "100",
    "shared_buffers": "128MB",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The server's log holds no content of a resource: no failed statement, no DETAIL with its row.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}

_NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TooManyConnectionsError,
)


class EmbeddedPostgres:
    """A server in use; leave it with `stop()` or by leaving the `async with` block.

    url: `postgresql://` DSN of the database `coordhub`, its user a superuser of this server.
    data: the data folder, `<home>/postgres-<major>` unless `start` had to choose another parent.
    """

    def __init__(self, url: str, place: Place, users: int, child: _Child | None) -> None:
        self.url = url
        self.data = place.data
        self._place = place
        self._users = users
        self._child = child

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Leave; the last of all processes stops the server. A second call does nothing."""
        if self._users < 0:
            return
        users, self._users = self._users, -1
        try:
            async with _locked(self._place.home / "start.lock"):
                if _try_lock(users, fcntl.LOCK_EX):
                    await _shut_down(self._place)
        finally:
            os.close(users)
            if self._child is not None:
                self._child.forget()


async def start(home: Path, binaries: Path | None = None) -> EmbeddedPostgres:
    """Start the server of `home`, or attach to it where it runs; `home` is made where missing.

    Data lies in `home`. Where root calls and the account that Postgres gets cannot reach `home`
    (below a 0700 folder), it lies in a folder below /var/lib/coordhub that `home/postgres.path`
    names; no folder's permissions are changed.

    binaries: folder of `postgres` and `initdb`; without it they are looked for.
    Raises PostgresUnavailableError.
    """
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    async with _locked(home / "start.lock") as lock:
        runner = postgres_binaries.account(postgres_folder.existing(home))
        programs, major = await asyncio.to_thread(postgres_binaries.find, runner, binaries)
        parent = await asyncio.to_thread(postgres_folder.parent, home, runner)
        place = Place(home, parent / f"postgres-{major}")
        password = postgres_folder.password(home)
        if not place.data.exists():
            await asyncio.to_thread(
                postgres_folder.initialise, place, programs, major, runner, password, lock
            )
        child = _Child(place, programs, runner)
        try:
            url = await _reach(place, child, password)
            users = _open_lock(home / "users.lock")
            _try_lock(users, fcntl.LOCK_SH)
        except BaseException:
            child.interrupt()
            raise
        return EmbeddedPostgres(url, place, users, child)


class _Child:
    """The postmaster this process started, if it did: not when it attached to one."""

    def __init__(self, place: Place, programs: Path, runner: Account) -> None:
        self._place = place
        self._programs = programs
        self._runner = runner
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        self.starts += 1
        postgres_folder.disown_stale_pid(self._place)
        settings = [f"--{name}={value}" for name, value in _SERVER.items()]
        self._process = self._runner.spawn(
            [
                self._programs / "postgres",
                "-D",
                self._place.data,
                f"--port={_free_port()}",
                *settings,
            ],
            self._place.log,
        )

    def interrupt(self) -> None:
        """Fast shutdown, not waited for: the next start does."""
        if self.runs() and self._process is not None:
            self._process.send_signal(signal.SIGINT)
        self.forget()

    def forget(self) -> None:
        """Let it live on for others; Popen would otherwise warn that it is still running."""
        if self._process is not None and self._process.poll() is None:
            self._process.returncode = 0


async def _reach(place: Place, child: _Child, password: str) -> str:
    """Connect, launching where nothing runs; the DSN once `coordhub` exists and answers."""
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while time.monotonic() < deadline:
        port = place.port()
        if port is not None:
            try:
                await _ensure_database(port, password)
            except asyncpg.InvalidPasswordError as error:
                raise PostgresUnavailableError(
                    f"{place.home / 'postgres.password'} is not the password of {place.data}. "
                    "Restore that file, or remove the home to begin anew."
                ) from error
            except _NOT_YET:
                pass
            else:
                return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
        elif not child.runs():
            if child.starts == 5:
                break
            # Between two tries: another's port taken, or the last backends of a killed server.
            await asyncio.sleep(0.25 * child.starts**2)
            child.launch()
        await asyncio.sleep(0.02)
    last = place.log.read_text(errors="replace").splitlines()[-5:] if place.log.exists() else []
    raise PostgresUnavailableError("\n".join([f"Postgres did not start; {place.log} ends:", *last]))


async def _ensure_database(port: int, password: str) -> None:
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=port,
        user=USER,
        password=password,
        database="postgres",
        ssl=False,
        timeout=5,
    )
    try:
        found = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE)
        if found is None:
            # The backend of a start that was killed may be making it still, and be first.
            with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close()


async def _shut_down(place: Place) -> None:
    """Fast shutdown, waited for; immediate after half a minute: the next start then recovers."""
    for number, patience in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0)):
        pid = place.pid()
        if pid is None or place.port() is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while postgres_folder.is_postmaster(pid, place.data) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)


def _free_port() -> int:
    """A port that was free a moment ago; if another takes it, Postgres exits and is tried again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[int]:
    """Hold `path` exclusively; waiting can be cancelled. Yields the descriptor."""
    descriptor = _open_lock(path)
    try:
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            await asyncio.sleep(0.02)
        yield descriptor
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
