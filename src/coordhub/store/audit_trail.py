"""The audit, read by an organization: its own rows, and who was shown what it is the source of.

Own are the rows of what its clients did, and of what was sent to it. Of the rows of others it sees
those that name a resource it wrote, and of these nothing but that: neither what they asked for nor
which resources of others were shown beside it. What a victim service provider looked at is told to
nobody else: that somebody sought its help must not be seen by the looks that follow.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from coordhub.r4 import types
from coordhub.r4.search import DateValue
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer

MOST_NAMED = 5_000
"""Resources named on one page; a page of rows with more is shorter."""


@dataclass(frozen=True, slots=True)
class Entity:
    """rids: of those of the resources asked for that are there; asked: type and id of all."""

    rids: tuple[int, ...]
    asked: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the audit; of each tuple of tuples all must be met, each by any of its own.

    seqs: these rows only. outcomes: as AuditEvent.outcome. agents: rids of organizations.
    patients: rids. before: seq of the last row of the page before.
    """

    seqs: tuple[int, ...] | None = None
    dates: tuple[tuple[DateValue, ...], ...] = ()
    interactions: tuple[tuple[str, ...], ...] = ()
    outcomes: tuple[tuple[str, ...], ...] = ()
    agents: tuple[tuple[int, ...], ...] = ()
    patients: tuple[tuple[int, ...], ...] = ()
    entities: tuple[Entity, ...] = ()
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A resource that a row names. patient: `Patient/<id>`, whose record it is."""

    rid: int
    reference: str
    patient: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as far as its reader may see it.

    own: what the reader's clients did, or what was sent to it; else client, person, query, asked and
    request_id are None. person: name of who had signed in, itself or to an app; account: its id.
    organization: `Organization/<id>` of who acted, or to whom it was disclosed; None: nobody known.
    asked: `Type/id` or `Type` as asked for.
    """

    seq: int
    at: datetime
    own: bool
    client: str | None
    account: str | None
    person: str | None
    organization: str | None
    interaction: str
    outcome: int
    asked: str | None
    query: str | None
    delivery: UUID | None
    request_id: str | None
    named: tuple[Named, ...]


TOLD = (
    "(a.delivery is not null or not exists"
    " (select from party p where p.organization = a.organization and p.kind = 'vsp'))"
)
"""Whether others than who acted may be told of a row; that something was sent, its sender knows."""

STRETCH = 100_000
"""Rows looked through by one statement, where neither a patient, an entity nor ids lead to them."""

PATIENCE = 2.0
"""Seconds after which a page is given as far as it is, though it be empty; `next` goes on."""

OUTCOME = (
    "case when a.outcome in (401, 403) or a.outcome >= 500 then '8'"
    " when a.outcome >= 400 then '4' else '0' end"
)
"""AuditEvent.outcome of a row: 8 for who was not let in and for faults of the hub, 4 for refusals."""


_ACCOUNT = "coalesce(a.person, case when a.client like 'person:%' then substr(a.client, 8) end)"


async def trail(
    conn: Connection, viewer: Viewer, wish: Wish, count: int
) -> tuple[list[Row], int | None]:
    """Rows, newest first, and the seq to go on before if there may be more.

    What names a patient, an entity or ids is found by index. All else is looked for in stretches, so
    that who sees little of a long audit costs no more than who sees much.
    """
    asking = _Asking(viewer)
    for patients in wish.patients:
        await asking.name(conn, "patient", patients)
    for entity in wish.entities:
        await asking.name(conn, "rid", entity.rids, entity.asked)
    text = asking.text(wish, count + 1)
    first, high = 0, 1 << 62
    if not (asking.is_named or wish.seqs is not None):
        first, high = await _ends(conn, wish.before)
    begun = time.monotonic()
    while True:
        low = max(first, high - STRETCH) if first else 0
        rows = await conn.fetch(text, *asking.arguments, low, high)
        if rows or low <= first or time.monotonic() - begun > PATIENCE:
            break
        high = low
    page: list[Any] = []
    names = 0
    for row in rows[:count]:
        names += len(row["rids"])
        if page and names > MOST_NAMED:
            break
        page.append(row)
    rids = {rid for row in page for rid in (*row["rids"], row["organization"])} - {None}
    known = await _known(conn, rids)
    shown = [_shown(row, known, viewer) for row in page]
    if len(page) < len(rows):
        return shown, page[-1]["seq"]
    return shown, low if low > first else None


async def _ends(conn: Connection, before: int | None) -> tuple[int, int]:
    """seq of the first row there is, and one beyond the last that is asked for."""
    row = await conn.fetchrow("select coalesce(min(seq), 1), coalesce(max(seq), 0) from audit")
    assert row is not None
    return row[0], row[1] + 1 if before is None else before


