"""Loading of files into a running hub, over its own API.

http://hl7.org/fhir/R4/http.html#transaction

Several requests are under way at once; busy and unreachable is waited out; what the hub refuses is
kept in a file with its OperationOutcome. There is no state of its own to resume from: each request
carries an Idempotency-Key made of its content (`parcels`), so a second run is answered with what
the first one did.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec

from coordhub.outbound.addresses import Network
from coordhub.outbound.client import Answer, Outbound, Timeouts, Unreachable
from coordhub.sandbox import parcels
from coordhub.sandbox.parcels import Parcel, Unreadable

ATTEMPTS = 8
LONGEST_WAIT = 30.0
ANYWHERE: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""Who runs the load names the hub: its address is not a partner's to choose."""

_BUSY = {408, 425, 429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Target:
    """base: FHIR base without a slash at its end. token: of the organization that writes."""

    base: str
    token: str


@dataclass(slots=True)
class Summary:
    """What came of a load. resources: newly stored; the other counts are of requests."""

    sent: int = 0
    created: int = 0
    already_there: int = 0
    refused: int = 0
    resources: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    refusals: Path | None = None

    @property
    def per_second(self) -> float:
        return self.resources / self.seconds if self.seconds else 0.0


class Stopped(Exception):
    """The load cannot go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The hub's last word on one parcel."""

    answer: Answer
    replayed: bool
    resources: int
    refused: Sequence[dict[str, Any]] = field(default=())


def wait_before(attempt: int, result: Answer | Unreachable) -> float | None:
    """Seconds until the same request is sent again, None when it is not.

    attempt: how many were made, from 1. The answer's Retry-After is kept, within LONGEST_WAIT.
    """
    if attempt >= ATTEMPTS:
        return None
    backoff = min(0.25 * 2**attempt, LONGEST_WAIT)
    if isinstance(result, Unreachable):
        return backoff if result.kind in {"refused", "reset", "timeout"} else None
    if result.status not in _BUSY:
        return None
    stated = result.headers.get("retry-after", "")
    return min(max(float(stated), 0.05), LONGEST_WAIT) if stated.isdigit() else backoff


def read_answer(name: str, answer: Answer) -> Settled:
    """How many resources an answer says were made, and what it refuses, whole or by entry."""
    replayed = answer.headers.get("idempotency-replayed") == "true"
    content = _json(answer.body)
    if not 200 <= answer.status < 300:
        return Settled(answer, replayed, 0, [_refusal(name, answer.status, content)])
    entries = content.get("entry") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not str(content.get("type", "")).endswith("-response"):
        return Settled(answer, replayed, int(answer.status == 201))
    made = 0
    refused = []
    for number, entry in enumerate(entries):
        response = entry.get("response", {}) if isinstance(entry, dict) else {}
        status = int(response["status"][:3]) if str(response.get("status"))[:3].isdigit() else 0
        made += status == 201
        if status >= 400:
            refused.append(_refusal(f"{name} entry {number}", status, response.get("outcome")))
    return Settled(answer, replayed, made, refused)


def _json(body: bytes) -> Any:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(body)
    return None


def _refusal(name: str, status: int, outcome: Any) -> dict[str, Any]:
    return {"file": name, "status": status, "outcome": outcome}


async def load(
    paths: Sequence[Path],
    target: Target,
    *,
    refusals: Path,
    at_once: int = 4,
    advance: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Send all of `paths`, stage by stage (`parcels.stages`).

    refusals: ndjson file, written where something is refused and removed where nothing is.
    advance: told of each settled parcel. Raises Stopped and FileNotFoundError.
    """
    groups = parcels.stages(paths)
    refusals.unlink(missing_ok=True)
    summary = Summary()
    start = time.monotonic()
    timeouts = Timeouts(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=5))
    async with Outbound(
        allowed_networks=ANYWHERE, timeouts=timeouts, largest_answer=256 * 1024 * 1024
    ) as outbound:
        for group in groups:
            queue = _Queue(parcel for path in group for parcel in parcels.read(path))
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(at_once):
                        workers.create_task(
                            _work(queue, outbound, target, summary, refusals, advance)
                        )
            except BaseExceptionGroup as failed:
                stopped, others = failed.split(Stopped)
                if stopped is None or others is not None:
                    raise
                raise stopped.exceptions[0] from None
    summary.seconds = time.monotonic() - start
    return summary


class _Queue:
    """An iterator that reads files, drawn from by several tasks without stopping the loop."""

    def __init__(self, source: Iterator[Parcel | Unreadable]) -> None:
        self._source = source
        self._lock = asyncio.Lock()

    async def __aiter__(self) -> AsyncIterator[Parcel | Unreadable]:
        while True:
            async with self._lock:
                item = await asyncio.to_thread(next, self._source, None)
            if item is None:
                return
            yield item


async def _work(
    queue: _Queue,
    outbound: Outbound,
    target: Target,
    summary: Summary,
    refusals: Path,
    advance: Callable[[int], None],
) -> None:
    async for item in queue:
        if isinstance(item, Unreadable):
            issue = {"severity": "fatal", "code": "structure", "diagnostics": item.why}
            outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
            _keep(refusals, [_refusal(item.name, 0, outcome)], summary)
        else:
            settled = await send(outbound, target, item)
            summary.sent += 1
            summary.slowest = max(summary.slowest, settled.answer.elapsed)
            if settled.refused:
                _keep(refusals, settled.refused, summary)
            elif settled.replayed:
                summary.already_there += 1
            else:
                summary.created += 1
            summary.resources += 0 if settled.replayed else settled.resources
        advance(1)


def _keep(path: Path, refused: Sequence[dict[str, Any]], summary: Summary) -> None:
    summary.refused += 1
    summary.refusals = path
    with path.open("ab") as file:
        file.writelines(msgspec.json.encode(line) + b"\n" for line in refused)


async def send(outbound: Outbound, target: Target, parcel: Parcel) -> Settled:
    """Send one parcel until the hub has said what becomes of it. Raises Stopped."""
    headers = {
        "Authorization": f"Bearer {target.token}",
        "Content-Type": "application/fhir+json",
        "Accept": "application/fhir+json",
        "Prefer": "return=minimal",
        "Idempotency-Key": parcel.key,
    }
    attempt = 0
    while True:
        attempt += 1
        result = await outbound.send("POST", target.base + parcel.path, headers, parcel.body)
        delay = wait_before(attempt, result)
        if delay is not None:
            await asyncio.sleep(delay)
        elif isinstance(result, Unreachable):
            raise Stopped(
                f"The hub at {target.base} does not answer ({result.kind}). "
                "Run the same command again when it does: nothing is sent twice."
            )
        elif result.status == 401:
            raise Stopped(f"The hub at {target.base} does not accept the token (401).")
        else:
            return read_answer(parcel.name, result)
