"""What must be true of the database whatever died when, as queries that find where it is not.

For tests that kill processes and for operators after a restore. Each looks at everything there is:
minutes on a large database, and meant to run beside the hub, not within a request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from coordhub.r4.datasets import BLIND
from coordhub.r4.sensitivity import VSP
from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection
from coordhub.store.tables import metadata
from coordhub.store.visibility import HUB

OVERDUE: Final = timedelta(minutes=5)
"""How long a change may wait for the relay, and since when a lease may have run out."""

BUDGET: Final = timedelta(hours=72)
"""How old a delivery may become without an end, unless the deployment says otherwise."""

LAST_TRY: Final = timedelta(hours=1)
"""How long at most the last attempt at one whose budget is used up may wait for a worker."""

_LOOKING: Final = 0x636F6F7264
"""Advisory lock of the one process that looks."""

SHOWN: Final = 5
"""How many of the rows that break an invariant are named."""

_TERMINAL = "('rejected', 'cancelled', 'entered-in-error', 'failed', 'completed')"
_LIVE = "c.status in ('accepted', 'ready', 'in-progress', 'on-hold') and c.reason is distinct from 'place-kept'"
"""Whether candidate `c` is at work: one who keeps a place on its waiting list is not."""
_APART = "exists (select 1 from party p where p.organization = c.organization and p.kind = 'vsp')"
"""Whether candidate `c` is a victim service provider, of whose answers no row tells."""
_OPEN = "('queued', 'leased', 'parked')"
_SAID = ", ".join(
    str(NUMBER[kind]) for kind in ("Appointment", "AppointmentResponse", "Communication")
)
_GONE = "(select from expunged x where x.rid = r.rid and x.whole)"
_RETAINED = "coalesce((select t.done_until from retention t where t.subject = '{}'), '-infinity')"
"""What is older than this may have been removed by a retention schedule."""

_INDEXES = tuple(name for name in metadata.tables if name.startswith("idx_"))
_CONSENTED = (
    "exists (select 1 from episode e join resource k on k.patient = e.patient join change x on x.rid = k.rid"
    f" where e.id = c.episode and k.type = {NUMBER['Consent']} and (x.at >= g.until or exists ("
    "   select from access_rule l where l.because = k.rid"
    "     and (l.until <= g.until or not l.permit and l.since <= g.until))))"
)
"""Whether a Consent of the patient was written when grant `g` of candidate `c` ended, or since; or had turned
by then."""

INVARIANTS: Final[dict[str, str]] = {
    "every change of a referral is relayed": """
        select 'change ' || c.seq from moved.change c, bounds
        where c.episode is not null and c.relayed_at is null and c.at < bounds.overdue
    """,
    "an open need has somebody who is asked, a step that is due, or a person who looks": f"""
        select 'need ' || n.episode || '/' || n.ordinal from moved.need n
        where n.state in ('open', 'won', 'queued') and n.next_at is null
          and not exists (select 1 from change c where c.episode = n.episode and c.relayed_at is null)
          and not exists (
            select from candidate c where c.episode = n.episode and c.need = n.ordinal
              and c.status not in {_TERMINAL})
          and not exists (
            select from errand x where x.episode = n.episode and x.subject = n.request
              and x.closed_at is null)
    """,
    "every referral has a need, and it is open exactly as long as one of them": """
        select 'episode ' || e.id from moved.episode e
        left join (
            select episode, bool_or(state in ('open', 'won', 'queued')) as open from need group by episode
        ) n on n.episode = e.id
        where e.request <> 0 and (n.episode is null or n.open <> (e.state = 'open'))
    """,
    "a need is never won by two": f"""
        select 'need ' || c.episode || '/' || c.need from moved.candidate c
        join need n on n.episode = c.episode and n.ordinal = c.need
        where {_LIVE} and (n.strategy <> 'broadcast-choose' or n.state in ('won', 'met'))
          and not {_APART}
        group by c.episode, c.need having count(*) > 1
    """,
    "a need is won as long as somebody is at work on it, and met once it is done": f"""
        select 'need ' || n.episode || '/' || n.ordinal from moved.need n
        cross join lateral (
            select coalesce(bool_or(c.status = 'completed'), false) as done,
                   coalesce(bool_or({_LIVE}), false) as live
            from candidate c where c.episode = n.episode and c.need = n.ordinal and not {_APART}) c
        where case n.state when 'won' then not c.live when 'met' then c.live or not c.done
              else c.done or c.live and n.strategy <> 'broadcast-choose' end
    """,
    "every candidate is of a need of its referral, and of a wave that was asked": """
        select 'candidate ' || c.episode || '/' || c.ordinal from moved.candidate c
        left join need n on n.episode = c.episode and n.ordinal = c.need
        where n.ordinal is null or c.wave not between 1 and n.wave
    """,
    "a Task that both share asks one alone, for the only need, and no victim service provider": f"""
        select 'candidate ' || c.episode || '/' || c.ordinal from moved.candidate c
        where c.task = c.episode and (exists (
                select from candidate o where o.episode = c.episode and o.ordinal <> c.ordinal)
            or exists (select 1 from need n where n.episode = c.episode and n.ordinal <> c.need)
            or c.ended_at is null and {_APART})
    """,
    "a person is asked about a need only for as long as it waits for that": """
        select 'errand ' || x.task from moved.errand x
        join need n on n.episode = x.episode and n.request = x.subject
        where x.closed_at is null
          and (x.kind = 'find-provider' and n.state <> 'queued' or x.kind = 'choose' and n.state <> 'open')
    """,
    "an errand is open as long as its Task is not terminal": f"""
        select 'errand ' || x.task from moved.errand x
        join resource r on r.rid = x.task and r.shard = x.shard
        where r.body like '{{%'
          and (x.closed_at is null) = (r.body::jsonb ->> 'status' in {_TERMINAL})
    """,
    "what an open referral waits for from its sender's server is read": """
        select 'episode ' || e.id from moved.episode e
        where e.state = 'open' and e.request = 0 and not exists (select 1 from fetching f
            where f.subject = e.id and f.kind = 'focus' and f.state in ('queued', 'leased', 'parked'))
    """,
    # The same as routing.policy says, and on purpose not by asking it.
    "everyone concerned by a relayed change has a delivery": f"""
        select 'change ' || c.seq || ' for organization ' || w.organization
        from moved.change c
        join episode e on e.id = c.episode
        left join candidate a on a.task = c.rid
        left join access_grant g on g.rid = c.rid and (g.because = c.rid and g.rule = 'party'
          -- what is said, with whom it was shared
          or c.type in ({_SAID}) and g.rule in ('referral', 'result')
             and (g.until is null or g.lapses and g.until > c.at)
             and exists (select 1 from change s where s.rid = g.because and s.episode = e.id))
        cross join lateral (
            select coalesce(nullif(a.organization, 0), g.organization, e.requester) as organization
            where a.task is null and (c.rid = e.id or g.organization is not null)
               -- of one that both share, since it asks
               or a.organization is not null and (c.rid <> e.id or c.at >= a.asked_at)
            union select e.requester where c.rid = e.id
            union select s.organization from result m
            join access_grant s on s.rid = m.rid and s.because = m.episode and s.rule = 'result'
            where m.rid = c.rid and s.since <= c.at and (s.until is null or s.until > c.at)) w
        where c.relayed_at is not null and c.op <> 'delete' and w.organization <> c.author
          and c.at >= {_RETAINED.format("delivery")}
          and not exists (
            select from delivery d where d.change = c.seq and d.organization = w.organization)
    """,
    "every delivery is acknowledged, suppressed or dead for a reason, or younger than its budget": """
        select 'delivery ' || d.id from moved.delivery d, bounds
        where not case d.state
          when 'delivered' then exists (
            select from attempt a where a.delivery = d.id and a.outcome = 'delivered')
          when 'suppressed' then d.reason is not null
          when 'dead' then d.reason is not null
          -- what is replayed is tried once more, whatever its age
          else greatest(d.created_at, d.next_at - bounds.budget) > bounds.spent end
    """,
    "every delivery is of a relayed change of its referral": """
        select 'delivery ' || d.id from moved.delivery d
        left join change c on c.seq = d.change and c.episode = d.episode and c.relayed_at is not null
          and (c.rid = d.rid and c.version = d.version
               -- a Task that says that something is a result
               or exists (select 1 from result m where m.rid = d.rid and m.episode = d.episode
                            and m.because = c.rid and m.version = c.version))
        where c.seq is null
    """,
    "no lease has run out long ago": """
        select 'delivery ' || d.id from moved.delivery d, bounds where d.lease_until < bounds.overdue
    """,
    "what was delivered has one attempt that says so, and it is the last": """
        select 'delivery ' || d.id from moved.delivery d
        cross join lateral (
            select max(number) as last, count(*) filter (where outcome = 'delivered') as delivered,
                   max(number) filter (where outcome = 'delivered') as at
            from attempt t where t.delivery = d.id) a
        where (d.state = 'delivered'
               and (a.delivered is distinct from 1 or a.at <> a.last or a.at <> d.attempts))
           or (d.state <> 'delivered' and a.delivered > 0)
           or a.last > d.attempts
    """,
    "every attempt is of a delivery": """
        select 'attempt ' || a.number || ' of ' || a.delivery from attempt a
        where not exists (select 1 from delivery d where d.id = a.delivery)
    """,
    "whatever is sent otherwise is of a delivery and an attempt": """
        select 'mending ' || m.number || ' of ' || m.delivery from mending m
        where not exists (select 1 from delivery d where d.id = m.delivery and d.attempts >= m.number)
    """,
    "what was delivered is audited as disclosed": f"""
        select 'delivery ' || d.id from moved.delivery d
        where d.state = 'delivered' and d.settled_at >= {_RETAINED.format("audit")}
          and not exists (
            select from audit a where a.delivery = d.id and a.organization = d.organization)
    """,
    "deliveries of one referral to one endpoint are settled in the order of its changes": f"""
        select 'delivery ' || later.id || ' before ' || earlier.id
        from moved.delivery earlier
        join delivery later on later.episode = earlier.episode and later.endpoint = earlier.endpoint
          and later.organization = earlier.organization and later.seq > earlier.seq
        where later.state <> 'suppressed'  -- which is not sent, whatever goes before it
          and (later.settled_at < earlier.settled_at
               or (later.settled_at is not null and earlier.state in {_OPEN}))
           or later.change < earlier.change
    """,
    "nothing is attempted before what comes first is settled": """
        select 'delivery ' || later.id || ' before ' || earlier.id
        from moved.delivery earlier
        join delivery later on later.episode = earlier.episode and later.endpoint = earlier.endpoint
          and later.organization = earlier.organization and later.seq > earlier.seq
        join attempt a on a.delivery = later.id and a.number = 1
        where a.at < earlier.settled_at
    """,
    "a candidate's status is that of its Task": f"""
        select 'candidate ' || c.episode || '/' || c.ordinal from moved.candidate c
        left join resource r on r.rid = c.task and r.shard = c.shard
        where r.body is null and not exists {_GONE}
           or case when r.body like '{{%' then r.body::jsonb ->> 'status' <> c.status
              else r.body is not null and c.status not in ('requested', 'cancelled') end
    """,
    "a referral is closed when its sender's Task is terminal, and only then": f"""
        select 'episode ' || e.id from moved.episode e
        left join resource r on r.rid = e.id and r.shard = e.shard
        where r.body is null and (e.state = 'open' or not exists {_GONE})
           or case when r.body like '{{%'
             then (e.state = 'closed') <> (r.body::jsonb ->> 'status' in {_TERMINAL}) end
    """,
    "an unanswered candidate of a closed referral is not asked any longer": """
        select 'candidate ' || c.episode || '/' || c.ordinal from moved.candidate c
        join episode e on e.id = c.episode
        where e.state = 'closed' and c.status in ('requested', 'received')
          and not exists (select 1 from resource r where r.rid = c.task and r.body like 'vsp%')
    """,
    "every resource has all its versions": """
        select 'resource ' || r.rid from moved.resource r
        left join (
            select shard, rid, count(*) as versions, max(version) as last
            from moved.resource_version v group by shard, rid) v on v.shard = r.shard and v.rid = r.rid
        where coalesce(v.versions, 0) <> r.version - 1 or coalesce(v.last, 0) <> r.version - 1
    """,
    "every version is what its predecessor allows": """
        select 'version ' || rid || '/' || version
        from (
            select rid, version, op, lag(op) over (partition by rid order by version) as before
            from (
                select rid, version, op from moved.resource r
                union all select rid, version, op from moved.resource_version o
            ) v
        ) v
        where ((op = 'create') <> (coalesce(before, 'delete') = 'delete')
           or (op = 'delete' and before is null))
          -- up to the tombstone all that is left says deleted
          and not exists (select 1 from expunged x where x.rid = v.rid and v.version <= x.version + 1)
    """,
    "every body says which version it is": """
        select 'version ' || v.rid || '/' || v.version
        from (
            select rid, version, fhir_id, updated, body from moved.resource r
            union all
            select v.rid, v.version, r.fhir_id, v.updated, v.body from moved.resource_version v
            join resource r on r.shard = v.shard and r.rid = v.rid
        ) v
        cross join lateral (select case when v.body like '{%' then v.body::jsonb end as it) t
        cross join lateral (select t.it, t.it -> 'meta' as meta) b
        where v.body like '{%'
          and (b.it ->> 'id' is distinct from v.fhir_id
               or b.meta ->> 'versionId' is distinct from v.version::text
               or (b.meta ->> 'lastUpdated')::timestamptz is distinct from v.updated)
    """,
    "every version is of a resource": """
        select 'version ' || v.rid || '/' || v.version from moved.resource_version v
        left join resource r on r.shard = v.shard and r.rid = v.rid where r.rid is null
    """,
    "every version has its change, and every change its version": """
        select 'version ' || coalesce(v.rid, c.rid) || '/' || coalesce(v.version, c.version)
        from (
            select rid, version, op, author from moved.resource r
            union all select rid, version, op, author from moved.resource_version o
        ) v
        full join moved.change c on c.rid = v.rid and c.version = v.version
        where v.rid is null or c.rid is null or c.op <> v.op or c.author <> v.author
    """,
    "every change is audited": f"""
        select 'change ' || c.seq from moved.change c
        where c.at >= {_RETAINED.format("audit")}
          and not exists (select 1 from audit a where a.at = c.at and a.rids @> array[c.rid])
    """,
    "what was expunged is without content, and nobody's rule": f"""
        select 'resource ' || x.rid || '/' || x.version from expunged x
        join resource r on r.rid = x.rid
        where r.version <= x.version and r.body is not null
           or x.whole and r.body is null and (
                exists (select 1 from access_rule c where c.because = x.rid
                          and (c.codes is not null or c.until is null or c.until > x.at))
                or exists (select 1 from label_lowered l where l.rid = x.rid)
                or exists (select 1 from delivery d where d.rid = x.rid and d.settled_at is null))
           or x.at >= {_RETAINED.format("audit")}
              and not exists (select 1 from audit a where a.at = x.at and x.rid = any(a.rids))
        union
        select 'resource ' || x.rid || '/' || x.version from expunged x
        join resource_version v on v.shard = (x.rid & 255)::smallint and v.rid = x.rid
        where v.version <= x.version and (v.body is not null or v.op <> 'delete')
    """,
    "every grant is about something that is there, for a reason that is there": """
        select 'grant of ' || g.rid || ' to ' || g.organization from moved.access_grant g
        where not exists (select 1 from resource r where r.rid = g.rid)
           or not exists (select 1 from resource r where r.rid = g.because)
    """,
    "who is asked may see the Task and the ServiceRequest that ask it, unless a Consent ended it": f"""
        select 'candidate ' || c.episode || '/' || c.ordinal from moved.candidate c
        where c.organization <> 0 and (select count(distinct g.rid) from access_grant g
               where g.organization = c.organization and g.because = c.task and g.rule = 'party'
                 and g.rid in (c.task, c.request) and (g.until is null or {_CONSENTED})) <> 2
          and not exists (select 1 from expunged x where x.whole and x.rid in (c.task, c.request))
    """,
    "what a pool is offered several see until one of them has claimed it, and then that one alone": """
        select 'candidate ' || c.episode || '/' || c.ordinal from moved.candidate c
        join need n on n.episode = c.episode and n.ordinal = c.need and n.strategy = 'pool'
        where case when c.organization = 0
          then c.status = 'requested' and not exists (
                select from access_grant g where g.rid = c.task and g.because = c.task and g.rule = 'party'
                  and g.until is null)
            or c.accepted_at is not null
          else exists (select 1 from access_grant g where g.because = c.task and g.rule = 'party'
                  and g.organization <> c.organization and g.until is null) end
    """,
    "a grant is because of a Task that asks its organization, or of a referral of its own": f"""
        select 'grant of ' || g.rid || ' to ' || g.organization from moved.access_grant g
        where not exists (
                select from candidate c
                where c.organization = g.organization
                  and (g.rule in ('party', 'referral') and c.task = g.because
                       -- of several that were asked, the one that has won
                       or g.rule = 'party' and c.episode = g.because and c.accepted_at is not null
                       -- a Task that asks to stop
                       or g.rule = 'party' and g.rid = g.because and exists (
                         select from change s where s.rid = g.rid and s.episode = c.episode)))
          and not exists (
                select from reminder m
                where g.rule = 'party' and m.communication = g.rid and m.organization = g.organization)
          and not exists (
                select from errand x
                where g.rule in ('party', 'referral') and x.task = g.because and x.owner = g.organization)
          -- what was released to whoever asked for it
          and not exists (
                select from errand x join resource t on t.rid = x.task and t.source = g.organization
                where g.rule = 'result' and x.kind = 'data-request' and x.task = g.because)
          -- whoever referred, of what its patient is asked
          and not exists (
                select from errand x join episode e on e.id = x.episode
                where g.rule = 'party' and x.task = g.because and x.owner = e.patient
                  and e.requester = g.organization)
          and not exists (
                select from episode e
                where g.rule = 'result' and e.id = g.because
                  and (e.requester = g.organization
                       -- the patient's doctor, its team, to whom copies are to go: of a result, and of whom it is
                       or g.rid = e.patient
                       or exists (select 1 from result m where m.rid = g.rid and m.episode = e.id)))
          -- of a pool, to whom it was offered: what tells for whom is not in it
          and not (g.rule = 'party' and g.dataset = {BLIND} and exists (
                select from candidate c join need n on n.episode = c.episode and n.ordinal = c.need
                where n.strategy = 'pool' and c.task = g.because and g.rid in (c.task, c.request)))
          -- what the hub writes to an organization by itself: of a broken glass, of two that were linked wrongly
          and not (g.rule = 'party' and g.rid = g.because and exists (
                select from resource n
                where n.rid = g.rid and n.source = {HUB} and n.type = {NUMBER["Communication"]}))
          -- who ordered, of who asks for a copy
          and not (g.rule = 'party' and g.rid = g.because and exists (
                select from resource n join episode e on e.patient = n.patient and e.requester = g.organization
                where n.rid = g.rid and n.source <> e.requester and n.type = {NUMBER["CommunicationRequest"]}))
          -- of a plan of care, who belongs to its team
          and g.rule <> 'team'
          -- who stands in for who is away
          and not (g.rule = 'deputy' and exists (select 1 from candidate c where c.task = g.because))
          -- of a tombstone, to whom was told of what it was
          and not exists (select 1 from expunged x where x.whole and x.rid = g.rid and g.because = g.rid)
    """,
    "what was shared for a referral is shared until its Task is declined, or a time after it is done": """
        select 'grant of ' || g.rid || ' to ' || g.organization from moved.access_grant g
        join candidate c on c.task = g.because
        where g.rule = 'referral'
          and case when c.status in ('rejected', 'cancelled', 'entered-in-error')
                then g.until is null or g.lapses
                else (g.until is null) = (c.status in ('completed', 'failed')) end
          and not exists (select 1 from expunged x where x.whole and x.rid in (g.rid, g.because))
    """,
    "everyone who was sent a result that is withdrawn is told of that": f"""
        select 'change ' || c.seq || ' for organization ' || a.organization
        from moved.change c
        join result m on m.rid = c.rid and m.episode = c.episode
        join audit a on a.interaction = 'disclosure' and a.rids @> array[c.rid] and a.at < c.at
        where c.op = 'delete' and c.relayed_at is not null and a.organization <> c.author
          and c.at >= {_RETAINED.format("delivery")}
          and not exists (
            select from delivery d where d.change = c.seq and d.organization = a.organization)
    """,
    "every timer of a referral is of a Task of it": """
        select 'timer ' || t.id from moved.timer t
        where t.episode is not null and t.subject <> t.episode
          and not exists (select 1 from candidate c where c.task = t.subject and c.episode = t.episode)
          and not exists (select 1 from errand x where x.task = t.subject and x.episode = t.episode)
    """,
    "no timer waits for what has ended": """
        select 'timer ' || t.id from moved.timer t
        join candidate c on c.task = t.subject
        where t.fired_at is null and c.ended_at is not null
        union all
        select 'timer ' || t.id from moved.timer t
        join errand x on x.task = t.subject
        where t.fired_at is null and x.closed_at is not null
    """,
    "whoever is to be reminded has a timer for it": """
        select 'reminder ' || r.id from reminder r
        where r.told_at is null
          and exists (select 1 from timer t where t.subject = r.waited_for and t.kind = r.kind)
          and not exists (
            select from timer t
            where t.kind = 'digest' and t.subject = r.organization and t.fired_at is null)
    """,
    "every id that a client chose leads to its resource": """
        select 'id in shard ' || a.shard || ' of type ' || a.type from assigned_id a
        where not exists (
            select from resource r
            where r.type = a.type and r.fhir_id = a.fhir_id and r.shard = a.shard)
    """,
    "by what persons are matched is of Patients, and of none that a victim service provider keeps": f"""
        select 'key of ' || i.rid from moved.idx_person i
        join resource r on r.rid = i.rid and r.shard = i.shard
        where r.type <> {NUMBER["Patient"]} or i.patient <> i.rid or r.labels & {VSP} <> 0
           or r.body like 'vsp%'
    """,
    "names are counted as often as records say them": """
        select 'name ' || coalesce(i.param, n.param) || ' ' || coalesce(i.key, n.key)
        from (select param, key, count(*) as number from idx_person where param in (9, 10) group by param, key) i
        full join (
            select param, key, sum(number) as number from (
                select param, key, number from name_count where param <> 0
                union all select param, key, number from name_change) c
            group by param, key) n on n.param = i.param and n.key = i.key
        where coalesce(i.number, 0) <> coalesce(n.number, 0)
    """,
    "a link of two records is of Patients that are there, and of none that a victim service provider keeps": f"""
        select 'link of ' || k.one || ' and ' || k.other from person_link k
        left join resource a on a.rid = k.one and a.shard = (k.one & 255)::smallint
        left join resource b on b.rid = k.other and b.shard = (k.other & 255)::smallint
        where a.rid is null or b.rid is null or (a.labels | b.labels) & {VSP} <> 0
           or a.type <> {NUMBER["Patient"]} or b.type <> {NUMBER["Patient"]}
    """,
    "every Idempotency-Key that stands says what it wrote": """
        select 'key of organization ' || i.organization from idempotency i where i.outcome is null
    """,
    "every number of an order says what it was given to": """
        select 'number of organization ' || o.organization from order_number o
        where o.outcome is null or not exists (
            select from resource r where r.rid = o.rid and r.type = o.type and r.source = o.organization)
    """,
    **{
        f"{name} is of current resources only, and of their owner and patient": f"""
            select '{name} of ' || i.rid from moved.{name} i
            left join resource r on r.shard = i.shard and r.rid = i.rid and r.body is not null
            where r.rid is null or i.source <> r.source or i.patient is distinct from r.patient
        """
        for name in _INDEXES
    },
}
"""What must be true -> the query for what breaks it: one text each, of ids only.

