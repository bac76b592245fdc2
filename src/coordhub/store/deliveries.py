"""The ledger of deliveries: planned once, claimed in order, settled with every attempt on record.

A delivery is due when its time has come (or its lease ran out: whoever held it died) and nothing
older is open for the same endpoint and episode. So order holds per (endpoint, episode) with any
number of workers, and a message that cannot be delivered blocks its own referral only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection
from coordhub.store.transact import AuditRow, audit_json
from coordhub.store.visibility import sees

INBOX = 0
"""Endpoint of recipients without one: what is meant for them waits at the hub."""


class Planned(NamedTuple):
    """A delivery to be. endpoint: rid of the Endpoint, or INBOX. withheld: why it is not to be sent at all."""

    id: UUID
    shard: int
    change: int
    episode: int
    organization: int
    endpoint: int
    rid: int
    version: int
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this worker holds until its lease runs out.

    key: what the partner knows a repeat by. attempt: the first is 1.
    """

    id: UUID
    key: UUID
    episode: int
    organization: int
    endpoint: int
    rid: int
    version: int
    attempt: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """outcome: delivered, refused or unreachable; status: HTTP's; detail: class of failure."""

    outcome: str
    status: int | None
    latency_ms: int
    detail: str | None


class Settlement(NamedTuple):
    """held: False if the lease had run out and someone else holds it now, so that nothing was written.
    troubled: the endpoint has a circuit (store.circuits)."""

    held: bool
    troubled: bool


_KEY = (
    "(select md5(concat_ws('.', c.rid, c.version, extract(epoch from c.at), n.organization, n.endpoint, n.rid,"
    " n.version))::uuid from change c where c.seq = n.change)"
)

OVERTAKEN = "a newer state of it is sent"


async def plan(
    conn: Connection, rows: Sequence[Planned], now: datetime, relayed: Sequence[int] = ()
) -> None:
    """Owe these; what was planned before stays as it is. relayed: the changes (seq) of which that is all.

    The key says which change of which moment is told to whom and where, so that whoever plans the same again, such
    as a hub that was restored from a backup, sends it under the same.

    But of the states of a Task that wait for an Endpoint and were never tried only the newest goes, unless
    its organization wants each (table exchange). What was tried may have arrived, and keeps its place.
    """
    if not rows:
        if relayed:
            await conn.execute(
                "update change set relayed_at = $2 where seq = any($1::bigint[])",
                list(relayed),
                now,
            )
        return
    columns = (list(column) for column in zip(*rows, strict=True))
    await conn.execute(_PLAN, *columns, now, OVERTAKEN, list(relayed))


# Of states that are planned together the older ones are not in the table when the statement begins.
_NEWER = (
    f"n.endpoint <> {INBOX} and c.type = {NUMBER['Task']}"
    " and not exists (select from exchange x where x.organization = n.organization and x.each_state)"
)
_PLAN = f"""
with told as (
    update change set relayed_at = $10 where seq = any($12::bigint[])
), wanted as (
    select n.*, {_NEWER} as only_newest
    from unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::bigint[], $8::int[], $9::text[]) with ordinality
        as n(id, shard, change, episode, organization, endpoint, rid, version, withheld, at)
    left join change c on c.seq = n.change and c.rid = n.rid
), owed as (
    select n.*, coalesce(n.withheld, case when exists (
        select from wanted l where l.at > n.at and l.withheld is null and l.only_newest and l.rid = n.rid
          and l.episode = n.episode and l.organization = n.organization and l.endpoint = n.endpoint
      ) then $11 end) as reason
    from wanted n
), planned as (
    insert into delivery (id, shard, change, episode, organization, endpoint, rid, version, reason, key,
        state, settled_at, created_at, next_at)
    select n.id, n.shard, n.change, n.episode, n.organization, n.endpoint, n.rid, n.version, n.reason, {_KEY},
        case when reason is null then 'queued' else 'suppressed' end,
        case when reason is not null then $10::timestamptz end, $10, $10
    from owed n order by at
    on conflict (change, organization, endpoint, rid) do nothing
    returning id
)
update delivery o set state = 'suppressed', settled_at = $10, reason = $11
from planned p join owed n on n.id = p.id
where n.reason is null and n.only_newest and o.episode = n.episode and o.organization = n.organization
  and o.endpoint = n.endpoint and o.rid = n.rid and o.state in ('queued', 'parked') and o.attempts = 0
"""


