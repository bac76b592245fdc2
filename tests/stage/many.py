"""A store of many generated resources, written by three organizations and partly shared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from coordhub.r4 import document as fhir_json
from coordhub.r4.extract import extract
from coordhub.store import index
from coordhub.store.engine import Engine
from coordhub.store.transact import Batch, Write, transact
from coordhub.store.visibility import DIRECTORY, Viewer

START = datetime(2026, 1, 1, tzinfo=UTC)
MOST, SOME, FEW, NONE = (number << 8 for number in (101, 102, 103, 104))
VIEWERS = {"100 %": Viewer(MOST), "30 %": Viewer(SOME), "0.1 %": Viewer(FEW), "0 %": Viewer(NONE)}
"""MOST wrote 70 % and is granted the rest, SOME wrote 30 %, FEW is granted one in a thousand."""


@dataclass(frozen=True, slots=True)
class One:
    rid: int
    type: str
    id: str
    source: int
    patient: int
    body: dict[str, Any]


def generated(patients: int, each: int) -> Iterator[One]:
    """`patients` with `each` Observations, and a ServiceRequest with its Task for one in two."""
    random = Random(7)
    number = iter(range(1000, 10_000_000))

    def make(type_: str, source: int, patient: int | None, **body: Any) -> One:
        rid = next(number) << 8 | 7
        fhir_id = "07" + str(UUID(int=random.getrandbits(128), version=4))[2:]
        return One(rid, type_, fhir_id, source, patient or rid, {"resourceType": type_, **body})

    for count in range(patients):
        source = SOME if count % 10 < 3 else MOST
        person = make(
            "Patient", source, None,
            name=[{"family": f"Family{count % 97}", "given": [f"Given{count}"]}],
            identifier=[{"system": "http://mr.example", "value": str(count)}],
        )  # fmt: skip
        yield person
        subject = {"reference": f"Patient/{person.id}"}
        if count % 2:
            request = make(
                "ServiceRequest", source, person.rid, status="active", intent="order",
                subject=subject,
            )  # fmt: skip
            yield request
            yield make(
                "Task", source, person.rid, status="requested" if count % 40 == 1 else "completed",
                intent="order", focus={"reference": f"ServiceRequest/{request.id}"},
                owner={"identifier": {"value": "o"}}, **{"for": subject},
            )  # fmt: skip
        for place in range(each):
            moment = START + timedelta(minutes=random.randrange(500_000))
            code = "all" if place else f"rare{count % 50}"
            yield make(
                "Observation", source, person.rid, status="final", subject=subject,
                category=[{"coding": [{"system": "http://cat.example", "code": "laboratory"}]}],
                code={"coding": [{"system": "http://loinc.org", "code": f"c{place % 20}"},
                                 {"system": "http://local.example", "code": code}]},
                effectiveDateTime=moment.isoformat().replace("+00:00", "Z"),
                valueQuantity={"value": Decimal(random.randrange(10, 3000)) / 10,
                               "unit": "mg/dL", "system": "http://unitsofmeasure.org",
                               "code": "mg/dL"},
            )  # fmt: skip


async def fill(engine: Engine, *, patients: int, each: int) -> dict[str, str]:
    """Write them all, share them, and tell Postgres; ids of some by what they are."""
    targets: dict[str, int] = {}
    ids: dict[str, str] = {}
    pending: list[One] = []
    for one in generated(patients, each):
        targets[f"{one.type}/{one.id}"] = one.rid
        ids.setdefault(f"{one.type} of {one.source}", one.id)
        pending.append(one)
        if len(pending) == 1000:
            await _write(engine, pending, targets)
            pending = []
    await _write(engine, pending, targets)
    async with engine.pool.acquire() as conn:
        grant = (
            "insert into access_grant (shard, organization, rid, because, rule, since)"
            " select shard, $1, rid, rid, 'referral', now() from resource where source"
        )
        await conn.execute(f"{grant} = $2", MOST, SOME)
        await conn.execute(f"{grant} in ($2, $3) and rid / 256 % 1000 = 1", FEW, MOST, SOME)
        await conn.execute(
            "insert into party (organization, kind) select unnest($1::bigint[]), 'treatment'",
            [MOST, SOME, FEW, NONE],
        )
        await conn.execute("vacuum analyze")
    return ids


async def _write(engine: Engine, many: list[One], targets: dict[str, int]) -> None:
    batch = Batch()
    extracted = [(one, extract(one.body)) for one in many]
    systems = await engine.systems(index.systems_in([found for _, found in extracted]))
    for one, found in extracted:
        body = fhir_json.encode({**one.body, "id": one.id}).decode()
        batch.writes.append(
            Write(one.rid, one.type, one.id, 1, "create", one.source, one.source, one.patient, body)
        )
        batch.add.update(
            index.rows_of(
                found, rid=one.rid, source=one.source, patient=one.patient, systems=systems,
                targets=targets,
            )
        )  # fmt: skip
    async with engine.transaction() as conn:
        await transact(conn, batch, now=START)


__all__ = ["DIRECTORY", "VIEWERS", "fill"]