`moved.` stands before the tables whose rows are looked at one after the other; any other is looked up in.
"""

_OF_EPISODES = "(select * from {} where episode = any($5::bigint[]))"
_OF_RIDS = (
    "(select * from {} where (shard, rid) in"
    " (select (w.rid & 255)::smallint, w.rid from unnest($6::bigint[]) w(rid)))"
)
_MOVED: Final = {
    "episode": "(select * from episode where id = any($5::bigint[]))",
    **dict.fromkeys(("need", "candidate", "errand", "delivery", "timer"), _OF_EPISODES),
    "change": "(select * from change where rid = any($6::bigint[]))",
    "access_grant": (
        "(select * from access_grant where rid = any($6::bigint[]) or because = any($6::bigint[]))"
    ),
    **dict.fromkeys(("resource", "resource_version"), _OF_RIDS),
    **dict.fromkeys(_INDEXES, "(select * from {} where rid = any($6::bigint[]))"),
}
"""The rows of each table that belong to these referrals ($5) or resources ($6)."""


class Mark(NamedTuple):
    """How far somebody has looked. seq: of the last change."""

    seq: int
    at: datetime


async def mark(conn: Connection, now: datetime) -> Mark:
    return Mark(await conn.fetchval("select coalesce(max(seq), 0) from change"), now)


async def violations(
    conn: Connection,
    now: datetime,
    overdue: timedelta = OVERDUE,
    budget: timedelta = BUDGET,
    since: Mark | None = None,
) -> list[str]:
    """What is not as it must be, a sentence for each with the first ids; empty if all is well.

    budget: of a delivery, after which it is dead.

    One snapshot, so that a hub at work does not look broken. since: only of the referrals and resources
    about which anything was written, sent or due since then, which costs as much as there was of it; what
    belongs to nothing at all is found by looking at everything only.
    """
    found = []
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        moved = () if since is None else await _moved(conn, since)
        if not moved:  # the connections of the doors are set for looking up single rows
            for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
                await conn.execute(f"set local {setting} = on")
            await conn.execute("set local plan_cache_mode = force_custom_plan")
        for said, query in INVARIANTS.items():
            if moved and "moved." not in query:
                continue
            rows = await conn.fetch(
                "with bounds as (select $1::timestamptz as overdue, $3::interval as budget,"
                f" $4::timestamptz as spent), broken(one) as ({_of(query, moved)})"
                f" select one, count(*) over () from broken{_USED if moved else ''} order by one limit $2",
                now - overdue,
                SHOWN,
                budget,
                now - budget - LAST_TRY,
                *moved,
            )
            if rows:
                shown = ", ".join(row[0] for row in rows)
                found.append(f"Not so: {said}. {rows[0][1]}, such as {shown}")
    return found


_USED: Final = " where cardinality($5::bigint[]) >= 0 and cardinality($6::bigint[]) >= 0"
"""Says of what type they are where a query needs one of them only."""


def _of(query: str, moved: Sequence[object]) -> str:
    if not moved:
        return query.replace("moved.", "")
    return re.sub(r"moved\.(\w+)", lambda found: _MOVED[found[1]].format(found[1]), query)


async def _moved(conn: Connection, since: Mark) -> tuple[list[int], list[int]]:
    """ids of the referrals, and rids of the resources."""
    changed = "select rid, episode from change where seq > $1 or relayed_at is null and episode is not null"
    episodes = await conn.fetch(
        f"select episode from ({changed}) c where episode is not null"
        " union select episode from delivery where settled_at >= $2 or state = 'leased'"
        " union select episode from timer where fired_at >= $2 and episode is not null",
        *since,
    )
    rids = await conn.fetch(f"select distinct rid from ({changed}) c", since.seq)
    return [row[0] for row in episodes], [row[0] for row in rids]


async def violations_alone(
    conn: Connection, now: datetime, budget: timedelta = BUDGET
) -> list[str] | None:
    """The same, at its leisure, unless another process looks just now: None then."""
    if not await conn.fetchval("select pg_try_advisory_lock($1)", _LOOKING):
        return None
    try:
        await conn.execute("set statement_timeout = 0")
        return await violations(conn, now, budget=budget)
    finally:
        await conn.execute("reset statement_timeout")
        await conn.execute("select pg_advisory_unlock($1)", _LOOKING)
