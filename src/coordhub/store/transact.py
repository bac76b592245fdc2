"""The one write path: everything a commit changes, for one resource or a thousand, in one statement.

The rows travel as arrays and are spread by `unnest`, so that the text is always the same, is
prepared once, and costs one round trip however many resources it carries. Whoever calls has opened
the transaction and holds the locks (`resources.lock`); nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg
import msgspec

from coordhub.errors import conflict
from coordhub.r4 import types
from coordhub.store.engine import Connection
from coordhub.store.index import IndexRows


class Write(NamedTuple):
    """A new version of a resource; `body` None deletes. version 1 is an insert, any other an update.

    author: rid of the organization that wrote this version; source: of the one whose resource it is.
    assigned: the id was chosen by the client, not by the hub.
    labels: a bit for each sensitivity class of its content.
    episode: the referral this change belongs to; None: nobody is told of it.
    dangling: a reference of it leads nowhere; quarantined: and so only its source is to see it.
    """

    rid: int
    type: str
    id: str
    version: int
    op: str
    author: int
    source: int
    patient: int | None
    body: str | None
    assigned: bool = False
    episode: int | None = None
    labels: int = 0
    dangling: bool = False
    quarantined: bool = False


class Grant(NamedTuple):
    """`organization` may see `rid`, because of resource `because` by rule `rule`.

    labels: sensitivity classes that it covers. dataset: number of what is shown of it; 0: the whole.
    """

    organization: int
    rid: int
    because: int
    rule: str
    labels: int = 0
    dataset: int = 0


class Rule(NamedTuple):
    """What one actor (or everyone, 0) may see of a patient's chart; columns of access_rule.

    systems, codes: parallel, the systems as numbers of code_system.
    """

    actor: int
    patient: int
    permit: bool
    precedence: int
    since: datetime
    because: int
    rule: str
    until: datetime | None = None
    types: Sequence[int] | None = None
    rids: Sequence[int] | None = None
    only_labels: int | None = None
    covers: int = 0
    systems: Sequence[int] | None = None
    codes: Sequence[str] | None = None
    data_from: datetime | None = None
    data_to: datetime | None = None
    purposes: Sequence[str] | None = None


class RuleEnd(NamedTuple):
    """The rules that resource `because` made end now, or, given `actor`, those about it."""

    because: int
    actor: int | None = None


class Party(NamedTuple):
    """What kind of party an organization is: treatment, social, vsp, person."""

    organization: int
    kind: str


class EpisodeRow(NamedTuple):
    id: int
    requester: int
    request: int
    patient: int | None


class CandidateRow(NamedTuple):
    episode: int
    ordinal: int
    organization: int
    recipient: str
    task: int
    request: int
    status: str


class CandidateStatus(NamedTuple):
    task: int
    status: str


class TimerRow(NamedTuple):
    episode: int
    kind: str
    subject: int
    due_at: datetime


class AuditRow(NamedTuple):
    """One line of the audit. `rids`: the resources written or shown; `fhir_id`: the id asked for."""

    client: str | None
    organization: int | None
    interaction: str
    outcome: int
    type: str | None = None
    fhir_id: str | None = None
    rids: tuple[int, ...] = ()
    query: str | None = None
    delivery: Any = None
    request_id: str | None = None


@dataclass(slots=True)
class Batch:
    """All that one commit writes."""

    writes: list[Write] = field(default_factory=list)
    add: IndexRows = field(default_factory=IndexRows)
    remove: IndexRows = field(default_factory=IndexRows)
    grants: list[Grant] = field(default_factory=list)
    episodes: list[EpisodeRow] = field(default_factory=list)
    planned: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    candidates: list[CandidateRow] = field(default_factory=list)
    statuses: list[CandidateStatus] = field(default_factory=list)
    timers: list[TimerRow] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    rules_ended: list[RuleEnd] = field(default_factory=list)
    parties: list[Party] = field(default_factory=list)
    audit: list[AuditRow] = field(default_factory=list)


_STATEMENT = """
with w as materialized (
    select * from unnest($1::bigint[], $2::smallint[], $3::text[], $4::int[], $5::text[], $6::bigint[],
                         $7::bigint[], $8::bigint[], $9::text[], $10::int[], $11::bigint[], $58::bigint[])
        as w(rid, type, fhir_id, version, op, author, source, patient, body, flags, episode, labels)
), superseded as (
    insert into resource_version (shard, rid, version, op, updated, author, source, patient, labels, body)
    select r.shard, r.rid, r.version, r.op, r.updated, r.author, r.source, r.patient, r.labels, r.body
    from w join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint
    where w.version > 1
), inserted as (
    insert into resource (shard, rid, type, fhir_id, version, op, updated, author, source, patient, labels, body,
                          dangling, quarantined)
    select (rid & 255)::smallint, rid, type, fhir_id, version, op, $12, author, source, patient, labels, body,
           flags & 2 > 0, flags & 4 > 0
    from w where version = 1
), updated as (
    update resource r
    set version = w.version, op = w.op, updated = $12, author = w.author, patient = w.patient, labels = w.labels,
        body = w.body, dangling = w.flags & 2 > 0, quarantined = w.flags & 4 > 0
    from w where r.rid = w.rid and r.shard = (w.rid & 255)::smallint and w.version > 1
), assigned as (
    insert into assigned_id (type, fhir_id, shard)
    select type, fhir_id, (rid & 255)::smallint from w where flags & 1 > 0 and version = 1
), changed as (
    insert into change (at, shard, rid, version, type, op, author, episode)
    select $12, (rid & 255)::smallint, rid, version, type, op, author, episode from w
), tokens_removed as (
    delete from idx_token i using unnest($13::smallint[], $14::int[], $15::text[], $16::bigint[])
        as o(param, system, code, rid)
    where i.rid = o.rid and i.param = o.param and i.system = o.system and i.code = o.code
), strings_removed as (
    delete from idx_string i using unnest($17::smallint[], $18::text[], $19::bigint[]) as o(param, exact, rid)
    where i.rid = o.rid and i.param = o.param and i.exact = o.exact
), references_removed as (
    delete from idx_reference i using unnest($20::smallint[], $21::bigint[], $22::text[], $23::bigint[])
        as o(param, target, uri, rid)
    where i.rid = o.rid and i.param = o.param
      and i.target is not distinct from o.target and i.uri is not distinct from o.uri
), dates_removed as (
    delete from idx_date i using unnest($24::smallint[], $25::timestamptz[], $26::timestamptz[], $27::bigint[])
        as o(param, low, high, rid)
    where i.rid = o.rid and i.param = o.param and i.low = o.low and i.high = o.high
), tokens_added as (
    insert into idx_token (param, system, code, rid, source, patient, shard)
    select *, (rid & 255)::smallint from unnest($28::smallint[], $29::int[], $30::text[], $31::bigint[],
        $32::bigint[], $33::bigint[]) as n(param, system, code, rid, source, patient)
), strings_added as (
    insert into idx_string (param, value, exact, rid, source, patient, shard)
    select *, (rid & 255)::smallint from unnest($34::smallint[], $35::text[], $36::text[], $37::bigint[],
        $38::bigint[], $39::bigint[]) as n(param, value, exact, rid, source, patient)
), references_added as (
    insert into idx_reference (param, target, uri, rid, source, patient, shard)
    select *, (rid & 255)::smallint from unnest($40::smallint[], $41::bigint[], $42::text[], $43::bigint[],
        $44::bigint[], $45::bigint[]) as n(param, target, uri, rid, source, patient)
), dates_added as (
    insert into idx_date (param, low, high, rid, source, patient, shard)
    select *, (rid & 255)::smallint from unnest($46::smallint[], $47::timestamptz[], $48::timestamptz[],
        $49::bigint[], $50::bigint[], $51::bigint[]) as n(param, low, high, rid, source, patient)
), granted as (
    insert into access_grant (organization, rid, because, rule, labels, dataset, since, shard)
    select *, $12, (rid & 255)::smallint
    from unnest($52::bigint[], $53::bigint[], $54::bigint[], $55::text[], $59::bigint[], $60::smallint[])
        as n(organization, rid, because, rule, labels, dataset)
    on conflict do nothing
), audited as (
    insert into audit (at, client, organization, interaction, outcome, type, fhir_id, rids, query, delivery, request_id)
    select $12, client, organization, interaction, outcome, type, fhir_id, rids, query, delivery, request_id
    from jsonb_to_recordset($56::jsonb) as n(client text, organization bigint, interaction text, outcome smallint,
        type smallint, fhir_id text, rids bigint[], query text, delivery uuid, request_id text)
), opened as (
    insert into episode (id, shard, requester, request, patient, state, opened_at)
    select id, (id & 255)::smallint, requester, request, patient, 'open', $12
    from jsonb_to_recordset($57::jsonb -> 'opened') as n(id bigint, requester bigint, request bigint, patient bigint)
), progressed as (
    update episode e
    set planned_at = case when n.planned then $12 else e.planned_at end,
        state = case when n.closed then 'closed' else e.state end,
        closed_at = case when n.closed then coalesce(e.closed_at, $12) else e.closed_at end
    from jsonb_to_recordset($57::jsonb -> 'progressed') as n(id bigint, planned boolean, closed boolean)
    where e.id = n.id
), asked as (
    insert into candidate (episode, ordinal, shard, organization, recipient, task, request, status, asked_at)
    select episode, ordinal, (task & 255)::smallint, organization, recipient, task, request, status, $12
    from jsonb_to_recordset($57::jsonb -> 'asked') as n(episode bigint, ordinal smallint, organization bigint,
        recipient text, task bigint, request bigint, status text)
), answered as (
    update candidate c
    set status = n.status,
        accepted_at = case when n.status in ('accepted', 'in-progress', 'on-hold', 'completed', 'failed')
                           then coalesce(c.accepted_at, $12) else c.accepted_at end,
        ended_at = case when n.status in ('rejected', 'cancelled', 'failed', 'completed', 'entered-in-error')
                        then coalesce(c.ended_at, $12) else c.ended_at end
    from jsonb_to_recordset($57::jsonb -> 'answered') as n(task bigint, status text)
    where c.task = n.task
), ended as (
    update access_grant g
    set until = $12
    from jsonb_to_recordset($57::jsonb -> 'answered') as n(task bigint, status text)
    where g.because = n.task and g.rule = 'referral' and g.until is null
      and n.status in ('rejected', 'cancelled', 'entered-in-error')
), timed as (
    insert into timer (shard, episode, kind, subject, due_at)
    select (subject & 255)::smallint, episode, kind, subject, due_at
    from jsonb_to_recordset($57::jsonb -> 'timed') as n(episode bigint, kind text, subject bigint, due_at timestamptz)
    on conflict (subject, kind) do update set due_at = excluded.due_at where timer.fired_at is null
)
select count(*) from w
"""

# The kinds of which most resources have few or none travel as JSON, and take part in the statement
# only where there are some: each further table costs, also if nothing is written to it.
_FURTHER = {
    "numbers_removed": """    delete from idx_number i
    using jsonb_to_recordset($61::jsonb -> 'numbers_removed')
        as o(param smallint, low numeric, high numeric, rid bigint)
    where i.rid = o.rid and i.param = o.param and i.low = o.low and i.high = o.high
