"""What a change of Consent does to referrals under way, as statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.r4.sensitivity import VSP
from coordhub.store.engine import Connection
from coordhub.store.visibility import RULING, sees


@dataclass(frozen=True, slots=True)
class Followed:
    """Rules that a Consent has come to: how many permit and deny just now, when the next of them begins, and
    when the last of those that are over ended (with an older version of it, too); None: there is none.
    """

    permits: int
    denies: int
    begins: datetime | None
    ended: datetime | None


async def followed(conn: Connection, consents: Sequence[int]) -> dict[int, Followed]:
    """Of those of these Consents (rids) of which rules were ever made."""
    holds = "since <= now() and (until is null or until > now())"
    rows = await conn.fetch(
        f"select because, count(*) filter (where permit and {holds}),"
        f" count(*) filter (where not permit and {holds}),"
        " min(since) filter (where since > now() and (until is null or until > since)),"
        " max(until) filter (where until <= now())"
        " from access_rule where because = any($1::bigint[]) and rule = 'consent' group by because",
        list(consents),
    )
    return {row[0]: Followed(*row[1:]) for row in rows}


async def open_referrals(conn: Connection, patients: Sequence[int]) -> list[int]:
    """The open episodes of these patients, in the order in which they are locked."""
    rows = await conn.fetch(
        "select id from episode where patient = any($1::bigint[]) and state = 'open' order by id",
        list(patients),
    )
    return [row[0] for row in rows]


async def permitted(conn: Connection, episodes: Sequence[int]) -> frozenset[int]:
    """Tasks of those who are asked or at work in these episodes and to whom its patient's record may be
    shown, by the patient's rules or, where those say nothing, by default. Whether it is shown already is
    another question: who competes is not told for whom.
    """
    rows = await conn.fetch(
        "select d.task from candidate d join episode e on e.id = d.episode"
        " join resource r on r.rid = e.patient and r.shard = (e.patient & 255)::smallint"
        f" {_JUDGED} where e.id = any($1::bigint[]) and d.ended_at is null and {_PERMITTED}",
        list(episodes),
    )
    return frozenset(row[0] for row in rows)


async def may_be_asked(
    conn: Connection, patient: int, organizations: Sequence[int]
) -> frozenset[int]:
    """Of these, those to whom a referral may show this patient's record: by its rules, or by default."""
    rows = await conn.fetch(
        "select d.organization from unnest($2::bigint[]) d(organization) join resource r"
        " on r.rid = $1::bigint and r.shard = ($1::bigint & 255)::smallint"
        f" {_JUDGED} where {_PERMITTED}",
        patient,
        list(organizations),
    )
    return frozenset(row[0] for row in rows)


async def requests_told(conn: Connection, patients: Sequence[int]) -> frozenset[int]:
    """Tasks that ask for data of these patients, are not answered, and whose holder may be told of it."""
    rows = await conn.fetch(
        "select d.task from (select task, owner as organization, subject from errand"
        "  where subject = any($1::bigint[]) and kind = 'data-request' and closed_at is null) d"
        " join resource r on r.rid = d.subject and r.shard = (d.subject & 255)::smallint"
        f" {_JUDGED} where {_PERMITTED}",
        list(patients),
    )
    return frozenset(row[0] for row in rows)


async def lock_requests(conn: Connection, tasks: Sequence[int]) -> list[int]:
    """Those of these Tasks that are not answered yet, and are not until this transaction is over."""
    rows = await conn.fetch(
        "select e.task from errand e join resource r on r.rid = e.task and r.shard = (e.task & 255)::smallint"
        " where e.task = any($1::bigint[]) and e.closed_at is null order by e.task for update",
        list(tasks),
    )
    return [row[0] for row in rows]


async def said_of(conn: Connection, patient: int, organizations: Sequence[int]) -> dict[int, str]:
    """Of each of these, whether a referral may show it this patient's record: permitted, denied or unsaid.

    denied: by a rule of the patient's; unsaid: no rule speaks of it, and by default it may not.
    """
    rows = await conn.fetch(
        f"select d.organization, case when {_PERMITTED} then 'permitted'"
        " when w.rule in ('consent') and not w.permit then 'denied' else 'unsaid' end"
        " from unnest($2::bigint[]) d(organization) join resource r"
        " on r.rid = $1::bigint and r.shard = ($1::bigint & 255)::smallint"
        f" {_JUDGED}",
        patient,
        list(organizations),
    )
    return {row[0]: row[1] for row in rows}


