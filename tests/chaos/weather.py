"""How badly partners answer while the hub is being killed, and who answers for them.

The hub's longest wait is a second here, in production an hour: who is away for three seconds is away for
three hours as far as waits are concerned.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx2
from tests.chaos.faults import Faults
from tests.chaos.network import Wire
from tests.chaos.speaking import Organization, Speaker

STORM: list[dict[str, Any]] = [
    {"mode": "down", "probability": 0.06},
    {"mode": "error", "probability": 0.06},
    {"mode": "rate", "probability": 0.04, "retry_after": 1},
    {"mode": "lost", "probability": 0.08},
    {"mode": "garbage", "probability": 0.05},
    {"mode": "half", "probability": 0.05},
    {"mode": "slow", "probability": 0.06, "delay_ms": 300},
]
DOWN: list[dict[str, Any]] = [{"mode": "down"}]
FAIR: list[dict[str, Any]] = []
AWAY = "away for hours"
EXPIRED = "certificate expired"
Noticed = Callable[[], Awaitable[bool]]


class Partners:
    """The servers of all organizations, played by the simulator at `base`, which nobody kills."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        self._http = http
        self._base = base

    async def behave(self, who: Organization, habits: list[dict[str, Any]]) -> None:
        answer = await self._http.put(f"{self._base}/partners/{who.key}/behaviour", json=habits)
        assert answer.status_code == 200, answer.text

    async def received(self, who: Organization, after: int = 0) -> list[dict[str, Any]]:
        answer = await self._http.get(
            f"{self._base}/partners/{who.key}/received", params={"after": after}
        )
        found: list[dict[str, Any]] = answer.json()
        return found

    async def up(self) -> None:
        """Wait until the simulator answers."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await self._http.get(f"{self._base}/partners")).status_code == 200:
                        return
                await asyncio.sleep(0.1)


@dataclass(slots=True)
class Weather:
    """What befalls partners. wires: by key, of those that are reached by one.

    over: fault, key of the partner, and when it had passed.
    """

    partners: Partners
    served: list[Organization]
    wires: dict[str, Wire]
    faults: Faults
    rnd: Random
    cuts: float = 0.04
    over: list[tuple[str, str, datetime]] = field(default_factory=list)

    async def storm(self) -> None:
        """Bad answers from everyone, and now and then one who is away; until cancelled."""
        for one in self.served:
            await self.partners.behave(one, STORM)
        for wire in self.wires.values():
            wire.cuts = self.cuts
        while True:
            await asyncio.sleep(self.rnd.uniform(0.5, 3))
            away = self.rnd.choice(self.served)
            wire = self.wires.get(away.key)
            if wire is None:
                await self.partners.behave(away, DOWN)
            else:
                await wire.remove()
            self.faults.inject(AWAY)
            await asyncio.sleep(self.rnd.uniform(1, 6))
            if wire is None:
                await self.partners.behave(away, STORM)
            else:
                await wire.lay()
            self.over.append((AWAY, away.key, datetime.now(UTC)))

    async def expire(self, whose: str, noticed: Noticed) -> None:
        """A certificate expires, and is renewed once that was noticed; until cancelled."""
        while True:
            self.wires[whose].show("expired")
            self.faults.inject(EXPIRED)
            while not await noticed():
                await asyncio.sleep(0.3)
            await asyncio.sleep(self.rnd.uniform(0, 3))
            self.wires[whose].show("good")
            self.over.append((EXPIRED, whose, datetime.now(UTC)))
            await asyncio.sleep(self.rnd.uniform(5, 20))

    async def clear(self) -> None:
        for one in self.served:
            await self.partners.behave(one, FAIR)
        for wire in self.wires.values():
            wire.cuts = 0
            await wire.remove()
            await wire.lay()
            if wire.certificates:
                wire.show("good")


async def answer_all(
    partners: Partners, speaker: Speaker, recipients: list[Organization], rnd: Random
) -> None:
    """Let recipients answer what reaches them, at their server or in their inbox; until cancelled.

    Cancelled, it does not begin on more and ends what it began.
    """
    limit = asyncio.Semaphore(6)
    begun: set[str] = set()
    seen = dict.fromkeys((one.key for one in recipients), 0)

    async def one_at_a_time(who: Organization, task: str) -> None:
        async with limit:
            await speaker.answer(who, task, rnd)

    async with asyncio.TaskGroup() as group:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                for who in recipients:
                    for task in await _asking(partners, speaker, who, seen):
                        if task not in begun:
                            begun.add(task)
                            group.create_task(one_at_a_time(who, task))
                await asyncio.sleep(0.3)


async def _asking(
    partners: Partners, speaker: Speaker, who: Organization, seen: dict[str, int]
) -> list[str]:
    """`Task/id` at the hub of the requested Tasks that reached this organization of late."""
    if who.server:
        notes = await partners.received(who, seen[who.key])
        seen[who.key] = max([seen[who.key], *(note["sequence"] for note in notes)])
        return [
            f"Task/{resource['sourceId']}"
            for note in notes
            if note["applied"]
            for resource in note["resources"]
            if resource["type"] == "Task" and resource["status"] == "requested"
        ]
    answer = await speaker.until_answered(
        "GET", f"/Task?owner={who.service}&status=requested&_count=100", who.token
    )
    if answer.status_code != 200:
        speaker.heard.unexpected.append(f"search of {who.key}: {answer.status_code} {answer.text}")
        return []
    return [f"Task/{entry['resource']['id']}" for entry in answer.json().get("entry", [])]
