"""Victim service providers: who is marked, what leads to them, what is kept about their releases.

The mark is `party.kind`; what was done about it, by whom and why is in `vsp_mark`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.store import vault
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

PLACES = ("Organization", "Location", "Practitioner", "PractitionerRole")
"""Types that say where a provider is and who works there."""

ENTRIES = (*PLACES, "HealthcareService", "Endpoint")
"""Types of the directory that can be about a provider."""

INDEXES = (
    "idx_token", "idx_string", "idx_reference", "idx_date", "idx_number", "idx_quantity", "idx_uri",
    "idx_composite", "idx_position", "idx_person",
)  # fmt: skip

_UPWARD = (
    ("Organization", "partof"), ("HealthcareService", "organization"), ("Location", "organization"),
    ("Location", "partof"), ("PractitionerRole", "organization"), ("PractitionerRole", "service"),
    ("PractitionerRole", "location"), ("Endpoint", "organization"),
)  # fmt: skip
"""Parameters that lead from an entry to whose it is."""

HIGHEST = 8
"""Steps that are followed from an entry to whose it is."""


class Act(NamedTuple):
    """act: mark; propose, confirm, refuse (of the mark's removal)."""

    organization: int
    act: str
    account: str
    reason: str
    at: datetime


class Told(NamedTuple):
    """A release in force. told: rid of the hub's Task that tells the status of `task`."""

    consent: int
    task: int
    told: int
    organization: int
    until: datetime


class Released(NamedTuple):
    """A release, in force or not. until: as it was written. end: when nothing is told by it any more."""

    consent: int
    task: int
    until: datetime
    end: datetime


async def marked(conn: Connection) -> frozenset[int]:
    rows = await conn.fetch("select organization from party where kind = 'vsp'")
    return frozenset(row[0] for row in rows)


async def transaction(conn: Connection) -> int:
    """The number of this transaction."""
    return int(await conn.fetchval("select pg_current_xact_id()::text"))


async def is_over(conn: Connection, number: int) -> bool:
    """Whether no transaction runs any more that began before that one had ended."""
    return bool(
        await conn.fetchval(
            "select pg_snapshot_xmin(pg_current_snapshot())::text::numeric > $1::text::numeric",
            str(number),
        )
    )


async def set_kind(conn: Connection, organization: int, kind: str) -> None:
    """Say what kind of party it is, whatever it was."""
    await conn.execute(
        "insert into party (organization, kind) values ($1, $2)"
        " on conflict (organization) do update set kind = excluded.kind",
        organization,
        kind,
    )


async def note(conn: Connection, act: Act) -> None:
    await conn.execute(
        "insert into vsp_mark (organization, act, account, reason, at) values ($1, $2, $3, $4, $5)",
        *act,
    )


async def last_act(conn: Connection, organization: int) -> Act | None:
    """The newest, of which nobody makes another before this transaction ends."""
    await conn.execute("select from party where organization = $1 for update", organization)
    row = await conn.fetchrow(
        "select organization, act, account, reason, at from vsp_mark where organization = $1"
        " order by id desc limit 1",
        organization,
    )
    return None if row is None else Act(*row)


async def proposed(conn: Connection, organization: int | None, since: datetime) -> list[Act]:
    """Removals of marks, of this organization's or of all, that were proposed since then and wait; oldest first."""
    rows = await conn.fetch(
        "select n.organization, n.act, n.account, n.reason, n.at from (select distinct on (m.organization) m.*"
        " from vsp_mark m where $1::bigint is null or m.organization = $1"
        " order by m.organization, m.id desc) n"
        " join party p on p.organization = n.organization and p.kind = 'vsp'"
        " where n.act = 'propose' and n.at >= $2 order by n.at",
        organization,
        since,
    )
    return [Act(*row) for row in rows]


async def places_state(conn: Connection, providers: Sequence[int]) -> tuple[object, ...]:
    """Changes whenever `places` does."""
    row = await conn.fetchrow(
        "select count(*), sum(version), max(updated) from resource"
        " where source = any($1::bigint[]) and type = any($2::smallint[])",
        list(providers),
        [types.NUMBER[kind] for kind in PLACES],
    )
    return (tuple(providers), *(row or ()))


async def places(conn: Connection, viewer: Viewer, providers: Sequence[int]) -> list[Version]:
    """What providers keep in their own accounts about where they are and who works there."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from resource r"
        " where r.source = any($1::bigint[]) and r.type = any($2::smallint[])"
        f" and r.body is not null and {condition}",
        list(providers),
        [types.NUMBER[kind] for kind in PLACES],
        *arguments,
    )
    return [version_of(row) for row in rows]


async def leading(conn: Connection, rids: Iterable[int]) -> set[int]:
    """Of these entries of the directory those that are a provider's, by what they are part of."""
    rows = await conn.fetch(
        "with recursive up(entry, rid, step) as ("
        " select rid, rid, 0 from unnest($1::bigint[]) w(rid)"
        " union select up.entry, i.target, up.step + 1 from up join idx_reference i on i.rid = up.rid"
        " and i.param = any($2::smallint[]) where i.target is not null and up.step < $3)"
        " select distinct up.entry from up join party p on p.organization = up.rid and p.kind = 'vsp'",
        sorted(rids),
        _numbers(),
        HIGHEST,
    )
    return {row[0] for row in rows}


async def entries_of(conn: Connection, viewer: Viewer, provider: int) -> list[Version]:
    """Entries that lead to this provider, its own aside; and what these name as theirs."""
    condition, arguments = visible(viewer, "r", 5)
    rows = await conn.fetch(
        "with recursive down(rid, step) as ("
        " select $1::bigint, 0 union select i.rid, down.step + 1 from down"
        " join idx_reference i on i.target = down.rid and i.param = any($2::smallint[])"
        " where down.step < $4), named(rid) as (select rid from down"
        " union select i.target from down join idx_reference i on i.rid = down.rid"
        " and i.param = any($3::smallint[]) where i.target is not null)"
        f" select {COLUMNS}, {shown(viewer, 'r', 5)} from named join resource r on r.rid = named.rid"
        " and r.shard = (named.rid & 255)::smallint"
        f" where r.source <> $1 and r.body is not null and {condition} order by r.rid",
        provider,
        _numbers(),
        [parameters(kind)[code].id for kind, code in NAMED],
        HIGHEST,
        *arguments,
    )
    return [each for each in map(version_of, rows) if each.type in ENTRIES]


NAMED = (
    ("HealthcareService", "location"), ("HealthcareService", "endpoint"), ("Organization", "endpoint"),
    ("PractitionerRole", "practitioner"), ("PractitionerRole", "location"),
    ("PractitionerRole", "endpoint"), ("Location", "endpoint"),
)  # fmt: skip
"""Parameters by which a provider's entry names others that are its own."""


def _numbers() -> list[int]:
    return [parameters(kind)[code].id for kind, code in _UPWARD]


async def hide_versions_before(conn: Connection, rids: Collection[int]) -> None:
    """What these said before is for nobody but who wrote it."""
    await conn.execute(
        f"update resource_version set labels = labels | {VSP}"
        " where (shard, rid) in (select (w.rid & 255)::smallint, w.rid from unnest($1::bigint[]) w(rid))",
        sorted(rids),
    )


async def seal_versions_before(conn: Connection, provider: int, rids: Collection[int]) -> None:
    """Put the texts that these had before under the provider's key."""
    rows = await conn.fetch(
        "select v.shard, v.rid, v.version, v.body from unnest($1::bigint[]) w(rid)"
        " join resource_version v on v.shard = (w.rid & 255)::smallint and v.rid = w.rid"
        " where v.body like '{%' for update of v",
        sorted(rids),
    )
    await conn.executemany(
        "update resource_version set body = $4 where shard = $1 and rid = $2 and version = $3",
        [(*row[:3], vault.in_use().seal(provider, row[1], row[3])) for row in rows],
    )


async def open_ones(
    conn: Connection, viewer: Viewer, provider: int, *, after: int, most: int
) -> list[Version]:
    """The next resources behind rid `after` that are the provider's, or ask it; locked.

    Its own, what it wrote versions of, and the hub's Tasks and ServiceRequests that ask it.
    """
    condition, arguments = visible(viewer, "r", 4)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 4)} from resource r"
        " where r.rid > $2 and (r.source = $1 or exists (select 1 from candidate c"
        # one that both share stays its sender's, as it was told
        " where c.organization = $1 and c.task <> c.episode and r.rid in (c.task, c.request)))"
        f" and {condition} order by r.rid limit $3 for update of r",
        provider,
        after,
        most,
        *arguments,
    )
    return [version_of(row) for row in rows]


