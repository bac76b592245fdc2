"""The folder an embedded Postgres keeps its data in: where it lies, how it is made, who runs in it.

A folder exists whole or not at all, whatever is killed while it is made. Who runs in it is read
from `postmaster.pid`, whose number may be stale, a zombie's, or by now another process's.

https://www.postgresql.org/docs/current/storage-file-layout.html
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from coordhub.store.postgres_binaries import SHARED, Account, PostgresUnavailableError

USER = "coordhub"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parts of one embedded server lie."""

    home: Path
    data: Path

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    def port(self) -> int | None:
        """The port of a live postmaster of this data folder, None where there is none."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[3]) if is_postmaster(int(lines[0]), self.data) else None
        except (OSError, ValueError, IndexError):
            return None

    def pid(self) -> int | None:
        """What `postmaster.pid` says, stale or not."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None


def initialise(
    place: Place, programs: Path, major: int, runner: Account, password: str, lock: int
) -> None:
    """Make the data folder under another name and rename it: it exists whole or not at all.

    initdb inherits `lock`: if we are killed, the next start waits until it has ended.
    """
    half = place.data.with_name(place.data.name + ".making")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    secret = half.with_name(half.name + ".password")
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(password + "\n")
    runner.own(half)
    runner.own(secret)
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if major >= 17
        else ["--locale=C.UTF-8"]
    )
    command: list[str | Path] = [
        programs / "initdb",
        f"--pgdata={half}",
        f"--username={USER}",
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        *locale,
    ]
    try:
        made = runner.run(command, keep=(lock,))
    finally:
        secret.unlink(missing_ok=True)
    if made.returncode != 0:
        shutil.rmtree(half, ignore_errors=True)
        said = (made.stderr.strip() or made.stdout.strip())[-2000:]
        raise PostgresUnavailableError(f"initdb could not make {place.data}: {said}")
    half.rename(place.data)


def parent(home: Path, runner: Account) -> Path:
    """The folder that holds the data folder: `home`, or what `home/postgres.path` names."""
    pointer = home / "postgres.path"
    if pointer.exists():
        return Path(pointer.read_text().strip())
    if any(home.glob("postgres-[0-9]*")) or runner.reaches(home):
        return home
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    parent = SHARED / f"home-{digest}-{secrets.token_hex(4)}"
    parent.mkdir(parents=True)
    for folder in (SHARED, parent):
        folder.chmod(0o755)
    _write(pointer, str(parent))
    return parent


def existing(home: Path) -> Path | None:
    """A data folder that `home` has already, of any version: its owner runs Postgres here."""
    pointer = home / "postgres.path"
    parent = Path(pointer.read_text().strip()) if pointer.exists() else home
    return next((path.parent for path in parent.glob("postgres-*/PG_VERSION")), None)


def password(home: Path) -> str:
    """What `home/postgres.password` holds; made on first use."""
    path = home / "postgres.password"
    if not path.exists():
        _write(path, secrets.token_urlsafe(24))
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    """Readable by the owner only, and whole or absent."""
    half = path.with_name(path.name + ".making")
    half.unlink(missing_ok=True)
    half.touch(mode=0o600)
    half.write_text(text + "\n")
    half.rename(path)


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether that process lives and is the server of `data`, as its command line tells."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    if not Path("/proc/self").exists():
        return True  # another system's process table: believe the signal
    process = Path("/proc") / str(pid)
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        words = (process / "cmdline").read_bytes().split(b"\0")
        return state not in "ZX" and os.path.samefile(words[words.index(b"-D") + 1], data)
    except (OSError, ValueError, IndexError):
        return False


def disown_stale_pid(place: Place) -> None:
    """Replace a dead postmaster's pid that another process wears by ours.

    Postgres refuses to start while that number belongs to any live process but its own parent,
    which we are about to be. The rest of the file stays: with it Postgres still finds out whether
    a backend of the dead postmaster holds the shared memory.
    """
    path = place.data / "postmaster.pid"
    pid = place.pid()
    if pid is None or is_postmaster(pid, place.data):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, 0)
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
