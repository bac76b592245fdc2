"""Who may see a row, as SQL: the only place where that is decided.

A row is visible to a Viewer if its organization wrote it, if it is of the public directory, or if
`access_shows` says so: by a rule of the patient's (a Consent, a treatment relationship) or by a grant
(a referral, a result); what is in quarantine, only if its organization wrote it. Rules and grants are
decisions, made in the transaction of the change that altered them (record.grants, record.consents);
reading only looks them up, so that what is withdrawn is withdrawn for the next read. The fragment is
added to every statement that reads a resource for someone, so that a hidden row and an absent one are
the same row: none.

What organizations of the sandbox write is labelled so (TEST) and seen by them alone; they see nothing of
anybody else but the public directory.

The function is kept in the database: Postgres then plans it once a session and not with each search,
and reports under row-level security decide by the same text.
"""

from __future__ import annotations

from dataclasses import dataclass

from coordhub.r4 import datasets
from coordhub.r4.datasets import BLIND
from coordhub.r4.datasets import DIRECTORY as OF_DIRECTORY
from coordhub.r4.parameters import patient_parameters
from coordhub.r4.search_criteria import Criterion
from coordhub.r4.sensitivity import TEST, VSP
from coordhub.r4.types import NUMBER, name_of
from coordhub.store import vault
from coordhub.store.scope_criteria import Add, holds

HUB = 1 << 8
"""rid of the hub's own Organization: the coordination platform, requester of the Tasks it makes."""

DIRECTORY = 2 << 8
"""rid of the steward of the public directory; what it wrote, every authenticated organization sees."""

ANYONE = 0
"""Actor of a rule that is about everyone; what it permits, it permits organizations."""

OWN_CHART = 1 << 59
"""Precedence of a patient's sight of its own record: above what it said of others in its Consents."""

EMERGENCY = 1 << 60
"""Precedence of a broken glass: above every Consent, for its hour."""

NEVER = 1 << 61
"""Precedence of what no Consent and no emergency lifts."""

WHOLE = 0
"""The data set of what is shown as it is."""

RAW = -1
"""Shown to the hub itself: without the labels that others are told."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A condition of scopes: that it is of this patient's (rid) record, or nobody's and of the directory."""

    patient: int


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is looking. Made by `access.viewer` only.

    organization: rid of the Organization (or of the person) on whose behalf something is read.
    types: numbers of the resource types that the token's scopes allow to read; None: all.
    everything: the hub itself, deciding (never on behalf of someone).
    datasets: numbers of the data sets in which something may be found that is shown by them only;
        None: in all. A search by what a data set leaves out must not find.
    sandbox: its organization is one of the sandbox, and sees that one's directory.
    parts: numbers of further types (None: of all), of which the scopes allow what meets one of the conjunctions.
    """

    organization: int
    types: frozenset[int] | None = None
    everything: bool = False
    datasets: frozenset[int] | None = None
    parts: tuple[tuple[int | None, tuple[tuple[Criterion | Chart, ...], ...]], ...] = ()
    sandbox: bool = False


EVERYONE = Viewer(DIRECTORY)
"""What every authenticated organization sees, the public directory, and nothing else; and what of it only
its steward is shown: Endpoint.header, by which the hub is let in at a partner's."""


def visible(
    viewer: Viewer,
    row: str,
    first: int,
    labels: str | None = None,
    datasets: str | None = None,
) -> tuple[str, list[object]]:
    """A SQL condition on alias `row` of table resource and its arguments from $first on.

    labels: SQL of the labels, where they are not the row's own: those of an older version.
    datasets: SQL of the data sets, where each row that is joined has its own; null: the viewer's.
    """
    if viewer.everything:
        return "true", []
    shows = _shows(row, first, labels, datasets)
    condition = f"({_own(viewer, row, first, labels)} or {shows} is not null)"
    scoped, arguments = _in_scope(viewer, row, first, labels)
    return f"{condition}{scoped}", arguments


@dataclass(frozen=True, slots=True)
class Way:
    """condition: on alias `row` of table resource. beside: a join that it needs, in which a row is once at most."""

    condition: str
    beside: str = ""


