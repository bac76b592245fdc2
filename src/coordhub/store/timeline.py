"""What happened in one referral, and what is due in it, as whoever asks may know it.

The requester may know all of its referral, a recipient what was asked of it and nothing of others. What
a victim service provider did with what it was asked is in no row that is read here: neither its Task's
versions nor what it wrote, only that it was asked, and that this arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.r4.sensitivity import VSP
from coordhub.r4.types import NUMBER, name_of
from coordhub.store.engine import Connection
from coordhub.store.visibility import HUB, Viewer, visible


@dataclass(frozen=True, slots=True)
class Asked:
    """How far the referral went with one recipient, and its first delivery (None: not planned yet).

    need: ordinal of what it is asked for. wave: with whom it was asked together, the first is 1.
    apart: a victim service provider, of whom no answer is told. unreachable_since: its server fails since
    then, and what waits for it is not tried but by a probe.
    """

    ordinal: int
    need: int
    wave: int
    recipient: str
    status: str
    asked_at: datetime
    delivered_at: datetime | None
    opened_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    apart: bool
    delivery: str | None
    attempts: int | None
    next_at: datetime | None
    trouble: str | None
    unreachable_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One referral as the viewer may know it.

    id: rid of the Task that is told of: the requester's, or the one that asks the recipient.
    episode: rid of the requester's Task. whole: told to the requester. requester: `Organization/id`.
    """

    id: int
    episode: int
    whole: bool
    requester: str
    opened_at: datetime
    planned_at: datetime | None
    closed_at: datetime | None
    asked: tuple[Asked, ...]


_TOLD: Final = (
    "with it as (select e.*, null::smallint as ordinal from episode e"
    "  where e.id = any(array(select {rid}::bigint union all select n.episode from need n where n.request = {rid}))"
    "  and e.requester = $2"
    " union all select e.*, c.ordinal from candidate c join episode e on e.id = c.episode"
    "  where (c.task = {rid} or c.request = {rid}) and c.organization = $2"
    "  and not exists (select 1 from party p where p.organization = $2 and p.kind = 'vsp')"
    "  order by id desc, ordinal desc limit 1)"
    " select coalesce(case when it.ordinal is not null then c.task end, it.id), it.id, it.ordinal is null,"
    " 'Organization/' || o.fhir_id, it.opened_at, it.planned_at, it.closed_at,"
    " c.ordinal, c.need, c.wave, c.recipient, c.status, c.asked_at, c.delivered_at, c.seen_at,"
    " c.accepted_at, c.ended_at,"
    " exists (select 1 from party p where p.organization = c.organization and p.kind = 'vsp'),"
    " d.state, d.attempts, d.next_at, coalesce(a.detail, k.reason), k.opened_at"
    " from it join resource o on o.rid = it.requester"
    " left join candidate c on c.episode = it.id and (it.ordinal is null or c.ordinal = it.ordinal)"
    " left join lateral (select id, state, attempts, next_at, endpoint from delivery"
    "   where episode = c.episode and rid = c.task and (c.task <> c.episode or organization <> it.requester)"
    "   order by state = 'suppressed', seq limit 1) d on true"
    # the last that has ended: another may be under way
    " left join lateral (select detail from attempt where delivery = d.id order by number desc limit 1) a on true"
    " left join circuit k on k.endpoint = d.endpoint and k.state in ('open', 'probing')"
    "  and d.state in ('queued', 'leased', 'parked')"
    " order by c.ordinal"
)


async def told(conn: Connection, viewer: Viewer, rid: int) -> Told | None:
    """The newest referral that this Task or the order of a need of it opened, or by which the viewer is asked.

    None for everyone else, and for a victim service provider that is asked.
    """
    return _told(await conn.fetch(_TOLD.format(rid="$1"), rid, viewer.organization))


