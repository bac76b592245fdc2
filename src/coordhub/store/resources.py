"""Resources by id: the current version, an old one, and what a write must know first.

http://hl7.org/fhir/R4/http.html#read, #vread
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from coordhub.r4 import datasets, sensitivity, types
from coordhub.store import vault
from coordhub.store.engine import Connection
from coordhub.store.visibility import DIRECTORY, HUB, RAW, WHOLE, Viewer, shown, visible


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource, as far as it is shown to whom it was read for.

    body: its exact JSON, with the hub's labels spliced in; of what is shown in part only, that part;
    None when this version is a deletion. labels: a bit for each sensitivity class. keeper: rid of the
    organization under whose key it is stored (store.vault); None: it is stored as it is.
    dangling, quarantined: as in the table; told to who locked or located it.
    seen: the state of its row (xmin), which anything written to it alters; told to who located it.
    """

    rid: int
    type: str
    id: str
    version: int
    op: str
    updated: datetime
    author: int
    source: int
    patient: int | None
    body: str | None
    labels: int = 0
    keeper: int | None = None
    dangling: bool = False
    quarantined: bool = False
    seen: int | None = None

    @property
    def deleted(self) -> bool:
        return self.body is None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


COLUMNS = (
    "r.rid, r.type, r.fhir_id, r.version, r.op, r.updated, r.author, r.source, r.patient, r.body"
)


WIDTH = 12
"""Columns of a row that `version_of` reads: COLUMNS, and what `visibility.shown` gives."""


def version_of(row: Any) -> Version:
    """The one place where a body is opened, and cut down to what its viewer is shown of it."""
    rid, number, fhir_id, version, op, updated, author, source, patient, body = row[:10]
    labels, dataset = row[10:WIDTH]
    kind = types.name_of(number)
    keeper = None
    if body is not None:
        body, keeper = vault.in_use().open(rid, body)
    if body is not None and labels and dataset != RAW:
        body = sensitivity.splice(body, labels)
    if body is not None and dataset > WHOLE:
        body = datasets.in_use().trim(body, dataset, kind)
    return Version(
        rid, kind, fhir_id, version, op, updated, author, source, patient, body, labels, keeper
    )


def shard_of_id(fhir_id: str) -> int | None:
    """The shard that an id of the hub's own carries in its first two characters; None for other ids.

    A foreign id of the same shape is found too, in the shard it claims: see `record.identity`.
    """
    if len(fhir_id) == 36 and fhir_id[8] == "-" and fhir_id[14] == "4":
        try:
            return int(fhir_id[:2], 16)
        except ValueError:
            return None
    return None


OF_BOTH = "(r.labels | coalesce(v.labels, 0))"
"""The classes of an older version `v` and of the current one: neither is shown without a say."""

_AT = (
    "r.type = {type} and r.fhir_id = {id} and r.shard in"
    " ({shard}, (select a.shard from assigned_id a where a.type = {type} and a.fhir_id = {id}))"
)


async def read(
    conn: Connection, viewer: Viewer, resource_type: str, fhir_id: str
) -> Version | None:
    """The current version, a deletion included; None if there is none that this viewer may see."""
    if "\0" in fhir_id:  # Postgres has no text with it
        return None
    condition, arguments = visible(viewer, "r", 4)
    row = await conn.fetchrow(
        f"select {COLUMNS}, {shown(viewer, 'r', 4)} from resource r"
        f" where {_AT.format(type='$1::smallint', id='$2::text', shard='$3::smallint')} and {condition}",
        types.NUMBER[resource_type],
        fhir_id,
        shard_of_id(fhir_id),
        *arguments,
    )
    return None if row is None else version_of(row)


_STEPS = 3
"""From a role to its service, its organization, and the Endpoint of that."""

_NEAR = (
    "with recursive near(rid, steps) as ({first} union select i.target, n.steps + 1 from near n"
    f" join idx_reference i on i.rid = n.rid and i.param = any($1::smallint[]) where n.steps < {_STEPS}"
    "  and i.target is not null)"
    " select {columns} from (select rid, min(steps) as steps from near group by rid) n"
    " join resource r on r.rid = n.rid and r.shard = (n.rid & 255)::smallint where {condition} order by n.steps"
)


async def read_near(
    conn: Connection,
    viewer: Viewer,
    entry: int | tuple[str, str],
    along: Sequence[int],
) -> list[Version]:
    """The current versions of a resource (rid, or type and id), first, and of what it leads to along these
    search parameters (numbers) in a few steps; those that this viewer may see."""
    if isinstance(entry, int):
        named: tuple[object, ...] = (entry,)
        first = "select $2::bigint, 0"
    else:
        at = _AT.format(type="$2::smallint", id="$3::text", shard="$4::smallint")
        first = f"select r.rid, 0 from resource r where {at}"
        named = (types.NUMBER[entry[0]], entry[1], shard_of_id(entry[1]))
    condition, arguments = visible(viewer, "r", len(named) + 2)
    columns = f"{COLUMNS}, {shown(viewer, 'r', len(named) + 2)}"
    text = _NEAR.format(first=first, columns=columns, condition=condition)
    return [version_of(row) for row in await conn.fetch(text, list(along), *named, *arguments)]


