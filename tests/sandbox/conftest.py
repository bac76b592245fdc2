"""Development mode as a process of its own, on the session's Postgres."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 180
"""Seconds for what takes two or three: on a machine that does much else beside, a test only waits."""


class Development:
    """`coordhub dev` in `home`; what it printed is in `out`."""

    def __init__(self, home: Path, database_url: str | None, port: int = 0) -> None:
        self.home = home
        self.out = home.with_name(f"{home.name}.out")
        self._environment = {
            **{name: value for name, value in os.environ.items() if "DATABASE_URL" not in name},
            "COORDHUB_HOME": str(home),
            "COORDHUB_PORT": str(port),
            **({"DATABASE_URL": database_url} if database_url else {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Development:
        """Start it and wait until it has said where it is."""
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + _PATIENCE
        while "coordhub is up" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        return self

    def launch(self) -> None:
        """Start it."""
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from coordhub.cli import main; main()", "dev"],
                env=self._environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.out.read_text()

    def end(self, number: signal.Signals, within: float = _PATIENCE) -> int:
        """Send a signal; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(within)

    def wait(self, within: float = _PATIENCE) -> int:
        assert self.process is not None
        return self.process.wait(within)

    def credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "dev.json").read_text())
        return found

    def get(self, path: str, member: str = "riverside") -> Any:
        """What the hub answers to a GET below its base."""
        credentials = self.credentials()
        token = credentials["organizations"][member]["token"]
        return fetch(f"{credentials['base']}{path}", token)

    def partners(self) -> str:
        """The simulator's address."""
        return f"http://127.0.0.1:{(self.home / 'simulator.port').read_text().strip()}"


def fetch(url: str, token: str | None = None, *, method: str = "GET", body: Any = None) -> Any:
    """JSON over HTTP; an answer that is not 2xx raises."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@pytest.fixture(scope="session")
def development(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    """One that runs for all tests of a session that only use it."""
    url = postgres.create()
    running = Development(tmp_path_factory.mktemp("development") / "home", url).start()
    try:
        yield running
    finally:
        running.end(signal.SIGTERM)
        postgres.drop(url)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Any]:
    """Make a Development of one's own; killed after the test where it still runs."""
    made: list[Development] = []

    def make(database_url: str | None, *, home: Path | None = None, port: int = 0) -> Development:
        made.append(Development(home or tmp_path / "home", database_url, port))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()
