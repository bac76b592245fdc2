"""One timer that fires: what those need to know that carry out what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.access import caller
from coordhub.access.caller import Caller
from coordhub.record.hub import Hub
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.timers import Timer


@dataclass(frozen=True, slots=True)
class Firing:
    """timer: held, and marked as fired. episodes: those that what follows will change, locked."""

    hub: Hub
    conn: Connection
    timer: Timer
    episodes: dict[int, Episode]
    now: datetime

    @property
    def episode(self) -> Episode | None:
        """The timer's referral."""
        return self.episodes.get(self.timer.episode) if self.timer.episode is not None else None

    @property
    def me(self) -> Caller:
        return caller.hub(self.hub.organization)