""",
    "quantities_removed": """    delete from idx_quantity i
    using jsonb_to_recordset($61::jsonb -> 'quantities_removed') as o(param smallint, system int, code text, unit text,
        low numeric, high numeric, rid bigint)
    where i.rid = o.rid and i.param = o.param and i.system = o.system and i.low = o.low and i.high = o.high
      and i.code is not distinct from o.code and i.unit is not distinct from o.unit
""",
    "uris_removed": """    delete from idx_uri i
    using jsonb_to_recordset($61::jsonb -> 'uris_removed') as o(param smallint, value text, rid bigint)
    where i.rid = o.rid and i.param = o.param and i.value = o.value
""",
    "composites_removed": """    delete from idx_composite i
    using jsonb_to_recordset($61::jsonb -> 'composites_removed') as o(param smallint, system int, code text, rid bigint,
        value_system int, value text, unit text, low numeric, high numeric, first timestamptz, last timestamptz,
        target bigint, third numeric)
    where i.rid = o.rid and i.param = o.param and i.system = o.system and i.code = o.code
      and (i.value_system, i.value, i.unit, i.low, i.high, i.first, i.last, i.target, i.third) is not distinct from
          (o.value_system, o.value, o.unit, o.low, o.high, o.first, o.last, o.target, o.third)
