"""Secrets that stand in files, where a platform mounts them, and are read again when they change.

Beside every setting that is a secret there is its name with `_FILE`: COORDHUB_TOKEN_KEY_FILE names the file that
holds COORDHUB_TOKEN_KEY. A process looks at its files every few seconds; what they say is taken once two looks have
found the same, so that a file that is being written is not read by half. What cannot be used is said in the log, and
what was in force stays so.

https://12factor.net/config, https://kubernetes.io/docs/concepts/configuration/secret/
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from coordhub.telemetry import log

SUFFIX: Final = "_FILE"

EVERY_SECONDS: Final = 5.0
"""Between two looks: what changed is in force after three of them at most, 15 s."""


class UnreadableError(ValueError):
    """The text says which variable names what file cannot be read, and nothing of what is in it."""


def named(variables: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, Path]]:
    """By setting: the variable that names its file, and the file; of `variables`, by setting.

    Raises UnreadableError where the secret itself stands in the environment, too.
    """
    found: dict[str, tuple[str, Path]] = {}
    for setting, names in variables.items():
        for name in names:
            path = os.environ.get(name + SUFFIX)
            if not path:
                continue
            beside = [other for other in names if os.environ.get(other)]
            beside += [
                other + SUFFIX
                for other in names
                if other != name and os.environ.get(other + SUFFIX)
            ]
            if beside:
                raise UnreadableError(f"{name}{SUFFIX} and {beside[0]} are both set; take one away")
            found[setting] = (name + SUFFIX, Path(path))
    return found


def text_of(variable: str, path: Path) -> str:
    """What the file holds, without the end of its last line."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UnreadableError(f"{variable}: the file cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise UnreadableError(f"{variable}: the file is no text") from None


class Looking:
    """Compares files with how they were; tells once when they are otherwise and stay so.

    take: read the settings anew and put them in force; what it raises leaves things as they were, and it is
    called again at the next look.
    """

    def __init__(
        self, files: Mapping[str, Path], take: Callable[[list[str]], Awaitable[None]]
    ) -> None:
        self._files = files
        self._take = take
        self._in_force = self._before = self._now()

    def _now(self) -> dict[str, bytes | None]:
        return {name: _digest(path) for name, path in self._files.items()}

    async def look(self) -> None:
        now = self._now()
        calm, self._before = now == self._before, now
        if not calm or now == self._in_force:
            return
        changed = sorted(name for name in now if now[name] != self._in_force[name])
        try:
            await self._take(changed)
        except Exception as error:  # of whatever kind: the process goes on with what it has
            said = str(error) if isinstance(error, UnreadableError) else type(error).__name__
            log("secrets.refused", level="error", settings=", ".join(changed), reason=said)
        else:
            self._in_force = now
            log("secrets.read", settings=", ".join(changed))

    async def keep(self) -> None:
        """Look again and again, where there is a file at all."""
        while self._files:
            await asyncio.sleep(EVERY_SECONDS)
            await self.look()


def _digest(path: Path) -> bytes | None:
    """Contents, not times: a mounted folder changes as a whole, by a link, and files keep theirs."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None
