"""A month of a simulated county: referrals go in, services answer as they are, time passes by the clock.

Everything of the hub is real and runs in this process: commits, relay, deliveries, timers, Postgres.
Simulated are the clock (a month that has just ended, as Postgres looks at its own clock where it decides
who sees what), and the servers at the far end of the channel.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
from tests.county import services
from tests.county.services import KINDS, County, Kind, Service, hours

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.errors import FhirError
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Update
from coordhub.referral import task_machine as machine
from coordhub.routing import expire, relay
from coordhub.routing.deliver import Sending, deliver
from coordhub.sandbox import demo
from coordhub.store import deliveries, invariants, resources
from coordhub.store.engine import SERIALIZATION_RETRY
from coordhub.store.invariants import Mark

TICK = timedelta(hours=1)
AT_ONCE = 8
LEASE = timedelta(minutes=10)

_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)

Document = dict[str, Any]
Act = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Clock:
    """In milliseconds, as the hub's own."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now.replace(microsecond=self.now.microsecond // 1000 * 1000)


@dataclass(slots=True)
class Month:
    """One run.

    looking: a connection for the invariants. checked: how often they were asked. refused: answers of the hub
    to what came too late. kinds: of need, by rid of the Task that opened the referral.
    """

    hub: Hub
    looking: asyncpg.Connection
    clock: Clock
    sending: Sending
    county: County
    rnd: Random
    days: int
    check_every: timedelta
    checked: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    _agenda: list[tuple[datetime, int, Act]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _known: set[int] = field(default_factory=set)
    _heard: datetime = _EVER
    kinds: dict[int, Kind] = field(default_factory=dict)

    async def run(self, referrals: int) -> None:
        """The whole month. The last days bring no new referrals, so that there is time for an end."""
        start = self.clock.now
        sending = timedelta(days=self.days) * 0.8
        for at in services.spread(referrals, sending, self.rnd):
            kind = self.rnd.choices(KINDS, [one.share for one in KINDS])[0]
            self._plan(start + at, lambda kind=kind: self._refer(kind))
        end, check = start + timedelta(days=self.days), start + self.check_every
        looked = await invariants.mark(self.looking, start)
        while self.clock.now < end:
            await self._act(min(await self._next(), check, end))
            await self.settle()
            await self._hear()
            if self.clock.now >= check:
                while check <= self.clock.now:  # in between nothing has happened
                    check += self.check_every
                looked = await self.check(looked)
        await self.check(None)

    async def check(self, since: Mark | None) -> Mark:
        """Of whatever has moved since then, or of all there is."""
        looked = await invariants.mark(self.looking, self.clock.now)
        broken = await invariants.violations(self.looking, self.clock.now, since=since)
        self.checked += 1
        assert not broken, broken
        return looked

    async def settle(self) -> None:
        """Relay, deliver and fire until nothing is due."""
        while True:
            if await relay.relay(self.hub, uuid4):
                await asyncio.gather(
                    *(_until_idle(lambda: relay.relay(self.hub, uuid4)) for _ in range(3))
                )
            async with self.hub.engine.pool.acquire() as conn:
                held = await deliveries.claim(
                    conn, self.clock.now, 4 * AT_ONCE, LEASE, self.sending.policy.budget
                )
            for some in _batched(held):
                await asyncio.gather(*(deliver(self.sending, one) for one in some))
            fired = await _until_idle(lambda: expire.fire(self.hub))
            if not held and not fired:
                return

    async def _next(self) -> datetime:
        """The end of the hour in which something happens next."""
        async with self.hub.engine.pool.acquire() as conn:
            due: datetime | None = await conn.fetchval(
                "select least((select min(next_at) from delivery where state in ('queued', 'parked')),"
                " (select min(due_at) from timer where fired_at is null))"
            )
        first = min([at for at, *_ in self._agenda[:1]] + [due or _NEVER])
        hours = max(0, (first - self.clock.now) // TICK)
        return self.clock.now + (hours + 1) * TICK

    def _plan(self, at: datetime, act: Act) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), act))

    async def _act(self, until: datetime) -> None:
        """Let happen what happens before then."""
        while self._agenda and self._agenda[0][0] < until:
            some = []
            while self._agenda and self._agenda[0][0] < until and len(some) < AT_ONCE:
                at, _, act = heapq.heappop(self._agenda)
                self.clock.now = max(self.clock.now, at)
                some.append(act)
            await asyncio.gather(*(act() for act in some))
        self.clock.now = until

    # ---- who refers

    async def _refer(self, kind: Kind) -> None:
        sender = self.rnd.choice(self.county.senders)
        named = self.rnd.choice((1, 2, 3, 4)) if self.rnd.random() < 0.8 else 0
        asked = self.rnd.sample(self.county.of(kind), named)  # nobody: the hub looks for somebody
        bundle = referral(kind, sender, [one.reference for one in asked], self.clock.now)
        if not kind.treats:
            patient = bundle["entry"][0]["fullUrl"]
            owners = [one.caller.reference for one in asked]
            consent = demo.consent(patient, sender.reference, owners, instant(self.clock.now))
            if not asked:
                del consent["provision"]["actor"]  # whoever it is
            bundle["entry"].append({"fullUrl": "urn:uuid:" + str(uuid4()), "resource": consent})
        creates = [
            Create(entry["resource"]["resourceType"], entry["resource"], full_url=entry["fullUrl"])
            for entry in bundle["entry"]
        ]
        done = await commit(self.hub, sender, creates, interaction="transaction")
        made = {create.type: one.id for create, one in zip(creates, done.written, strict=True)}
        task = next(
            one for create, one in zip(creates, done.written, strict=True) if create.type == "Task"
        )
        self.kinds[task.rid] = kind
        chance = self.rnd.random()
        if chance < 0.03:
            at = self.clock.now + hours(30, self.rnd)
            self._plan(at, lambda: self._put(sender, "Task", made["Task"], {"status": "cancelled"}))
        elif chance < 0.05 and "Consent" in made:
            at = self.clock.now + hours(60, self.rnd)
            self._plan(
                at, lambda: self._put(sender, "Consent", made["Consent"], {"status": "inactive"})
            )

    # ---- who is asked

    async def _hear(self) -> None:
        """Whoever got something new decides what it will do about it, and when."""
        since, self._heard = self._heard, self.clock()
        async with self.hub.engine.pool.acquire() as conn:
            arrived = await conn.fetch(
                "select c.task, c.organization, r.fhir_id from candidate c join resource r on r.rid = c.task"
                " where c.delivered_at >= $1 order by c.task",
                since,
            )
            errands = await conn.fetch(
                "select e.task, e.owner, r.fhir_id, e.kind, e.episode from errand e join resource r on r.rid = e.task"
                " where e.closed_at is null and e.opened_at >= $1 order by e.task",
                since,
            )
        arrived = [one for one in arrived if one["task"] not in self._known]
        errands = [one for one in errands if one["task"] not in self._known]
        senders = {one.organization: one for one in self.county.senders}
        for errand, owner, fhir_id, what, episode in errands:
            self._known.add(errand)
            if owner in senders and self.rnd.random() < 0.8:  # else nobody looks after it
                at = self.clock.now + hours(20, self.rnd)
                act = functools.partial(self._look_after, senders[owner], fhir_id, what, episode)
                self._plan(at, act)
        for task, organization, fhir_id in arrived:
            self._known.add(task)
            service = self.county.services[organization]
            if self.rnd.random() >= service.kind.silent:
                at = self.clock.now + hours(service.kind.answers, self.rnd)
                self._plan(
                    at, lambda service=service, fhir_id=fhir_id: self._answer(service, fhir_id)
                )

    async def _look_after(self, sender: Caller, errand: str, what: str, episode: int) -> None:
        """Find somebody else, or nobody; whatever else is asked is done."""
        changed: Document = {"status": "completed"}
        if what == "find-provider" and self.rnd.random() < 0.4:
            changed = {"status": "rejected"}
        elif what == "find-provider":
            suggested = self.rnd.choice(self.county.of(self.kinds[episode])).reference
            kind = {"text": "suggested service"}
            changed["output"] = [{"type": kind, "valueReference": {"reference": suggested}}]
        await self._put(sender, "Task", errand, changed)

    async def _answer(self, service: Service, task: str) -> None:
        if service.full:
            await self._put(service.caller, "Task", task, _refusal("no-capacity"))
        elif self.rnd.random() < service.kind.declines:
            await self._put(
                service.caller, "Task", task, _refusal(self.rnd.choice(services.REFUSALS))
            )
        elif await self._put(service.caller, "Task", task, {"status": "accepted"}):
            service.taken += 1
            at = self.clock.now + hours(service.kind.works / 4, self.rnd)
            self._plan(at, lambda: self._begin(service, task))

    async def _begin(self, service: Service, task: str) -> None:
        if not await self._put(service.caller, "Task", task, {"status": "in-progress"}):
            service.taken -= 1
        elif self.rnd.random() < 0.95:  # else it is forgotten
            at = self.clock.now + hours(service.kind.works, self.rnd)
            self._plan(at, lambda: self._end(service, task))

    async def _end(self, service: Service, task: str) -> None:
        failed = self.rnd.random() < 0.08
        changed = _with("failed", "cannot-contact") if failed else {"status": "completed"}
        await self._put(service.caller, "Task", task, changed)
        service.taken -= 1

    async def _put(self, who: Caller, kind: str, fhir_id: str, changed: Document) -> bool:
        """Read it and put it back changed, as a client does; False where it is too late for that."""
        async with self.hub.engine.pool.acquire() as conn:
            found = await resources.read(conn, viewer.of(who), kind, fhir_id)
        if found is None or found.body is None:
            self.refused[404] += 1
            return False
        document = fhir_json.parse(found.body.encode())
        if kind == "Task" and document["status"] in machine.TERMINAL:
            return False
        try:
            operation = Update(kind, fhir_id, {**document, **changed})
            await commit(self.hub, who, [operation], interaction="update")
        except FhirError as refusal:
            if refusal.status not in (403, 404, 409, 422):
                raise
            self.refused[refusal.status] += 1
            return False
        return True


