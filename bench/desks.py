"""Referrals by the hundred thousand between the organizations of a county: a few are made, the others copied.

https://www.postgresql.org/docs/current/sql-insert.html

The first go through `record.commit` and the relay, and are answered. Their rows are copied by SQL with other
ids, record numbers, parties and instants: what the desks of the portal read (resources, grants, rules, episode,
needs, candidates, errands, time limits). Without the change log, histories and what searches go by, of which
no page of a desk asks anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import asyncpg

from bench import report
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.hub import Hub
from coordhub.record.operations import Create, Update
from coordhub.referral.same_kind import SDOHCC
from coordhub.routing import relay
from coordhub.sandbox import demo
from coordhub.store.tables import metadata
from coordhub.store.visibility import DIRECTORY

CLOSED: Final = (
    ("accepted", "in-progress", "completed"),
    ("accepted", "completed"),
    ("rejected",),
    ("accepted", "in-progress", "failed"),
)
OPEN: Final[tuple[tuple[str, ...], ...]] = ((), ("accepted",), ("accepted", "in-progress"))
"""What who is asked answers, one after the other."""

EVERY: Final = 25
"""One in so many copies of what is open is made."""

TABLES: Final = (
    "resource", "access_grant", "access_rule", "episode", "need", "candidate", "errand", "timer",
)  # fmt: skip
_OWN: Final = {"timer": {"id"}, "access_grant": {"xid"}, "access_rule": {"id", "xid"}}
"""Columns that Postgres fills."""

_STILL: Final = {"timer"}
"""Time limits of what is open are not as old as what they are of."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Party:
    name: str
    rid: int
    reference: str

    @property
    def id(self) -> str:
        return self.reference.partition("/")[2]

    @property
    def caller(self) -> Caller:
        return Caller(self.name, self.rid, self.reference, EVERYTHING)


@dataclass(frozen=True, slots=True)
class County:
    """Who refers, and who is asked; the first of each wrote what the others' is copied from."""

    clinics: list[Party]
    services: list[Party]


async def county(hub: Hub, clinics: int, services: int) -> County:
    """So many organizations, of which the clinics treat."""
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    treats = {"system": "http://terminology.hl7.org/CodeSystem/organization-type", "code": "prov"}
    made: list[list[Party]] = []
    for kind, count in (("Clinic", clinics), ("Service", services)):
        names = [f"{kind} {number}" for number in range(count)]
        creates = [
            Create(
                "Organization",
                {"resourceType": "Organization", "active": True, "name": name}
                | ({"type": [{"coding": [treats]}]} if kind == "Clinic" else {}),
            )
            for name in names
        ]
        written = (await commit(hub, steward, creates, interaction="transaction")).written
        made.append(
            [Party(name, one.rid, one.reference) for name, one in zip(names, written, strict=True)]
        )
    return County(*made)


async def fill(hub: Hub, whole: County, tasks: int) -> None:
    """Until there are so many Tasks."""
    conn = await asyncpg.connect(hub.engine.url)
    try:
        patterns = [
            [await _pattern(hub, conn, whole, answers) for answers in some]
            for some in (CLOSED, OPEN)
        ]
        all_ = [rid for some in patterns for one in some for rid in one.values()]
        stride = ((max(all_) >> 8) - (min(all_) >> 8) + 256) << 8
        per = 2 * (
            len(CLOSED) + len(OPEN) / EVERY
        )  # Tasks of a generation: the sender's and the hub's
        last, step = round(tasks / per), 2000
        for first in range(1, last + 1, step):
            until = min(first + step - 1, last)
            for some, every in zip(patterns, (1, EVERY), strict=True):
                for ids in some:
                    await _copy(conn, whole, ids, stride, first, until, every)
            report.tell(f"{until * per:.0f} Tasks")
        for those in (whole.clinics, whole.services):
            await conn.execute(
                "insert into party (organization, kind) select unnest($1::bigint[]), kind from party"
                " where organization = $2 on conflict (organization) do nothing",
                [one.rid for one in those],
                those[0].rid,
            )
        await conn.execute("vacuum analyze")
    finally:
        await conn.close()


