"""Where development mode lives: its folder, ports and key, and what it tells whoever starts it.

https://man7.org/linux/man-pages/man2/flock.2.html

Locks are the kernel's and end with their process. Files with secrets are readable by their owner
only and replaced in one step, so that a reader finds the old or the new one, never a half.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from coordhub.authorization import identity

CREDENTIALS = "dev.json"
DEFAULT_HOME = ".coordhub"
LOG = "coordhub.log"
IDENTITY_KEYS = "identity.jwks.json"
IDENTITY_KEYS = "identity.jwks.json"
TOKEN_KEY = "token.key"
_KEY_CHARACTERS = 64


class Taken(Exception):
    """A folder or port is in another's use; the text says which and what to do."""


@contextlib.contextmanager
def sole_use(home: Path) -> Iterator[None]:
    """Keep any other development mode out of this folder. Raises Taken."""
    descriptor = os.open(home / "dev.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken(
                f"{home} is in use by another `coordhub dev`. Use that one, stop it, "
                "or choose another folder with COORDHUB_HOME."
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; port 0 takes a free one. Raises Taken."""
    try:
        listening = _bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Taken(
                f"Port {port} on {host} is in use by another program. "
                f"Stop that, or choose another port: COORDHUB_PORT={port + 10}."
            ) from None
        raise Taken(f"Port {port} on {host} cannot be used: {error.strerror}.") from None
    with listening:
        yield listening


@contextlib.contextmanager
def listen_for_partners(home: Path, wanted: int) -> Iterator[socket.socket]:
    """The simulator's socket on loopback: the port of last time, or `wanted`, or a free one."""
    remembered = home / "simulator.port"
    ports = [wanted, 0]
    with contextlib.suppress(OSError, ValueError):
        ports.insert(0, int(remembered.read_text()))
    listening = _first_free(ports)
    with listening:
        remembered.write_text(f"{listening.getsockname()[1]}\n")
        yield listening


def _first_free(ports: list[int]) -> socket.socket:
    for port in ports:
        with contextlib.suppress(OSError, OverflowError):
            return _bind("127.0.0.1", port)
    raise Taken("No port on 127.0.0.1 is free for the partner simulator.")


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except BaseException:
        listening.close()
        raise
    return listening


def token_key(home: Path) -> bytes:
    """The key that tokens are signed with, as COORDHUB_TOKEN_KEY would state it; kept once made."""
    path = home / TOKEN_KEY
    with contextlib.suppress(OSError):
        key = path.read_bytes().strip()
        if len(key) >= _KEY_CHARACTERS:
            return key
    key = secrets.token_hex(_KEY_CHARACTERS // 2).encode()
    _replace(path, key)
    return key


def identity_keys(home: Path) -> Path:
    """The file that COORDHUB_IDENTITY_KEYS would name; made once."""
    path = home / IDENTITY_KEYS
    if not path.exists():
        _replace(path, identity.new_keys("sandbox").encode())
    return path


def write_credentials(home: Path, credentials: dict[str, Any]) -> None:
    _replace(home / CREDENTIALS, msgspec.json.format(msgspec.json.encode(credentials)))


def read_credentials(home: Path) -> dict[str, Any] | None:
    """What dev.json of a running development mode says; None where there is none."""
    try:
        found: dict[str, Any] = msgspec.json.decode((home / CREDENTIALS).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    return found


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def banner(base: str, partners: str, home: Path, staff: str = "") -> str:
    """What is up, where, and what to try next, ready to paste."""
    site = base.removesuffix("/fhir")
    command = shlex.quote(_command())
    options = "" if home == Path(DEFAULT_HOME) else f" --home {shlex.quote(str(home))}"
    where = home / CREDENTIALS
    read = f"import json; print(json.load(open('{where}'))['organizations']['riverside']['token'])"
    return f"""
coordhub is up. Ctrl-C stops it.

  FHIR R4 base       {base}
  API documentation  {site}/docs
  Ready?             {site}/ready
  Partner simulator  {partners}/partners
  Tokens             {where}
  Log                {home / LOG}
{staff}
Try, in another terminal:

  {command} demo{options}
  {command} load{options} path/to/bundles

  TOKEN=$(python3 -c "{read}")
  curl -s -H "Authorization: Bearer $TOKEN" "{base}/HealthcareService?_count=3&_pretty=true"
  curl -s "{partners}/partners/lakeside/received"
"""


def _command() -> str:
    """How this program was called, as one can paste it."""
    called = Path(sys.argv[0])
    if not called.is_file():
        return "coordhub"
    with contextlib.suppress(ValueError):
        return str(called.absolute().relative_to(Path.cwd()))
    return str(called.absolute())
