"""How long what is kept: the schedules, and the function that carries them out.

A schedule is the owner's to write. The function runs with the owner's rights, whoever calls it, and
takes no instant: what it removes is what the schedules as they stand have made due by the database's
clock, and nothing else. So workers can run it without being able to rewrite the record.

Never removed: what is under a legal hold, what belongs to a patient with an open referral, Consents
in force, a Patient of whom anything else is left, what is about no patient, and of the audit anything
younger than the accounting of disclosures reaches back. The audit goes seal by seal, oldest first and
without a gap; a row of it says how far, which `seals.verify` takes for nothing but what is old enough.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.store.disclosures import SIX_YEARS
from coordhub.store.engine import Connection, Engine
from coordhub.store.visibility import HUB
from coordhub.telemetry import log

LOCK: Final = 0x636F6F7264726574
"""Advisory lock (`coordret` in ASCII): of several processes one removes at a time."""

TABLES: Final = ("app_permission", "audit", "delivery", "idempotency", "subscription_event")
"""Subjects that are no resources."""

AUDIT_MARK: Final = "audit-retained"
"""Interaction of the audit's row that says up to which seal its rows were removed: `until=N`."""

AT_ONCE: Final = 500
"""Removed in one transaction: no writer waits long for it."""

LOOK_EVERY: Final = 600.0
"""Seconds between looks whether a schedule is to be carried out, which each is once a day."""

_HELD = "select from legal_hold h where h.patient"

_RESOURCES = f"""
    select r.rid from resource r
    where (s.type is null or r.type = s.type) and (s.labels is null or r.labels & s.labels <> 0)
      and r.body is not null and r.patient is not null and r.updated < horizon_
      and not exists ({_HELD} = r.patient)
      and not exists (select from episode e where e.patient = r.patient and e.state = 'open')
      and not exists (select from delivery d where d.rid = r.rid and d.settled_at is null)
      and not exists (select from access_rule c where c.because = r.rid and (c.until is null or c.until > now()))
      and (r.rid <> r.patient or not exists (
            select from resource o where o.patient = r.patient and o.rid <> r.rid and o.body is not null))
      and (s.since = 'update'
           or not exists (select from resource o where o.patient = r.patient and o.body is not null
                            and o.updated >= horizon_)
              and not exists (select from episode e where e.patient = r.patient and e.closed_at >= horizon_))
    order by r.rid limit most_
"""

_DELIVERIES = f"""
    select d.id from delivery d
    where d.episode in (
        select e.id from episode e
        where e.closed_at < horizon_ and not exists ({_HELD} = e.patient)
          and exists (select from delivery o where o.episode = e.id)
          and not exists (select from change c where c.episode = e.id and c.relayed_at is null)
          and not exists (select from delivery o where o.episode = e.id
                            and (o.settled_at is null or o.settled_at >= horizon_)))
    union all
    select d.id from delivery d
    where d.settled_at < horizon_ and not exists (select from episode e where e.id = d.episode)
      and not exists ({_HELD} = d.episode)
    limit most_
"""

_KEYS = "select i.organization, i.key from idempotency i where i.at < horizon_ limit most_"

_EVENTS = """
    select e.subscription, e.number from subscription_event e left join subscription u on u.rid = e.subscription
    where e.at < horizon_ and (u.rid is null or u.state in ('off', 'error') or e.number <= u.sent)
      and (u.again_from is null or e.number < u.again_from or e.number > u.again_until)
    limit most_
"""

_PERMISSIONS = "select a.id from app_permission a where a.ended_at < horizon_ limit most_"

_UNDER = (
    "(a.xid, a.seq) >= (coalesce(before_.until_xid, '0'::xid8), coalesce(before_.until_seq, 0))"
    " and (a.xid, a.seq) < (seal_.until_xid, seal_.until_seq)"
)

