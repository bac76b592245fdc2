"""Which Patients are one person, as far as a viewer may know it.

http://hl7.org/fhir/R4/patient-definitions.html#Patient.link
"""

from __future__ import annotations

from collections.abc import Collection

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer, visible


async def same(conn: Connection, viewer: Viewer, patient: int) -> list[int]:
    """rids of the Patients that are this person (rid), itself first.

    Those that the viewer's own organization linked, in Patient.link of its own record, and those that the hub has
    linked, as certain or as a steward decided; not what a steward keeps apart. Nobody is shown by the word of a
    third whose results these are.
    """
    return (await same_of_each(conn, viewer, [patient]))[patient]


async def same_of_each(
    conn: Connection, viewer: Viewer, patients: Collection[int]
) -> dict[int, list[int]]:
    """The same for each of these, by one statement."""
    condition, arguments = visible(viewer, "r", 4)
    rows = await conn.fetch(
        "with recursive same(start, rid) as ("
        "  (select w.rid, w.rid from unnest($1::bigint[]) w(rid)"
        "   union select i.rid, i.target from idx_reference i"
        "   where i.rid = any($1::bigint[]) and i.param = $2 and i.source = $3"
        "   union select i.target, i.rid from idx_reference i"
        "   where i.target = any($1::bigint[]) and i.param = $2 and i.source = $3)"
        "  union select s.start, case when k.one = s.rid then k.other else k.one end"
        "   from same s join person_link k on k.state = 'linked' and s.rid in (k.one, k.other))"
        " select w.start, r.rid from same w"
        " join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint"
        f" where r.rid <> w.start and r.type = {types.NUMBER['Patient']} and r.body is not null"
        " and not exists (select from person_link a where a.state = 'apart'"
        "  and a.one = least(w.start, r.rid) and a.other = greatest(w.start, r.rid))"
        f" and {condition} order by r.rid",
        sorted(set(patients)),
        parameters("Patient")["link"].id,
        viewer.organization,
        *arguments,
    )
    found = {patient: [patient] for patient in patients}
    for start, rid in rows:
        found[start].append(rid)
    return found


async def at_its_own(
    conn: Connection, viewer: Viewer, theirs: str, identifiers: list[tuple[str, str]]
) -> set[int]:
    """rids of the Patients that the viewer's organization has under this `Patient/id` at its own servers, and of
    those that it wrote with one of these (system, value), by one statement. A few of each only."""
    condition, arguments = visible(viewer, "r", 6)
    rows = await conn.fetch(
        "(select r.rid from counterpart c"
        " join resource r on r.rid = c.rid and r.shard = c.shard and r.body is not null"
        f" where c.organization = $1 and c.theirs = $2 and r.type = {types.NUMBER['Patient']} and {condition}"
        " group by r.rid limit 3)"
        " union (select r.rid from idx_token i join code_system s on s.id = i.system"
        " join unnest($3::text[], $4::text[]) k(uri, code) on k.uri = s.uri and k.code = i.code"
        " join resource r on r.rid = i.rid and r.shard = i.shard"
        " where i.param = $5 and i.code = any($4::text[]) and r.source = $1 and r.body is not null"
        f" and {condition} group by r.rid limit 3)",
        viewer.organization,
        theirs,
        [system for system, _ in identifiers],
        [value for _, value in identifiers],
        parameters("Patient")["identifier"].id,
        *arguments,
    )
    return {row[0] for row in rows}