class _Asking:
    """A statement in the making; `$1` is the organization that reads."""

    def __init__(self, viewer: Viewer) -> None:
        self.arguments: list[Any] = [viewer.organization]
        self.conditions = [f"(a.organization = $1 or {TOLD})"]
        self.is_named = False

    async def name(
        self,
        conn: Connection,
        column: str,
        rids: Sequence[int],
        asked: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Rows that name a resource with one of `rids` in `column`, and may be told so.

        asked: or own rows of having asked for these and been shown nothing.
        """
        found = await conn.fetch(
            f"select rid, source = $2 from resource where {column} = any($1::bigint[])",
            list(rids),
            self.arguments[0],
        )
        every = self._add([row[0] for row in found], "bigint[]")
        mine = self._add([row[0] for row in found if row[1]], "bigint[]")
        condition = f"a.rids && {every} and (a.organization = $1 or a.rids && {mine})"
        if asked:
            kinds = self._add([types.NUMBER[kind] for kind, _ in asked], "smallint[]")
            ids = self._add([fhir_id for _, fhir_id in asked], "text[]")
            condition += (
                " or a.organization = $1 and a.rids = '{}' and (a.type, a.fhir_id) in"
                f" (select * from unnest({kinds}, {ids}))"
            )
        self.conditions.append(f"({condition})")
        self.is_named = True

    def text(self, wish: Wish, limit: int) -> str:
        """The statement; its last two arguments are the first seq that is meant, and one too many."""
        if not self.is_named:
            self.conditions.append(
                "(a.organization = $1 or exists (select from unnest(a.rids) n(rid) join resource r"
                " on r.rid = n.rid and r.shard = (n.rid & 255)::smallint and r.source = $1))"
            )
        if wish.seqs is not None:
            self.conditions.append(f"a.seq = any({self._add(list(wish.seqs), 'bigint[]')})")
        if wish.before is not None:
            self.conditions.append(f"a.seq < {self._add(wish.before, 'bigint')}")
        for dates in wish.dates:
            self.conditions.append("(" + " or ".join(map(self._date, dates)) + ")")
        for groups, column, kind in (
            (wish.interactions, "a.interaction", "text[]"),
            (wish.outcomes, OUTCOME, "text[]"),
            (wish.agents, "a.organization", "bigint[]"),
        ):
            self.conditions.extend(
                f"{column} = any({self._add(list(values), kind)})" for values in groups
            )
        return (
            "select a.seq, a.at, a.client, a.organization, a.interaction, a.outcome, a.type, a.fhir_id,"
            f" a.rids, a.query, a.delivery, a.request_id, {_ACCOUNT} as account,"
            f" (select p.name from person p where p.id = {_ACCOUNT}) as person from audit a"
            f" where {' and '.join(self.conditions)}"
            f" and a.seq >= ${len(self.arguments) + 1} and a.seq < ${len(self.arguments) + 2}"
            f" order by a.seq desc limit {limit}"
        )

    def _date(self, value: DateValue) -> str:
        """`recorded` is told in milliseconds."""
        low = "date_trunc('milliseconds', a.at)"
        ends = {"low": low, "high": f"{low} + interval '1 millisecond'"}
        comparisons = (
            f"{ends[each.bound]} {each.operator} {self._add(each.at, 'timestamptz')}"
            for each in value.condition.comparisons
        )
        return "(" + f" {value.condition.joined} ".join(comparisons) + ")"

    def _add(self, value: Any, kind: str) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}::{kind}"


async def _known(conn: Connection, rids: Iterable[int]) -> dict[int, tuple[Named, int]]:
    """What these are called, and the rid of who wrote them."""
    rows = await conn.fetch(
        "select r.rid, r.type, r.fhir_id, p.fhir_id, r.source from unnest($1::bigint[]) n(rid)"
        " join resource r on r.rid = n.rid and r.shard = (n.rid & 255)::smallint"
        " left join resource p on p.rid = r.patient and p.shard = (r.patient & 255)::smallint",
        list(rids),
    )
    return {
        row[0]: (
            Named(row[0], f"{types.name_of(row[1])}/{row[2]}", row[3] and f"Patient/{row[3]}"),
            row[4],
        )
        for row in rows
    }


def _shown(row: Any, known: dict[int, tuple[Named, int]], viewer: Viewer) -> Row:
    own = row["organization"] == viewer.organization
    acting = known.get(row["organization"])
    named = (known[rid] for rid in row["rids"] if rid in known)
    asked = types.name_of(row["type"]) if own and row["type"] is not None else None
    return Row(
        row["seq"],
        row["at"],
        own,
        row["client"] if own else None,
        row["account"] if own else None,
        row["person"] if own else None,
        acting and acting[0].reference,
        row["interaction"],
        row["outcome"],
        f"{asked}/{row['fhir_id']}" if asked and row["fhir_id"] else asked,
        row["query"] if own else None,
        row["delivery"],
        row["request_id"] if own else None,
        tuple(one for one, source in named if own or source == viewer.organization),
    )
