"""What this machine can do, and how much CPU time processes have used.

https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import hashlib
import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_LOOPS = 200_000
_SYNCS = 200
_PAGE = 8192


@dataclass(frozen=True, slots=True)
class Machine:
    """cpu: iterations of a fixed loop per second, on one core. syncs: 8 kB writes, each made durable,
    per second. load: runnable processes of the last minute, others' included."""

    cores: int
    system: str
    python: str
    cpu: float
    syncs: float
    load: float


def calibrate(folder: Path) -> Machine:
    """Measure it; the file for `syncs` is written, and removed, in `folder`."""
    return Machine(
        os.cpu_count() or 1,
        f"{platform.system()} {platform.release()} {platform.machine()}",
        platform.python_version(),
        round(statistics.median(_loops() for _ in range(3))),
        round(_syncs(folder)),
        round(os.getloadavg()[0], 1),
    )


def _loops() -> float:
    digest = b"coordhub"
    begun = time.perf_counter()
    for _ in range(_LOOPS):
        digest = hashlib.sha256(digest).digest()
    return _LOOPS / (time.perf_counter() - begun)


def _syncs(folder: Path) -> float:
    path = folder / f"syncs-{os.getpid()}"
    page = os.urandom(_PAGE)
    with path.open("wb", buffering=0) as file:
        try:
            begun = time.perf_counter()
            for _ in range(_SYNCS):
                file.write(page)
                os.fdatasync(file.fileno())
            return _SYNCS / (time.perf_counter() - begun)
        finally:
            path.unlink()


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU time used so far."""

    hub: float = 0.0
    postgres: float = 0.0

    def __sub__(self, before: Cpu) -> Cpu:
        return Cpu(self.hub - before.hub, self.postgres - before.postgres)


def cpu(hub: list[int], postmaster: int | None) -> Cpu:
    """Of the hub's processes, and of Postgres with all its backends, those that ended included."""
    return Cpu(
        sum(_used(pid)[0] for pid in hub),
        0.0 if postmaster is None else _family(postmaster),
    )


def _used(pid: int) -> tuple[float, int]:
    """Seconds of this process and of its ended children, and its parent."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0, 0
    fields = text.rpartition(") ")[2].split()
    ticks = sum(int(fields[number]) for number in (11, 12, 13, 14))
    return ticks / _TICK, int(fields[1])


def _family(parent: int) -> float:
    seconds = _used(parent)[0]
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            used, of = _used(int(entry.name))
            if of == parent:
                seconds += used
    return seconds


def writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK)