def referral(kind: Kind, sender: Caller, performers: list[str], now: datetime) -> Document:
    """What a clinic sends: a person, an order, a Task that is to be answered within three days."""
    run = uuid4().hex
    bundle = demo.referral(run, sender.reference, performers[0] if performers else "", now)
    kept = [each for each in bundle["entry"] if each["resource"]["resourceType"] != "Observation"]
    for entry in kept:
        document = entry["resource"]
        if document["resourceType"] == "ServiceRequest":
            document.pop("supportingInfo")
            document.pop("reasonCode")
            system, code, display = kind.code
            coding = {"coding": [{"system": system, "code": code, "display": display}]}
            document["code" if kind.treats else "category"] = coding if kind.treats else [coding]
            if not kind.treats:
                document["code"] = {"text": display}
            document["performer"] = [{"reference": one} for one in performers]
            if not performers:
                del document["performer"]
        elif document["resourceType"] == "Task":
            document["restriction"] = {"period": {"end": instant(now + timedelta(days=3))}}
    return {**bundle, "entry": kept}


def _with(status: str, reason: str) -> Document:
    return {"status": status, "statusReason": machine.concept(machine.REASONS[reason])}


def _refusal(reason: str) -> Document:
    return _with("rejected", reason)


async def _until_idle(step: Callable[[], Awaitable[bool]]) -> bool:
    """Repeat a step of the worker while it finds work; whether it found any."""
    busy = False
    while True:
        try:
            if not await step():
                return busy
        except SERIALIZATION_RETRY:
            continue
        busy = True


def _batched(held: list[Any]) -> list[list[Any]]:
    return [held[first : first + AT_ONCE] for first in range(0, len(held), AT_ONCE)]