FUNCTIONS: Final = f"""
create or replace function retention_step(subject_ text, most_ int) returns int
language plpgsql security definer as $body$
-- Remove at most so many of what the schedule of this subject has made due; 0: nothing is left to
-- remove, null: another process is at it, or there is no such schedule.
declare
    s retention;
    seal_ audit_seal;
    before_ audit_seal;
    horizon_ timestamptz;
    rids_ bigint[];
    removed_ int := 0;
    newest_ timestamptz;
begin
    if not pg_try_advisory_xact_lock({LOCK}) then
        return null;
    end if;
    select * into s from retention t where t.subject = subject_ and t.keep is not null;
    if not found then
        return null;
    end if;
    horizon_ := now() - s.keep::interval;

    if subject_ = 'idempotency' then
        delete from idempotency i using ({_KEYS}) due where (i.organization, i.key) = (due.organization, due.key);
        get diagnostics removed_ = row_count;
    elsif subject_ = 'subscription_event' then
        delete from subscription_event e using ({_EVENTS}) due
        where (e.subscription, e.number) = (due.subscription, due.number);
        get diagnostics removed_ = row_count;
    elsif subject_ = 'app_permission' then
        with due as ({_PERMISSIONS}), codes as (delete from app_code c using due where c.permission = due.id),
            further as (delete from refresh_token t using due where t.permission = due.id)
        delete from app_permission a using due where a.id = due.id;
        get diagnostics removed_ = row_count;
    elsif subject_ = 'delivery' then
        with due as ({_DELIVERIES}), gone as (delete from attempt a using due where a.delivery = due.id),
            mended as (delete from mending m using due where m.delivery = due.id),
            told as (delete from told_by_mail t using due where t.delivery = due.id),
            opened as (delete from link l using due where l.delivery = due.id and l.until < now())
        delete from delivery d using due where d.id = due.id;
        get diagnostics removed_ = row_count;
        newest_ := horizon_;
    elsif subject_ = 'audit' then
        horizon_ := least(horizon_, now() - interval '{SIX_YEARS.days} days');
        select * into before_ from audit_seal l where l.number = s.done_seal;
        loop
            select * into seal_ from audit_seal l where l.number = coalesce(s.done_seal, 0) + 1;
            exit when not found or seal_.sealed_at >= horizon_ or exists (
                select from audit a where {_UNDER} and (a.at >= horizon_ or exists (
                    select from unnest(a.rids) u(rid) join resource r on r.rid = u.rid
                    where exists ({_HELD} = r.patient))));
            with gone as (delete from audit a where {_UNDER} returning a.at)
            select greatest(newest_, max(gone.at)) into newest_ from gone;
            removed_ := removed_ + seal_.rows;
            s.done_seal := seal_.number;
            before_ := seal_;
            exit when removed_ >= most_;
        end loop;
        if removed_ > 0 then
            insert into audit (at, organization, interaction, outcome, rids, query)
            values (now(), {HUB}, '{AUDIT_MARK}', 0, '{{}}', 'until=' || s.done_seal);
        end if;
    else
        select array_agg(due.rid) into rids_ from ({_RESOURCES}) due;
        removed_ := coalesce(cardinality(rids_), 0);
        if removed_ > 0 then
            perform expunge_content(rids_, true, null, 'retention', 'subject=' || subject_);
        end if;
    end if;

    if removed_ > 0 and subject_ in ('idempotency', 'delivery', 'subscription_event', 'app_permission') then
        insert into audit (at, organization, interaction, outcome, rids, query)
        values (now(), {HUB}, 'retention', 0, '{{}}', 'subject=' || subject_ || '&removed=' || removed_);
    end if;
    update retention t set done_seal = s.done_seal,
        done_until = case when removed_ > 0 and newest_ is not null
            then greatest(t.done_until, newest_ + interval '1 microsecond') else t.done_until end,
        ran_at = case when removed_ < most_ then now() else t.ran_at end
    where t.subject = subject_;
    return removed_;
end
$body$;
do $do$
begin
    -- With the owner's rights nothing may be looked for where others can put something.
    execute format('alter function retention_step(text, int) set search_path = %I, pg_temp', current_schema);
end
$do$;
"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """keep: ISO 8601 duration; None: for ever. since: update or care."""

    subject: str
    keep: str | None
    since: str
    ran_at: datetime | None
    done_until: datetime | None


async def schedules(conn: Connection) -> list[Schedule]:
    rows = await conn.fetch(
        "select subject, keep, since, ran_at, done_until from retention order by subject"
    )
    return [Schedule(*row) for row in rows]


async def to_run(conn: Connection) -> list[str]:
    """Subjects whose schedule was not carried out to its end within a day."""
    rows = await conn.fetch(
        "select subject from retention where keep is not null"
        " and (ran_at is null or ran_at < now() - interval '1 day') order by subject"
    )
    return [row[0] for row in rows]


async def set_schedule(
    conn: Connection, subject: str, type_: int | None, labels: int | None, keep: str | None, since: str
) -> None:  # fmt: skip
    """What was done by an earlier one stays known."""
    await conn.execute(
        "insert into retention (subject, type, labels, keep, since) values ($1, $2, $3, $4, $5)"
        " on conflict (subject) do update set keep = excluded.keep, since = excluded.since, ran_at = null",
        subject,
        type_,
        labels,
        keep,
        since,
    )


async def days(conn: Connection, keep: str) -> float:
    """How long a duration is, in days of 24 hours and months of 30, as Postgres reads it."""
    seconds: float = await conn.fetchval(
        "select extract(epoch from $1::text::interval)::float8", keep
    )
    return seconds / 86_400


async def step(conn: Connection, subject: str, most: int) -> int | None:
    """Remove at most `most`; 0: nothing is due. None: another process is at it."""
    removed: int | None = await conn.fetchval("select retention_step($1, $2)", subject, most)
    return removed


async def keep_retaining(engine: Engine, stop: asyncio.Event) -> None:
    """Carry out each schedule once a day until told to stop; of several workers one does it."""
    while not stop.is_set():
        try:
            async with engine.pool.acquire() as conn:
                for subject in await to_run(conn):
                    await carry_out(conn, subject, stop)
        except Exception as error:  # a worker goes on, whatever it was
            log("retention.failed", level="error", error=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await stop.wait()


async def carry_out(conn: Connection, subject: str, stop: asyncio.Event | None = None) -> int:
    """Remove all that is due of a subject, in steps of a transaction each; how much it was."""
    total = 0
    while not (stop is not None and stop.is_set()):
        removed = await step(conn, subject, AT_ONCE)
        total += removed or 0
        if not removed:
            break
    if total:
        log("retention.removed", subject=subject, removed=total)
    return total


async def due(conn: Connection, subject: str, most: int) -> int:
    """How many would be removed, counted up to `most`; of the audit, how many rows at most."""
    counted = {
        "idempotency": _KEYS,
        "delivery": _DELIVERIES,
        "subscription_event": _EVENTS,
        "app_permission": _PERMISSIONS,
        "audit": (
            "select l.rows from audit_seal l where l.number > coalesce(s.done_seal, 0)"
            f" and l.sealed_at < least(horizon_, now() - interval '{SIX_YEARS.days} days')"
        ),
    }.get(subject, _RESOURCES)
    count = "coalesce(sum(f.rows), 0)" if subject == "audit" else "count(*)"
    text = counted.replace("most_", "$2").replace("horizon_", "s.horizon")
    number: int | None = await conn.fetchval(
        f"select (select {count} from ({text}) f)"
        " from (select t.*, now() - t.keep::interval as horizon from retention t"
        "   where t.subject = $1 and t.keep is not null and $2::int is not null) s",
        subject,
        most,
    )
    return int(number or 0)


async def hold(conn: Connection, patient: int, reason: str, by: str, now: datetime) -> bool:
    """False if it is held already."""
    done: Any = await conn.fetchval(
        "insert into legal_hold (patient, reason, held_by, since) values ($1, $2, $3, $4)"
        " on conflict do nothing returning patient",
        patient,
        reason,
        by,
        now,
    )
    return done is not None


async def release(conn: Connection, patient: int) -> bool:
    done: Any = await conn.fetchval(
        "delete from legal_hold where patient = $1 returning patient", patient
    )
    return done is not None


@dataclass(frozen=True, slots=True)
class Hold:
    patient: str
    reason: str
    held_by: str
    since: datetime


async def holds(conn: Connection) -> Sequence[Hold]:
    rows = await conn.fetch(
        "select r.fhir_id, h.reason, h.held_by, h.since from legal_hold h"
        " join resource r on r.rid = h.patient order by h.since"
    )
    return [Hold(f"Patient/{row[0]}", *row[1:]) for row in rows]
