"""What referrals came to, as rows to count: of one organization's own, or of the community without names.

A referral that a victim service provider was asked by, or that is sensitive for domestic violence, is in no row of
anybody else's: what became of it would say something of either.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer

FULL = "('no-capacity', 'insufficient-resources')"

_NOT_APART = (
    "not exists (select from candidate v join party a on a.organization = v.organization and a.kind = 'vsp'"
    " where v.episode = e.id)"
    " and not exists (select from need o join resource b on b.rid = o.request and b.shard = (o.request & 255)::smallint"
    f" where o.episode = e.id and b.labels & {SDV | VSP} <> 0)"
)


class Sent(NamedTuple):
    """A referral. id: rid of the sender's Task. answered: by a recipient itself, with an outcome or a reason.

    asked, full: how many were asked, and of these said that they have no room. met: needs of `needs`. waves: the most
    that any need took.
    """

    id: int
    opened_at: datetime
    closed_at: datetime | None
    delivered: bool
    accepted_at: datetime | None
    answered: bool
    asked: int
    full: int
    needs: int
    met: int
    waves: int


class Received(NamedTuple):
    """What an organization was asked. task: rid of the Task that asks it. reason: a code of the hub's."""

    task: int
    status: str
    reason: str | None
    asked_at: datetime
    seen_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None


class Visit(NamedTuple):
    """A visit that a note is awaited of. episode: rid of the sender's Task. told_at: the first result delivered."""

    episode: int
    at: datetime
    told_at: datetime | None


class Area(NamedTuple):
    """Needs of one kind of people of one area. zip3: the first three characters of the postal code, or empty."""

    kind: str
    zip3: str
    needs: int
    met: int
    unmet: int
    nobody: int
    asked: int
    full: int


async def sent(conn: Connection, viewer: Viewer, start: datetime, end: datetime) -> list[Sent]:
    """Referrals that the viewer's organization opened in [start, end)."""
    rows = await conn.fetch(
        "select e.id, e.opened_at, e.closed_at, coalesce(c.delivered, false), c.accepted,"
        " coalesce(c.answered, false), coalesce(c.asked, 0), coalesce(c.no_room, 0),"
        " coalesce(n.needs, 0), coalesce(n.met, 0), coalesce(n.waves, 0)"
        " from episode e"
        " left join lateral (select bool_or(c.delivered_at is not null or c.seen_at is not null) as delivered,"
        "  min(c.accepted_at) as accepted,"
        "  bool_or(c.status in ('completed', 'failed', 'rejected')) as answered, count(*) as asked,"
        f"  count(*) filter (where c.reason in {FULL}) as no_room from candidate c where c.episode = e.id) c on true"
        " left join lateral (select count(*) as needs, count(*) filter (where n.state = 'met') as met,"
        "  max(n.wave) as waves from need n where n.episode = e.id) n on true"
        f" where e.requester = $1 and e.opened_at >= $2 and e.opened_at < $3 and {_NOT_APART}"
        " order by e.opened_at, e.id",
        viewer.organization,
        start,
        end,
    )
    return [Sent(*row) for row in rows]


async def visits(conn: Connection, viewer: Viewer, start: datetime, end: datetime) -> list[Visit]:
    """Visits in [start, end) of referrals of the viewer's organization, and when it had the first result of each."""
    rows = await conn.fetch(
        "select e.id, t.since, (select min(d.settled_at) from result r join delivery d on d.rid = r.rid"
        "  and d.organization = e.requester and d.state = 'delivered' where r.episode = e.id)"
        " from timer t join episode e on e.id = t.episode"
        f" where t.kind = 'consult-note' and e.requester = $1 and t.since >= $2 and t.since < $3 and {_NOT_APART}"
        " order by t.since, t.id",
        viewer.organization,
        start,
        end,
    )
    return [Visit(*row) for row in rows]


async def received(
    conn: Connection, viewer: Viewer, start: datetime, end: datetime
) -> list[Received]:
    """What the viewer's organization was asked in [start, end), whatever it is."""
    rows = await conn.fetch(
        "select c.task, c.status, c.reason, c.asked_at, c.seen_at, c.accepted_at, c.ended_at from candidate c"
        " where c.organization = $1 and c.asked_at >= $2 and c.asked_at < $3 order by c.asked_at, c.task",
        viewer.organization,
        start,
        end,
    )
    return [Received(*row) for row in rows]


async def areas(conn: Connection, start: datetime, end: datetime) -> list[Area]:
    """Needs of the whole community that were opened in [start, end), by kind and area; counts, and nothing else.

    Those of the sandbox are nobody's.
    """
    rows = await conn.fetch(_AREAS.format(known="true"), start, end)
    return [Area(row[0], row[1], *(int(each) for each in row[2:])) for row in rows]


async def areas_known(
    conn: Connection, viewer: Viewer, start: datetime, end: datetime
) -> list[Area]:
    """Of these, what the viewer's organization knows by itself: it asked, or was asked."""
    rows = await conn.fetch(_AREAS.format(known=_KNOWN), start, end, viewer.organization)
    return [Area(row[0], row[1], *(int(each) for each in row[2:])) for row in rows]


_KNOWN = (
    "(e.requester = $3 or exists (select from candidate k where k.episode = e.id and k.need = n.ordinal"
    " and k.organization = $3))"
)
_AREAS = (
    "select n.kind, coalesce(upper(left(z.zip, 3)), ''), count(*), count(*) filter (where n.state = 'met'),"
    " count(*) filter (where n.state = 'unmet'),"
    " count(*) filter (where c.asked = 0 and n.state in ('unmet', 'queued')),"
    " sum(c.asked), sum(c.no_room)"
    " from need n join episode e on e.id = n.episode"
    " left join lateral (select min(i.value) as zip from idx_string i where i.rid = e.patient"
    f"  and i.shard = (e.patient & 255)::smallint and i.param = {parameters('Patient')['address-postalcode'].id}) z"
    " on true"
    f" cross join lateral (select count(*) as asked, count(*) filter (where c.reason in {FULL}) as no_room"
    "  from candidate c where c.episode = n.episode and c.need = n.ordinal) c"
    f" where n.opened_at >= $1 and n.opened_at < $2 and {_NOT_APART}"
    " and not exists (select from sandbox s where s.organization = e.requester) and {known}"
    " group by 1, 2 order by 1, 2"
)