""",
    "positions_removed": """    delete from idx_position i
    using jsonb_to_recordset($61::jsonb -> 'positions_removed') as o(param smallint, latitude float8, longitude float8,
        rid bigint)
    where i.rid = o.rid and i.param = o.param and i.latitude = o.latitude and i.longitude = o.longitude
""",
    "numbers": """    insert into idx_number (shard, param, low, high, rid, source, patient)
    select (rid & 255)::smallint, n.* from jsonb_to_recordset($61::jsonb -> 'numbers') as n(param smallint,
        low numeric, high numeric, rid bigint, source bigint, patient bigint)
""",
    "quantities": """
    insert into idx_quantity (shard, param, system, code, unit, low, high, dimension, canonical_low, canonical_high,
        rid, source, patient)
    select (rid & 255)::smallint, n.* from jsonb_to_recordset($61::jsonb -> 'quantities') as n(param smallint,
        system int, code text, unit text, low numeric, high numeric, dimension text, canonical_low numeric,
        canonical_high numeric, rid bigint, source bigint, patient bigint)
""",
    "uris": """    insert into idx_uri (shard, param, value, rid, source, patient)
    select (rid & 255)::smallint, n.* from jsonb_to_recordset($61::jsonb -> 'uris') as n(param smallint, value text,
        rid bigint, source bigint, patient bigint)
