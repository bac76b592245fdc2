"""Why an organization is, or is not, shown a resource: what decided, and what was sent of it.

For those who may ask; `fhir.operations.why` says who that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.r4 import types
from coordhub.r4.sensitivity import VSP
from coordhub.store.audit_trail import TOLD
from coordhub.store.engine import Connection
from coordhub.store.visibility import HUB, RULING, Viewer, ruling_at, visible


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rule that decided. permit: what it says. rule: its kind. because: rid of what made it. id: its own."""

    id: int
    permit: bool
    rule: str
    because: int
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that stands. because: rid of the Task or referral that made it."""

    rule: str
    because: int
    since: datetime
    labels: int


@dataclass(frozen=True, slots=True)
class Decision:
    """dataset: number of the data set it is shown by, 0 for the whole, None: it is not shown.

    quarantined: then to nobody but its source, whatever is ruled or granted.
    """

    dataset: int | None
    labels: int
    quarantined: bool
    ruling: Ruling | None
    grants: Sequence[Granted]


async def decision(conn: Connection, viewer: Viewer, rid: int, actor: int) -> Decision | None:
    """What is decided just now about this resource of the viewer's and this actor."""
    condition, arguments = visible(viewer, "r", 3)
    row = await conn.fetchrow(
        "select access_shows(a.actor_, r.rid, r.patient, r.type, r.labels, r.quarantined, null),"
        " r.labels, r.quarantined,"
        " w.id, w.permit, w.rule, w.because, w.since, w.until from resource r cross join lateral"
        " (select $2::bigint actor_, r.rid rid_, r.patient patient_, r.type type_, r.labels labels_) a"
        f" left join lateral (select c.* {RULING}) w on r.labels & {VSP} = 0"
        f" where r.rid = $1 and r.shard = ($1 & 255)::smallint and {condition}",
        rid,
        actor,
        *arguments,
    )
    if row is None:
        return None
    if (
        row[1] & VSP
    ):  # that it tells of a victim service provider is told to nobody, its author neither
        return Decision(row[0], row[1] & ~VSP, row[2], None, [])
    grants = await conn.fetch(
        "select rule, because, since, labels from access_grant"
        " where rid = $1 and organization = $2 and (until is null or until > now()) order by since, rule",
        rid,
        actor,
    )
    ruling = None if row[3] is None else Ruling(*row[3:])
    return Decision(row[0], row[1], row[2], ruling, [Granted(*one) for one in grants])


@dataclass(frozen=True, slots=True)
class Stood:
    """What let an actor see a resource then, as far as rules and grants are on record: as in a Decision."""

    ruling: Ruling | None
    grants: tuple[Granted, ...]


async def stood(
    conn: Connection,
    viewer: Viewer,
    patient: int,
    references: Sequence[tuple[str, str]],
    actor: int,
    at: datetime,
) -> dict[str, Stood]:
    """Of these resources (type and id), by `Type/id`, what decided at that instant whether the actor saw them.

    Of what an accounting tells of only (`store.disclosures`): what the viewer wrote of its Patient's chart, and the hub
    made of that. For the Task by which the hub asks stands the one of which it was made. Of what tells of a victim
    service provider nothing is told.
    """
    rows = await conn.fetch(
        "select r.type, r.fhir_id, r.rid, w.id, w.permit, w.rule, w.sender, w.since, w.until"
        " from unnest($1::smallint[], $2::text[]) n(type, id)"
        " join resource r on r.type = n.type and r.fhir_id = n.id"
        " join resource p on p.rid = r.patient and p.shard = (r.patient & 255)::smallint and p.source = $5"
        " cross join lateral"
        " (select $3::bigint actor_, r.rid rid_, r.patient patient_, r.type type_, r.labels labels_) a"
        f" left join lateral (select {_SENDERS}, c.* {ruling_at('$4::timestamptz')}) w on r.labels & {VSP} = 0"
        " where r.patient = $6 and r.source = any($7::bigint[])",
        [types.NUMBER[kind] for kind, _ in references],
        [fhir_id for _, fhir_id in references],
        actor,
        at,
        viewer.organization,
        patient,
        [viewer.organization, HUB],
    )
    grants = await conn.fetch(
        f"select c.rid, c.rule, {_SENDERS}, c.since, c.labels from access_grant c"
        " join resource r on r.rid = c.rid and r.shard = (c.rid & 255)::smallint"
        f" where c.rid = any($1::bigint[]) and c.organization = $2 and r.labels & {VSP} = 0"
        " and c.since <= $3 and (c.until is null or c.until > $3) order by c.since, c.rule, c.because",
        [row[2] for row in rows],
        actor,
        at,
    )
    return {
        f"{types.name_of(row[0])}/{row[1]}": Stood(
            None if row[3] is None else Ruling(*row[3:]),
            tuple(Granted(*one[1:]) for one in grants if one[0] == row[2]),
        )
        for row in rows
    }


_SENDERS = "coalesce((select d.episode from candidate d where d.task = c.because limit 1), c.because) as sender"
"""Of a decision `c`, the Task of whoever referred, where it was made because of the one by which the hub asks."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery of a version. reason: why it was suppressed, is parked, or died."""

    version: int
    state: str
    reason: str | None
    attempts: int
    created_at: datetime
    settled_at: datetime | None


async def deliveries(conn: Connection, rid: int, organization: int, most: int) -> list[Sent]:
    """What was to be sent to the organization because this changed, newest first."""
    rows = await conn.fetch(
        "select d.version, d.state, d.reason, d.attempts, d.created_at, d.settled_at from delivery d"
        " where d.rid = $1 and d.organization = $2 order by d.seq desc limit $3",
        rid,
        organization,
        most,
    )
    return [Sent(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Shown:
    """A time at which content of it left for the organization. how: interaction, or disclosure."""

    at: datetime
    how: str


async def shown(conn: Connection, rid: int, organization: int, most: int) -> list[Shown]:
    """When the organization was shown it, newest first, from the audit."""
    rows = await conn.fetch(
        "select a.at, a.interaction from audit a where a.organization = $2 and $1 = any(a.rids)"
        f" and {TOLD}"
        " order by at desc limit $3",
        rid,
        organization,
        most,
    )
    return [Shown(*row) for row in rows]