def ways(viewer: Viewer, row: str, first: int) -> tuple[list[Way], list[object]]:
    """The same condition as `visible`, parted: conditions of which each row meets at most one.

    A search asks each by itself: an OR over several tables would leave Postgres only the walk over
    all rows, also for a caller who sees three of them. What is granted is joined and not asked for by EXISTS:
    grants come in order of rid, like all that a search walks.
    """
    if viewer.everything:
        return [Way("true")], []
    own, shows = _own(viewer, row, first), f"{_shows(row, first)} is not null"
    granted = f"exists (select from access_grant g where g.organization = ${first + 1} and g.rid = {row}.rid)"
    beside = f" join access_grant g on g.rid = {row}.rid and g.organization = ${first + 1}"
    once = (
        "not exists (select from access_grant e where e.organization = g.organization and e.rid = g.rid"
        " and (e.because, e.rule) < (g.because, g.rule))"
    )
    opening = f"select from access_rule c where c.permit and c.actor in (${first + 1}, {ANYONE})"
    # The first is asked once, and spares all looking where nothing was ever opened.
    opened = f"(select exists ({opening})) and exists ({opening} and c.patient = {row}.patient)"
    scoped, arguments = _in_scope(viewer, row, first)
    return [
        Way(f"{own}{scoped}"),
        Way(f"not {own} and {once} and {shows}{scoped}", beside),
        Way(f"not {own} and not {granted} and {opened} and {shows}{scoped}"),
    ], arguments


def shown(viewer: Viewer, row: str, first: int, labels: str | None = None) -> str:
    """Columns for what a visible row is shown as: its labels, and the data set it is trimmed to.

    Takes the arguments of `visible` or `ways`, where those have put them.
    """
    stated = labels or f"{row}.labels"
    if viewer.everything:
        return f"{stated}, {RAW}"
    return (
        f"{stated}, case when {row}.source = ${first + 1}::bigint then {WHOLE}"
        f" when {_own(viewer, row, first, labels)}"
        f" then case {row}.type when {NUMBER['Endpoint']} then {OF_DIRECTORY} else {WHOLE} end"
        f" else {_shows(row, first, labels)} end"
    )


def sees(actor: str, row: str) -> str:
    """A SQL condition: whether the organization whose rid is `actor`, as SQL, may see `row`.

    For statements that look with many eyes at once, and show nothing.
    """
    return (
        f"(({row}.source = {actor} or {row}.source = {DIRECTORY} and not {row}.quarantined"
        f" and {row}.labels & {VSP | TEST} = 0)"
        f" or access_shows({actor}, {row}.rid, {row}.patient, {row}.type, {row}.labels, {row}.quarantined, null)"
        " is not null)"
    )


def _own(viewer: Viewer, row: str, first: int, labels: str | None = None) -> str:
    """Of the viewer's organization, or of the directory, not in quarantine, and not what tells where a
    victim service provider is, nor what the sandbox alone has.
    """
    hidden = VSP if viewer.sandbox else VSP | TEST
    return (
        f"({row}.source = any(${first}::bigint[]) and ({row}.source = ${first + 1}::bigint"
        f" or not {row}.quarantined and {labels or f'{row}.labels'} & {hidden} = 0))"
    )


def _shows(row: str, first: int, labels: str | None = None, datasets: str | None = None) -> str:
    among = f"${first + 2}::smallint[]"
    if datasets is not None:
        among = f"coalesce({datasets}, {among})"
    return (
        f"access_shows(${first + 1}::bigint, {row}.rid, {row}.patient, {row}.type,"
        f" {labels or f'{row}.labels'}, {row}.quarantined, {among})"
    )


