"""What is to be read from servers of partners: claimed for a while, tried, settled, read again.

As `deliveries` are: whoever dies with one in its hands lets the lease run out. Of each subject and
kind there is one row, which is done or dead when nothing more is to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer, visible


@dataclass(frozen=True, slots=True)
class Fetch:
    """A reading that this worker holds until its lease runs out. attempt: the first of a round is 1.

    kind: `focus`: what the Task `subject` is about; `original`: of which `subject` is the copy;
    `answer`: to the Task `subject` that asks. client: in whose name it is written.
    """

    subject: int
    kind: str
    organization: int
    endpoint: int
    client: str | None
    attempt: int
    since: datetime
    lease_until: datetime


async def want(
    conn: Connection,
    kind: str,
    subjects: Sequence[int],
    organization: int,
    endpoint: int,
    client: str | None,
    at: datetime,
) -> None:
    """Have these read at `at`, or sooner where they are to be anyway; what is read now is read again."""
    await conn.execute(
        "insert into fetching as f (subject, kind, organization, endpoint, client, state, since, next_at, shard)"
        " select s, $2, $3, $4, $5, 'queued', $6, $6, (s & 255)::smallint from unnest($1::bigint[]) s"
        " on conflict (subject, kind) do update set endpoint = $4, client = coalesce($5, f.client),"
        " next_at = least($6, case when f.state in ('queued', 'parked') then f.next_at end), lease_until = null,"
        " since = case when f.state in ('queued', 'parked') then f.since else $6 end, state = 'queued',"
        " attempts = case when f.state in ('queued', 'parked') then f.attempts else 0 end",
        list(subjects),
        kind,
        organization,
        endpoint,
        client,
        at,
    )


async def claim(conn: Connection, now: datetime, limit: int, lease: timedelta) -> list[Fetch]:
    """Take up to `limit` due readings for `lease`."""
    rows = await conn.fetch(
        "with due as (select subject, kind from fetching"
        " where (state in ('queued', 'parked') and next_at <= $1) or (state = 'leased' and lease_until <= $1)"
        " order by next_at limit $2 for update skip locked)"
        " update fetching f set state = 'leased', lease_until = $1 + $3, attempts = f.attempts + 1,"
        " since = case when f.attempts = 0 then $1 else f.since end"
        " from due where f.subject = due.subject and f.kind = due.kind"
        " returning f.subject, f.kind, f.organization, f.endpoint, f.client, f.attempts, f.since, f.lease_until",
        now,
        limit,
        lease,
    )
    return [Fetch(*row) for row in rows]


async def settle(
    conn: Connection,
    held: Fetch,
    state: str,
    *,
    next_at: datetime | None = None,
    reason: str | None = None,
    anew: bool = False,
) -> bool:
    """Write down what came of it; False if somebody else holds it by now, or it was wanted again.

    anew: another round begins at `next_at`.
    """
    found: int | None = await conn.fetchval(
        "update fetching set state = $4, lease_until = null, next_at = coalesce($5, next_at), reason = $6,"
        " attempts = case when $7 then 0 else attempts end"
        " where subject = $1 and kind = $2 and state = 'leased' and attempts = $3 returning subject",
        held.subject,
        held.kind,
        held.attempt,
        state,
        next_at,
        reason,
        anew,
    )
    return found is not None


async def wanted_still(conn: Connection, viewer: Viewer, rid: int) -> bool:
    """Whether an open referral of the viewer's stands on this copy, or on others of its patient."""
    condition, arguments = visible(viewer, "r", 3)
    found: bool = await conn.fetchval(
        "select exists (select from episode e join resource r on r.rid = $1 and r.shard = ($1::bigint & 255)::smallint"
        " where e.requester = $2 and e.state = 'open'"
        f" and (e.request = $1 or e.patient = any(array[r.rid, r.patient])) and {condition})",
        rid,
        viewer.organization,
        *arguments,
    )
    return found


async def is_behind(conn: Connection, rid: int, organization: int) -> bool:
    """Whether the organization is still to be told of something newer of this."""
    found: bool = await conn.fetchval(
        "select exists (select from delivery where rid = $1 and organization = $2"
        " and state in ('queued', 'leased', 'parked'))"
        " or exists (select from change where rid = $1 and relayed_at is null and episode is not null"
        " and author <> $2)",
        rid,
        organization,
    )
    return found


_WATCH = (
    "insert into fetching (subject, kind, organization, endpoint, state, since, next_at, shard)"
    " select c.task, 'answer', c.organization, d.endpoint, 'queued', $1::timestamptz,"
    " $1::timestamptz + x.answers_every, c.shard"
    " from candidate c join exchange x on x.organization = c.organization and x.answers_every is not null"
    " cross join lateral ({endpoint}) d(endpoint)"
    " where c.organization = $2 and c.ended_at is null and {which}"
    " on conflict (subject, kind) do update set endpoint = excluded.endpoint, state = 'queued', attempts = 0,"
    " since = excluded.since, next_at = excluded.next_at, lease_until = null"
    " where fetching.state in ('done', 'dead')"
)


async def watch(
    conn: Connection, task: int, organization: int, endpoint: int, now: datetime
) -> None:
    """From now on read the organization's copy of the Task that asks it, if that was agreed on."""
    statement = _WATCH.format(endpoint="select $4::bigint", which="c.task = $3")
    await conn.execute(statement, now, organization, task, endpoint)


async def watch_all(conn: Connection, organization: int, now: datetime) -> None:
    """The same for all Tasks that ask it and were delivered to a server of its."""
    delivered = (
        "select endpoint from delivery where rid = c.task and organization = c.organization"
        " and state = 'delivered' and endpoint <> 0 order by seq desc limit 1"
    )
    await conn.execute(_WATCH.format(endpoint=delivered, which="true"), now, organization)
