"""Orders that an organization was asked to carry out: by their numbers, and by whom they are for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import VSP
from coordhub.store import narrowing
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible


class Numbered(NamedTuple):
    """A number of an order. system: "" if none is stated; assigner: rid of who gave it, 0 if nobody is named."""

    system: str
    value: str
    assigner: int


async def by_numbers(
    conn: Connection, engine: Engine, organization: int, numbers: Sequence[Numbered]
) -> list[tuple[int, int]]:
    """(place in `numbers`, referral) for each number of an order that this organization was asked with.

    The sender's order and Task, and the hub's. A number means something in its system; without one, among
    those of who gave it: the sender's, or what the one who was asked put on its own Task.
    """
    systems = await engine.known_systems(conn, {one.system for one in numbers if one.system})
    rows = [
        (place, systems.get(one.system, -1) if one.system else 0, one.value, one.assigner)
        for place, one in enumerate(numbers)
    ]
    found = await conn.fetch(
        "select distinct n.place, c.episode"
        " from unnest($2::int[], $3::int[], $4::text[], $5::bigint[]) n(place, system, value, assigner)"
        " join idx_token i on i.param = any($6::smallint[]) and i.code = n.value and i.system = n.system"
        " cross join lateral ("
        "  select episode, task from candidate where task = i.rid and organization = $1"
        "  union select episode, task from candidate where request = i.rid and organization = $1"
        "  union select episode, task from candidate where episode = i.rid and organization = $1"
        "  union select o.episode, o.task from need d join candidate o on o.episode = d.episode"
        "   where d.request = i.rid and o.organization = $1) c"
        " where n.system <> 0 or n.assigner = i.source or (n.assigner = $1 and i.rid = c.task)"
        " order by 1, 2",
        organization,
        *(list(column) for column in zip(*rows, strict=True)),
        [
            parameters(kind)[code].id
            for kind, code in (
                ("ServiceRequest", "identifier"), ("ServiceRequest", "requisition"),
                ("Task", "identifier"), ("Task", "group-identifier"),
            )
        ],
    )  # fmt: skip
    return [(row[0], row[1]) for row in found]


class Asked(NamedTuple):
    """All are rids. request: the hub's order, that `task` is about. patient: for whom it is."""

    episode: int
    task: int
    request: int
    asked_at: datetime
    patient: int


async def asked_about(
    conn: Connection, viewer: Viewer, patient: int, same: Collection[int], most: int
) -> list[Asked]:
    """The newest orders that the viewer's organization was asked with about this patient.

    Also by a record of its own of somebody who has the same number of the same system, or that is linked as
    the same person's (same: rids of such records). As a search finds them: not whom it is not told for whom, nor
    by a number or a record that it is not shown.
    """
    by_patient, arguments = visible(narrowing.of_codes(viewer, "Task", ["patient"]), "t", 6)
    numbered = narrowing.of_codes(viewer, "Patient", ["identifier"])
    by_number, more = visible(numbered, "p", 6 + len(arguments))
    by_record, rest = visible(viewer, "p", 6 + len(arguments) + len(more))
    rows = await conn.fetch(
        "select c.episode, c.task, c.request, c.asked_at, e.patient from candidate c join episode e on e.id = c.episode"
        " join resource t on t.rid = c.task and t.shard = (c.task & 255)::smallint"
        " join resource p on p.rid = e.patient and p.shard = (e.patient & 255)::smallint"
        f" where c.organization = $1 and {by_patient} and (e.patient = $2::bigint or {by_number} and e.patient in ("
        "  select o.rid from idx_token i join idx_token o on o.param = i.param and o.system = i.system"
        "   and o.code = i.code where i.rid = $2 and i.param = $3 and i.system <> 0)"
        f"  or e.patient = any($5::bigint[]) and {by_record})"
        " order by c.asked_at desc, c.episode desc limit $4",
        viewer.organization,
        patient,
        parameters("Patient")["identifier"].id,
        most,
        sorted(same),
        *arguments,
        *more,
        *rest,
    )
    return [Asked(*row) for row in rows]


async def without_order(
    conn: Connection,
    viewer: Viewer,
    same: Collection[int],
    kinds: Collection[str],
    since: datetime,
    most: int,
) -> list[Version]:
    """What stands under one of these Patients, of one person, is of no order and was never asked about, of
    organizations that were asked with orders for another one of them; written since then, the newest first."""
    condition, arguments = visible(viewer, "r", 5)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 5)} from resource r"
        " where r.patient = any($1::bigint[]) and r.type = any($2::smallint[]) and r.updated >= $3"
        f" and r.body is not null and not r.quarantined and r.labels & {VSP} = 0 and {condition}"
        " and not exists (select from result m where m.rid = r.rid)"
        " and not exists (select from errand x where x.subject = r.rid and x.kind = 'match-result')"
        " and exists (select from candidate c join episode e on e.id = c.episode"
        "  where c.organization = r.source and e.patient = any($1::bigint[]) and e.patient <> r.patient"
        "  and c.asked_at >= $3) order by r.rid desc limit $4",
        sorted(same),
        [types.NUMBER[kind] for kind in sorted(kinds)],
        since,
        most,
        *arguments,
    )
    return [version_of(row) for row in rows]


class Question(NamedTuple):
    """An errand about a resource. closed: whether it was answered."""

    task: int
    subject: int
    closed: bool


async def questions(conn: Connection, kind: str, subjects: Collection[int]) -> dict[int, Question]:
    """The newest errand of this kind about each of these, by what it is about."""
    rows = await conn.fetch(
        "select distinct on (subject) task, subject, closed_at is not null from errand"
        " where subject = any($1::bigint[]) and kind = $2 order by subject, opened_at desc, task desc",
        sorted(subjects),
        kind,
    )
    return {row[1]: Question(*row) for row in rows}
