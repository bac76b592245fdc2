"""Content removed for ever: what becomes of a resource's rows, and the log that says so.

A tombstone stays: the resource's rid, type, id and times, and for every version that it existed and
was by whom, as deletions without content. So history and the change log have no gaps, ids lead where
they led, and the audit, which holds rids, still says who was shown what. Whom the audit shows to
have seen it, and who may see it up to this day, reads that it is gone; to all others it never was.

The function is the database's own, so that a retention schedule (store.retention) removes in the
same way, and runs as the owner of the tables: the application's role may not call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.r4 import types
from coordhub.r4.sensitivity import RESTRICTED, TEST, VSP
from coordhub.store.audit_trail import TOLD
from coordhub.store.engine import Connection
from coordhub.store.tables import metadata
from coordhub.store.visibility import DIRECTORY, HUB, sees

INDEXES: Final = tuple(name for name in metadata.tables if name.startswith("idx_"))

EMPTIED: Final = (
    "resource", "resource_version", *INDEXES, "access_grant", "access_rule", "label_lowered",
)  # fmt: skip
"""Tables that content is taken out of: their dead rows, and samples of them in Postgres' statistics,
outlive the deletion until they are vacuumed and analyzed."""

REASON: Final = "expunged"
"""Of the deliveries that are not sent any more."""

_UNINDEXED = "\n        ".join(
    f"delete from {name} i where i.rid = any(rids_);" for name in INDEXES
)

FUNCTIONS: Final = f"""
create or replace function expunge_content(
    rids_ bigint[], whole_ boolean, act_ bigint, interaction_ text, said_ text
) returns void language plpgsql as $body$
-- Take the content of these resources (or of their old versions) out of every table, and write it down.
declare
    at_ timestamptz := date_trunc('milliseconds', clock_timestamp());
    told_ jsonb;