async def told_of(conn: Connection, viewer: Viewer, rids: Sequence[int]) -> list[Told]:
    """The same of each of these of which there is one, by one statement."""
    rows = await conn.fetch(
        "select w.at, x.* from unnest($1::bigint[]) with ordinality w(rid, at)"
        f" cross join lateral ({_TOLD.format(rid='w.rid')}) x order by w.at, x.ordinal",
        list(rids),
        viewer.organization,
    )
    by: dict[int, list[Any]] = {}
    for row in rows:
        by.setdefault(row[0], []).append(row[1:])
    return [one for at in sorted(by) if (one := _told(by[at])) is not None]


def _told(rows: Sequence[Any]) -> Told | None:
    if not rows:
        return None
    asked = tuple(Asked(*row[7:]) for row in rows if row[7] is not None)
    first = rows[0]
    return Told(*[*first[:7], asked])


@dataclass(frozen=True, slots=True)
class Step:
    """A version of a Task of the referral. ordinal: of who was asked by it; None: the requester's own.

    reason, business_status: codes of the hub, "" where there is none.
    """

    at: datetime
    ordinal: int | None
    status: str
    business_status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Brought:
    """Something that came home, or was said: its first version in the referral.

    in_vain: it tells that somebody could not be reached.
    """

    at: datetime
    type: str
    reference: str
    in_vain: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """What happens at that time if nothing happens before; fired_at: it has happened. stands: not now."""

    at: datetime
    ordinal: int | None
    kind: str
    fired_at: datetime | None
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Errand:
    """What the hub asks a person besides. owner: `Type/id`; by: when it is too late."""

    at: datetime
    kind: str
    owner: str
    by: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Need:
    """One thing asked for. request: the sender's `ServiceRequest/id`; state as in table need."""

    ordinal: int
    request: str
    state: str


@dataclass(frozen=True, slots=True)
class Moments:
    """All in the order of time; the needs of the whole in theirs."""

    steps: tuple[Step, ...] = ()
    brought: tuple[Brought, ...] = ()
    dues: tuple[Due, ...] = ()
    errands: tuple[Errand, ...] = ()
    needs: tuple[Need, ...] = ()


def _moments_sql(episode: str, whole: str, ordinals: str, shown: str) -> str:
    return (
        f"with tasks as (select {episode}::bigint as rid, null::smallint as ordinal, null::timestamptz as since"
        f"  where {whole}"
        # of a Task that both share, what was written since it asks
        "  union all select c.task, c.ordinal, case when c.task = c.episode then c.asked_at end from candidate c"
        f"  where c.episode = {episode} and c.ordinal = any({ordinals}::smallint[]))"
        " select 1 as kind, v.updated as at, t.ordinal, it ->> 'status',"
        f" {_code('businessStatus', 'business-status')}, {_code('statusReason', 'task-status-reason')},"
        " null::timestamptz, v.version as seq, null::timestamptz from tasks t"
        " cross join lateral (select version, updated, author, labels, body from resource"
        "   where rid = t.rid and shard = t.rid & 255"
        "   union all select version, updated, author, labels, body from resource_version"
        "   where rid = t.rid and shard = t.rid & 255) v"
        " cross join lateral (select v.body::jsonb as it"
        f"   where v.body like '{{%' and (t.ordinal is null or v.labels & {VSP} = 0)"
        f"   and (t.since is null or v.updated > t.since or v.updated = t.since and v.author = {HUB})) j"
        " union all select 2, min(c.at), null, r.type::text, r.fhir_id,"
        f" case when r.type = {NUMBER['Communication']} and r.body like '{{%' then r.body::jsonb ->> 'status' end,"
        " null, min(c.seq), null from ("
        f"   select rid, at, seq, author from change where episode = {episode} union all"
        "   select m.rid, m.matched_at, 0, o.author from result m"  # what a Task says is a result
        "   join change o on o.rid = m.rid and o.version = 1"
        f"  join change k on k.rid = m.because and k.version = m.version and k.type = {NUMBER['Task']}"
        f"   where m.episode = {episode}) c"
        "  join resource r on r.rid = c.rid and r.shard = c.rid & 255"
        f"  where ({whole} or c.author = $4)"
        f"  and r.type not in ({NUMBER['Task']}, {NUMBER['ServiceRequest']}) and {shown}"
        "  group by r.type, r.fhir_id, r.body"
        " union all select 3, w.due_at, t.ordinal, w.kind, null, null, w.fired_at, w.id, w.stood_at"
        "  from timer w join tasks t on t.rid = w.subject"
        f"  and (t.rid <> {episode} or (t.ordinal is null) = (w.kind = 'whole')) where w.episode = {episode}"
        " union all select 4, e.opened_at, null, e.kind, o.type::text, o.fhir_id, e.closed_at, e.task,"
        "  (select min(w.due_at) from timer w where w.subject = e.task and w.fired_at is null"
        "   and w.stood_at is null) from errand e"
        "  join resource o on o.rid = e.owner and o.shard = e.owner & 255"
        "  join resource f on f.rid = e.subject and f.shard = e.subject & 255"
        f"  where e.episode = {episode} and ({whole} or e.owner = $4) and f.labels & {VSP} = 0"
        "  and not exists (select 1 from party p where p.organization = e.owner and p.kind = 'vsp')"
        " union all select 5, n.opened_at, n.ordinal, r.fhir_id, n.state, null, null, n.ordinal, null"
        "  from need n join resource r on r.rid = n.request and r.shard = n.request & 255"
        f"  where n.episode = {episode} and {whole}"
        " order by at, seq"
    )


