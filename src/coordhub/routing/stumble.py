"""A referral over which the worker stumbles: set aside for a while, so that all others go on.

Whatever goes wrong with one referral, a fault of ours or a resource that is no longer what it was, is
rolled back, logged, and tried again later; nobody else waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import TypeAlias

from coordhub.store.engine import SERIALIZATION_RETRY
from coordhub.store.outage import is_outage
from coordhub.telemetry import log

ASIDE = timedelta(minutes=1)

Step: TypeAlias = Callable[[Collection[int], Callable[[int], None]], Awaitable[bool]]
"""One transaction over one episode: which to leave alone, whom to tell which was claimed. False where
there was none."""


class Aside:
    """The referrals of one worker that are left alone for now."""

    def __init__(self, clock: Callable[[], datetime], for_: timedelta = ASIDE) -> None:
        self._clock = clock
        self._for = for_
        self._until: dict[int, datetime] = {}

    def now(self) -> Collection[int]:
        """rids of the episodes that are set aside."""
        now = self._clock()
        self._until = {episode: until for episode, until in self._until.items() if until > now}
        return self._until.keys()

    async def attempt(self, step: str, transaction: Step) -> bool:
        """Carry out one transaction; its answer, and True where its episode was set aside.

        A failure before it has told what it claimed, a database that is away, or one that asks for
        the same again, is not an episode's fault and is raised.
        """
        claimed: list[int] = []
        try:
            return await transaction(self.now(), claimed.append)
        except Exception as error:
            if not claimed or is_outage(error) or isinstance(error, SERIALIZATION_RETRY):
                raise
            self._until[claimed[-1]] = self._clock() + self._for
            log(f"{step}.stumbled", level="error", episode=claimed[-1], error=type(error).__name__)
            return True


async def attempt(aside: Aside | None, step: str, transaction: Step) -> bool:
    """Carry out one transaction over one episode; without `aside` a failure is raised."""
    if aside is None:
        return await transaction((), lambda _: None)
    return await aside.attempt(step, transaction)
