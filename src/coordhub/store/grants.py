"""What a referral may share: never more than its sender may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from coordhub.r4.datasets import BLIND
from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.visibility import DIRECTORY, Viewer, shown, visible

_PARTS = (
    ("DiagnosticReport", "result"),
    ("Observation", "has-member"),
    ("Observation", "derived-from"),
)


async def shareable(conn: Connection, sender: int, rids: Iterable[int]) -> dict[int, int]:
    """Of `rids` and the results they consist of, those that organization `sender` may see itself.

    By rid the data set that it is shown them by: no more than that is its to share. A report brings its
    observations, a panel its members; one level. What is in the directory needs no grant.
    """
    viewer = Viewer(sender)
    condition, arguments = visible(viewer, "r", 4)
    shown_as = shown(viewer, "r", 4)
    rows = await conn.fetch(
        f"{_with_parts(f'r.rid, {shown_as}')} where r.source <> $3 and {condition}",
        sorted(rids),
        _part_numbers(),
        DIRECTORY,
        *arguments,
    )
    return {rid: dataset for rid, _, dataset in rows}


async def opens_chart(conn: Connection, sender: int, patient: int) -> bool:
    """Whether the chart of a patient (rid) is `sender`'s to open: it holds the record, or treats the patient.

    Who merely saw what a referral or a Consent showed it has no chart to refer from.
    """
    found: bool = await conn.fetchval(
        "select exists (select from resource r where r.rid = $2 and r.shard = ($2 & 255)::smallint"
        " and r.source = $1)"
        " or exists (select from access_rule c join party p on p.organization = c.actor"
        " where c.patient = $2 and c.actor = $1 and c.permit and c.rule in ('treatment', 'team')"
        " and p.kind = 'treatment' and c.since <= now() and (c.until is null or c.until > now()))",
        sender,
        patient,
    )
    return found


async def deputize(
    conn: Connection, deputy: int, absent: int, task: int, until: datetime | None, now: datetime
) -> None:
    """Let one organization see what another was shown because of a Task, until it is back.

    What is sensitive only as far as the patient's Consents show it: its sender told it to another.
    """
    await conn.execute(
        "insert into access_grant (shard, organization, rid, because, rule, labels, dataset, until, since)"
        " select distinct on (g.rid) g.shard, $1, g.rid, g.because, 'deputy', 0, g.dataset,"
        " $4::timestamptz, $5 from access_grant g where g.organization = $2 and g.because = $3"
        " and g.rule in ('party', 'referral') and g.until is null and g.dataset <> $6"
        " order by g.rid, g.dataset"
        " on conflict (organization, rid, because, rule) do update set until = excluded.until,"
        " xid = excluded.xid",
        deputy,
        absent,
        task,
        until,
        now,
        BLIND,
    )


async def deputizing(conn: Connection, organization: int, tasks: Sequence[int]) -> frozenset[int]:
    """Of these Tasks those that this organization may answer for another, as it stands in for it."""
    rows = await conn.fetch(
        "select rid from access_grant where organization = $1 and rid = any($2::bigint[])"
        " and because = rid and rule = 'deputy' and (until is null or until > now())",
        organization,
        list(tasks),
    )
    return frozenset(row[0] for row in rows)


async def invited(conn: Connection, organization: int, tasks: Sequence[int]) -> frozenset[int]:
    """Of these Tasks of pools those that this organization may claim, or could until another did."""
    rows = await conn.fetch(
        "select rid from access_grant where organization = $1 and rid = any($2::bigint[])"
        " and because = rid and rule = 'party'",
        organization,
        list(tasks),
    )
    return frozenset(row[0] for row in rows)


async def members(conn: Connection, episode: int) -> dict[int, dict[int, str]]:
    """Of each Task (rid) of a pool of the referral the organizations that it was offered to, and as what each
    is addressed."""
    rows = await conn.fetch(
        "select c.task, g.organization, min(p.recipient) from candidate c"
        " join need n on n.episode = c.episode and n.ordinal = c.need and n.strategy = 'pool'"
        " join access_grant g on g.rid = c.task and g.because = c.task and g.rule = 'party'"
        " left join prospect p on p.episode = c.episode and p.need = c.need and p.organization = g.organization"
        " where c.episode = $1 group by c.task, g.organization order by c.task, g.organization",
        episode,
    )
    found: dict[int, dict[int, str]] = {}
    for task, organization, recipient in rows:
        found.setdefault(task, {})[organization] = recipient or ""
    return found


async def is_taken(conn: Connection, organization: int, task: int) -> bool:
    """Whether this Task of a pool, which was offered to this organization, was claimed by another."""
    found: bool = await conn.fetchval(
        "select exists (select from candidate c"
        " join need n on n.episode = c.episode and n.ordinal = c.need and n.strategy = 'pool'"
        " join access_grant g on g.rid = c.task and g.because = c.task and g.rule = 'party'"
        " where c.task = $2 and g.organization = $1 and c.organization not in (0, $1))",
        organization,
        task,
    )
    return found


async def hearers(conn: Connection, rid: int, because: Sequence[int]) -> tuple[int, ...]:
    """Organizations to whom this was shared by a referral, or by itself. because: the referral's Tasks."""
    rows = await conn.fetch(
        "select distinct organization from access_grant where rid = $1 and (until is null or until > now())"
        " and (because = any($2::bigint[]) and rule in ('referral', 'result') or because = $1 and rule = 'party')"
        " order by organization",
        rid,
        list(because),
    )
    return tuple(row[0] for row in rows)


async def released(conn: Connection, task: int) -> frozenset[int]:
    """What is shown (rids) because this Task that asked for data was answered."""
    rows = await conn.fetch(
        "select rid from access_grant where because = $1 and rule = 'result'"
        " and (until is null or until > now())",
        task,
    )
    return frozenset(row[0] for row in rows)


async def written_by(conn: Connection, author: int, rids: Iterable[int]) -> set[int]:
    """Of `rids` and the results they consist of, those that organization `author` wrote itself."""
    rows = await conn.fetch(
        f"{_with_parts('r.rid')} where r.source = $3", sorted(rids), _part_numbers(), author
    )
    return {row[0] for row in rows}


def _with_parts(columns: str) -> str:
    """A query for `columns` of the named rows `r` ($1), and of what they consist of ($2)."""
    return (
        "with named as (select unnest($1::bigint[]) as rid"
        " union select i.target from idx_reference i"
        " where i.rid = any($1::bigint[]) and i.param = any($2::smallint[]) and i.target is not null)"
        f" select {columns} from named n"
        " join resource r on r.rid = n.rid and r.shard = (n.rid & 255)::smallint"
    )


def _part_numbers() -> list[int]:
    return [parameters(kind)[code].id for kind, code in _PARTS]
