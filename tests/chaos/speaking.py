"""Organizations that talk to a hub which keeps dying: they ask again until they have an answer.

What a client must do is what is done here and no more: repeat a POST with its Idempotency-Key;
after a PUT without an answer read the resource and go on from what it says.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx2

from coordhub.r4 import document as fhir_json
from coordhub.sandbox import demo

Document = dict[str, Any]

OVER = frozenset({"rejected", "cancelled", "failed", "completed", "entered-in-error"})
PAUSE = 0.1
RIDES = {
    "system": "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes",
    "code": "transportation-insecurity",
}
"""What several are asked for all at once."""


class Lost(Exception):
    """No answer came; the request may have been carried out."""


@dataclass(frozen=True, slots=True)
class Organization:
    """key: its name in the sandbox. service: reference to ask it by. server: it has one."""

    key: str
    reference: str
    service: str
    token: str
    server: bool


@dataclass(slots=True)
class Heard:
    """What clients met. unexpected: answers that no rule explains, which fail the run."""

    lost: int = 0
    unavailable: int = 0
    replayed: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)


class Speaker:
    """Requests to the hub, each to any of its servers: who has no answer may ask another.

    may_be_unavailable: its Postgres is killed too, so 503 is right.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        bases: Sequence[str],
        rnd: Random,
        *,
        may_be_unavailable: bool,
    ) -> None:
        self.heard = Heard()
        self._http = http
        self._bases = bases
        self._rnd = rnd
        self._may_be_unavailable = may_be_unavailable

    async def once(
        self, method: str, path: str, token: str, body: Document | None = None, **headers: str
    ) -> httpx2.Response:
        """One request. Raises Lost."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        base = self._rnd.choice(self._bases)
        sent |= {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        try:
            answer = await self._http.request(
                method,
                f"{base}{path}",
                content=None if body is None else fhir_json.encode(body),
                headers=sent,
            )
        except httpx2.TransportError as error:
            self.heard.lost += 1
            await asyncio.sleep(PAUSE)
            raise Lost from error
        self.heard.statuses[answer.status_code] += 1
        if answer.status_code == 503 and self._may_be_unavailable:
            self.heard.unavailable += 1
            await asyncio.sleep(PAUSE)
            raise Lost
        if answer.status_code >= 500:
            self.heard.unexpected.append(f"{method} {path} {answer.status_code}")
            await asyncio.sleep(PAUSE)
            raise Lost
        return answer

    async def until_all_answer(self) -> None:
        """Every server is there."""
        for base in self._bases:
            while True:
                try:
                    await self._http.get(f"{base}/metadata")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(PAUSE)

    async def until_answered(
        self, method: str, path: str, token: str, body: Document | None = None, **headers: str
    ) -> httpx2.Response:
        """The same request until there is an answer: for reading, and for writing under a key."""
        while True:
            try:
                answer = await self.once(method, path, token, body, **headers)
            except Lost:
                continue
            if answer.headers.get("idempotency-replayed") == "true":
                self.heard.replayed += 1
            return answer

    async def refer(
        self, key: str, sender: Organization, recipients: list[Organization], now: datetime
    ) -> dict[str, str]:
        """Send one referral; `Type/id` by type of what the hub made of it.

        With the same arguments the request is the same, and so must be what it made.
        """
        bundle = demo.referral(key, sender.reference, recipients[0].service, now)
        for entry in bundle["entry"]:
            if entry["resource"]["resourceType"] == "ServiceRequest":
                entry["resource"]["performer"] = [{"reference": one.service} for one in recipients]
                entry["resource"]["category"] = [{"coding": [RIDES]}]
        answer = await self.until_answered("POST", "", sender.token, bundle, Idempotency_Key=key)
        if answer.status_code != 200:
            self.heard.unexpected.append(f"referral {key}: {answer.status_code} {answer.text}")
            return {}
        return demo.located(answer.json())

    async def move(
        self, who: Organization, task: str, status: str, output: str | None = None
    ) -> Document | None:
        """Bring the Task to `status`; its document then, None if it was over before."""
        while True:
            found = await self.until_answered("GET", f"/{task}", who.token)
            if found.status_code != 200:
                self.heard.unexpected.append(f"GET {task} {found.status_code}")
                return None
            document = fhir_json.parse(found.content)
            if document["status"] == status:  # by the request whose answer was lost
                return document
            if document["status"] in OVER:
                return None
            changed = demo.moved(document, status, datetime.now(UTC), output)
            try:
                answer = await self.once(
                    "PUT", f"/{task}", who.token, changed, If_Match=found.headers["etag"]
                )
            except Lost:
                continue
            if answer.status_code == 200:
                return fhir_json.parse(answer.content)
            if answer.status_code not in (409, 412):  # else: somebody was first; look again
                self.heard.unexpected.append(f"PUT {task} {answer.status_code} {answer.text}")
                return None

    async def report(self, who: Organization, task: Document) -> str | None:
        """Create a result based on the order of this Task; its reference."""
        result = demo.observation(
            task["for"]["reference"],
            who.reference,
            datetime.now(UTC),
            "7.10",
            task["focus"]["reference"],
        )
        answer = await self.until_answered(
            "POST", "/Observation", who.token, result, Idempotency_Key=f"result-{task['id']}"
        )
        if answer.status_code != 201:
            self.heard.unexpected.append(
                f"result of {task['id']}: {answer.status_code} {answer.text}"
            )
            return None
        return "/".join(answer.headers["location"].split("/_history/")[0].split("/")[-2:])

    async def answer(self, who: Organization, task: str, rnd: Random) -> None:
        """What a recipient does when asked: nothing, accept, refuse, or see it through."""
        chance = rnd.random()
        if chance < 0.25:
            return
        if chance < 0.35:
            await self.move(who, task, "rejected")
            return
        accepted = await self.move(who, task, "accepted")
        if accepted is None or chance < 0.5:
            return
        begun = await self.move(who, task, "in-progress")
        if begun is None:
            return
        result = await self.report(who, begun)
        if result is not None:
            await self.move(who, task, "completed", result)