begin
    perform from resource r where r.rid = any(rids_) order by r.rid for update;

    insert into expunged (rid, type, fhir_id, version, whole, at, act)
    select r.rid, r.type, r.fhir_id, r.version - (not whole_)::int, whole_, at_, act_
    from resource r where r.rid = any(rids_) order by r.rid;

    update delivery d set state = 'suppressed', reason = '{REASON}', settled_at = at_, lease_until = null
    from resource r
    where d.rid = any(rids_) and r.rid = d.rid and (whole_ or d.version < r.version)
      and d.state in ('queued', 'parked', 'leased');

    update change c set op = 'delete' from resource r
    where c.rid = any(rids_) and r.rid = c.rid and (whole_ or c.version < r.version)
      and c.op <> 'delete';
    update resource_version v set op = 'delete', body = null, labels = 0
    where v.rid = any(rids_) and (v.body is not null or v.labels <> 0);

    if whole_ then
        -- Who saw it, and still may: asked before anything that decides is gone.
        select jsonb_agg(distinct jsonb_build_object('organization', a.organization, 'rid', r.rid)) into told_
        from audit a cross join lateral unnest(a.rids) u(rid) join resource r on r.rid = u.rid
        where a.rids && rids_ and u.rid = any(rids_) and a.organization <> all (array[r.source, {HUB}, {DIRECTORY}])
          and (a.outcome = 0 or a.outcome between 200 and 299) and {sees("a.organization", "r")};

        insert into change (at, shard, rid, version, type, op, author)
        select at_, r.shard, r.rid, r.version + 1, r.type, 'delete', {HUB}
        from resource r where r.rid = any(rids_) and r.body is not null;
        insert into resource_version (shard, rid, version, op, updated, author, source, patient, body)
        select r.shard, r.rid, r.version, 'delete', r.updated, r.author, r.source, r.patient, null
        from resource r where r.rid = any(rids_) and r.body is not null;
        -- Which classes it was of, is content; that it is not everybody's to know of, has to stay.
        update resource r set version = r.version + (r.body is not null)::int, op = 'delete', body = null,
            dangling = false, quarantined = false,
            labels = r.labels & {VSP | TEST} | {RESTRICTED},
            updated = case when r.body is null then r.updated else at_ end,
            author = case when r.body is null then r.author else {HUB} end
        where r.rid = any(rids_);

        {_UNINDEXED}
        update client c set active = false where c.organization = any(rids_) and c.role = 'person';
        delete from label_lowered l where l.rid = any(rids_);
        -- An id on another's server may say as much as a number of a record.
        delete from counterpart c where c.rid = any(rids_);
        delete from person_due d where d.rid = any(rids_);
        delete from person_link k where k.one = any(rids_) or k.other = any(rids_);
        delete from order_number n where n.rid = any(rids_);
        delete from fetching f where f.subject = any(rids_);
        -- What a subscription asks for has its secrets; nothing is waited for that is not there.
        delete from subscription_event s where s.subscription = any(rids_);
        delete from subscription_secret s where s.subscription = any(rids_);
        delete from subscription_deletion s where s.subscription = any(rids_);
        delete from subscription s where s.rid = any(rids_);
        delete from emergency_review e where e.notice = any(rids_) or e.patient = any(rids_);
        delete from voice_link l where l.episode = any(rids_) or l.request = any(rids_);
        delete from link l where l.task = any(rids_) or l.organization = any(rids_);
        delete from visit v where v.task = any(rids_) or v.organization = any(rids_);
        delete from access_code k where k.organization = any(rids_);
        delete from mailbox m where m.endpoint = any(rids_) or m.organization = any(rids_);
        delete from proof p where p.endpoint = any(rids_);
        delete from trace t where t.rid = any(rids_);
        -- By an app that was let in by it, or in its chart, nothing is done any more.
        update app_permission a set ended_at = coalesce(a.ended_at, at_), patient = null
        where a.patient = any(rids_) or a.organization = any(rids_);
        delete from access_token k using app_permission a
        where k.permission = a.id and a.ended_at = at_;
        delete from revealed v where v.rid = any(rids_);
        delete from timer t where t.subject = any(rids_) and t.fired_at is null;
        update errand e set closed_at = at_ where e.task = any(rids_) and e.closed_at is null;
        delete from vsp_release l
        where l.consent = any(rids_) or l.task = any(rids_) or l.told = any(rids_);
        delete from party p where p.organization = any(rids_) and p.kind = 'person';
        -- That they stood, the accounting tells; what they said, goes.
        update access_rule c set until = least(c.until, at_, now()), systems = null, codes = null, types = null,
            rids = null, only_labels = null, covers = 0, data_from = null, data_to = null,
            precedence = case when c.rule = 'consent' then 0 else c.precedence end,
            xid = pg_current_xact_id()
        where c.because = any(rids_) or c.patient = any(rids_) or c.actor = any(rids_);
        update access_grant g set until = least(g.until, at_, now()), labels = 0
        where g.rid = any(rids_) or g.because = any(rids_);
        insert into access_grant (shard, organization, rid, because, rule, since, labels)
        select r.shard, t.organization, r.rid, r.rid, 'party', at_, r.labels
        from jsonb_to_recordset(coalesce(told_, '[]')) t(organization bigint, rid bigint)
        join resource r on r.rid = t.rid
        on conflict (organization, rid, because, rule) do update set until = null, labels = excluded.labels,
            xid = excluded.xid;
    end if;

    insert into audit (at, organization, interaction, outcome, rids, query)
    values (at_, {HUB}, interaction_, 0, rids_, said_);
end
$body$;
revoke execute on function expunge_content(bigint[], boolean, bigint, text, text) from public;
"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """what: resource, versions or patient. type and id: of the resource that was named."""

    id: int
    what: str
    rid: int
    type: str
    fhir_id: str
    reason: str
    proposed_by: str
    proposed_at: datetime
    confirmed_by: str | None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.fhir_id}"


@dataclass(frozen=True, slots=True)
class Removed:
    """A line of the expunge log. whole: the resource; else its versions up to `version`."""

    seq: int
    rid: int
    type: str
    fhir_id: str
    version: int
    whole: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why something cannot be removed now. kind: referral, consent, hold, sending."""

    kind: str
    rid: int


@dataclass(frozen=True, slots=True)
class Told:
    """An organization that has a copy, of what, and when it last got or saw it."""

    organization: str
    name: str | None
    resource: str
    sent: bool
    last: datetime


async def may_rewrite(conn: Connection) -> bool:
    """Whether this login owns the record; the application's does not."""
    may: bool = await conn.fetchval(
        "select has_table_privilege('resource_version', 'update') and has_table_privilege('audit', 'delete')"
    )
    return may


_PROPOSAL = "select id, what, rid, type, fhir_id, reason, proposed_by, proposed_at, confirmed_by from expunge"