def _in_scope(
    viewer: Viewer, row: str, first: int, labels: str | None = None
) -> tuple[str, list[object]]:
    """What the scopes ask of a row, to be added to a condition, and the arguments of the whole of it.

    What a row is narrowed by is asked of it as by a search: where its data set leaves that out, it is not
    found by it. Otherwise a client that narrows its own token would learn what it is not shown.
    """
    arguments: list[object] = [
        [viewer.organization, DIRECTORY],
        viewer.organization,
        None if viewer.datasets is None else sorted(viewer.datasets),
    ]
    if viewer.types is None:
        return "", arguments

    def add(value: object, sql_type: str) -> str:
        arguments.append(value)
        return f"${first + len(arguments) - 1}::{sql_type}"

    def stored(code: str) -> list[str]:
        keys = vault.in_use()
        if not keys.has(viewer.organization):
            return [code]
        return [code, keys.blind(viewer.organization, code)]

    # Asked of rows that are had otherwise: by an index of types Postgres would look for each of them among all.
    kind = f"({row}.type + 0)" if viewer.parts else f"{row}.type"
    ways = [f"{kind} = any({add(sorted(viewer.types), 'smallint[]')})"]
    for number, conjunctions in viewer.parts:
        for criteria in conjunctions:
            allowed = _telling(number, criteria)
            if viewer.datasets is not None:
                allowed &= viewer.datasets
            sets = add(sorted(allowed), "smallint[]")
            shown = f"{_shows(row, first, labels, sets)} is not null"
            meets = [
                _in_chart(each, row, add)
                if isinstance(each, Chart)
                else holds(each, row, add, stored)
                for each in criteria
            ]
            if number is not None:
                meets.insert(0, f"{kind} = {add(number, 'smallint')}")
            ways.append(
                f"{' and '.join(meets)} and ({_own(viewer, row, first, labels)} or {shown})"
            )
    return f" and ({' or '.join(f'({way})' for way in ways)})", arguments


def _in_chart(chart: Chart, row: str, add: Add) -> str:
    patient = add(chart.patient, "bigint")
    return f"({row}.patient = {patient} or {row}.patient is null and {row}.source = {DIRECTORY})"


def _telling(number: int | None, criteria: tuple[Criterion | Chart, ...]) -> frozenset[int]:
    """Numbers of the data sets that show by what the criteria ask, and so may be found by them.

    For all types together: those that show, of each type that they have, whose record it is.
    """
    if number is None:
        sets = datasets.in_use()
        return frozenset(
            [
                WHOLE,
                *(
                    one.number
                    for one in sets
                    if all(
                        one.number in sets.allowing(kind, patient_parameters(kind)[:1])
                        for kind in sets.types_of(one.number)
                        if kind != "Patient"
                    )
                ),
            ]
        )
    kind = name_of(number)
    codes: list[str] = []
    for each in criteria:
        if not isinstance(each, Chart):
            codes.append(each.parameter.code)
        elif kind != "Patient":
            codes += patient_parameters(kind)[:1]
    return datasets.in_use().allowing(kind, codes)


RULING = f"""        from access_rule c
        where c.patient = patient_ and c.actor in (actor_, {ANYONE})
          -- a person sees one chart: by being named, not among everyone
          and (c.actor <> {ANYONE} or not c.permit or not exists (
                select from party p where p.organization = actor_ and p.kind = 'person'))
          and c.since <= now() and (c.until is null or c.until > now())
          and (c.types is null or type_ = any(c.types))
          and (c.rids is null or rid_ = any(c.rids))
          and (c.only_labels is null or labels_ & c.only_labels <> 0)
          and (not c.permit or labels_ & ~(c.covers | {TEST}) = 0)
          and (c.purposes is null or c.purposes && access_purposes(actor_))
          and (c.codes is null or exists (
                select from idx_token i join unnest(c.systems, c.codes) w(system, code)
                  on i.system = w.system and i.code = w.code where i.rid = rid_))
          and (c.data_from is null and c.data_to is null or case when c.permit
               -- all its dates lie within what is permitted; one touches what is denied, or there is none
               then exists (select from idx_date i where i.rid = rid_) and not exists (
                select from idx_date i where i.rid = rid_
                  and (i.low < c.data_from or i.high > c.data_to))
               else not exists (select from idx_date i where i.rid = rid_) or exists (
                select from idx_date i where i.rid = rid_
                  and (c.data_from is null or i.high > c.data_from)
                  and (c.data_to is null or i.low < c.data_to)) end)
        order by c.precedence desc, c.permit limit 1
"""
"""The rule that decides, named `c`, of actor_, patient_, rid_, type_, labels_; there is none of what a
victim service provider wrote."""


