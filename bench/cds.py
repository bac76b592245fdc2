"""CDS Hooks beside a full store: how long a call of order-sign takes, what it costs, what its time gives away.

https://cds-hooks.hl7.org/2.0/

An organization that sees everything calls at an offered rate, of patients with a hundred results each, and of some
with a new one, which makes a card. One that sees the patients and none of their results calls of patients with a
new result that is hidden from it, and of patients of whom there is none: the medians of both should not differ.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from joserfc import jws
from joserfc.jwk import ECKey

from bench import documents, machine, report
from bench.drive import Lap, Refused, offered, percentile
from bench.items import Asker, located
from bench.loader import OBSERVATIONS, Loader
from bench.pages import SETTLED, counting
from bench.place import RECIPIENT, SENDER, Place, place, postgres
from bench.wire import Server
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.cds import services
from coordhub.record.bootstrap import open_hub
from coordhub.store import clients
from coordhub.store.engine import Engine

SERVICE = "coordhub-prior-results-sign"
HBA1C = "17856-6"
APART = 150
"""Patients with one new result, and as many without any."""


@dataclass(frozen=True, slots=True)
class Plan:
    """observations: that are stored. rate: calls a second. seconds: of the lap at that rate."""

    observations: int
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Hospital:
    """An EHR: which client it is, and its key."""

    name: str
    base: str
    key: ECKey

    def calls(self, patients: Sequence[str]) -> list[bytes]:
        """A request for each, signed beforehand: each is sent once, within five minutes."""
        return [self._call(one.partition("/")[2]) for one in patients]

    def _call(self, patient: str) -> bytes:
        order = {
            "resourceType": "ServiceRequest", "id": "draft", "status": "draft", "intent": "order",
            "subject": {"reference": f"Patient/{patient}"},
            "code": {"coding": [{"system": documents.LOINC, "code": HBA1C}]},
        }  # fmt: skip
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order}]}
        body = {
            "hook": "order-sign", "hookInstance": str(uuid.uuid4()), "fhirServer": self.base,
            "context": {"userId": "Practitioner/1", "patientId": patient, "draftOrders": bundle},
            "prefetch": {"patient": {"resourceType": "Patient", "id": patient}},
        }  # fmt: skip
        now = datetime.now(UTC)
        claims = {
            "iss": self.name,
            "aud": services.address(self.base, SERVICE),
            "exp": int((now + timedelta(minutes=4, seconds=50)).timestamp()),
            "iat": int(now.timestamp()),
            "jti": uuid.uuid4().hex,
        }
        head = {"alg": "ES384", "typ": "JWT", "kid": "one"}
        token = jws.serialize_compact(head, json.dumps(claims), self.key, algorithms=["ES384"])
        return self.server.request(
            "POST", f"{services.PATH}/{SERVICE}", json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}"},
        )  # fmt: skip

    @property
    def server(self) -> Server:
        return Server(self.base.removesuffix("/fhir"))


async def run(plan: Plan) -> dict[str, Any]:
    async with postgres() as at:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        async with place(at) as here:
            engine = await Engine.open(at.url)
            try:
                loaded = await _load(plan, here, engine)
                seeing, blind = [await _registered(here, engine, k) for k in (SENDER, RECIPIENT)]
            finally:
                await engine.close()
            new, without = await _apart(here)
            busy, cards, cost = await _busy(plan, here, seeing, [*loaded, *new])
            hidden, absent = await _compared(here, blind, new, without)
    p50, p95 = (percentile(busy.latencies, share) * 1000 for share in (0.5, 0.95))
    medians = [statistics.median(each) * 1000 for each in (hidden, absent)]
    report.show(str(known))
    print(
        f"{plan.observations} observations, {plan.rate:g} calls a second offered, {busy.rate:.1f} answered:"
        f" p50 {p50:.1f} ms, p95 {p95:.1f} ms, {cards} cards, refused {dict(busy.refused) or 'none'};"
        f" CPU of a call {cost[0]:.2f} ms of the hub and {cost[1]:.2f} ms of Postgres, {cost[2]:.0f} pages"
    )
    print(
        f"hidden {medians[0]:.2f} ms, absent {medians[1]:.2f} ms (medians of {len(hidden)} and {len(absent)}"
        f" calls, in turns): {abs(medians[0] - medians[1]):.2f} ms apart"
    )
    return {
        "machine": known, "observations": plan.observations, "rate": plan.rate, "answered": busy.rate,
        "p50_ms": p50, "p95_ms": p95, "cards": cards, "cpu_ms": sum(cost[:2]), "cpu_hub_ms": cost[0], "pages": cost[2],
        "hidden_ms": medians[0], "absent_ms": medians[1],
    }  # fmt: skip


async def _load(plan: Plan, here: Place, engine: Engine) -> list[str]:
    hub = await open_hub(engine, here.base)
    owner = here.members[SENDER]
    loader = Loader(hub, Caller(SENDER, owner.rid, owner.reference, EVERYTHING))
    report.tell(f"loading {plan.observations} observations")
    await loader.grow(max(1, plan.observations // OBSERVATIONS), lambda _: [])
    return [one.reference for one in loader.patients]


async def _registered(here: Place, engine: Engine, name: str) -> _Hospital:
    made = _Hospital(name, here.base, ECKey.generate_key("P-384", private=True))
    keys = {"keys": [{**made.key.as_dict(private=False), "kid": "one", "use": "sig"}]}
    async with engine.pool.acquire() as conn:
        await clients.set_keys(conn, name, json.dumps(keys), None)
    return made


async def _apart(here: Place) -> tuple[list[str], list[str]]:
    """Patients with a new result, and without any; all of them shown to the other, and no result."""
    asker, server = Asker(here.server()), here.server()

    async def made(these: list[documents.Document]) -> list[str]:
        request = server.request("POST", "", documents.transaction(these))
        return located(await asker.ask(0, request, 200))

    patients = await made([documents.patient(900_000 + n) for n in range(2 * APART)])
    new, without = patients[:APART], patients[APART:]
    taken = (datetime.now(UTC) - timedelta(days=9)).isoformat(timespec="milliseconds")
    unit = {"unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    await made([
        {
            "resourceType": "Observation", "status": "final", "effectiveDateTime": taken,
            "code": {"coding": [{"system": documents.LOINC, "code": "4548-4"}]},
            "subject": {"reference": one}, "valueQuantity": {"value": 7.9, **unit},
        }
        for one in new
    ])  # fmt: skip
    conn = await asyncpg.connect(here.postgres.url)
    try:
        await conn.execute(
            "insert into access_grant (shard, organization, rid, because, rule, since)"
            " select (rid & 255)::smallint, $1, rid, rid, 'referral', now() from resource"
            " where fhir_id = any($2::text[])",
            here.members[RECIPIENT].rid,
            [one.partition("/")[2] for one in patients],
        )
    finally:
        await conn.close()
    return new, without


async def _busy(
    plan: Plan, here: Place, ehr: _Hospital, patients: list[str]
) -> tuple[Lap, int, tuple[float, float, float]]:
    """The lap at the rate; how many cards there were; of a call CPU in ms, the hub's and Postgres's, and pages."""
    count = int(plan.rate * (plan.seconds + 3))
    chosen = [random.Random(n).choice(patients) for n in range(count)]
    following, asker, cards = iter(ehr.calls(chosen)), Asker(ehr.server), itertools.count()

    async def work(number: int) -> None:
        answer = await asker.ask(number, next(following), 200)
        if answer.body != b'{"cards":[]}':
            next(cards)

    await offered(work, 32, plan.rate, 3.0)  # connections made, statements prepared
    await asyncio.sleep(SETTLED)
    shown = next(cards)
    async with counting(here.postgres.url) as cost:
        before = machine.cpu(here.pids, here.postgres.postmaster)
        lap = await offered(work, 32, plan.rate, plan.seconds)
        used = machine.cpu(here.pids, here.postgres.postmaster) - before
    done = max(1, lap.done)
    each = (used.hub * 1000 / done, used.postgres * 1000 / done, cost.pages / done)
    return lap, next(cards) - shown - 1, each


async def _compared(
    here: Place, ehr: _Hospital, new: list[str], without: list[str]
) -> tuple[list[float], list[float]]:
    """Seconds of each call, one after the other, of both in turns."""
    asker = Asker(ehr.server)
    found: tuple[list[float], list[float]] = ([], [])
    pairs = zip(ehr.calls(new), ehr.calls(without), strict=True)
    for place_, pair in enumerate(pairs):
        for which, request in enumerate(pair):
            begun = time.perf_counter()
            answer = await asker.ask(0, request, 200)
            if answer.body != b'{"cards":[]}':
                raise Refused("a card tells what is hidden")
            if place_ >= 10:
                found[which].append(time.perf_counter() - begun)
    return found
