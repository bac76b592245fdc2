"""The loops that follow the change log for subscriptions and tell their subscribers.

Any number may run over one database: one follows the log at a time, each subscriber is told by one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from coordhub.outbound.client import Outbound
from coordhub.outbound.smtp import Post
from coordhub.record.hub import Hub
from coordhub.routing import notice, notify
from coordhub.routing.notify import Patience
from coordhub.store.outage import is_outage
from coordhub.store.subscriptions import Subscribed
from coordhub.telemetry import log

AT_ONCE: Final = 16
"""Subscribers that are spoken to at the same time."""


class Herald:
    """patience: with a subscriber that does not answer. poll: how long at most until it looks again.
    post: by which mail goes; None where none is sent."""

    def __init__(
        self,
        hub: Hub,
        outbound: Outbound,
        poll: timedelta = timedelta(seconds=1),
        patience: Patience | None = None,
        post: Post | None = None,
    ) -> None:
        self._hub = hub
        self._outbound = outbound
        self._poll = poll
        self._patience = patience or Patience()
        self._post = post
        self._underway: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what was begun is finished."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop(self._follow, stop))
            group.create_task(self._loop(self._tell, stop))
        if self._underway:
            await asyncio.wait(self._underway, timeout=notify.LEASE.total_seconds())

    async def _loop(self, step: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                busy = await step()
            except Exception as error:
                log(
                    "herald.stumbled",
                    level="warning" if is_outage(error) else "error",
                    step=step.__name__.strip("_"),
                    error=type(error).__name__,
                )
                busy = False
            if not busy:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll.total_seconds()):
                        await stop.wait()

    async def _follow(self) -> bool:
        return await notice.follow(self._hub)

    async def _tell(self) -> bool:
        if len(self._underway) >= AT_ONCE:
            await asyncio.wait(self._underway, return_when=asyncio.FIRST_COMPLETED)
            return True
        held = await notify.due(self._hub)
        if held is None:
            return False
        task = asyncio.create_task(self._one(held))
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)
        return True

    async def _one(self, held: Subscribed) -> None:
        """A failure of ours leaves the lease to run out; it is told then."""
        try:
            await notify.tell(self._hub, self._outbound, held, self._patience, self._post)
        except Exception as error:
            log(
                "subscription.stumbled",
                level="error",
                subscription=held.rid,
                error=type(error).__name__,
            )
