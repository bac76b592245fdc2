"""Whom an organization has to do with, and appointments of a person: for the pages about a patient.

What is sensitive for domestic violence, or of a victim service provider, is left out whoever looks.

http://hl7.org/fhir/R4/appointment.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.store import desk, narrowing
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, WIDTH, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

MOST: Final = 100
"""Appointments of a person: the newest."""

_LATELY: Final = 300
"""Referrals of an organization that are looked at: those that are open, and the newest."""


@dataclass(frozen=True, slots=True)
class Known:
    """A Patient. open: how many referrals are open. since: when the newest was sent, or asked of it."""

    patient: Version
    open: int
    since: datetime


async def known(conn: Connection, viewer: Viewer, limit: int) -> list[Known]:
    """Those about whom the viewer's organization has referred somebody, or is asked; what is open first.

    Who is asked and not told for whom does not learn it here.
    """
    named = narrowing.of_codes(viewer, "Task", ["patient"])
    of_task, arguments = visible(named, "t", 4)
    condition, further = visible(viewer, "r", 4 + len(arguments))
    sent = desk.newest(
        "episode", "id, opened_at, closed_at", "requester", "opened_at", "closed_at", 3
    )
    asked = desk.newest(
        "candidate", "task, asked_at, ended_at", "organization", "asked_at", "ended_at", 3
    )
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 4 + len(arguments))}, x.open, x.since from ("
        "  select t.patient, count(*) filter (where a.open) as open, max(a.at) as since from ("
        f"   select id as task, opened_at as at, closed_at is null as open from {sent} e"
        f"   union all select task, asked_at, ended_at is null from {asked} c) a"
        "  join resource t on t.rid = a.task and t.shard = (a.task & 255)::smallint"
        f"  where t.patient is not null and t.body is not null and t.labels & {SDV | VSP} = 0 and {of_task}"
        "  group by t.patient) x"
        " join resource r on r.rid = x.patient and r.shard = (x.patient & 255)::smallint"
        f" where r.body is not null and r.labels & {SDV | VSP} = 0 and {condition}"
        " order by x.open > 0 desc, x.since desc, r.rid limit $2",
        viewer.organization,
        limit,
        _LATELY,
        *arguments,
        *further,
    )
    return [Known(version_of(row), row[WIDTH], row[WIDTH + 1]) for row in rows]


async def apart(conn: Connection, tasks: Sequence[int]) -> set[int]:
    """Of these Tasks (rids) those by which a victim service provider is asked, or that a provider was asked for."""
    rows = await conn.fetch(
        "select c.task, c.episode from candidate c"
        " join party p on p.organization = c.organization and p.kind = 'vsp'"
        " where c.task = any($1::bigint[]) or c.episode = any($1::bigint[])",
        list(tasks),
    )
    return {rid for row in rows for rid in row}


async def appointments(conn: Connection, viewer: Viewer, patients: Sequence[int]) -> list[Version]:
    """Those in which these Patients (rids), who are one person, take part."""
    viewer = narrowing.of_codes(viewer, "Appointment", ["patient"])
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from ("
        "  select distinct i.rid from idx_reference i where i.target = any($1::bigint[]) and i.param = $2"
        " ) w join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint"
        f" where r.type = {types.NUMBER['Appointment']} and r.body is not null"
        f" and r.labels & {SDV | VSP} = 0 and {condition} order by r.rid desc limit {MOST}",
        list(patients),
        parameters("Appointment")["patient"].id,
        *arguments,
    )
    return [version_of(row) for row in rows]
