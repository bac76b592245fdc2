"""Patient/$match beside many persons: how long a call takes and what it reads; and what it costs to link a record.

http://hl7.org/fhir/R4/patient-operation-match.html

The persons are those of `population`. One organization wrote seven of eight records, another the rest; both ask.
Nothing is linked while it is asked; then some records are, as the worker does it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, Final

import asyncpg

from bench import documents, machine, population, report
from bench.drive import percentile
from bench.items import Asker
from bench.pages import SETTLED, counting
from bench.place import RECIPIENT, SENDER, Place, place, postgres
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.r4 import document as fhir_json
from coordhub.record import linking
from coordhub.record.bootstrap import open_hub
from coordhub.record.commit import commit
from coordhub.record.hub import Hub
from coordhub.record.matching import tells_enough
from coordhub.record.operations import Create
from coordhub.store import persons
from coordhub.store.engine import Engine

CALLS: Final = 300
LINKED: Final = 300
IN_BUNDLE: Final = 500

ASKED: Final = {
    "all that is known": ("name", "birthDate", "gender", "telecom", "address"),
    "name and birth": ("name", "birthDate", "gender"),
    "name and address": ("name", "gender", "address"),
    "name alone": ("name", "gender"),
}
"""Elements of the described Patient."""


@dataclass(frozen=True, slots=True)
class Plan:
    """persons: so many at least."""

    persons: int
    seed: int = population.SEEDS[0]


async def run(plan: Plan) -> dict[str, Any]:
    async with postgres() as at:
        known = machine.calibrate(at.folder if machine.writable(at.folder) else at.folder.parent)
        async with place(at, works=False) as here:
            engine = await Engine.open(at.url)
            try:
                hub = await open_hub(engine, here.base)
                made = await _load(plan, here, hub)
                told: dict[str, Any] = {"machine": known, "records": len(made)}
                for asker, name in ((SENDER, "7 of 8"), (RECIPIENT, "1 of 8")):
                    for said, elements in ASKED.items():
                        key = f"$match by who sees {name}, {said}"
                        told[key] = await _asked(here, asker, made, elements)
                for said, chosen in _to_link(made).items():
                    told[f"linking {said}"] = await _linked(hub, chosen)
            finally:
                await engine.close()
    report.show(*(f"{name}: {value}" for name, value in told.items()))
    return told


@dataclass(frozen=True, slots=True)
class _Made:
    rid: int
    patient: documents.Document


async def _load(plan: Plan, here: Place, hub: Hub) -> list[_Made]:
    people = population.persons(plan.seed, plan.persons)
    report.tell(f"writing the records of {len(people)} persons")
    callers = [Caller(key, here.members[key].rid, here.members[key].reference, EVERYTHING)
               for key in (SENDER, RECIPIENT)]  # fmt: skip
    made: list[_Made] = []
    for caller, records in _by_writer(callers, population.records(plan.seed, people)):
        creates = [Create("Patient", fhir_json.parse(fhir_json.encode(one))) for one in records]
        written = (await commit(hub, caller, creates, interaction="transaction")).written
        made += [_Made(one.rid, said) for one, said in zip(written, records, strict=True)]
    conn = await asyncpg.connect(hub.engine.url)
    try:
        await linking.link(hub)
        await conn.execute("truncate person_due")
        await conn.execute("vacuum analyze")
        await asyncio.sleep(SETTLED)
    finally:
        await conn.close()
    return made


def _by_writer(
    callers: Sequence[Caller], records: Iterator[population.Record]
) -> Iterator[tuple[Caller, list[documents.Document]]]:
    while some := list(islice(records, 4 * IN_BUNDLE)):
        theirs: dict[bool, list[documents.Document]] = {False: [], True: []}
        for one in some:
            theirs[one.organization == population.ORGANIZATIONS - 1].append(one.patient)
        for which, listed in theirs.items():
            for at in range(0, len(listed), IN_BUNDLE):
                yield callers[which], listed[at : at + IN_BUNDLE]


async def _asked(
    here: Place, key: str, made: Sequence[_Made], elements: Sequence[str]
) -> dict[str, Any]:
    server = here.server(key)
    asker = Asker(server)
    described = [
        {
            "resourceType": "Patient",
            **{name: each for name, each in one.patient.items() if name in elements},
        }
        for one in Random(7).sample(made, 2 * CALLS)
    ]
    asked = [one for one in described if tells_enough(one)][
        : CALLS + 20
    ]  # no newborn without a name
    requests = [
        server.request("POST", "/Patient/$match", json.dumps(one).encode()) for one in asked
    ]
    taken, bytes_ = [], []
    for request in requests[:20]:
        await asker.ask(0, request, 200)
    async with counting(here.postgres.url) as cost:
        used = machine.cpu(here.pids, here.postgres.postmaster)
        for request in requests[20:]:
            begun = time.perf_counter()
            answer = await asker.ask(0, request, 200)
            taken.append(time.perf_counter() - begun)
            bytes_.append(len(answer.body))
        used = machine.cpu(here.pids, here.postgres.postmaster) - used
    asker.close()
    return {
        "p50_ms": round(percentile(taken, 0.5) * 1000, 1),
        "p95_ms": round(percentile(taken, 0.95) * 1000, 1),
        "cpu_hub_ms": round(used.hub * 1000 / CALLS, 1),
        "cpu_postgres_ms": round(used.postgres * 1000 / CALLS, 1),
        "pages": round(cost.pages / CALLS),
        "kB": round(statistics.mean(bytes_) / 1000, 1),
    }


def _to_link(made: Sequence[_Made]) -> dict[str, list[int]]:
    """Records of whoever, and records of the commonest and of the rarest names."""

    def names(one: _Made) -> tuple[str, str]:
        [name, *_] = one.patient["name"]
        return name["family"], name["given"][0]

    often = Counter(name for one in made for name in names(one))
    sorted_ = sorted(made, key=lambda one: sum(often[name] for name in names(one)))
    return {
        "a record": [one.rid for one in Random(8).sample(made, LINKED)],
        "a record of rare names": [one.rid for one in sorted_[:LINKED]],
        "a record of the commonest names": [one.rid for one in sorted_[-LINKED:]],
    }


async def _linked(hub: Hub, rids: Sequence[int]) -> dict[str, Any]:
    async with hub.engine.transaction() as conn:
        await persons.make_due(conn, rids)
    statements = 0

    def hear(_: object) -> None:
        nonlocal statements
        statements += 1

    async with hub.engine.pool.acquire_at_last() as conn:
        conn.add_query_logger(hear)
    begun = time.perf_counter()
    async with counting(hub.engine.url) as cost:
        while await linking.link(hub):
            pass
        lasted = time.perf_counter() - begun
    async with hub.engine.pool.acquire_at_last() as conn:
        conn.remove_query_logger(hear)
    return {
        "ms": round(lasted * 1000 / len(rids), 2),
        "pages": round(cost.pages / len(rids)),
        "statements": round(statements / len(rids), 1),
    }