""",
    "composites": """
    insert into idx_composite (shard, param, system, code, value_system, value, unit, low, high, dimension,
        canonical_low, canonical_high, first, last, target, third, rid, source, patient)
    select (rid & 255)::smallint, n.* from jsonb_to_recordset($61::jsonb -> 'composites') as n(param smallint,
        system int, code text, value_system int, value text, unit text, low numeric, high numeric, dimension text,
        canonical_low numeric, canonical_high numeric, first timestamptz, last timestamptz, target bigint,
        third numeric, rid bigint, source bigint, patient bigint)
""",
    "positions": """    insert into idx_position (shard, param, latitude, longitude, rid, source, patient)
    select (rid & 255)::smallint, n.* from jsonb_to_recordset($61::jsonb -> 'positions') as n(param smallint,
        latitude float8, longitude float8, rid bigint, source bigint, patient bigint)
""",
    "rules_ended": """    update access_rule c set until = $12
    from jsonb_to_recordset($61::jsonb -> 'rules_ended') as o(because bigint, actor bigint)
    where c.because = o.because and (o.actor is null or c.actor = o.actor)
      and (c.until is null or c.until > $12)
""",
    "rules": """
    insert into access_rule (actor, patient, permit, precedence, since, because, rule, until, types, rids, only_labels,
        covers, systems, codes, data_from, data_to, purposes)
    select * from jsonb_to_recordset($61::jsonb -> 'rules') as n(actor bigint, patient bigint, permit boolean,
        precedence bigint, since timestamptz, because bigint, rule text, until timestamptz, types smallint[],
        rids bigint[], only_labels bigint, covers bigint, systems int[], codes text[], data_from timestamptz,
        data_to timestamptz, purposes text[])
""",
    "parties": """    insert into party (organization, kind)
    select organization, kind from jsonb_to_recordset($61::jsonb -> 'parties') as n(organization bigint, kind text)
    on conflict (organization) do update set kind = excluded.kind where party.kind <> 'vsp'
