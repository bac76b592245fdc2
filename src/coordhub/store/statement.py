"""The one statement of a write, put together from the parts that have something to do.

Each part is a CTE that writes one kind of rows. The rows of a kind travel as arrays and are spread by
`unnest`, so that the text does not depend on how many there are: it is prepared once for each
combination of kinds. A part without rows is left out: each table that a statement names is opened
and locked with its indexes, also if nothing is written to it.

https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from coordhub.r4.sensitivity import VSP


class Part(NamedTuple):
    """columns: name and type of each, as in a column definition; none: the part reads those of `w`.

    text: the statement, with `{rows}` where the rows stand as a table with an alias; $1 is the instant of the commit.
    """

    columns: str
    text: str

    @property
    def width(self) -> int:
        """How many arguments its rows are: an array for each column, or all of them as JSON."""
        return 1 if self.as_json else len(self._columns())

    @property
    def as_json(self) -> bool:
        """Where a column is an array itself, which unnest would spread as well."""
        return "[]" in self.columns

    def rendered(self, first: int) -> str:
        """The text, its arguments numbered from `first`."""
        if not self.columns:
            return self.text
        if self.as_json:
            rows = f"jsonb_to_recordset(${first}::jsonb) as n({self.columns})"
        else:
            columns = self._columns()
            arrays = ", ".join(f"${first + at}::{kind}[]" for at, (_, kind) in enumerate(columns))
            rows = f"unnest({arrays}) as n({', '.join(name for name, _ in columns)})"
        return self.text.replace("{rows}", rows)

    def _columns(self) -> list[tuple[str, str]]:
        pairs = (column.split() for column in self.columns.split(",") if column)
        return [(name, kind) for name, kind in pairs]


_OWNER = "rid bigint, source bigint, patient bigint"
_TOKEN = f"param smallint, system int, code text, {_OWNER}"
_STRING = f"param smallint, value text, exact text, {_OWNER}"
_REFERENCE = f"param smallint, target bigint, uri text, {_OWNER}"
_DATE = f"param smallint, low timestamptz, high timestamptz, {_OWNER}"
_NUMBER = f"param smallint, low numeric, high numeric, {_OWNER}"
_MEASURE = (
    "low numeric, high numeric, dimension text, canonical_low numeric, canonical_high numeric"
)
_QUANTITY = f"param smallint, system int, code text, unit text, {_MEASURE}, {_OWNER}"
_URI = f"param smallint, value text, {_OWNER}"
_COMPOSITE = (
    f"param smallint, system int, code text, {_OWNER}, value_system int, value text, unit text, {_MEASURE},"
    " first timestamptz, last timestamptz, target bigint, third numeric"
)
_POSITION = f"param smallint, latitude float8, longitude float8, {_OWNER}"
_PERSON = f"param smallint, key bigint, {_OWNER}"


def _added(table: str, columns: str) -> Part:
    names = ", ".join(column.split()[0] for column in columns.split(","))
    return Part(
        columns,
        f"insert into {table} (shard, {names}) select (n.rid & 255)::smallint, n.* from {{rows}}",
    )


def _removed(table: str, columns: str, condition: str) -> Part:
    return Part(
        columns,
        f"delete from {table} i using {{rows}} where i.rid = n.rid and i.param = n.param and {condition}",
    )


PARTS: Final = {
    "w": Part(
        "rid bigint, type smallint, fhir_id text, version int, op text, author bigint, source bigint,"
        " patient bigint, body text, assigned boolean, episode bigint, labels bigint,"
        " dangling boolean, quarantined boolean, seen xid",
        "select * from {rows}",
    ),
    "superseded": Part(
        "",
        "insert into resource_version (shard, rid, version, op, updated, author, source, patient, labels, body)"
        " select r.shard, r.rid, r.version, r.op, r.updated, r.author, r.source, r.patient, r.labels, r.body"
        " from w join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint where w.version > 1",
    ),
    "inserted": Part(
        "",
        "insert into resource (shard, rid, type, fhir_id, version, op, updated, author, source, patient, labels, body,"
        " dangling, quarantined)"
        " select (rid & 255)::smallint, rid, type, fhir_id, version, op, $1, author, source, patient, labels, body,"
        " dangling, quarantined from w where version = 1",
    ),
    "updated": Part(
        "",
        "update resource r set version = w.version, op = w.op, updated = $1, author = w.author,"
        " patient = w.patient, labels = w.labels, body = w.body, dangling = w.dangling,"
        " quarantined = w.quarantined"
        " from w where r.rid = w.rid and r.shard = (w.rid & 255)::smallint and w.version > 1"
        " and r.version = w.version - 1 and coalesce(r.xmin = w.seen, true) returning w.rid",
    ),
    "assigned": Part(
        "",
        "insert into assigned_id (type, fhir_id, shard)"
        " select type, fhir_id, (rid & 255)::smallint from w where assigned and version = 1",
    ),
    "traced": Part(
        "rid bigint, version int, parent text",
        "insert into trace (rid, version, parent, at) select n.*, $1 from {rows} on conflict do nothing",
    ),
    "changed": Part(
        "",
        "insert into change (at, shard, rid, version, type, op, author, episode)"
        " select $1, (rid & 255)::smallint, rid, version, type, op, author, episode from w",
    ),
    "tokens_removed": _removed("idx_token", _TOKEN, "i.system = n.system and i.code = n.code"),
    "strings_removed": _removed("idx_string", _STRING, "i.exact = n.exact"),
    "references_removed": _removed(
        "idx_reference",
        _REFERENCE,
        "i.target is not distinct from n.target and i.uri is not distinct from n.uri",
    ),
    "dates_removed": _removed("idx_date", _DATE, "i.low = n.low and i.high = n.high"),
    "numbers_removed": _removed("idx_number", _NUMBER, "i.low = n.low and i.high = n.high"),
    "quantities_removed": _removed(
        "idx_quantity",
        _QUANTITY,
        "i.system = n.system and i.low = n.low and i.high = n.high"
        " and i.code is not distinct from n.code and i.unit is not distinct from n.unit",
    ),
    "uris_removed": _removed("idx_uri", _URI, "i.value = n.value"),
    "composites_removed": _removed(
        "idx_composite",
        _COMPOSITE,
        "i.system = n.system and i.code = n.code"
        " and (i.value_system, i.value, i.unit, i.low, i.high, i.first, i.last, i.target, i.third)"
        " is not distinct from"
        " (n.value_system, n.value, n.unit, n.low, n.high, n.first, n.last, n.target, n.third)",
    ),
    "positions_removed": _removed(
        "idx_position", _POSITION, "i.latitude = n.latitude and i.longitude = n.longitude"
    ),
    "persons_removed": _removed("idx_person", _PERSON, "i.key = n.key"),
    "tokens_added": _added("idx_token", _TOKEN),
    "strings_added": _added("idx_string", _STRING),
    "references_added": _added("idx_reference", _REFERENCE),
    "dates_added": _added("idx_date", _DATE),
    "numbers_added": _added("idx_number", _NUMBER),
    "quantities_added": _added("idx_quantity", _QUANTITY),
    "uris_added": _added("idx_uri", _URI),
    "composites_added": _added("idx_composite", _COMPOSITE),
    "positions_added": _added("idx_position", _POSITION),
    "persons_added": _added("idx_person", _PERSON),
    "to_be_matched": Part("rid bigint", "insert into person_due (rid) select n.rid from {rows}"),
    "granted": Part(
        "organization bigint, rid bigint, because bigint, rule text, labels bigint, dataset smallint,"
        " until timestamptz",
        "insert into access_grant as g (organization, rid, because, rule, labels, dataset, until, since, shard,"
        " lapses) select n.*, $1, (n.rid & 255)::smallint,"
        " n.until is not null and n.rule in ('referral', 'result') from {rows}"
        " on conflict (organization, rid, because, rule) do update set until = excluded.until,"
        " lapses = excluded.lapses, xid = excluded.xid where g.rule in ('release', 'result', 'team')",
    ),
    "granted_no_more": Part(
        "because bigint, rule text",
        "update access_grant g set until = $1 from {rows}"
        " where g.because = n.because and g.rule = n.rule and (g.until is null or g.until > $1)",
    ),
    "shown_for_now": Part(
        "task bigint, until timestamptz",
        "update access_grant g set until = n.until, lapses = true from {rows}"
        " where g.because = n.task and g.rule = 'referral' and g.until is null",
    ),
    "lapsing": Part(
        "organization bigint, episode bigint, until timestamptz",
        "update access_grant g set until = n.until, lapses = n.until is not null, xid = pg_current_xact_id()"
        " from {rows} where g.because = n.episode and g.rule = 'result' and g.organization = n.organization"
        " and (g.until is null or g.lapses and g.until > $1)",
    ),
    "released": Part(
        "consent bigint, task bigint, told bigint, organization bigint, until timestamptz",
        "insert into vsp_release (consent, task, told, organization, until) select n.* from {rows}"
        " on conflict (consent) do update set until = excluded.until",
    ),
    "ruled_no_more": Part(
        "because bigint",
        "update access_rule c set until = least($1, now()), xid = pg_current_xact_id() from {rows}"
        " where c.because = n.because and (c.until is null or c.until > $1)",
    ),
    "ruled": Part(
        "actor bigint, patient bigint, permit boolean, precedence bigint, since timestamptz, because bigint,"
        " rule text, until timestamptz, types smallint[], rids bigint[], only_labels bigint, covers bigint,"
        " systems int[], codes text[], data_from timestamptz, data_to timestamptz, purposes text[]",
        "insert into access_rule (actor, patient, permit, precedence, since, because, rule, until, types, rids,"
        " only_labels, covers, systems, codes, data_from, data_to, purposes) select n.* from {rows}",
    ),
    "partied": Part(
        "organization bigint, kind text",
        "insert into party (organization, kind) select n.organization, n.kind from {rows}"
        " on conflict (organization) do update set kind = excluded.kind where party.kind <> 'vsp'",
    ),
    "audited": Part(
        "client text, organization bigint, interaction text, outcome smallint, type smallint, fhir_id text,"
        " rids bigint[], query text, delivery uuid, request_id text, person text",
        "insert into audit (at, client, organization, interaction, outcome, type, fhir_id, rids, query,"
        " delivery, request_id, person) select $1, n.* from {rows}",
    ),
    "opened": Part(
        "id bigint, requester bigint, request bigint, patient bigint",
        "insert into episode (id, requester, request, patient, shard, state, opened_at)"
        " select n.*, (n.id & 255)::smallint, 'open', $1 from {rows}",
    ),
    "supplied": Part(
        "id bigint, request bigint, patient bigint",
        "update episode e set request = n.request, patient = n.patient from {rows} where e.id = n.id",
    ),
    "awaited": Part(
        "subject bigint, organization bigint, endpoint bigint, client text",
        "insert into fetching as f (subject, organization, endpoint, client, kind, state, since, next_at, shard)"
        " select n.*, 'focus', 'queued', $1, $1, (n.subject & 255)::smallint from {rows}"
        " on conflict (subject, kind) do update set endpoint = excluded.endpoint, client = excluded.client,"
        " state = 'queued', attempts = 0, since = $1, next_at = $1, lease_until = null",
    ),
    "progressed": Part(
        "id bigint, planned boolean, closed boolean",
        "update episode e set planned_at = case when n.planned then $1 else e.planned_at end,"
        " state = case when n.closed then 'closed' else e.state end,"
        " closed_at = case when n.closed then coalesce(e.closed_at, $1) else e.closed_at end"
        " from {rows} where e.id = n.id",
    ),
    "needed": Part(
        "episode bigint, ordinal smallint, request bigint, kind text, strategy text",
        "insert into need (episode, ordinal, request, kind, strategy, shard, state, wave, opened_at)"
        " select n.*, (n.episode & 255)::smallint, 'open', 0, $1 from {rows}",
    ),
    "need_moved": Part(
        "episode bigint, ordinal smallint, state text, wave smallint, reason text",
        "update need d set state = n.state, wave = n.wave, reason = n.reason,"
        " next_at = case when n.state = 'open' then d.next_at end,"
        " closed_at = case when n.state in ('met', 'unmet', 'withdrawn') then coalesce(d.closed_at, $1) end"
        " from {rows} where d.episode = n.episode and d.ordinal = n.ordinal",
    ),
    "prospected": Part(
        "episode bigint, need smallint, rank smallint, organization bigint, recipient text, verdict text,"
        " score float8, findings text",
        "insert into prospect (episode, need, rank, organization, recipient, verdict, score, findings, shard)"
        " select n.*, (n.episode & 255)::smallint from {rows}",
    ),
    "asked": Part(
        "episode bigint, ordinal smallint, organization bigint, recipient text, task bigint,"
        " request bigint, status text, need smallint, wave smallint",
        "insert into candidate (episode, ordinal, organization, recipient, task, request, status, need, wave,"
        " shard, asked_at) select n.*, (n.task & 255)::smallint, $1 from {rows}",
    ),
    "answered": Part(
        "task bigint, status text, reason text, organization bigint, recipient text",
        "update candidate c set status = n.status, reason = n.reason,"
        " organization = coalesce(n.organization, c.organization), recipient = coalesce(n.recipient, c.recipient),"
        " accepted_at = case when n.status in ('accepted', 'in-progress', 'on-hold', 'completed', 'failed')"
        " then coalesce(c.accepted_at, $1) else c.accepted_at end,"
        " started_at = case when n.status = 'in-progress' then coalesce(c.started_at, $1) else c.started_at end,"
        " ended_at = case when n.status in ('rejected', 'cancelled', 'failed', 'completed', 'entered-in-error')"
        " then coalesce(c.ended_at, $1) else c.ended_at end"
        " from {rows} where c.task = n.task",
    ),
    "errands_opened": Part(
        "task bigint, episode bigint, kind text, owner bigint, subject bigint",
        "insert into errand (task, episode, kind, owner, subject, shard, opened_at)"
        " select n.*, (n.task & 255)::smallint, $1 from {rows}",
    ),
    "errands_closed": Part(
        "task bigint, episode bigint",
        "update errand x set closed_at = coalesce(x.closed_at, $1), episode = coalesce(x.episode, n.episode)"
        " from {rows} where x.task = n.task",
    ),
    "ended": Part(
        "task bigint",
        "update access_grant g set until = least(g.until, $1, now()), lapses = false from {rows}"
        " where g.because = n.task and (g.rule = 'referral' and (g.until is null or g.lapses)"
        " or g.rule = 'deputy' and (g.until is null or g.until > $1))",
    ),
    "unpooled": Part(
        "task bigint, organization bigint",
        "update access_grant g set until = least($1, now()) from {rows}"
        " where g.because = n.task and g.rule = 'party' and g.organization <> n.organization and g.until is null",
    ),
    "resulted": Part(
        "rid bigint, episode bigint, how text, because bigint, version int",
        "insert into result (rid, episode, how, because, version, shard, matched_at)"
        " select n.*, (n.rid & 255)::smallint, $1 from {rows} on conflict (rid, episode) do nothing",
    ),
    "resulted_no_more": Part(
        "rid bigint, episode bigint",
        "update access_grant g set until = least(g.until, $1, now()), lapses = false from {rows}"
        " where g.because = n.episode and g.rid = n.rid and g.rule = 'result'"
        " and (g.until is null or g.lapses or g.until > $1)",
    ),
    "timed": Part(
        "episode bigint, kind text, subject bigint, since timestamptz, due_at timestamptz,"
        " stood_at timestamptz, fired_at timestamptz",
        "insert into timer (episode, kind, subject, since, due_at, stood_at, fired_at, shard)"
        " select n.*, (n.subject & 255)::smallint from {rows}"
        " on conflict (subject, kind) do update set since = excluded.since, due_at = excluded.due_at,"
        " stood_at = excluded.stood_at, fired_at = excluded.fired_at",
    ),
    "untimed": Part(
        "kind text, subject bigint",
        "delete from timer t using {rows} where t.subject = n.subject and t.kind = n.kind",
    ),
    "subscribed": Part(
        "rid bigint, organization bigint, channel text, state text, config text, until timestamptz, reason text,"
        " client text, scopes text, permission uuid",
        "insert into subscription as s (rid, organization, channel, state, config, until, reason, client, scopes,"
        " permission, shard, event, sent, failures, next_at)"
        " select n.*, (n.rid & 255)::smallint, 0, 0, 0, $1 from {rows}"
        " on conflict (rid) do update set channel = excluded.channel, state = excluded.state, config = excluded.config,"
        " until = excluded.until, reason = excluded.reason, failures = 0, lease_until = null,"
        # whoever asked for it last bounds it; the hub, which says how it goes with it, asks for nothing
        " client = coalesce(excluded.client, s.client),"
        " scopes = case when excluded.client is null then s.scopes else excluded.scopes end,"
        " permission = case when excluded.client is null then s.permission else excluded.permission end,"
        " message = null, trying = null, again_from = null, again_until = null,"
        # what happened while it could not be told is not told once it is asked to go on: it is asked for
        " sent = case when s.state in ('error', 'off') and excluded.state = 'requested' then s.event else s.sent end,"
        " next_at = case when excluded.state = 'requested' then $1 else s.next_at end",
    ),
    "foreseen": Part(
        "subscription bigint, rid bigint, version integer",
        "insert into subscription_deletion (subscription, rid, version, shard)"
        " select n.*, (n.subscription & 255)::smallint from {rows}",
    ),
}
"""By name, in the order in which they stand in a statement; `w` are the new versions, which others read."""


@lru_cache(maxsize=512)
def statement(kinds: tuple[str, ...]) -> str:
    """The statement that writes these kinds, its arguments after $1 being theirs, in their order.

    It divides by zero, and so writes nothing, where a resource is no longer at the version before, or its
    row was written since it was seen: labelled, or reindexed; or is a victim service provider's and not
    labelled so.
    """
    ctes: list[str] = []
    first = 2
    for kind in kinds:
        part = PARTS[kind]
        how = "materialized " if kind == "w" else ""
        ctes.append(f"{kind} as {how}({part.rendered(first)})")
        first += part.width if part.columns else 0
    ends = ["$1::timestamptz"]
    if "w" in kinds:
        # a provider that was marked a moment ago, of which this process did not know yet
        overlooked = (
            "exists (select 1 from w join party p on p.organization = any(array[w.source, w.author])"
            f" and p.kind = 'vsp' where w.labels & {VSP} = 0)"
        )
        ends.append(f"1 / (not {overlooked})::int")
    if "updated" in kinds:
        before = "(select count(*) from w where version > 1)"
        ends.append(f"1 / ((select count(*) from updated) = {before})::int")
    return f"with {', '.join(ctes)} select {', '.join(ends)}"
