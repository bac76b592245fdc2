"""How often one address may try at a door of pages: counted in this process, forgotten after a minute.

People fail less often than machines, so that a door of pages closes earlier; and each failure counts at all
doors (`access.admission`), so that who guesses at one is not listened to at another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.access.admission import Admission, network
from coordhub.telemetry import THROTTLED

WINDOW: Final = timedelta(minutes=1)


class Bounds:
    """most: failures of one address within WINDOW. known: addresses that are remembered at most."""

    def __init__(self, most: int = 30, known: int = 10_000) -> None:
        self._most = most
        self._known = known
        self._seen: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def is_over(self, admission: Admission, scope: Mapping[str, Any], now: datetime) -> bool:
        address = network(scope)
        since, failures = self._seen.get(address, (now, 0))
        is_over = now - since < WINDOW and failures >= self._most
        if is_over or admission.failing(address):
            THROTTLED.labels("failures").inc()
            return True
        return False

    def failed(self, admission: Admission, scope: Mapping[str, Any], now: datetime) -> None:
        address = network(scope)
        admission.failed(address)
        since, failures = self._seen.pop(address, (now, 0))
        if now - since >= WINDOW:
            since, failures = now, 0
        self._seen[address] = (since, failures + 1)
        while len(self._seen) > self._known:
            self._seen.popitem(last=False)
