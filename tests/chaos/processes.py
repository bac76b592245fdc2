"""The hub as it is in production, processes of its own, and how they are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CLI = "from coordhub.cli import main; main()"
SKEWED = (
    "import sys; from datetime import UTC, datetime, timedelta; from coordhub.store import clock;"
    " off = timedelta(minutes=float(sys.argv.pop(1)));"
    " clock.machine = lambda: datetime.now(UTC) + off; " + CLI
)
"""The same on a machine whose clock is off by so many minutes: its first argument."""

SIMULATOR = (
    "import asyncio, sys; from coordhub.sandbox import simulator;"
    " asyncio.run(simulator.serve('127.0.0.1', int(sys.argv[1]), seed=int(sys.argv[2])))"
)


class Process:
    """A Python process that can be started again and again; all it prints is in `out`.

    kills: how often it was killed. ended: how often it was found to have ended by itself.
    """

    def __init__(
        self,
        name: str,
        code: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        out: Path,
    ) -> None:
        self.name = name
        self.out = out
        self.kills = 0
        self.ended = 0
        self._command = [sys.executable, "-c", code, *arguments]
        self._environment = {
            **{name: value for name, value in os.environ.items() if "DATABASE_URL" not in name},
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.out.open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL, wherever it stands."""
        assert self._process is not None
        self.note_end()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.kills += 1

    def note_end(self) -> bool:
        """Whether it runs no more though nobody killed it; counted."""
        assert self._process is not None
        if self._process.poll() is None:
            return False
        self.ended += 1
        return True

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to one that does not heed it."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """A port that nobody has now. Its user listens on it again and again, so it is let go here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
