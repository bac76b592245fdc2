"""The role of reports and ad-hoc questions: row-level security as a second wall.

The application's wall is the Viewer in each statement; here is one for who writes statements by hand.
REPORT logs in for nobody: a login of the deployment is made a member of it. It reads resources, their
versions, their index rows and the change log, and of these only what the organization sees whole of which
`coordhub.organization` is the rid: a report cannot be trimmed, so what is shown by a data set is left out.
Without that setting it sees the public directory. What it sees is decided by `access_shows`, as for
everyone; what stands in grants, rules, audit, deliveries and projections it may not read at all.

The wall is a restrictive policy for members of REPORT beside one that lets all others through: neither the
owner nor the application is slowed down or held up by it. The setting is the session's own to make, so
that it guards against mistakes in a report, not against who may log in as one; who is to see one organization
only is given a tool that sets it.

https://www.postgresql.org/docs/current/ddl-rowsecurity.html
"""

from __future__ import annotations

from typing import Final

from coordhub.r4.sensitivity import TEST, VSP
from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection
from coordhub.store.roles import APPLICATION, making
from coordhub.store.visibility import DIRECTORY, WHOLE

REPORT: Final = "coordhub_report"

INDEXES: Final = (
    "idx_composite", "idx_date", "idx_number", "idx_position", "idx_quantity", "idx_reference",
    "idx_string", "idx_token", "idx_uri",
)  # fmt: skip

READABLE: Final = {
    "resource": "null",
    "resource_version": "version",
    "change": "version",
    **dict.fromkeys(INDEXES, "null"),
}
"""What REPORT may read, and which version of its resource a row is about; null: the current one."""

PUBLIC: Final = ("code_system",)
"""What it reads besides: names of code systems, by which index rows are understood."""

_FUNCTION: Final = f"""
do $do$
begin
    -- As the owner, for REPORT reads no rules; and by the tables of this schema, whatever a session names so.
    execute format($make$
create or replace function access_reports(rid_ bigint, version_ int)
returns boolean language plpgsql stable parallel safe security definer cost 200
set search_path = %1$I, pg_temp set plan_cache_mode = force_generic_plan as $body$
-- Whether the organization of this session sees the resource, and sees it whole; of a version by its classes, too.
declare
    actor_ bigint := nullif(current_setting('coordhub.organization', true), '')::bigint;
    of_ record;
begin
    select r.source, r.patient, r.type, r.labels | coalesce(v.labels, 0) as labels, r.quarantined into of_
    from resource r left join resource_version v
      on v.shard = r.shard and v.rid = r.rid and v.version = version_
    where r.rid = rid_ and r.shard = (rid_ & 255)::smallint;
    if not found then
        return false;
    end if;
    return of_.source = {DIRECTORY} and not of_.quarantined and of_.labels & {VSP} = 0
        and (of_.labels & {TEST} = 0 or exists (select from sandbox s where s.organization = actor_))
        and of_.type <> {NUMBER["Endpoint"]} or actor_ is not null and (of_.source = actor_
        or access_shows(actor_, rid_, of_.patient, of_.type, of_.labels, of_.quarantined, null::smallint[])
           is not distinct from {WHOLE}::smallint);
end
$body$
    $make$, current_schema);
end
$do$
"""

_WALL: Final = """
do $$
begin
    if not exists (
        select from pg_policies where schemaname = current_schema and tablename = '{table}'
          and policyname = 'reports'
    ) and exists (select from pg_roles where rolname = '{role}') then
        set local lock_timeout = '5s';
        drop policy if exists everyone on {table};
        create policy everyone on {table} using (true) with check (true);
        create policy reports on {table} as restrictive for select to {role}
            using (access_reports(rid, {version}));
        alter table {table} enable row level security;
    end if;
end
$$
"""

_GRANT: Final = f"""
do $$
declare
    name text;
begin
    if not exists (select from pg_roles where rolname = '{REPORT}') then
        return;
    end if;
    execute format('grant usage on schema %I to {REPORT}', current_schema);
    execute format('revoke all on all tables in schema %I from {REPORT}', current_schema);
    foreach name in array array['{"', '".join((*READABLE, *PUBLIC))}'] loop
        execute format('grant select on %I to {REPORT}', name);
    end loop;
    if (select rolsuper from pg_roles where rolname = current_user)
       and exists (select from pg_roles where rolname = '{APPLICATION}' and not rolbypassrls) then
        -- The policy lets it through; without any, Postgres plans as it does for the owner.
        alter role {APPLICATION} bypassrls;
    end if;
end
$$
"""


async def prepare(conn: Connection) -> None:
    """Make the role if that is permitted, the wall where it is missing, and say anew what may be read.

    A table gets its wall before anything of it is granted.
    """
    await conn.execute(making(REPORT, "Reports"))
    await conn.execute(_FUNCTION)
    for table, version in READABLE.items():
        await conn.execute(_WALL.format(table=table, role=REPORT, version=version))
    await conn.execute(_GRANT)