async def moments(conn: Connection, viewer: Viewer, one: Told) -> Moments:
    """What the Tasks of the referral went through, what was brought, what is due, as far as it is told."""
    shown, arguments = visible(viewer, "r", 5)
    rows = await conn.fetch(
        _moments_sql("$1", "$2", "$3", shown),
        one.episode,
        one.whole,
        [each.ordinal for each in one.asked],
        viewer.organization,
        *arguments,
    )
    return _moments(rows)


async def moments_of(conn: Connection, viewer: Viewer, many: Sequence[Told]) -> list[Moments]:
    """The same of each of these, by one statement."""
    shown, arguments = visible(viewer, "r", 5)
    one = _moments_sql("q.episode", "q.whole", "string_to_array(q.ordinals, ',')", shown)
    rows = await conn.fetch(
        "select q.at, x.* from unnest($1::bigint[], $2::boolean[], $3::text[])"
        f" with ordinality q(episode, whole, ordinals, at) cross join lateral ({one}) x order by q.at, x.at, x.seq",
        [each.episode for each in many],
        [each.whole for each in many],
        [",".join(str(asked.ordinal) for asked in each.asked) for each in many],
        viewer.organization,
        *arguments,
    )
    by: dict[int, list[Any]] = {at: [] for at in range(1, len(many) + 1)}
    for row in rows:
        by[row[0]].append(row[1:])
    return [_moments(by[at]) for at in sorted(by)]


def _moments(rows: Sequence[Any]) -> Moments:
    return Moments(
        tuple(Step(r[1], r[2], r[3], r[4] or "", r[5] or "") for r in rows if r[0] == 1),
        tuple(
            Brought(r[1], name_of(int(r[3])), f"{name_of(int(r[3]))}/{r[4]}", r[5] == "not-done")
            for r in rows
            if r[0] == 2
        ),
        tuple(Due(r[1], r[2], r[3], r[6], r[8] is not None) for r in rows if r[0] == 3),
        tuple(
            Errand(r[1], r[3], f"{name_of(int(r[4]))}/{r[5]}", r[8], r[6])
            for r in rows
            if r[0] == 4
        ),
        tuple(Need(r[2], f"ServiceRequest/{r[3]}", r[4]) for r in rows if r[0] == 5),
    )


def _code(element: str, system: str) -> str:
    """SQL of the hub's code in a CodeableConcept of Task `it`."""
    path = f'$.{element}.coding[*] ? (@.system == "urn:coordhub:{system}").code'
    return f"jsonb_path_query_first(it, '{path}') #>> '{{}}'"
