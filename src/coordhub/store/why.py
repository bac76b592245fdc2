"""Why an organization is, or is not, shown a resource: what decided, and what was sent of it.

For those who may ask; `fhir.operations.why` says who that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.r4.sensitivity import VSP
from coordhub.store.audit_trail import TOLD
from coordhub.store.engine import Connection
from coordhub.store.visibility import RULING, Viewer, visible


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rule that decided. permit: what it says. rule: its kind. because: rid of what made it."""

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
        " w.permit, w.rule, w.because, w.since, w.until from resource r cross join lateral"
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
