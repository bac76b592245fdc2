"""What waits for an organization about one person: what it has not answered yet, results nobody there has seen.

What is sensitive for domestic violence, or of a victim service provider, is left out whoever looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.r4 import types
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.store import narrowing
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, WIDTH, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

MOST: Final = 20
"""Of each kind; the newest."""

UNREAD: Final = ("disclosure", "cds-patient-view")
"""Interactions of the audit by which a result came, and was not looked at."""


async def asked(conn: Connection, viewer: Viewer, patients: Sequence[int]) -> list[Version]:
    """Tasks about these Patients (rids) that ask the viewer's organization, and that it has not answered.

    As a search by patient finds them: who competes, and is not told for whom, does not learn it here.
    """
    viewer = narrowing.of_codes(viewer, "Task", ["patient"])
    condition, arguments = visible(viewer, "r", 2)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 2)} from ("
        "  select c.task from candidate c where c.organization = $3"
        "   and c.status in ('requested', 'received') and c.ended_at is null"
        "  union select x.task from errand x where x.owner = $3 and x.closed_at is null) a"
        " join resource r on r.rid = a.task and r.shard = (a.task & 255)::smallint"
        f" where r.patient = any($1::bigint[]) and r.body is not null and r.labels & {SDV | VSP} = 0"
        f" and {condition} order by r.rid desc limit {MOST}",
        list(patients),
        *arguments,
    )
    return [version_of(row) for row in rows]


async def unseen(
    conn: Connection, viewer: Viewer, patients: Sequence[int], kinds: Sequence[str], since: datetime
) -> list[Version]:
    """Results of these types that the viewer's organization was given since then, and has not looked at."""
    condition, arguments = visible(viewer, "r", 5)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 5)} from resource r"
        " where r.patient = any($1::bigint[]) and r.type = any($2::smallint[]) and r.body is not null"
        f" and r.source <> $6 and r.labels & {SDV | VSP} = 0"
        " and exists (select from access_grant g where g.organization = $6 and g.rid = r.rid"
        "   and g.rule = 'result' and g.since >= $3)"
        " and not exists (select from audit a where a.rids @> array[r.rid] and a.organization = $6"
        "   and a.interaction <> all($4::text[]))"
        f" and {condition} order by r.rid desc limit {MOST}",
        list(patients),
        [types.NUMBER[kind] for kind in kinds],
        since,
        list(UNREAD),
        *arguments,
    )
    return [version_of(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Came:
    """A result. at: when it was given. seen: somebody there has looked at it. asks: `Task/id`, by which the hub wants
    to hear that a human has seen it, "" for none."""

    version: Version
    at: datetime
    seen: bool
    asks: str


async def came(
    conn: Connection, viewer: Viewer, kinds: Sequence[str], since: datetime, limit: int
) -> list[Came]:
    """Results of these types that the viewer's organization was given since then: what nobody saw first, the newest."""
    viewer = narrowing.of_compartment(viewer, kinds)
    condition, arguments = visible(viewer, "r", 6)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 6)}, g.since, exists (select from audit a"
        "  where a.rids @> array[r.rid] and a.organization = $1 and a.interaction <> all($4::text[])) as seen,"
        " coalesce((select 'Task/' || t.fhir_id from errand e join resource t on t.rid = e.task"
        "   and t.shard = (e.task & 255)::smallint where e.subject = r.rid and e.owner = $1"
        "   and e.kind = 'acknowledge' and e.closed_at is null limit 1), '')"
        " from (select w.rid, min(w.since) as since from access_grant w where w.organization = $1"
        "  and w.rule = 'result' and w.since >= $2 group by w.rid order by w.rid desc limit $5) g"
        " join resource r on r.rid = g.rid and r.shard = (g.rid & 255)::smallint"
        " where r.type = any($3::smallint[]) and r.body is not null and r.source <> $1"
        f" and r.labels & {SDV | VSP} = 0 and {condition} order by seen, g.since desc, r.rid desc",
        viewer.organization,
        since,
        [types.NUMBER[kind] for kind in kinds],
        list(UNREAD),
        limit,
        *arguments,
    )
    return [Came(version_of(row), *row[WIDTH:]) for row in rows]
