"""The silence of a hub that was restored from a backup, until somebody has looked.

What was forbidden since, it does not know; so it shows nothing. What is written to it, Consents above all, it
takes as always.
"""

from __future__ import annotations

import time
from typing import Final

from coordhub import errors
from coordhub.store import pauses
from coordhub.store.engine import Engine

TAKES: Final = frozenset(
    {"capabilities", "create", "update", "patch", "delete", "transaction", "batch"}
)
"""Interactions that are answered all the same; what a Bundle asks to be shown is asked for by itself."""

LOOK_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 300


class Restored:
    """Whether that stands, as it was at most five seconds ago. One per process."""

    def __init__(self, engine: Engine, look_seconds: float = LOOK_SECONDS) -> None:
        self._engine = engine
        self._seconds = look_seconds
        self._until = 0.0
        self._stands = False

    async def refuse(self, interaction: str) -> None:
        """503 where something would be shown and must not be yet."""
        if interaction in TAKES:
            return
        now = time.monotonic()
        if now >= self._until:
            async with self._engine.pool.acquire() as conn:
                self._stands = any(one.why == "restored" for one in await pauses.current(conn))
            self._until = now + self._seconds
        if self._stands:
            raise errors.unavailable(
                "This hub was restored from a backup and is being compared with what its partners know. It shows"
                " nothing until then and takes what is written to it: send the Consents that you changed lately.",
                RETRY_AFTER_SECONDS,
            )
