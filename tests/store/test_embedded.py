"""The embedded Postgres under kills, parallel starts and unreachable homes.

A user of the server is a process of its own here: `_PROGRAM` starts or attaches, prints the DSN,
waits for a line on its input, and leaves in the orderly way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from coordhub.store import embedded
from coordhub.store.postgres_binaries import SHARED, PostgresUnavailableError

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from coordhub.store import embedded

async def use() -> None:
    async with await embedded.start(Path(sys.argv[1])) as postgres:
        print(postgres.url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(use())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that the account which root lends to Postgres can reach."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    parent = Path(tempfile.mkdtemp(prefix="coordhub-home-", dir=memory))
    parent.chmod(0o711)
    yield parent / "home"
    _remove(parent / "home")
    shutil.rmtree(parent)


class _User:
    """Another process that uses the server of a home."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def url(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    async def leave(self) -> None:
        await self._process.communicate(b"\n")
        assert self._process.returncode == 0

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()


@contextlib.asynccontextmanager
async def _users(home: Path, number: int) -> AsyncIterator[list[_User]]:
    users = [
        _User(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _PROGRAM,
                str(home),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )
        for _ in range(number)
    ]
    try:
        yield users
    finally:
        for user in users:
            await user.kill()


async def _ask(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _postmaster(home: Path) -> int | None:
    pointer = home / "postgres.path"
    parent = Path(pointer.read_text().strip()) if pointer.exists() else home
    for path in parent.glob("postgres-*/postmaster.pid"):
        return int(path.read_text().split("\n", 1)[0])
    return None


def _alive(pid: int | None) -> bool:
    """A zombie, not yet collected by whoever adopted it, does not count."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def _kill_postmaster(home: Path) -> None:
    pid = _postmaster(home)
    if pid is not None and _alive(pid):
        os.kill(pid, signal.SIGKILL)


def _remove(home: Path) -> None:
    """Stop what a failed test left running, and its data where `postgres.path` names a place."""
    pid = _postmaster(home)
    if pid is not None and _alive(pid):
        os.kill(pid, signal.SIGQUIT)
        while _alive(pid):
            time.sleep(0.02)
    pointer = home / "postgres.path"
    if pointer.exists():
        shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)


async def test_given_no_home_when_started_then_a_durable_server_answers_on_loopback(
    home: Path,
) -> None:
    async with await embedded.start(home) as postgres:
        assert "@127.0.0.1:" in postgres.url
        for setting, wanted in (
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("listen_addresses", "127.0.0.1"),
            ("server_encoding", "UTF8"),
            ("password_encryption", "scram-sha-256"),
        ):
            assert await _ask(postgres.url, f"SHOW {setting}") == wanted
        assert await _ask(postgres.url, "SELECT lower('ÄÖÜ')") == "äöü"
        assert await _ask(postgres.url, "SELECT current_database()") == "coordhub"


async def test_given_a_server_when_the_password_is_wrong_or_missing_then_it_refuses(
    home: Path,
) -> None:
    async with await embedded.start(home) as postgres:
        password = (home / "postgres.password").read_text().strip()
        assert stat.S_IMODE((home / "postgres.password").stat().st_mode) == 0o600
        for other in ("coordhub", ""):
            url = postgres.url.replace(password, other)
            with pytest.raises(asyncpg.InvalidPasswordError):
                await _ask(url, "SELECT 1")


async def test_given_a_stopped_server_when_started_again_then_the_data_is_there(home: Path) -> None:
    async with await embedded.start(home) as postgres:
        await _ask(postgres.url, "CREATE TABLE kept AS SELECT 7 AS answer")
        stopped = _postmaster(home)
    assert not _alive(stopped)
    async with await embedded.start(home) as postgres:
        assert await _ask(postgres.url, "SELECT answer FROM kept") == 7


async def test_given_a_second_stop_when_called_then_nothing_happens(home: Path) -> None:
    postgres = await embedded.start(home)
    await postgres.stop()
    await postgres.stop()


async def test_given_four_starts_at_once_when_all_run_then_they_share_one_server(
    home: Path,
) -> None:
    async with _users(home, 4) as users:
        urls = [await user.url() for user in users]
        assert len(set(urls)) == 1
        for user in users[:3]:
            await user.leave()
        assert await _ask(urls[0], "SELECT 1") == 1
        pid = _postmaster(home)
        await users[3].leave()
        assert not _alive(pid)


async def test_given_its_starter_is_killed_when_started_again_then_it_attaches_and_stops(
    home: Path,
) -> None:
    async with _users(home, 1) as users:
        url = await users[0].url()
        await _ask(url, "CREATE TABLE kept AS SELECT 7 AS answer")
        await users[0].kill()
    assert await _ask(url, "SELECT 1") == 1
    async with await embedded.start(home) as postgres:
        assert postgres.url == url
        assert await _ask(url, "SELECT answer FROM kept") == 7
        pid = _postmaster(home)
    assert not _alive(pid)


async def test_given_the_server_is_killed_when_started_again_then_it_recovers_what_was_committed(
    home: Path,
) -> None:
    async with _users(home, 1) as users:
        url = await users[0].url()
        await _ask(url, "CREATE TABLE kept AS SELECT 7 AS answer")
        _kill_postmaster(home)
        await users[0].kill()
    async with await embedded.start(home) as postgres:
        assert await _ask(postgres.url, "SELECT answer FROM kept") == 7


async def test_given_the_first_start_is_killed_at_any_moment_when_started_again_then_it_runs(
    home: Path,
) -> None:
    for milliseconds in (150, 400, 700, 1000, 1500):
        async with _users(home, 1) as users:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(users[0].url(), milliseconds / 1000)
            await users[0].kill()
    async with await embedded.start(home) as postgres:
        assert await _ask(postgres.url, "SELECT 1") == 1


@pytest.mark.parametrize("words", [["sleep"], ["postgres", "-D", "/"]])
async def test_given_a_stale_pid_file_whose_number_lives_when_started_then_it_starts(
    home: Path, words: list[str]
) -> None:
    async with _users(home, 1) as users:
        await users[0].url()
        pid = _postmaster(home)
        _kill_postmaster(home)
        await users[0].kill()
    while _alive(pid):
        await asyncio.sleep(0.01)
    (stale,) = home.glob("postgres-*/postmaster.pid")
    lines = stale.read_text().splitlines()
    sleeper = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        "read line",
        *words,
        stdin=asyncio.subprocess.PIPE,
        user=stale.stat().st_uid,  # what another user's process is called, Postgres does not mind
        cwd="/",
    )
    try:
        stale.write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
        async with await embedded.start(home) as postgres:
            assert await _ask(postgres.url, "SELECT 1") == 1
    finally:
        sleeper.kill()
        await sleeper.wait()


async def test_given_ctrl_c_in_the_terminal_when_it_reaches_the_group_then_the_server_lives(
    home: Path,
) -> None:
    async with _users(home, 1) as users:
        await users[0].url()
        pid = _postmaster(home)
        assert pid is not None
        assert os.getpgid(pid) != os.getpgid(users[0].pid)
        assert os.getsid(pid) != os.getsid(users[0].pid)


async def test_given_a_failing_statement_when_logged_then_the_log_holds_none_of_its_values(
    home: Path,
) -> None:
    async with await embedded.start(home) as postgres:
        await _ask(postgres.url, "CREATE TABLE one (name text UNIQUE)")
        await _ask(postgres.url, "INSERT INTO one VALUES ('a-person')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await _ask(postgres.url, "INSERT INTO one VALUES ('a-person')")
    log = (home / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "a-person" not in log


async def test_given_another_password_file_when_started_then_it_says_which_file(home: Path) -> None:
    async with await embedded.start(home):
        pass
    (home / "postgres.password").write_text("another\n")
    with pytest.raises(PostgresUnavailableError, match=r"postgres\.password"):
        await embedded.start(home)


async def test_given_a_folder_without_postgres_when_named_then_it_says_what_helps(
    home: Path,
) -> None:
    with pytest.raises(PostgresUnavailableError, match="DATABASE_URL"):
        await embedded.start(home, binaries=Path("/nonexistent"))


@pytest.mark.skipif(
    not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")), reason="no Postgres of the system"
)
async def test_given_the_systems_postgres_when_named_then_it_runs_beside_the_other(
    home: Path,
) -> None:
    folder = next(Path("/usr/lib/postgresql").glob("*/bin"))
    async with await embedded.start(home, binaries=folder) as postgres:
        version = str(await _ask(postgres.url, "SHOW server_version"))
        assert version.startswith(folder.parent.name)
        assert postgres.data.name == f"postgres-{folder.parent.name}"
        assert await _ask(postgres.url, "SELECT lower('ÄÖÜ')") == "äöü"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends Postgres another account")
async def test_given_root_and_a_home_below_a_closed_folder_when_started_then_no_mode_changes(
    home: Path,
) -> None:
    closed = home.parent / "closed"
    closed.mkdir(mode=0o700)
    inner = closed / "home"
    try:
        async with await embedded.start(inner) as postgres:
            assert await _ask(postgres.url, "SELECT 1") == 1
            assert postgres.data.is_relative_to(SHARED)
            assert Path((inner / "postgres.path").read_text().strip()) == postgres.data.parent
            assert postgres.data.stat().st_uid != 0
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        async with await embedded.start(inner) as again:
            assert again.data == postgres.data
    finally:
        _remove(inner)
