"""One Postgres for the test session and a fresh database for each test that asks.

Where COORDHUB_TEST_DATABASE_URL (or DATABASE_URL) names a server, its databases are made there and
dropped again; the named database itself is only connected to. Else an embedded server is started.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest

from coordhub.store import embedded, migrate
from coordhub.store.postgres_binaries import PostgresUnavailableError

hypothesis.settings.register_profile("coordhub", deadline=None)
hypothesis.settings.load_profile("coordhub")
"""How long an example takes says how busy the machine is, and not whether what it says is true."""

_PREFIX = "coordhub-test-"

_MEMORY = Path("/dev/shm")
_MEMORY_NEEDED = 2 << 30
"""In memory, where there is enough: copying the template takes 20 ms there, 500 ms on a disk."""


class Server(Protocol):
    """The session's Postgres: makes and drops databases."""

    def create(self, template: str | None = None) -> str: ...

    def drop(self, url: str) -> None: ...


class _Server:
    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self._url = url
        self._runner = runner
        self._connection: asyncpg.Connection = self._run(asyncpg.connect(url))
        self._strategy = "wal_log"
        self._names = (f"test_{secrets.token_hex(4)}_{number}" for number in itertools.count())

    def _run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(step)

    def create(self, template: str | None = None) -> str:
        """Make a database, a copy of `template` (a DSN made here) if named; its DSN."""
        name = next(self._names)
        source = _name(template) if template else "template0"
        self._run(
            self._connection.execute(
                f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY {self._strategy}"
            )
        )
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        self._run(self._connection.execute(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)"))

    def migrate(self, url: str) -> None:
        self._run(migrate.upgrade(url))

    def forgo_durability(self) -> None:
        """Tests kill processes, not the machine: what the kernel has is safe enough, and faster."""
        for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '256MB'"):
            self._run(self._connection.execute(f"ALTER SYSTEM SET {setting}"))
        self._run(self._connection.execute("SELECT pg_reload_conf()"))
        self._strategy = "file_copy"  # its checkpoints cost nothing now

    def close(self) -> None:
        self._run(self._connection.close())


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server; databases made with it are dropped by who made them."""
    given = os.environ.get("COORDHUB_TEST_DATABASE_URL") or os.environ.get("DATABASE_URL")
    with asyncio.Runner() as runner:
        if given:
            server = _Server(given, runner)
            yield server
            server.close()
            return
        _sweep(runner)
        home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_folder()))
        home.chmod(0o711)  # the account that Postgres gets from root must pass through
        started = runner.run(embedded.start(home))
        try:
            server = _Server(started.url, runner)
            server.forgo_durability()
            yield server
            server.close()
        finally:
            runner.run(started.stop())
            _remove(home)


@pytest.fixture(scope="session")
def _template(postgres: _Server) -> Iterator[str]:
    """A database migrated once, copied for each test."""
    url = postgres.create()
    postgres.migrate(url)
    yield url
    postgres.drop(url)


@pytest.fixture
def database_url(postgres: Server, _template: str) -> Iterator[str]:
    """`postgresql://` DSN of a fresh database with all tables, dropped after the test."""
    url = postgres.create(_template)
    yield url
    postgres.drop(url)


@pytest.fixture
def databases(postgres: Server, _template: str) -> Iterator[Callable[[], str]]:
    """Makes a fresh database with all tables at each call; all are dropped after the test."""
    made: list[str] = []

    def make() -> str:
        made.append(postgres.create(_template))
        return made[-1]

    yield make
    for url in made:
        postgres.drop(url)


@pytest.fixture
def empty_database_url(postgres: Server) -> Iterator[str]:
    """`postgresql://` DSN of a fresh database without tables, dropped after the test."""
    url = postgres.create()
    yield url
    postgres.drop(url)


def _folder() -> Path:
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED:
        return _MEMORY
    return Path(tempfile.gettempdir())


def _sweep(runner: asyncio.Runner) -> None:
    """Stop and remove what killed test sessions of ours left behind."""
    for home in _folder().glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, PostgresUnavailableError):
            if home.stat().st_uid != os.geteuid():
                continue
            with (home / "users.lock").open("r+") as users:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            runner.run(_stop(home))
            _remove(home)


async def _stop(home: Path) -> None:
    await (await embedded.start(home)).stop()


def _remove(home: Path) -> None:
    pointer = home / "postgres.path"
    if pointer.exists():
        shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skipped, by reason: a test that did not run is not a test that passed."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = collections.Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in skipped if report.longrepr
    )
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"  {number} x {reason}")
