"""What lies on the desk of an organization: what it is asked, and what it has asked of others.

Both as their Viewer may see it: of what the hub asks it the Tasks, of what it has sent the referrals, with
as much of who was asked as `timeline` would tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, WIDTH, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

_RUNS: Final = (
    "w.fired_at is null and w.stood_at is null"
    " and w.kind not in ('receipt', 'accept-half', 'digest', 'consent-end')"
)
"""A timer that is somebody's time limit."""


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


async def inbox(conn: Connection, viewer: Viewer, limit: int) -> list[Line]:
    """What the organization is asked: what is open first, the newest first in each; at most `limit`."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)}, a.since, a.errand, a.ended,"
        f" (select min(w.due_at) from timer w where w.subject = a.task and {_RUNS})"
        " from (select c.task, c.asked_at as since, '' as errand, c.ended_at as ended from candidate c"
        "   where c.organization = $1"
        "  union all select e.task, e.opened_at, e.kind, e.closed_at from errand e where e.owner = $1) a"
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


@dataclass(frozen=True, slots=True)
class Sent:
    """A referral of the organization that is open. id: rid of its Task; request: of its order; 0: not here.

    asked: statuses of who was asked, of all but victim service providers. due: the next time limit that
    is told to it, or of what it is asked itself about this. errands: how many of these are open.
    """

    id: int
    request: int
    patient: int | None
    opened_at: datetime
    asked: tuple[str, ...]
    apart: int
    due: datetime | None
    errands: int


async def sent(conn: Connection, viewer: Viewer, limit: int) -> list[Sent]:
    """Open referrals, those first that the organization itself is asked about, then by what is due next."""
    condition, arguments = visible(viewer, "r", 3)
    apart = "exists (select from party p where p.organization = c.organization and p.kind = 'vsp')"
    rows = await conn.fetch(
        "select e.id, e.request, e.patient, e.opened_at,"
        f" coalesce((select array_agg(c.status order by c.ordinal) from candidate c where c.episode = e.id"
        f"  and not {apart}), '{{}}'),"
        f" (select count(*) from candidate c where c.episode = e.id and {apart}),"
        f" (select min(w.due_at) from timer w where w.episode = e.id and {_RUNS} and not exists ("
        f"   select from candidate c where c.task = w.subject and {apart})"
        "   and not exists (select from errand x where x.task = w.subject and x.owner <> $1)) as due,"
        " (select count(*) from errand x where x.episode = e.id and x.owner = $1 and x.closed_at is null) as own"
        " from episode e join resource r on r.rid = e.id and r.shard = e.shard"
        f" where e.requester = $1 and e.state = 'open' and {condition}"
        " order by own > 0 desc, due nulls last, e.id limit $2",
        viewer.organization,
        limit,
        *arguments,
    )
    return [
        Sent(row[0], row[1], row[2], row[3], tuple(row[4]), row[5], row[6], row[7]) for row in rows
    ]