def _proposal(row: Any) -> Proposal:
    number, what, rid, kind, *others = row
    return Proposal(number, what, rid, types.name_of(kind), *others)


async def propose(
    conn: Connection, what: str, rid: int, name: tuple[str, str], reason: str, by: str,
    now: datetime,
) -> int:  # fmt: skip
    number: int = await conn.fetchval(
        "insert into expunge (what, rid, type, fhir_id, reason, proposed_by, proposed_at)"
        " values ($1, $2, $3, $4, $5, $6, $7) returning id",
        what,
        rid,
        types.NUMBER[name[0]],
        name[1],
        reason,
        by,
        now,
    )
    return number


async def proposal(conn: Connection, number: int) -> Proposal | None:
    """Locked, so that two who confirm it do it once."""
    row = await conn.fetchrow(f"{_PROPOSAL} where id = $1 for update", number)
    return None if row is None else _proposal(row)


async def proposals(conn: Connection) -> list[Proposal]:
    """The open ones, oldest first."""
    return [
        _proposal(row)
        for row in await conn.fetch(f"{_PROPOSAL} where confirmed_by is null order by id")
    ]


async def confirm(conn: Connection, number: int, by: str, now: datetime) -> None:
    await conn.execute(
        "update expunge set confirmed_by = $2, confirmed_at = $3 where id = $1", number, by, now
    )


async def chart(conn: Connection, patient: int, *, whole: bool = True) -> list[int]:
    """All that is stored about a patient, by whomever; the Patient itself among it.

    whole: also what has no content any more.
    """
    rows = await conn.fetch(
        "select r.rid from resource r where (r.patient = $1 or r.rid = $1) and ($2 or r.body is not null)"
        " order by r.rid",
        patient,
        whole,
    )
    return [row[0] for row in rows]


async def with_copies(conn: Connection, rid: int) -> list[int]:
    """The resource, and what the hub made of it for those whom it asked."""
    rows = await conn.fetch(
        "select c.request from need n join candidate c on c.episode = n.episode and c.need = n.ordinal"
        " where n.request = $1"
        " union select c.task from candidate c where c.episode = $1"
        " union select x.task from errand x where x.episode = $1 union select $1",
        rid,
    )
    return sorted(row[0] for row in rows)


async def hold_still(conn: Connection, rids: Sequence[int]) -> None:
    """Lock their referrals, which come before resources, as for every writer; and what is to be sent.

    A worker that looks for work passes over what is locked: nothing of it leaves from now on.
    """
    await conn.execute(
        "select from episode e where e.id = any($1::bigint[]) or e.request = any($1::bigint[])"
        " or e.patient = any($1::bigint[])"
        " or exists (select 1 from need n where n.episode = e.id and n.request = any($1::bigint[]))"
        " or exists (select 1 from candidate c where c.episode = e.id"
        "   and (c.task = any($1::bigint[]) or c.request = any($1::bigint[])))"
        " order by e.id for update",
        list(rids),
    )
    await conn.execute(
        "select from delivery d where d.rid = any($1::bigint[]) and d.settled_at is null order by d.seq for update",
        list(rids),
    )


async def hindrances(conn: Connection, rids: Sequence[int], now: datetime) -> list[Hindrance]:
    """What stands in the way: referrals under way, Consents in force, legal holds, a delivery on its way."""
    rows = await conn.fetch(
        "select 'referral', e.id from episode e where e.state = 'open' and (e.id = any($1::bigint[])"
        "   or e.request = any($1::bigint[]) or e.patient = any($1::bigint[])"
        "   or exists (select 1 from need n where n.episode = e.id and n.request = any($1::bigint[]))"
        "   or exists (select 1 from candidate c where c.episode = e.id"
        "     and (c.task = any($1::bigint[]) or c.request = any($1::bigint[]))))"
        " union all select 'consent', c.because from access_rule c where c.because = any($1::bigint[])"
        "   and c.patient <> all($1::bigint[]) and (c.until is null or c.until > now())"
        " union all select 'hold', r.rid from resource r join legal_hold h"
        "   on h.patient = r.patient or h.patient = r.rid where r.rid = any($1::bigint[])"
        " union all select 'sending', d.rid from delivery d where d.rid = any($1::bigint[])"
        "   and d.lease_until > $2",
        list(rids),
        now,
    )
    return [Hindrance(*row) for row in rows]


