"""A PgBouncer of the test's own before its Postgres, where one that is new enough is found.

https://www.pgbouncer.org/config.html
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from coordhub.store import postgres_binaries
from coordhub.store.pooling import Pooled
from coordhub.store.roles import APPLICATION

OLDEST = (1, 21)
"""Before, it loses prepared statements between transactions."""


@dataclass(frozen=True, slots=True)
class Pooler:
    """url: through it, by the login for lookups and writes. pooled: the other addresses."""

    url: str
    pooled: Pooled


def found() -> Path:
    """The program that COORDHUB_TEST_PGBOUNCER names or that is on PATH; else the test is skipped."""
    named = os.environ.get("COORDHUB_TEST_PGBOUNCER") or shutil.which("pgbouncer")
    if named is None:
        pytest.skip("no pgbouncer on PATH, and COORDHUB_TEST_PGBOUNCER names none")
    said = postgres_binaries.Account().run([named, "--version"]).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    if version < OLDEST:
        pytest.skip(f"pgbouncer {'.'.join(map(str, version))} is older than 1.21")
    return Path(named)


@contextlib.asynccontextmanager
async def two_logins(url: str) -> AsyncIterator[tuple[tuple[str, str], str]]:
    """Members of the application's role that may log in, dropped again; their names and password."""
    key = secrets.token_hex(4)
    names = (f"hub_{key}", f"search_{key}")
    conn = await asyncpg.connect(url)
    try:
        for name in names:
            await conn.execute(f"create role {name} login password '{key}' in role {APPLICATION}")
        yield names, key
    finally:
        for name in names:
            await conn.execute(f"drop role if exists {name}")
        await conn.close()


@contextlib.contextmanager
def running(
    program: Path, url: str, logins: tuple[str, str], password: str, **settings: object
) -> Iterator[Pooler]:
    """PgBouncer before the server of `url`, as docs/scale.md sets it up."""
    folder = Path(tempfile.mkdtemp(prefix="coordhub-pooler-"))
    account = postgres_binaries.account(None)
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    given = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": folder / "users.txt",
        "pool_mode": "transaction",
        "max_prepared_statements": 500,
        "default_pool_size": 3,
        "max_client_conn": 200,
        "server_idle_timeout": 30,
        **settings,
    }
    (folder / "users.txt").write_text("".join(f'"{name}" "{password}"\n' for name in logins))
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port or 5432}\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in given.items())
    )
    for path in (folder, *folder.iterdir()):
        account.own(path)
    process = account.spawn([program, folder / "pgbouncer.ini"], folder.with_suffix(".out"))
    try:
        _until_it_listens(port, process)
        through = [
            urlunsplit(parts._replace(netloc=f"{name}:{password}@127.0.0.1:{port}"))
            for name in logins
        ]
        yield Pooler(through[0], Pooled(through[1], url))
    finally:
        process.send_signal(signal.SIGQUIT)  # at SIGTERM it waits for its clients
        process.wait(20)
        folder.with_suffix(".out").unlink()
        shutil.rmtree(folder)


def _until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
    raise RuntimeError("pgbouncer does not listen")