async def planned(conn: Connection, rid: int) -> list[Planned]:
    """The deliveries of the first change of a resource that was told, in the order of their planning."""
    rows = await conn.fetch(
        "select id, shard, change, episode, organization, endpoint, rid, version from delivery"
        " where change = (select min(change) from delivery where rid = $1) order by seq",
        rid,
    )
    return [Planned(*row) for row in rows]


_IS_DUE = (
    "((d.state in ('queued', 'parked') and d.next_at <= $1) or (d.state = 'leased' and d.lease_until <= $1))"
    " and not exists (select from delivery o where o.endpoint = d.endpoint and o.episode = d.episode"
    " and o.seq < d.seq and o.organization = d.organization and o.state in ('queued', 'leased', 'parked'))"
)

_IS_WELL = (
    "(d.created_at <= $1 - $4::interval"
    " or not exists (select from circuit c where c.endpoint = d.endpoint and c.state <> 'closed'))"
)

# With whom a rate was agreed, that gets as many as its bucket of tokens holds: its row is the lock, so that
# all workers draw from one. What fails is asked by one probe, or as many as it is allowed while it recovers;
# its circuit's row is the lock. Whose time is over is tried once more, whatever the circuit.
# What is under way is counted as of when the statement began. Another worker may have taken some and let go
# of the lock since then, unseen: then the row that was locked is not the one of that moment (each taking
# writes a new one), and there is nothing to take until the next look.
_DUE = f"""
with troubled as (
    select c.endpoint, case when c.state in ('open', 'probing') then 1 else c.allowance - (
        select count(*) from delivery l where l.endpoint = c.endpoint and l.state = 'leased' and l.lease_until > $1)
      end as free, c.ctid = (select b.ctid from circuit b where b.endpoint = c.endpoint) as unchanged
    from circuit c
    where not exists (select from pause)
      and (c.state = 'recovering' or c.state in ('open', 'probing') and c.probe_at <= $1)
      and exists (select from delivery d where d.endpoint = c.endpoint and {_IS_DUE})
    for update of c skip locked
), probed as (
    update circuit c set state = case c.state when 'recovering' then c.state else 'probing' end,
        probe_at = case c.state when 'recovering' then c.probe_at else $1 + $3 end
    from troubled t where c.endpoint = t.endpoint
), paced as materialized (
    select p.organization, p.filled, case when p.unchanged then least(floor(p.filled), p.at_once - (
        select count(*) from delivery l where l.organization = p.organization and l.endpoint <> {INBOX}
          and l.state = 'leased' and l.lease_until > $1), $2)::int else 0 end as free
    from (select p.organization, p.at_once, least(greatest(p.per_second, 1), p.level
            + p.per_second * greatest(extract(epoch from $1 - p.at), 0)::float8) as filled,
            p.ctid = (select b.ctid from pace b where b.organization = p.organization) as unchanged
        from pace p where not exists (select from pause) and exists (
          select from delivery d where d.organization = p.organization
          and d.state in ('queued', 'parked', 'leased') and d.endpoint <> {INBOX})
        for update of p skip locked) p
), probing as (
    select p.id, p.organization from troubled t cross join lateral (
        select d.id, d.organization from delivery d where d.endpoint = t.endpoint and {_IS_DUE}
        order by d.seq limit case when t.unchanged then greatest(least(t.free, (select min(s.free) from paced s
            join delivery o on o.organization = s.organization where o.endpoint = t.endpoint)), 0) else 0 end
        for update skip locked) p
), measured as (
    select m.id, m.organization from paced s cross join lateral (
        select d.id, d.organization from delivery d
        where d.organization = s.organization and d.endpoint <> {INBOX} and {_IS_DUE} and {_IS_WELL}
        order by d.next_at limit greatest(s.free, 0) for update skip locked) m
), spent as (
    update pace p set at = greatest(p.at, $1), level = s.filled - (select count(*) from
        (select * from probing union select * from measured) u where u.organization = s.organization)
    from paced s where p.organization = s.organization
), usual as (
    select d.id from delivery d
    where not exists (select from pause) and {_IS_DUE} and {_IS_WELL}
      and (d.endpoint = {INBOX} or not exists (select from pace p where p.organization = d.organization))
    order by d.next_at limit $2 for update skip locked
)
update delivery d set state = 'leased', lease_until = $1 + $3, attempts = d.attempts + 1, reason = null
from (select id from probing union select id from measured union select id from usual) due where d.id = due.id
returning d.id, coalesce(d.key, d.id), d.episode, d.organization, d.endpoint, d.rid, d.version, d.attempts, d.created_at
"""


