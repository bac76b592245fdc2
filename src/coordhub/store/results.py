"""Results of referrals: to whom they are shown, and who has a copy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import DIRECTORY, Viewer, sees, shown, visible

_STANDS = "(g.until is null or g.until > now())"
_SHOWN = f"g.rule = 'result' and {_STANDS}"


_TEAM = "c.rule = 'team' and c.permit and c.since <= now() and (c.until is null or c.until > now())"


async def shown_to(conn: Connection, rid: int, kinds: Iterable[str]) -> dict[int, bool]:
    """Whom this result is meant for: organization -> whether it may see it now. Who asked comes first.

    By a grant, or (of these kinds, in the record that the order is of) by belonging to the care team.
    """
    rows = await conn.fetch(
        f"select o.organization, bool_or({sees('o.organization', 'r')}), bool_or(e.requester = o.organization) as asked"
        " from result m join episode e on e.id = m.episode"
        " join resource r on r.rid = m.rid and r.shard = m.shard"
        " cross join lateral ("
        f"  select g.organization from access_grant g where g.because = m.episode and g.rid = m.rid and {_SHOWN}"
        "   union select c.actor from access_rule c"
        "   join party p on p.organization = c.actor and p.kind = 'treatment'"
        f"  where c.patient = e.patient and r.patient = e.patient and r.type = any($2::smallint[]) and {_TEAM}) o"
        " where m.rid = $1 group by o.organization order by asked desc, o.organization",
        rid,
        [types.NUMBER[kind] for kind in kinds],
    )
    return {row[0]: row[1] for row in rows}


class Routed(NamedTuple):
    """A version of a result."""

    rid: int
    version: int
    author: int


async def named_by(
    conn: Connection, tasks: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], list[Routed]]:
    """The results, as they stand, that these versions of Tasks (rid, version) said were of their referral."""
    rows = await conn.fetch(
        "select m.because, m.version, r.rid, r.version, r.source"
        " from unnest($1::bigint[], $2::int[]) w(because, version)"
        " join result m on m.because = w.because and m.version = w.version and m.rid <> m.because"
        " join resource r on r.rid = m.rid and r.shard = m.shard and r.body is not null order by r.rid",
        [rid for rid, _ in tasks],
        [version for _, version in tasks],
    )
    found: dict[tuple[int, int], list[Routed]] = {}
    for because, version, *routed in rows:
        found.setdefault((because, version), []).append(Routed(*routed))
    return found


async def holders(conn: Connection, rid: int, episode: int) -> frozenset[int]:
    """Who was sent any version of it, by the ledger; and who may be receiving it at this moment."""
    rows = await conn.fetch(
        "select a.organization from audit a where a.interaction = 'disclosure' and a.rids @> array[$1::bigint]"
        " union select d.organization from delivery d"
        " where d.state = 'leased' and (d.rid = $1 or d.episode = $2)",
        rid,
        episode,
    )
    return frozenset(row[0] for row in rows)


async def sent_to(conn: Connection, rid: int) -> frozenset[int]:
    """Who was sent any version of it."""
    rows = await conn.fetch(
        "select distinct organization from audit where interaction = 'disclosure' and rids @> array[$1::bigint]",
        rid,
    )
    return frozenset(row[0] for row in rows)


async def sent_along(conn: Connection, rids: Sequence[int]) -> dict[int, int]:
    """The newest referral with which each of these was sent to somebody."""
    rows = await conn.fetch(
        "select w.rid, max(d.episode) from audit a join delivery d on d.id = a.delivery"
        " join episode e on e.id = d.episode"
        " join unnest($1::bigint[]) w(rid) on w.rid = any(a.rids)"
        " where a.interaction = 'disclosure' and a.rids && $1::bigint[] group by w.rid",
        list(rids),
    )
    return {row[0]: row[1] for row in rows}


async def taken_from(conn: Connection, rid: int) -> frozenset[int]:
    """Whom it was meant for, until it turned out to be no result of theirs."""
    rows = await conn.fetch(
        "select g.organization from result m join access_grant g"
        " on g.because = m.episode and g.rid = m.rid and g.rule = 'result'"
        f" where m.rid = $1 group by g.organization having not bool_or({_STANDS} or g.lapses)",
        rid,
    )
    return frozenset(row[0] for row in rows)


async def brought(conn: Connection, episode: int, organization: int) -> list[int]:
    """rids of the results of a referral that this organization has written."""
    rows = await conn.fetch(
        "select m.rid from result m join resource r on r.rid = m.rid and r.shard = m.shard"
        " where m.episode = $1 and r.source = $2 and r.body is not null order by m.rid",
        episode,
        organization,
    )
    return [row[0] for row in rows]


async def owed(conn: Connection, organization: int, rids: Sequence[int]) -> frozenset[int]:
    """Of these results, what is sent to the organization by itself."""
    rows = await conn.fetch(
        "select distinct d.rid from delivery d join result m on m.rid = d.rid"
        " where d.organization = $1 and d.rid = any($2::bigint[])",
        organization,
        list(rids),
    )
    return frozenset(row[0] for row in rows)


async def copies(conn: Connection, patient: int, requester: int) -> list[int]:
    """rids of what `requester` wrote of whom is to hear of something about the patient."""
    rows = await conn.fetch(
        "select r.rid from resource r where r.patient = $1 and r.type = $2 and r.source = $3"
        " and r.body is not null and not r.quarantined order by r.rid",
        patient,
        types.NUMBER["CommunicationRequest"],
        requester,
    )
    return [row[0] for row in rows]


async def asking(conn: Connection, patient: int, requester: int) -> list[tuple[int, int]]:
    """Of whom is to hear of something about the patient, what others wrote that treat: rid, and who wrote it."""
    rows = await conn.fetch(
        "select r.rid, r.source from resource r"
        " join party p on p.organization = r.source and p.kind = 'treatment'"
        " where r.patient = $1 and r.type = $2 and r.source <> $3"
        " and r.body is not null and not r.quarantined order by r.rid",
        patient,
        types.NUMBER["CommunicationRequest"],
        requester,
    )
    return [(row[0], row[1]) for row in rows]


async def roles(conn: Connection, viewer: Viewer, practitioner: int) -> list[Version]:
    """The PractitionerRoles of the directory in which this Practitioner (rid) acts; two are enough to know."""
    condition, arguments = visible(viewer, "r", 4)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 4)} from idx_reference i"
        " join resource r on r.rid = i.rid and r.shard = i.shard"
        f" where i.target = $1 and i.param = $2 and i.source = $3 and r.body is not null and {condition}"
        " order by r.rid limit 2",
        practitioner,
        parameters("PractitionerRole")["practitioner"].id,
        DIRECTORY,
        *arguments,
    )
    return [version_of(row) for row in rows]