async def seal(conn: Connection, provider: int, rids: Collection[int]) -> None:
    """Put these under the provider's key, with what they said before, in no patient's chart."""
    rows = await conn.fetch(
        "select r.shard, r.rid, r.body from resource r where r.shard in"
        " (select (w.rid & 255)::smallint from unnest($1::bigint[]) w(rid)) and r.rid = any($1::bigint[])",
        sorted(rids),
    )
    await conn.executemany(
        f"update resource set labels = labels | {VSP | SDV}, patient = null, body = $3"
        " where shard = $1 and rid = $2",
        [
            (
                shard,
                rid,
                vault.in_use().seal(provider, rid, body)
                if body is not None and body.startswith("{")
                else body,
            )
            for shard, rid, body in rows
        ],
    )
    await conn.execute(
        f"update resource_version set labels = labels | {VSP | SDV}, patient = null"
        " where (shard, rid) in (select (w.rid & 255)::smallint, w.rid from unnest($1::bigint[]) w(rid))",
        sorted(rids),
    )
    await seal_versions_before(conn, provider, rids)


async def forget_persons(conn: Connection, rids: Collection[int]) -> None:
    """Of none of these it is known any more who it is the same person as."""
    await conn.execute("delete from person_due where rid = any($1::bigint[])", sorted(rids))
    await conn.execute(
        "delete from person_link where one = any($1::bigint[]) or other = any($1::bigint[])",
        sorted(rids),
    )


