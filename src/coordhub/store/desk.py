"""What lies on the desk of an organization: what it is asked by, and by what it asks, as its Viewer sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import VSP
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, WIDTH, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

_RUNS: Final = (
    "w.fired_at is null and w.stood_at is null"
    " and w.kind not in ('receipt', 'accept-half', 'digest', 'consent-end')"
)
"""A timer that is somebody's time limit."""


def newest(
    table: str,
    columns: str,
    whose: str,
    since: str,
    ended: str,
    argument: int = 2,
    over: bool = True,
) -> str:
    """The rows of one organization ($1), what is open first, the newest first in each: at most $`argument`.

    Open and over apart, each along its index: of a history of any length no more is read than is shown.
    over: also what is over.
    """
    parts = (
        f"(select {columns} from {table} where {whose} = $1 and {ended} is {how}"
        f" order by {since} desc limit ${argument})"
        for how in (("null", "not null") if over else ("null",))
    )
    return (
        f"(select {columns} from ({' union all '.join(parts)}) one"
        f" order by {ended} is not null, {since} desc limit ${argument})"
    )


_LOOKED_AT: Final = 2000
"""Referrals that have ended among which those without help are looked for: the newest."""


@dataclass(frozen=True, slots=True)
class Line:
    """A Task for the organization. since: when it was asked. due: the next time limit of it.

    errand: of which kind it is, where it is not to meet a need. ended: as the ledger has it.
    """

    task: Version
    since: datetime
    due: datetime | None
    errand: str
    ended: datetime | None


async def inbox(conn: Connection, viewer: Viewer, limit: int, *, over: bool = True) -> list[Line]:
    """What the organization is asked: what is open first, the newest first in each; at most `limit`.

    over: also what is over.
    """
    condition, arguments = visible(viewer, "r", 3)
    asked, errands = (
        newest(*one, over=over)
        for one in (
            ("candidate", "task, asked_at, ended_at", "organization", "asked_at", "ended_at"),
            ("errand", "task, kind, opened_at, closed_at", "owner", "opened_at", "closed_at"),
        )
    )
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)}, a.since, a.errand, a.ended,"
        f" (select min(w.due_at) from timer w where w.subject = a.task and {_RUNS})"
        f" from (select task, asked_at as since, '' as errand, ended_at as ended from {asked} c"
        f"  union all select task, opened_at, kind, closed_at from {errands} x) a"
        " join resource r on r.rid = a.task and r.shard = (a.task & 255)::smallint"
        f" where {condition} order by a.ended is not null, a.since desc, a.task limit $2",
        viewer.organization,
        limit,
        *arguments,
    )
    return [
        Line(version_of(row), row[WIDTH], row[WIDTH + 3], row[WIDTH + 1], row[WIDTH + 2])
        for row in rows
        if row[9] is not None
    ]


async def notes(
    conn: Connection, viewer: Viewer, organization: int | None, limit: int
) -> list[Version]:
    """Communications of the directory about services of an organization, or any, that wait to be looked after, newest
    first."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from errand e"
        " join resource r on r.rid = e.subject and r.shard = (e.subject & 255)::smallint"
        " where ($1::bigint is null or e.owner = $1) and e.kind = 'service-note' and e.closed_at is null"
        f" and {condition} order by e.opened_at desc, e.task limit $2",
        organization,
        limit,
        *arguments,
    )
    return [version_of(row) for row in rows if row[9] is not None]


async def asks_of(conn: Connection, viewer: Viewer, note: int) -> Version | None:
    """The Task by which somebody is asked to look after a note (rid), while it is."""
    condition, arguments = visible(viewer, "r", 2)
    row = await conn.fetchrow(
        f"select {COLUMNS}, {shown(viewer, 'r', 2)} from errand e"
        " join resource r on r.rid = e.task and r.shard = (e.task & 255)::smallint"
        " where e.subject = $1 and e.kind = 'service-note' and e.closed_at is null"
        f" and {condition}",
        note,
        *arguments,
    )
    return None if row is None or row[9] is None else version_of(row)


@dataclass(frozen=True, slots=True)
class Out:
    """A referral of the organization's. due: the next time limit of anybody but a victim service provider.

    waits: kinds of what its organization is asked to do about it. queued: a need has nobody left to ask.
    asked: a recipient, but a victim service provider, waits for information.
    """

    task: Version
    since: datetime
    closed: datetime | None
    due: datetime | None
    waits: tuple[str, ...]
    queued: bool
    asked: bool


async def outbox(conn: Connection, viewer: Viewer, limit: int) -> list[Out]:
    """What the organization has referred: what is open first, the newest first in each; at most `limit`."""
    condition, arguments = visible(viewer, "r", 3)
    sent = newest("episode", "id, opened_at, closed_at", "requester", "opened_at", "closed_at")
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)}, e.opened_at, e.closed_at,"
        f" (select min(w.due_at) from timer w left join candidate c on c.task = w.subject"
        f"  left join party p on p.organization = c.organization where w.episode = e.id and {_RUNS}"
        "   and p.kind is distinct from 'vsp'),"
        " array(select distinct a.kind from errand a where a.episode = e.id and a.owner = $1 and a.closed_at is null"
        "  order by a.kind),"
        " exists (select from need n where n.episode = e.id and n.state = 'queued'),"
        " exists (select from candidate c join resource t on t.rid = c.task and t.shard = (c.task & 255)::smallint"
        "  where c.episode = e.id and c.ended_at is null and t.body like '{%\"awaiting-information\"%'"
        f"  and t.labels & {VSP} = 0"
        "  and not exists (select from party p where p.organization = c.organization and p.kind = 'vsp'))"
        f" from {sent} e"
        " join resource r on r.rid = e.id and r.shard = (e.id & 255)::smallint"
        f" where {condition} order by e.closed_at is not null, e.opened_at desc, e.id",
        viewer.organization,
        limit,
        *arguments,
    )
    return [
        Out(
            version_of(row),
            row[WIDTH],
            row[WIDTH + 1],
            row[WIDTH + 2],
            tuple(row[WIDTH + 3]),
            row[WIDTH + 4],
            row[WIDTH + 5],
        )
        for row in rows
        if row[9] is not None
    ]


async def unhelped(conn: Connection, viewer: Viewer, since: datetime, limit: int) -> list[Out]:
    """What the organization has referred since then that has ended with a need unmet, the newest first.

    Not what a person was asked about before it ended, nor what it has asked again for by another Task.
    """
    condition, arguments = visible(viewer, "r", 5)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 5)}, e.opened_at, e.closed_at from"
        " (select * from episode where requester = $1 and closed_at is not null and opened_at > $2"
        f"  order by opened_at desc, id limit {_LOOKED_AT}) e"
        " join resource r on r.rid = e.id and r.shard = (e.id & 255)::smallint"
        " where exists (select from need n where n.episode = e.id and n.state = 'unmet')"
        " and not exists (select from errand a where a.episode = e.id and a.kind in ('find-provider', 'make-contact'))"
        " and not exists (select from idx_reference i join episode f on f.id = i.rid"
        "  where i.target = e.id and i.param = $4 and f.requester = e.requester)"
        f" and {condition} order by e.opened_at desc, e.id limit $3",
        viewer.organization,
        since,
        limit,
        parameters("Task")["based-on"].id,
        *arguments,
    )
    return [
        Out(version_of(row), row[WIDTH], row[WIDTH + 1], None, (), queued=False, asked=False)
        for row in rows
        if row[9] is not None
    ]