""",
}
"""What most commits have none of -> how it is written."""

_NOTHING = b'{"opened":[],"progressed":[],"asked":[],"answered":[],"timed":[]}'


def _columns(rows: Sequence[tuple[Any, ...]] | set[Any], width: int) -> list[list[Any]]:
    return (
        [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
    )


def _projections(batch: Batch) -> str:
    if not (
        batch.episodes
        or batch.planned
        or batch.closed
        or batch.candidates
        or batch.statuses
        or batch.timers
    ):
        return _NOTHING.decode()
    progressed = [
        {"id": one, "planned": one in batch.planned, "closed": one in batch.closed}
        for one in sorted({*batch.planned, *batch.closed})
    ]
    return msgspec.json.encode(
        {
            "opened": [row._asdict() for row in batch.episodes],
            "progressed": progressed,
            "asked": [row._asdict() for row in batch.candidates],
            "answered": [row._asdict() for row in batch.statuses],
            "timed": [row._asdict() for row in batch.timers],
        }
    ).decode()


def _further(batch: Batch) -> dict[str, list[dict[str, Any]]]:
    """Rows of the kinds of _FURTHER, where there are some."""
    decided: dict[str, Sequence[Any]] = {
        "rules_ended": batch.rules_ended,
        "rules": batch.rules,
        "parties": batch.parties,
    }
    return {
        **{kind: [row._asdict() for row in rows] for kind, rows in decided.items() if rows},
        **{
            f"{kind}{suffix}": [_flat(row) for row in rows]
            for side, suffix in ((batch.add, ""), (batch.remove, "_removed"))
            for kind in ("numbers", "quantities", "uris", "composites", "positions")
            if (rows := getattr(side, kind))
        },
    }


@lru_cache(maxsize=64)
def _statement(kinds: tuple[str, ...]) -> str:
    """The statement that also writes these kinds; prepared once for each combination."""
    if not kinds:
        return _STATEMENT
    head, granted, rest = _STATEMENT.partition("), granted as (")
    further = "".join(f"), m_{kind} as (\n{_FURTHER[kind]}" for kind in kinds)
    return f"{head}{further}{granted}{rest}"


def _flat(row: Any) -> dict[str, Any]:
    columns: dict[str, Any] = row._asdict()
    measure = columns.pop("measure", None)
    return columns if measure is None else {**columns, **measure._asdict()}


def _flags(row: Write) -> int:
    return row.assigned | row.dangling << 1 | row.quarantined << 2


def audit_json(rows: Sequence[AuditRow]) -> str:
    return msgspec.json.encode(
        [{**row._asdict(), "type": types.NUMBER[row.type] if row.type else None} for row in rows]
    ).decode()


async def transact(conn: Connection, batch: Batch, *, now: datetime) -> None:
    """Write it all, inside the caller's transaction.

    now: the instant of this commit, meta.lastUpdated of all it writes. Two creations of one
    client-chosen id: 409 for the second.
    """
    w = _columns(
        [
            (row.rid, types.NUMBER[row.type], *row[2:9], _flags(row), row.episode, row.labels)
            for row in batch.writes
        ],
        12,
    )
    granted = _columns(batch.grants, 6)
    remove, add = batch.remove, batch.add
    further = _further(batch)
    try:
        await conn.fetchval(
            _statement(tuple(further)),
            *w[:11],
            now,
            *_columns([(r.param, r.system, r.code, r.rid) for r in remove.tokens], 4),
            *_columns([(r.param, r.exact, r.rid) for r in remove.strings], 3),
            *_columns([(r.param, r.target, r.uri, r.rid) for r in remove.references], 4),
            *_columns([(r.param, r.low, r.high, r.rid) for r in remove.dates], 4),
            *_columns(add.tokens, 6),
            *_columns(add.strings, 6),
            *_columns(add.references, 6),
            *_columns(add.dates, 6),
            *granted[:4],
            audit_json(batch.audit),
            _projections(batch),
            w[11],
            *granted[4:],
            *([msgspec.json.encode(further).decode()] if further else []),
        )
    except asyncpg.UniqueViolationError as error:
        raise conflict(
            "Another request wrote the same thing at the same moment. Send yours again."
        ) from error
