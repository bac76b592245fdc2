"""How badly partners answer while the hub is being killed, and who answers for them."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any

import httpx2
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


async def storm(partners: Partners, members: list[Organization], rnd: Random) -> None:
    """Bad answers from everyone, and now and then one who is away for a while; until cancelled."""
    served = [one for one in members if one.server]
    for one in served:
        await partners.behave(one, STORM)
    while True:
        await asyncio.sleep(rnd.uniform(0.5, 3))
        away = rnd.choice(served)
        await partners.behave(away, DOWN)
        await asyncio.sleep(rnd.uniform(0.5, 2))
        await partners.behave(away, STORM)


async def clear(partners: Partners, members: list[Organization]) -> None:
    for one in members:
        if one.server:
            await partners.behave(one, FAIR)


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