async def read_rids(conn: Connection, viewer: Viewer, rids: Sequence[int]) -> dict[int, Version]:
    """The current versions of those resources that exist and that this viewer may see, by rid."""
    condition, arguments = visible(viewer, "r", 2)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 2)} from unnest($1::bigint[]) w(rid)"
        f" join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint where {condition}",
        list(rids),
        *arguments,
    )
    return {row[0]: version_of(row) for row in rows}


async def read_names(
    conn: Connection, viewer: Viewer, names: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Version]:
    """The current versions of the named resources (type, id), deletions included, that this viewer may see."""
    condition, arguments = visible(viewer, "r", 4)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 4)}"
        " from unnest($1::smallint[], $2::text[], $3::smallint[]) w(type, id, shard)"
        f" join resource r on {_AT.format(type='w.type', id='w.id', shard='w.shard')} where {condition}",
        [types.NUMBER[kind] for kind, _ in names],
        [fhir_id for _, fhir_id in names],
        [shard_of_id(fhir_id) for _, fhir_id in names],
        *arguments,
    )
    return {(found.type, found.id): found for found in map(version_of, rows)}


async def read_version(
    conn: Connection, viewer: Viewer, resource_type: str, fhir_id: str, version: int
) -> Version | None:
    """One version, old or current; None if absent or not this viewer's to see."""
    condition, arguments = visible(viewer, "r", 5, OF_BOTH)
    row = await conn.fetchrow(
        "select r.rid, r.type, r.fhir_id, $4::int, coalesce(v.op, r.op), coalesce(v.updated, r.updated),"
        " coalesce(v.author, r.author), r.source, r.patient,"
        f" case when v.rid is null then r.body else v.body end, {shown(viewer, 'r', 5, OF_BOTH)}"
        " from resource r left join resource_version v on v.shard = r.shard and v.rid = r.rid and v.version = $4"
        f" where {_AT.format(type='$1::smallint', id='$2::text', shard='$3::smallint')}"
        f" and (r.version = $4 or v.rid is not null) and {condition}",
        types.NUMBER[resource_type],
        fhir_id,
        shard_of_id(fhir_id),
        version,
        *arguments,
    )
    return None if row is None else version_of(row)