def ruling_at(instant: str) -> str:
    """RULING of an instant (SQL) that is over, by the rules that had been made by then; labels and codes are today's.

    A rule of a Consent says since when it counts, which may be for ever, and not when it was made. That was with the
    newest version of the Consent before the rule ended, as each new one ends all rules of the one before.
    """
    made = (
        "(select max(v.updated) from (select rid, shard, updated from resource_version"
        " union all select rid, shard, updated from resource) v where v.rid = c.because"
        " and v.shard = (c.because & 255)::smallint and (c.until is null or v.updated < c.until))"
    )
    made_by_then = f"and (c.rule <> 'consent' or coalesce({made}, c.since) <= {instant})"
    decided = "order by c.precedence"
    return RULING.replace("now()", instant).replace(decided, f"{made_by_then} {decided}")


FUNCTIONS = f"""
create or replace function access_shows(
    actor_ bigint, rid_ bigint, patient_ bigint, type_ smallint, labels_ bigint, quarantined_ boolean,
    datasets_ smallint[]
) returns smallint language plpgsql stable parallel safe cost 100
-- Searches make custom plans; in here that would be anew for each row.
set plan_cache_mode = force_generic_plan as $body$
-- The data set under which the actor is shown this row of someone else's; null: not at all.
declare
    ruled boolean;      -- what the patient's rules say; null: nothing
    by_rule text;
    treating boolean;   -- whether the actor treats, or is the person itself or acts for it
    testing boolean;    -- whether it is of the sandbox
    ruling boolean := patient_ is not null and labels_ & {VSP} = 0;
    shown smallint;
begin
    if quarantined_ then
        return null;
    end if;
    -- the sandbox and the life outside do not see one another, whatever else is decided
    select (select p.kind in ('treatment', 'person') from party p where p.organization = actor_),
           exists (select from sandbox s where s.organization = actor_) into treating, testing;
    if (labels_ & {TEST} <> 0) <> testing then
        return null;
    end if;
    if ruling then
        select c.permit, c.rule into ruled, by_rule
{RULING.rstrip()};
    end if;
    if labels_ & {VSP} = 0 and (ruled or ruled is null) then
        if by_rule in ('treatment', 'team') and not access_by_default(treating) then
            ruled := null;
        end if;
        if ruled and treating then
            return {WHOLE};
        end if;
    end if;
    -- of several data sets the one that was chosen for it, and not that of who has not won yet
    select g.dataset into shown
    from access_grant g
    where g.organization = actor_ and g.rid = rid_ and (g.until is null or g.until > now())
      and (datasets_ is null or g.dataset = {WHOLE} or g.dataset = any(datasets_))
      and (labels_ & ~(g.labels | {TEST}) = 0 or ruled)
      and (g.rule in ('party', 'release')
           or labels_ & {VSP} = 0 and coalesce(ruled, access_by_default(treating)))
    order by g.dataset = {BLIND}, g.dataset limit 1;
    return shown;
end
$body$;

create or replace function access_by_default(treating boolean) returns boolean
language sql stable parallel safe as $body$
-- Whether a referral shares, and a treatment relationship opens, what no Consent speaks of.
select case current_setting('coordhub.consent_policy', true)
    when 'opt-out' then true when 'by-purpose' then coalesce(treating, false) else false end
$body$;

create or replace function access_purposes(actor_ bigint) returns text[]
language sql stable parallel safe as $body$
-- What for this actor may be shown something (v3-ActReason).
select case (select p.kind from party p where p.organization = actor_)
    when 'treatment' then array['TREAT', 'COC', 'CAREMGT'] when 'person' then array['PATRQT']
    else array['COC'] end
$body$;
"""
"""Made anew after every migration: the newest text decides, also about what was stored before."""