async def forget_index(conn: Connection, rids: Collection[int]) -> None:
    """Take all index rows of these away."""
    for table in INDEXES:
        await conn.execute(f"delete from {table} where rid = any($1::bigint[])", sorted(rids))


async def forget_doings(conn: Connection, provider: int, now: datetime) -> None:
    """Take away what the ledger tells of its answers (when it looked, accepted, ended) and what waits for them.

    What asks it stays in its sight, now that it is the provider's.
    """
    await conn.execute(
        "update candidate set seen_at = null, accepted_at = null, ended_at = case when status = 'cancelled'"
        " then ended_at end, status = case when status = 'cancelled' then status else 'requested' end"
        " where organization = $1 and task <> episode",
        provider,
    )
    await conn.execute(
        f"update access_grant set labels = labels | {VSP} where organization = $1 and rule = 'party'",
        provider,
    )
    await conn.execute(
        "delete from timer t where t.kind = 'digest' and t.subject = $1"
        " or t.subject in (select task from candidate where organization = $1"
        "   union all select task from errand where owner = $1)",
        provider,
    )
    await conn.execute("delete from reminder where organization = $1", provider)
    await conn.execute(
        "update access_rule set until = $2 where actor = $1 and rule in ('treatment', 'team')"
        " and (until is null or until > $2)",
        provider,
        now,
    )
    await conn.execute(
        "update access_grant g set until = $2 from resource r where r.rid = g.rid and r.source = $1"
        " and g.rule <> 'release' and (g.until is null or g.until > $2)",
        provider,
        now,
    )


async def releases_of(conn: Connection, task: int, now: datetime) -> list[Told]:
    """The releases in force of what became of this Task."""
    rows = await conn.fetch(
        "select v.consent, v.task, v.told, v.organization, v.until from vsp_release v"
        " where v.task = $1 and exists (select 1 from access_grant g where g.because = v.consent"
        " and g.rule = 'release' and (g.until is null or g.until > $2))",
        task,
        now,
    )
    return [Told(*row) for row in rows]


async def released(conn: Connection, provider: int, tasks: Sequence[int]) -> list[Released]:
    """All releases there ever were of what became of these Tasks that ask this provider, the last to end first."""
    rows = await conn.fetch(
        "select v.consent, v.task, v.until, least(v.until, g.until) from vsp_release v"
        " join candidate c on c.task = v.task and c.organization = $1"
        " join access_grant g on g.because = v.consent and g.rule = 'release'"
        " where v.task = any($2::bigint[]) order by 4 desc, v.consent desc",
        provider,
        list(tasks),
    )
    return [Released(*row) for row in rows]


async def asked_by(conn: Connection, provider: int, tasks: Sequence[int]) -> dict[int, int]:
    """Who referred, by these Tasks that ask this provider."""
    rows = await conn.fetch(
        "select c.task, e.requester from candidate c join episode e on e.id = c.episode"
        " where c.organization = $1 and c.task = any($2::bigint[])",
        provider,
        list(tasks),
    )
    return {row[0]: row[1] for row in rows}


async def release(conn: Connection, consent: int) -> Told | None:
    row = await conn.fetchrow(
        "select consent, task, told, organization, until from vsp_release where consent = $1",
        consent,
    )
    return None if row is None else Told(*row)
