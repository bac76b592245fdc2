"""How often one address may try: counted in this process, forgotten after a minute."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(minutes=1)


class Bounds:
    """most: failures of one address within WINDOW. known: addresses that are remembered at most."""

    def __init__(self, most: int = 30, known: int = 10_000) -> None:
        self._most = most
        self._known = known
        self._seen: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def is_over(self, address: str, now: datetime) -> bool:
        since, failures = self._seen.get(address, (now, 0))
        return now - since < WINDOW and failures >= self._most

    def failed(self, address: str, now: datetime) -> None:
        since, failures = self._seen.pop(address, (now, 0))
        if now - since >= WINDOW:
            since, failures = now, 0
        self._seen[address] = (since, failures + 1)
        while len(self._seen) > self._known:
            self._seen.popitem(last=False)