async def would_be_shown(
    conn: Connection, organizations: Sequence[int], rids: Sequence[int]
) -> set[tuple[int, int]]:
    """Organization and rid, where a referral that names it would show it: as a grant of no sensitive class does."""
    rows = await conn.fetch(
        "select d.organization, r.rid from unnest($1::bigint[]) d(organization)"
        " cross join unnest($2::bigint[]) n(rid)"
        " join resource r on r.rid = n.rid and r.shard = (n.rid & 255)::smallint"
        f" {_JUDGED} where {_PERMITTED} and (w.rule is not null or r.labels = 0)"
        f" and r.labels & {VSP} = 0 and not r.quarantined and r.body is not null",
        list(organizations),
        list(rids),
    )
    return {(row[0], row[1]) for row in rows}


async def are_shown(
    conn: Connection, organizations: Sequence[int], rids: Sequence[int]
) -> set[tuple[int, int]]:
    """Organization and rid, where it sees this now, and the Patient whose it is."""
    rows = await conn.fetch(
        "select d.organization, r.rid from unnest($1::bigint[]) d(organization)"
        " cross join unnest($2::bigint[]) n(rid)"
        " join resource r on r.rid = n.rid and r.shard = (n.rid & 255)::smallint and r.body is not null"
        " join resource p on p.rid = r.patient and p.shard = (r.patient & 255)::smallint and p.body is not null"
        f" where {sees('d.organization', 'r')} and {sees('d.organization', 'p')}",
        list(organizations),
        list(rids),
    )
    return {(row[0], row[1]) for row in rows}


async def turn_rules(
    conn: Connection, consent: int, until: datetime, now: datetime
) -> datetime | None:
    """The rules of a Consent that end by `until` are over, those that begin by then have begun; when the
    next of them ends or begins.

    The hub's clock says so, also where that of Postgres is behind.
    """
    await conn.execute(
        "update access_rule set until = case when until <= $2 then least(until, now()) else until end,"
        " since = case when since <= $2 then least(since, now()) else since end, xid = pg_current_xact_id()"
        " where because = $1 and (until <= $2 and until > now() or since <= $2 and since > now())",
        consent,
        until,
    )
    following: datetime | None = await conn.fetchval(
        "select min(moment) from access_rule a cross join lateral (values (a.since), (a.until)) m(moment)"
        " where a.because = $1 and moment > $2 and (a.until is null or a.until > $2)",
        consent,
        now,
    )
    return following


_JUDGED = (
    "left join party p on p.organization = d.organization cross join lateral"
    " (select d.organization actor_, r.rid rid_, r.patient patient_, r.type type_, r.labels labels_) a"
    f" left join lateral (select c.permit, c.rule {RULING}) w on r.labels & {VSP} = 0"
)
"""To organizations `d` and the patient's row `r`: the kind of party, and the rule that decides."""

_PERMITTED = (
    "case when w.rule is null or w.rule in ('treatment', 'team')"
    " then access_by_default(p.kind in ('treatment', 'person')) else w.permit end"
)


_NOT_SENT = ("refused", "dns", "tls", "blocked")
"""Kinds of failure before the first byte was sent."""


async def end_party(conn: Connection, task: int, request: int, now: datetime) -> None:
    """Who was asked by this Task no longer sees the ServiceRequest; nor the Task with what the hub says
    of its making, if it never reached it.

    What may have arrived counts as arrived: its end is told on the Task.
    """
    await conn.execute(
        "update access_grant g set until = least($3::timestamptz, now()) from candidate c"
        " where c.task = $1 and c.organization in (g.organization, 0) and g.because in (c.task, c.episode)"
        " and g.rule = 'party' and g.until is null and (g.rid = $2"
        "   or c.delivered_at is null and c.seen_at is null and c.accepted_at is null"
        "   and not exists (select from delivery d left join attempt a on a.delivery = d.id"
        "     where d.episode = c.episode and d.organization = c.organization and (d.state = 'leased'"
        "       or a.outcome <> 'unreachable' or split_part(a.detail, ':', 1) <> all($4::text[]))))",
        task,
        request,
        now,
        list(_NOT_SENT),
    )
