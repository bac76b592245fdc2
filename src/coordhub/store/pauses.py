"""Pauses of what is sent, and what a hub that was restored from a backup cannot know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection

Why: TypeAlias = Literal["restored", "operator"]


@dataclass(frozen=True, slots=True)
class Pause:
    """shows: the last instant that the restored backup knows of."""

    why: str
    since: datetime
    shows: datetime | None


@dataclass(frozen=True, slots=True)
class Open:
    """What an organization (`Organization/x`) is owed or is at work on, as the backup shows it."""

    organization: str
    deliveries: int
    referrals: int
    consents: int


async def current(conn: Connection) -> list[Pause]:
    rows = await conn.fetch("select why, since, shows from pause order by since, why")
    return [Pause(*row) for row in rows]


async def begin(conn: Connection, why: Why, now: datetime, shows: datetime | None = None) -> None:
    """From its commit on nothing is claimed to be sent; what was claimed before goes out still."""
    await conn.execute(
        "insert into pause (why, since, shows) values ($1, $2, $3)"
        " on conflict (why) do update set shows = coalesce(excluded.shows, pause.shows)",
        why,
        now,
        shows,
    )


async def end(conn: Connection, why: Why) -> bool:
    return await conn.fetchval("delete from pause where why = $1 returning why", why) is not None


async def last_known(conn: Connection) -> datetime | None:
    """The last instant that the database knows of, by what it keeps of each commit and attempt."""
    found: datetime | None = await conn.fetchval(
        "select greatest((select max(at) from change), (select max(at) from attempt),"
        " (select at from audit order by seq desc limit 1))"
    )
    return found


async def read_all_again(conn: Connection, now: datetime) -> int:
    """Read at once whatever is read from servers of partners; how much that is."""
    done: str = await conn.execute(
        "update fetching set next_at = $1 where state in ('queued', 'parked')", now
    )
    return int(done.rpartition(" ")[2])


async def standing(conn: Connection) -> list[Open]:
    """By organization: what waits to be sent to it, referrals that ask it, Consents that it wrote."""
    rows = await conn.fetch(
        "select r.fhir_id, coalesce(d.n, 0), coalesce(c.n, 0), coalesce(w.n, 0)"
        " from (select organization as rid, count(*) as n from delivery"
        "   where state in ('queued', 'leased', 'parked') group by 1) d"
        " full join (select organization as rid, count(*) as n from candidate"
        "   where ended_at is null group by 1) c using (rid)"
        " full join (select source as rid, count(*) as n from resource"
        "   where type = $1 and body is not null group by 1) w using (rid)"
        " join resource r on r.rid = coalesce(d.rid, c.rid, w.rid)"
        "   and r.shard = (coalesce(d.rid, c.rid, w.rid) & 255)::smallint order by r.fhir_id",
        NUMBER["Consent"],
    )
    return [Open(f"Organization/{row[0]}", *row[1:]) for row in rows]


async def reached(conn: Connection) -> list[tuple[int, int]]:
    """(organization, Endpoint), as rids, of every server that was ever sent something."""
    rows = await conn.fetch(
        "select distinct organization, endpoint from delivery where endpoint <> 0 order by 1, 2"
    )
    return [(row[0], row[1]) for row in rows]
