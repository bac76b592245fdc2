"""What of a person's record may answer a question, as a viewer sees it: found by code, in one statement.

What is sensitive for domestic violence, or of a victim service provider, is left out whoever looks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

MOST: Final = 500
"""Resources that are looked at: the newest."""

_CODED: Final = (
    ("Observation", "code"), ("DiagnosticReport", "code"), ("DocumentReference", "type"),
    ("ServiceRequest", "code"),
)  # fmt: skip
"""R4 has no search parameter for ImagingStudy.procedureCode: of those, all of the patient's are looked at."""


def statement(
    viewer: Viewer, patients: Sequence[int], codes: Collection[tuple[str, str]]
) -> tuple[str, list[object]]:
    """SQL and its arguments of `candidates`."""
    condition, arguments = visible(viewer, "r", 5)
    listed = sorted(codes)
    text = (
        f"select {COLUMNS}, {shown(viewer, 'r', 5)} from ("
        "  select i.rid from idx_token i join code_system s on s.id = i.system"
        "   join unnest($2::text[], $3::text[]) k(uri, code) on k.uri = s.uri and k.code = i.code"
        "  where i.patient = any($1::bigint[]) and i.param = any($4::smallint[]) and i.code = any($3::text[])"
        "  union select w.rid from resource w where w.patient = any($1::bigint[])"
        f"   and w.type = {types.NUMBER['ImagingStudy']}"
        " ) w join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint"
        f" where r.body is not null and r.labels & {SDV | VSP} = 0 and {condition}"
        f" order by r.rid desc limit {MOST}"
    )
    return text, [
        list(patients),
        [system for system, _ in listed],
        [code for _, code in listed],
        [parameters(kind)[name].id for kind, name in _CODED],
        *arguments,
    ]


async def candidates(
    conn: Connection, viewer: Viewer, patients: Sequence[int], codes: Collection[tuple[str, str]]
) -> list[Version]:
    """Results, reports, documents and orders with one of these codes (system, code), and imaging studies.

    patients: rids that are one person.
    """
    text, arguments = statement(viewer, patients, codes)
    return [version_of(row) for row in await conn.fetch(text, *arguments)]


async def tasks_of(conn: Connection, viewer: Viewer, orders: Sequence[int]) -> list[Version]:
    """The Tasks that are about these ServiceRequests (rids)."""
    known = parameters("Task")
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from ("
        "  select distinct i.rid from idx_reference i"
        "  where i.target = any($1::bigint[]) and i.param = any($2::smallint[])"
        " ) w join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint"
        f" where r.body is not null and r.labels & {SDV | VSP} = 0 and {condition}"
        f" order by r.rid desc limit {MOST}",
        list(orders),
        [known["focus"].id, known["based-on"].id],
        *arguments,
    )
    return [version_of(row) for row in rows]


async def of_types(
    conn: Connection, viewer: Viewer, patients: Sequence[int], kinds: Sequence[str]
) -> list[Version]:
    """What there is of these types in the records of patients (rids) that are one person, the newest first."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from resource r"
        " where r.patient = any($1::bigint[]) and r.type = any($2::smallint[])"
        f" and r.body is not null and r.labels & {SDV | VSP} = 0 and {condition}"
        f" order by r.rid desc limit {MOST}",
        list(patients),
        [types.NUMBER[kind] for kind in kinds],
        *arguments,
    )
    return [version_of(row) for row in rows]
