"""Records that were opened in an emergency: how often it was tried, by whom it was done, what was noted of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer, visible

INTERACTION = "$break-glass"


@dataclass(frozen=True, slots=True)
class Use:
    """A record that was opened. notice, patient, actor: rids of the Communication that told of it, of whose record it
    was, and of who opened it. verdict: of the newest note; None: nobody has looked at it.
    """

    notice: int
    patient: int
    actor: int
    since: datetime
    until: datetime
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Note:
    """What an officer noted. verdict: justified, or followed-up. account: whose."""

    verdict: str
    said: str
    account: str
    at: datetime


async def tries(conn: Connection, organization: int, since: datetime) -> int:
    """Those that were looked into since then; holds off the organization's next until the transaction ends."""
    await conn.execute(
        "select pg_advisory_xact_lock(hashtext('coordhub.break-glass'), hashtext($1))",
        str(organization),
    )
    counted: int = await conn.fetchval(
        "select count(*) from audit where organization = $1 and interaction = '$break-glass'"
        " and at > $2 and outcome in (200, 404)",
        organization,
        since,
    )
    return counted


_USES = (
    " from access_rule c join resource r on r.rid = c.patient and r.shard = (c.patient & 255)::smallint"
    " left join lateral (select e.verdict, e.at from emergency_review e where e.notice = c.because"
    " order by e.id desc limit 1) v on true"
    " where c.rule = 'break-glass' and r.source = $1 and r.body is not null"
    # what a victim service provider looked at is told to nobody
    " and not exists (select from party p where p.organization = c.actor and p.kind = 'vsp')"
)
"""Of Patients that the organization $1 has written."""


async def uses(conn: Connection, viewer: Viewer, most: int, notice: int | None = None) -> list[Use]:
    """Of the viewer's own Patients: what nobody has reviewed first, the oldest of it first; then the newest.

    notice: only the one of which this (rid) told.
    """
    condition, arguments = visible(viewer, "r", 4)
    rows = await conn.fetch(
        "select c.because, c.patient, c.actor, c.since, c.until, v.verdict"
        f"{_USES} and ($3::bigint is null or c.because = $3) and {condition}"
        " order by v.at is not null, case when v.at is null then c.since end, v.at desc limit $2",
        viewer.organization,
        most,
        notice,
        *arguments,
    )
    return [Use(*row) for row in rows]


async def unreviewed(conn: Connection, viewer: Viewer) -> int:
    """How many of these nobody has reviewed."""
    condition, arguments = visible(viewer, "r", 2)
    found: int = await conn.fetchval(
        f"select count(*){_USES} and v.at is null and {condition}", viewer.organization, *arguments
    )
    return found


async def stated(conn: Connection, notice: int) -> str | None:
    """What was said when the record was opened of which this told, as the audit keeps it."""
    said: str | None = await conn.fetchval(
        "select query from audit where interaction = '$break-glass' and outcome = 200"
        " and rids @> array[$1::bigint]",
        notice,
    )
    return said


async def notes(conn: Connection, notice: int, organization: int) -> list[Note]:
    """What officers of this organization noted of it, oldest first."""
    rows = await conn.fetch(
        "select verdict, said, account, at from emergency_review"
        " where notice = $1 and organization = $2 order by id",
        notice,
        organization,
    )
    return [Note(*row) for row in rows]


async def note(conn: Connection, use: Use, organization: int, noted: Note) -> None:
    await conn.execute(
        "insert into emergency_review (notice, patient, organization, verdict, said, account, at)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        use.notice,
        use.patient,
        organization,
        noted.verdict,
        noted.said,
        noted.account,
        noted.at,
    )