async def read_written(
    conn: Connection, viewer: Viewer, versions: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Version]:
    """Those versions, by (rid, version), as far as this viewer may see them."""
    condition, arguments = visible(viewer, "r", 3, OF_BOTH)
    rows = await conn.fetch(
        "select r.rid, r.type, r.fhir_id, w.version, coalesce(v.op, r.op), coalesce(v.updated, r.updated),"
        " coalesce(v.author, r.author), r.source, r.patient,"
        f" case when v.rid is null then r.body else v.body end, {shown(viewer, 'r', 3, OF_BOTH)}"
        " from unnest($1::bigint[], $2::int[]) w(rid, version)"
        " join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint"
        " left join resource_version v on v.shard = r.shard and v.rid = r.rid and v.version = w.version"
        f" where (r.version = w.version or v.rid is not null) and {condition}",
        [rid for rid, _ in versions],
        [version for _, version in versions],
        *arguments,
    )
    return {(row[0], row[3]): version_of(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Located:
    """What a write must know of a resource that it names: nothing of its content.

    visible: whether the writer may see it; if not, to the writer it does not exist.
    episode: the referral that a Task or ServiceRequest belongs to, or that this was said about.
    result_of: the referral that it is a result of.
    quarantined: shown to nobody but its source.
    linked: of a Patient, whether another record is known to be of the same person.
    current: its version as stored, as `lock` would give it, where that was asked for and the writer
        may see it.
    """

    rid: int
    type: str
    id: str
    source: int
    patient: int | None
    deleted: bool
    visible: bool
    episode: int | None
    quarantined: bool
    result_of: int | None = None
    current: Version | None = None
    linked: bool = False


async def locate(
    conn: Connection,
    viewer: Viewer,
    names: Sequence[tuple[str, str]],
    whole: Container[tuple[str, str]] = (),
) -> dict[tuple[str, str], Located]:
    """Where the named resources (type, id) are; one statement for any number. Absent ones are missing.

    whole: those whose current version is wanted too.
    """
    if not names:
        return {}
    condition, arguments = visible(viewer, "r", 5)
    rows = await conn.fetch(
        "select r.rid, r.type, r.fhir_id, r.version, r.op, r.updated, r.author, r.source, r.patient,"
        f" case when w.whole and {condition} then r.body end,"
        f" r.labels, {RAW}, r.body is null, "
        f"{condition},"
        " coalesce(e.id, n.episode, c.episode, c2.episode, x.episode, m.episode), s.episode, r.quarantined, w.whole,"
        " r.dangling,"
        " r.xmin,"
        f" r.type = {types.NUMBER['Patient']} and exists (select 1 from person_link k"
        "  where k.state = 'linked' and (k.one = r.rid or k.other = r.rid))"
        " from unnest($1::smallint[], $2::text[], $3::smallint[], $4::boolean[]) w(type, id, shard, whole)"
        f" join resource r on {_AT.format(type='w.type', id='w.id', shard='w.shard')}"
        " left join episode e on e.id = r.rid"
        " left join lateral (select episode from need where request = r.rid order by episode desc limit 1) n on true"
        " left join candidate c on c.task = r.rid"
        " left join lateral (select episode from candidate where request = r.rid limit 1) c2 on true"
        " left join errand x on x.task = r.rid"
        " left join lateral (select episode from result where rid = r.rid order by episode desc limit 1) s on true"
        f" left join lateral (select m.episode from change m join episode on id = m.episode where m.rid = r.rid"
        f" order by m.version desc limit 1) m on r.type in ({_SAID})",
        [types.NUMBER[kind] for kind, _ in names],
        [fhir_id for _, fhir_id in names],
        [shard_of_id(fhir_id) for _, fhir_id in names],
        [name in whole for name in names],
        *arguments,
    )
    return {(found.type, found.id): found for found in map(_located, rows)}


_SAID = ", ".join(
    str(types.NUMBER[kind]) for kind in ("Appointment", "AppointmentResponse", "Communication")
)


def _located(row: Any) -> Located:
    version = version_of(row)
    deleted, is_visible, episode, result_of, quarantined, whole, dangling, seen, linked = row[
        WIDTH:
    ]
    return Located(
        version.rid,
        version.type,
        version.id,
        version.source,
        version.patient,
        deleted,
        is_visible,
        episode,
        quarantined,
        result_of,
        replace(version, dangling=dangling, quarantined=quarantined, seen=seen)
        if whole and is_visible
        else None,
        linked,
    )


async def known_to(
    conn: Connection, viewer: Viewer, names: Sequence[tuple[int, str, str]]
) -> dict[tuple[int, str], int]:
    """What a reference that organization (rid) wrote means, for each (organization, type, id).

    By (organization, `Type/id`): the rid, where it is its own, of the directory, or was ever shown to
    it. What the hub wrote may mean anything. Deleted ones are found too: they were there when named.
    """
    condition, arguments = visible(viewer, "r", 7)
    rows = await conn.fetch(
        "select w.organization, w.type, r.fhir_id, r.rid"
        " from unnest($1::bigint[], $2::smallint[], $3::text[], $4::smallint[]) w(organization, type, id, shard)"
        f" join resource r on {_AT.format(type='w.type', id='w.id', shard='w.shard')}"
        f" where (r.source in (w.organization, $5) or w.organization = $6 or exists ("
        f" select 1 from access_grant g where g.organization = w.organization and g.rid = r.rid)) and {condition}",
        [organization for organization, _, _ in names],
        [types.NUMBER[kind] for _, kind, _ in names],
        [fhir_id for _, _, fhir_id in names],
        [shard_of_id(fhir_id) for _, _, fhir_id in names],
        DIRECTORY,
        HUB,
        *arguments,
    )
    return {(row[0], f"{types.name_of(row[1])}/{row[2]}"): row[3] for row in rows}


async def lock(conn: Connection, rids: Sequence[int]) -> dict[int, Version]:
    """The current versions, locked for this transaction in the order of their rids."""
    if not rids:
        return {}
    rows = await conn.fetch(
        f"select {COLUMNS}, r.labels, {RAW}, r.dangling, r.quarantined from resource r"
        " where (r.shard, r.rid) in (select (w.rid & 255)::smallint, w.rid from unnest($1::bigint[]) w(rid))"
        " order by r.rid for update",
        sorted(rids),
    )
    return {
        row[0]: replace(version_of(row), dangling=row[WIDTH], quarantined=row[WIDTH + 1])
        if row[WIDTH]
        else version_of(row)
        for row in rows
    }


async def targets(conn: Connection, rids: Sequence[int]) -> dict[int, set[int]]:
    """rids of what these (locked) resources refer to, as far as a search parameter looks there."""
    rows = await conn.fetch(
        "select rid, target from idx_reference where rid = any($1::bigint[]) and target is not null",
        list(rids),
    )
    found: dict[int, set[int]] = {rid: set() for rid in rids}
    for rid, target in rows:
        found[rid].add(target)
    return found
