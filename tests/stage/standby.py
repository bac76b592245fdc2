"""A streaming replica of the test's Postgres, made of a copy of its files.

https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import pytest

from coordhub.store import postgres_binaries
from coordhub.store.postgres_binaries import Account

_LEFT = shutil.ignore_patterns(
    "postmaster.pid",
    "postmaster.opts",
    "pg_replslot",
    "pg_stat_tmp",
    "pgsql_tmp*",
    "pg_internal.init",
)


@dataclass(frozen=True, slots=True)
class Standby:
    """url: of the same database there. conn: a superuser's."""

    url: str
    conn: asyncpg.Connection

    async def pause(self) -> None:
        """Replay nothing from now on."""
        await self.conn.execute("select pg_wal_replay_pause()")
        while await self.conn.fetchval("select pg_get_wal_replay_pause_state()") != "paused":
            await asyncio.sleep(0.01)

    async def resume(self) -> None:
        await self.conn.execute("select pg_wal_replay_resume()")


@contextlib.asynccontextmanager
async def of(url: str) -> AsyncIterator[Standby]:
    """It follows while the block lasts. Skips the test where the server's files are not here."""
    conn = await asyncpg.connect(url)
    data = Path(await conn.fetchval("show data_directory"))
    if not os.access(data / "PG_VERSION", os.R_OK):
        pytest.skip("the files of the test's Postgres are not on this machine")
    folder = Path(tempfile.mkdtemp(prefix="coordhub-test-standby-", dir=data.parent.parent))
    runner = postgres_binaries.account(data)
    programs, _ = await asyncio.to_thread(postgres_binaries.find, runner)
    process = None
    try:
        copied = folder / "data"
        await conn.execute("select pg_backup_start('standby', true)")
        await asyncio.to_thread(_copy, data, copied)
        label = await conn.fetchval("select labelfile from pg_backup_stop(false)")
        await conn.close()
        parts = urlsplit(url)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        primary = (
            f"host={parts.hostname} port={parts.port} user={parts.username}"
            f" password={unquote(parts.password or '')}"
        )
        (copied / "backup_label").write_text(label)
        (copied / "standby.signal").touch()
        with (copied / "postgresql.auto.conf").open("a") as settings:
            settings.write(
                f"primary_conninfo = '{primary}'\nport = {port}\nlisten_addresses = '127.0.0.1'\n"
                "unix_socket_directories = ''\nhot_standby = on\nmax_standby_streaming_delay = 30s\n"
                "max_connections = 100\n"
            )
        _own(folder, runner)
        process = runner.spawn([programs / "postgres", "-D", copied], folder / "log")
        there = urlunsplit(
            parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}")
        )
        standby = await _answers(there, folder / "log")
        yield Standby(there, standby)
        await standby.close()
    finally:
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            await asyncio.to_thread(process.wait, 20)
        shutil.rmtree(folder, ignore_errors=True)


def _copy(data: Path, to: Path) -> None:
    """What goes away or changes meanwhile, the log makes good."""
    with contextlib.suppress(shutil.Error):
        shutil.copytree(data, to, ignore=_LEFT)
    for name in ("pg_replslot", "pg_stat_tmp"):
        (to / name).mkdir(exist_ok=True)


def _own(folder: Path, runner: Account) -> None:
    for path in (folder, *folder.rglob("*")):
        runner.own(path)
        if path.is_dir():
            path.chmod(0o700)


async def _answers(url: str, log: Path) -> asyncpg.Connection:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return await asyncpg.connect(url)
        await asyncio.sleep(0.05)
    raise RuntimeError(f"the standby does not answer: {log.read_text()[-2000:]}")