async def _pattern(hub: Hub, conn: Any, whole: County, answers: Sequence[str]) -> dict[str, int]:
    """A referral of the first clinic to the first service, answered so: id -> rid of all there is of it."""
    before = await conn.fetchval("select coalesce(max(rid), 0) from resource")
    clinic, service = whole.clinics[0], whole.services[0]
    bundle = demo.referral(uuid4().hex[:12], clinic.reference, service.reference, hub.clock())
    food = {"coding": [{"system": SDOHCC, "code": "food-insecurity"}]}
    creates = []
    for entry in bundle["entry"]:
        document = dict(entry["resource"])
        if document["resourceType"] == "ServiceRequest":
            document |= {"category": [food], "code": food}
        creates.append(
            Create(document["resourceType"], _parsed(document), full_url=entry["fullUrl"])
        )
    patient = next(one.full_url for one in creates if one.type == "Patient")
    moment = hub.clock().isoformat(timespec="milliseconds")
    agreed = demo.consent(str(patient), clinic.reference, [service.reference], moment)
    creates.append(Create("Consent", _parsed(agreed)))
    await commit(hub, clinic.caller, creates, interaction="transaction")
    while await relay.relay(hub, uuid4):
        pass
    for status in answers:
        fhir_id, body = await conn.fetchrow(
            "select r.fhir_id, r.body from candidate c join resource r on r.rid = c.task"
            " where c.task > $1 and c.organization = $2",
            before,
            service.rid,
        )
        changed = {**fhir_json.parse(body.encode()), "status": status}
        await commit(hub, service.caller, [Update("Task", fhir_id, changed)], interaction="update")
        while await relay.relay(hub, uuid4):
            pass
    rows = await conn.fetch("select fhir_id, rid from resource where rid > $1", before)
    return {row[0]: row[1] for row in rows}


def _parsed(document: Document) -> Document:
    parsed: Document = fhir_json.parse(fhir_json.encode(document))
    return parsed


async def _copy(
    conn: Any, whole: County, ids: dict[str, int], stride: int, first: int, last: int, every: int
) -> None:
    """The same again, for each generation of these: between other parties, and so much longer ago."""
    generations = (
        "create temporary table generation on commit drop as"
        " select g, g * $3::bigint as apart,"
        " ($6::bigint[])[1 + c % cardinality($6::bigint[])] as clinic,"
        " ($7::bigint[])[1 + s % cardinality($7::bigint[])] as service,"
        " ($4::text[])[1 + c % cardinality($4::text[])] as clinic_id,"
        " ($5::text[])[1 + s % cardinality($5::text[])] as service_id"
        " from generate_series($1::bigint, $2::bigint) g cross join lateral"
        " (select hashint8(g) & 2147483647 as c, hashint8(-g) & 2147483647 as s) h where g % $8 = 0"
    )
    async with conn.transaction():
        await conn.execute("set local synchronous_commit = off")
        await conn.execute(
            generations, first, last, stride,
            [one.id for one in whole.clinics], [one.id for one in whole.services],
            [one.rid for one in whole.clinics], [one.rid for one in whole.services], every,
        )  # fmt: skip
        for name in TABLES:
            await conn.execute(_statement(name, whole, ids))


def _statement(name: str, whole: County, ids: dict[str, int]) -> str:
    """What copies the rows of these resources in one table."""
    table = metadata.tables[name]
    columns = [
        one for one in table.columns if one.name not in _OWN.get(name, ()) and one.computed is None
    ]
    values = [_value(name, one.name, str(one.type), whole, ids) for one in columns]
    names = ", ".join(one.name for one in columns)
    key = {"episode": "id", "need": "episode", "candidate": "episode", "errand": "task",
           "timer": "subject", "access_rule": "patient"}.get(name, "rid")  # fmt: skip
    rids = ", ".join(map(str, ids.values()))
    return (
        f"insert into {name} ({names}) select {', '.join(values)} from {name} o, generation"
        f" where o.{key} in ({rids})"
    )


def _value(table: str, column: str, kind: str, whole: County, ids: dict[str, int]) -> str:
    clinic, service = whole.clinics[0], whole.services[0]
    at = f"o.{column}"
    if kind == "BIGINT" and column != "labels":
        rids = ", ".join(map(str, ids.values()))
        return (
            f"case when {at} in ({rids}) then {at} + apart when {at} = {clinic.rid} then clinic"
            f" when {at} = {service.rid} then service else {at} end"
        )
    if column == "fhir_id":
        return _id(at)
    if column in ("body", "recipient"):
        text = f"replace(replace({at}, '{clinic.id}', clinic_id), '{service.id}', service_id)"
        for one in ids if column == "body" else ():
            text = f"""replace({text}, '{one}', {_id(f"'{one}'")})"""
        return text
    if kind.startswith("DATETIME"):
        return at if table in _STILL else f"{at} - g * interval '4 minutes'"
    return at


def _id(text: str) -> str:
    """Another UUID of the same shard: its last eight digits count the generations."""
    digits = f"('x' || right({text}, 8))::bit(32)::bigint # ((g * 2654435761) & 4294967295)"
    return f"(left({text}, -8) || lpad(to_hex({digits}), 8, '0'))"