async def who_was_told(conn: Connection, rids: Sequence[int]) -> list[Told]:
    """Organizations that were sent these or looked at them, who wrote them aside."""
    rows = await conn.fetch(
        "select o.fhir_id, case when o.body like '{%' then o.body::json ->> 'name' end,"
        " r.type, r.fhir_id, bool_or(a.delivery is not null), max(a.at)"
        " from audit a cross join lateral unnest(a.rids) u(rid) join resource r on r.rid = u.rid"
        " join resource o on o.rid = a.organization"
        f" where a.rids && $1::bigint[] and u.rid = any($1::bigint[]) and a.organization <> all(array[r.source, {HUB}])"
        f" and (a.outcome = 0 or a.outcome between 200 and 299) and {TOLD}"
        " group by 1, 2, r.type, r.fhir_id, r.rid order by 2, 1, r.rid",
        list(rids),
    )
    return [
        Told(row[0], row[1], f"{types.name_of(row[2])}/{row[3]}", row[4], row[5]) for row in rows
    ]


async def mentioned_by(conn: Connection, rids: Sequence[int]) -> list[str]:
    """What is not removed and refers to these, as `Type/id`."""
    rows = await conn.fetch(
        "select distinct r.type, r.fhir_id from idx_reference i"
        " join resource r on r.rid = i.rid and r.shard = i.shard"
        " where i.target = any($1::bigint[]) and i.rid <> all($1::bigint[]) order by 1, 2",
        list(rids),
    )
    return [f"{types.name_of(row[0])}/{row[1]}" for row in rows]


async def remove(
    conn: Connection, rids: Sequence[int], *, whole: bool, act: int | None, interaction: str,
    said: str,
) -> None:  # fmt: skip
    """Take the content out, in a transaction that is open. said: for the audit, no content."""
    await conn.execute(
        "select expunge_content($1, $2, $3, $4, $5)", list(rids), whole, act, interaction, said
    )


async def end_referrals(conn: Connection, rids: Sequence[int], now: datetime) -> None:
    """Referrals among these Tasks that a restored backup shows as under way are over: they had ended."""
    await conn.execute(
        "with ended as (update episode e set state = 'closed', closed_at = $2"
        "   where e.id = any($1::bigint[]) and e.state = 'open' returning e.id),"
        " waiting as (update timer t set fired_at = $2 from ended"
        "   where t.episode = ended.id and t.fired_at is null),"
        " needed as (update need n set state = 'withdrawn', next_at = null, closed_at = $2 from ended"
        "   where n.episode = ended.id and n.closed_at is null),"
        " looked as (update errand x set closed_at = $2 from ended"
        "   where x.episode = ended.id and x.closed_at is null)"
        " update candidate c set status = 'cancelled', ended_at = coalesce(c.ended_at, $2) from ended"
        " where c.episode = ended.id and c.ended_at is null",
        list(rids),
        now,
    )


async def log_since(conn: Connection, after: int) -> list[Removed]:
    """The expunge log behind `after`."""
    rows = await conn.fetch(
        "select seq, rid, type, fhir_id, version, whole, at from expunged where seq > $1 order by seq",
        after,
    )
    return [Removed(row[0], row[1], types.name_of(row[2]), *tuple(row)[3:]) for row in rows]


async def back_again(conn: Connection, logged: Sequence[Removed]) -> dict[int, bool]:
    """Of these, what has content again that was removed, by rid: whether the whole of it has to go.

    A version above the logged one was written afterwards, and is not meant.
    """
    rows = await conn.fetch(
        "select n.rid, r.version <= n.version and r.body is not null"
        " from unnest($1::bigint[], $2::int[]) n(rid, version) join resource r on r.rid = n.rid"
        " where r.version <= n.version and r.body is not null or exists (select 1 from resource_version v"
        "   where v.shard = r.shard and v.rid = r.rid and v.version <= n.version and v.body is not null)",
        [one.rid for one in logged],
        [one.version for one in logged],
    )
    found: dict[int, bool] = {}
    for rid, whole in rows:
        found[rid] = found.get(rid, False) or whole
    return found


async def tidy(conn: Connection) -> None:
    """Let go of dead rows and of the samples in Postgres' statistics. Outside of a transaction."""
    await conn.execute(f"vacuum (analyze) {', '.join(EMPTIED)}")