async def claim(
    conn: Connection,
    now: datetime,
    limit: int,
    lease: timedelta,
    budget: timedelta = timedelta(hours=72),
) -> list[Claimed]:
    """Take up to `limit` due deliveries for `lease`, and probes of endpoints that fail besides; none in a pause.

    budget: the age from which a delivery is tried once more, also where its endpoint is left alone.
    """
    return [Claimed(*row) for row in await conn.fetch(_DUE, now, limit, lease, budget)]


_TO_WHO_IS_ASKED = (
    "(c.task <> c.episode"
    " or s.organization <> (select e.requester from episode e where e.id = c.episode))"
)
"""Of a Task that both share, its sender gets deliveries, too."""

_SETTLE = f"""
with settled as (
    update delivery
    set state = $3, lease_until = null, next_at = coalesce($4, next_at), reason = $5,
        settled_at = case when $3 in ('delivered', 'suppressed', 'dead') then $6::timestamptz end
    where id = $1 and state = 'leased' and attempts = $2
    returning id, rid, state, organization
), attempted as (
    insert into attempt (delivery, number, at, outcome, status, latency_ms, detail)
    select id, $2, $6, $7, $8, $9, $10 from settled where $7::text is not null
), noted as (
    update candidate c set delivered_at = $6 from settled s
    where s.state = 'delivered' and c.task = s.rid and c.delivered_at is null and {_TO_WHO_IS_ASKED}
), unreached as (
    update need n set next_at = $6 from settled s join candidate c on c.task = s.rid
    where s.state = 'dead' and c.status = 'requested' and c.delivered_at is null and c.seen_at is null
      and {_TO_WHO_IS_ASKED}
      and n.episode = c.episode and n.ordinal = c.need and n.state = 'open'
), audited as (
    insert into audit (at, client, organization, interaction, outcome, type, fhir_id, rids, query, delivery, request_id)
    select $6, n.client, n.organization, n.interaction, n.outcome, n.type, n.fhir_id, n.rids, n.query, n.delivery,
           n.request_id
    from settled, jsonb_to_recordset($11::jsonb) as n(client text, organization bigint, interaction text,
        outcome smallint, type smallint, fhir_id text, rids bigint[], query text, delivery uuid, request_id text)
)
select count(*), (select count(*) from circuit c where c.endpoint = $12) from settled
"""


async def settle(
    conn: Connection,
    held: Claimed,
    state: str,
    *,
    now: datetime,
    next_at: datetime | None = None,
    reason: str | None = None,
    attempt: Attempt | None = None,
    disclosed: AuditRow | None = None,
) -> Settlement:
    """Write down what came of it.

    state: queued (again at `next_at`), parked, delivered, suppressed, dead. Of a question that is dead and
    that nobody has seen the need has its next step at once.
    """
    row = await conn.fetchrow(
        _SETTLE,
        held.id,
        held.attempt,
        state,
        next_at,
        reason,
        now,
        attempt.outcome if attempt else None,
        attempt.status if attempt else None,
        attempt.latency_ms if attempt else 0,
        attempt.detail if attempt else None,
        audit_json([disclosed] if disclosed else []),
        held.endpoint,
    )
    assert row is not None
    return Settlement(row[0] == 1, row[1] == 1)


async def suppress_hidden(
    conn: Connection, patients: Sequence[int], tasks: Sequence[int], now: datetime, reason: str
) -> None:
    """What waits to be sent about these patients and may not be seen any more is not sent.

    tasks: what is queued about these is not sent either, by whoever it may be seen.
    """
    await conn.execute(
        "update delivery d set state = 'suppressed', reason = $4, settled_at = $3"
        " from episode e, resource r where e.patient = any($1::bigint[]) and d.episode = e.id"
        " and d.state in ('queued', 'parked') and r.rid = d.rid and r.shard = d.shard"
        " and (d.rid = any($2::bigint[]) and d.version < r.version and (d.rid <> e.id or d.organization <> e.requester)"
        f" or not {sees('d.organization', 'r')})",
        list(patients),
        list(tasks),
        now,
        reason,
    )


@dataclass(frozen=True, slots=True)
class Owed:
    """The ledger in numbers. oldest: creation of the oldest that is still open."""

    open: int
    dead: int
    delivered: int
    suppressed: int
    oldest: datetime | None


async def owed(conn: Connection) -> Owed:
    row = await conn.fetchrow(
        "select count(*) filter (where state in ('queued', 'leased', 'parked')),"
        " count(*) filter (where state = 'dead'), count(*) filter (where state = 'delivered'),"
        " count(*) filter (where state = 'suppressed'),"
        " min(created_at) filter (where state in ('queued', 'leased', 'parked')) from delivery"
    )
    assert row is not None
    return Owed(*row)
