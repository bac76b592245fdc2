"""What is in the index tables beside what they are made from, page by page in the order of rids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from coordhub.store.engine import Connection
from coordhub.store.index import (
    CompositeRow,
    DateRow,
    IndexRows,
    Measure,
    NumberRow,
    PersonRow,
    PositionRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from coordhub.store.visibility import Viewer, visible

LAST: Final = (1 << 63) - 1
"""Beyond every rid."""


class Current(NamedTuple):
    """A resource as it stands. body: None: deleted."""

    rid: int
    type: int
    source: int
    patient: int | None
    body: str | None


@dataclass(slots=True)
class Indexed:
    """The index rows of one resource, by kind as in IndexRows, repeats included."""

    rows: dict[str, list[Any]] = field(default_factory=dict)

    def equals(self, wanted: IndexRows) -> bool:
        return sum(map(len, self.rows.values())) == len(wanted) and all(
            set(rows) == getattr(wanted, kind) for kind, rows in self.rows.items()
        )


async def page(conn: Connection, viewer: Viewer, after: int, limit: int) -> list[Current]:
    """The next resources, deleted ones too."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        "select r.rid, r.type, r.source, r.patient, r.body from resource r"
        f" where r.rid > $1 and {condition} order by r.rid limit $2",
        after,
        limit,
        *arguments,
    )
    return [Current(*row) for row in rows]


async def hold(
    conn: Connection, viewer: Viewer, rids: Sequence[int], *, wait: bool
) -> list[Current]:
    """Those resources as they stand, locked; without waiting only those that nobody writes just now."""
    condition, arguments = visible(viewer, "r", 2)
    rows = await conn.fetch(
        "select r.rid, r.type, r.source, r.patient, r.body from resource r"
        f" where r.rid = any($1::bigint[]) and {condition}"
        f" order by r.rid for no key update{'' if wait else ' skip locked'}",
        sorted(rids),
        *arguments,
    )
    return [Current(*row) for row in rows]


def _quantity(row: Any) -> QuantityRow:
    param, system, code, unit, *rest = row
    return QuantityRow(param, system, code, unit, Measure(*rest[:5]), *rest[5:])


def _composite(row: Any) -> CompositeRow:
    measure = None if row[9] is None else Measure(*row[9:14])
    first, last, target, third = row[14:]
    return CompositeRow(*row[:9])._replace(
        measure=measure, first=first, last=last, target=target, third=third
    )


_OWNER = "rid, source, patient"
_MEASURE = "low, high, dimension, canonical_low, canonical_high"
_KINDS: tuple[tuple[str, str, str, Callable[[Any], Any]], ...] = (
    ("tokens", "idx_token", f"param, system, code, {_OWNER}", lambda row: TokenRow(*row)),
    ("strings", "idx_string", f"param, value, exact, {_OWNER}", lambda row: StringRow(*row)),
    ("references", "idx_reference", f"param, target, uri, {_OWNER}", lambda r: ReferenceRow(*r)),
    ("dates", "idx_date", f"param, low, high, {_OWNER}", lambda row: DateRow(*row)),
    ("numbers", "idx_number", f"param, low, high, {_OWNER}", lambda row: NumberRow(*row)),
    ("quantities", "idx_quantity", f"param, system, code, unit, {_MEASURE}, {_OWNER}", _quantity),
    ("uris", "idx_uri", f"param, value, {_OWNER}", lambda row: UriRow(*row)),
    (
        "composites",
        "idx_composite",
        f"param, system, code, {_OWNER}, value_system, value, unit, {_MEASURE}, first, last, target, third",
        _composite,
    ),
    ("positions", "idx_position", f"param, latitude, longitude, {_OWNER}", lambda r: PositionRow(*r)),
    ("persons", "idx_person", f"param, key, {_OWNER}", lambda row: PersonRow(*row)),
)  # fmt: skip


async def indexed(conn: Connection, after: int, last: int) -> dict[int, Indexed]:
    """The index rows of all rids beyond `after` and up to `last`, whether there is such a resource or not."""
    found: dict[int, Indexed] = {}
    for kind, table, columns, made in _KINDS:
        for row in await conn.fetch(
            f"select {columns} from {table} where rid > $1 and rid <= $2", after, last
        ):
            one = made(tuple(row))
            found.setdefault(one.rid, Indexed()).rows.setdefault(kind, []).append(one)
    return found


_CLEAR = (
    "with "
    + ", ".join(
        f"{table}_rows as (delete from {table} where rid = any($1::bigint[]))"
        for _, table, _, _ in _KINDS
    )
    + " select"
)


async def clear(conn: Connection, rids: Sequence[int]) -> None:
    """No index rows of these any more."""
    await conn.execute(_CLEAR, list(rids))


async def assign_patients(conn: Connection, patients: Mapping[int, int | None]) -> None:
    """Whose record each locked resource is; no version, as its body says so already.

    Written also where it was so: who is about to change a row without its lock sees that it was
    written (`transact.Write.seen`), and begins again with the index rows that now stand.
    """
    await conn.execute(
        "with n as (select * from unnest($1::bigint[], $2::bigint[]) n(rid, patient)), revealed as ("
        " insert into revealed (shard, rid) select r.shard, r.rid from n join resource r on r.rid = n.rid"
        " and r.shard = (n.rid & 255)::smallint where r.patient is distinct from n.patient"
        " on conflict do nothing)"
        " update resource r set patient = n.patient from n where r.rid = n.rid",
        list(patients),
        list(patients.values()),
    )
