"""The services of the directory that could be what is wanted, and what the hub knows beside their text.

http://hl7.org/fhir/R4/healthcareservice.html, http://hl7.org/fhir/R4/organizationaffiliation.html

Two statements, however many services there are: which these are, and where. Only entries of the public
directory are addresses, whoever looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, WIDTH, read_rids, version_of
from coordhub.store.visibility import DIRECTORY, Viewer, shown, visible

AFFILIATION: Final = ("urn:coordhub:affiliation", "accepts-referrals")
"""OrganizationAffiliation.code: organization takes referrals of participatingOrganization. Who has one
active affiliation of this code takes those of nobody else; with healthcareService, for these only."""

NOBODY: Final = 0
"""Sender, where nobody in particular asks."""

KIND_PARAMETERS: Final = ("service-category", "service-type", "specialty", "program")


@dataclass(frozen=True, slots=True)
class Service:
    """One HealthcareService, its text as it is shown. All numbers are rids.

    apart: its organization is a victim service provider. agreed: whether it takes referrals of the
    sender; None: of anyone. away: since when something waits in vain to be delivered to it.
    """

    text: str
    reference: str
    updated: datetime
    organization: int
    organization_active: bool
    apart: bool
    locations: tuple[int, ...]
    areas: tuple[int, ...]
    agreed: bool | None
    away: datetime | None
    labels: int = 0
    rid: int = 0


def _ids(resource_type: str, *codes: str) -> list[int]:
    known = parameters(resource_type)
    return [known[code].id for code in codes]


async def services(
    conn: Connection,
    viewer: Viewer,
    kinds: Collection[tuple[str, str]],
    besides: Collection[str],
    sender: int,
    now: datetime,
) -> list[Service]:
    """Those with one of these codes (system, code) as category, type, specialty or program, or with none at all.

    besides: codes that say no kind. sender: rid of the organization that refers.
    """
    listed = sorted(kinds)
    systems, codes = [system for system, _ in listed], [code for _, code in listed]
    return await _those(conn, viewer, _OF_KINDS, (systems, codes, sorted(besides)), sender, now)


async def entries(
    conn: Connection, viewer: Viewer, rids: Collection[int] | None, now: datetime
) -> list[Service]:
    """These (rids of HealthcareServices), or where None all that there are, as nobody in particular asks for them."""
    if rids is None:
        return await _those(conn, viewer, _ALL, (), NOBODY, now)
    return await _those(conn, viewer, _NAMED, (sorted(rids),), NOBODY, now)


async def _those(
    conn: Connection, viewer: Viewer, fit: str, chosen: Sequence[object], sender: int, now: datetime
) -> list[Service]:
    """fit: the rids, by the parameters from $5 on."""
    first = 5 + len(chosen)
    condition, arguments = visible(viewer, "r", first)
    columns = f"{COLUMNS}, {shown(viewer, 'r', first)}"
    rows = await conn.fetch(
        fit + _SERVICES.format(columns=columns, visible=condition),
        sender, now, *AFFILIATION, *chosen, *arguments,
    )  # fmt: skip
    return [_service(row) for row in rows]


def _service(row: Any) -> Service:
    organization, active, apart, locations, areas, agreed, away = tuple(row)[WIDTH:]
    version = version_of(row)
    assert version.body is not None
    return Service(
        version.body, version.reference, version.updated, organization, active, bool(apart),
        tuple(locations), tuple(areas), agreed, away, version.labels, version.rid,
    )  # fmt: skip


_OF_KIND: Final = ", ".join(str(one) for one in _ids("HealthcareService", *KIND_PARAMETERS))
[_PROVIDER, _LOCATION, _AREA] = _ids(
    "HealthcareService", "organization", "location", "coverage-area"
)
[_ACTIVE] = _ids("Organization", "active")
[_ROLE, _PRIMARY, _PARTICIPATING, _SERVICE, _IN_FORCE, _PERIOD] = _ids(
    "OrganizationAffiliation",
    "role", "primary-organization", "participating-organization", "service", "active", "date",
)  # fmt: skip

_OF_KINDS: Final = f"""
with kind as materialized (
    select coalesce(s.id, 0) as system, k.code
    from unnest($5::text[], $6::text[]) k(uri, code) left join code_system s on s.uri = k.uri
    where k.uri = '' or s.id is not null
), fit as materialized (
    select i.rid from kind k join idx_token i on i.param in ({_OF_KIND}) and i.code = k.code
      and i.system = k.system where i.source = {DIRECTORY}
    union
    -- what says nothing of its kind may be of this one
    (select r.rid from resource r
     where r.source = {DIRECTORY} and r.type = {types.NUMBER["HealthcareService"]}
     except select i.rid from idx_token i where i.param in ({_OF_KIND}) and i.code <> all($7::text[]))
)"""
_NAMED: Final = "with fit as (select unnest($5::bigint[]) as rid)"
_ALL: Final = (
    f"with fit as (select r.rid from resource r where r.source = {DIRECTORY}"
    f" and r.type = {types.NUMBER['HealthcareService']})"
)

_SERVICES: Final = f""", accord as materialized (
    select o.target as organization, s.target as service,
      bool_or(exists (select from idx_reference m where m.rid = a.rid and m.param = {_PARTICIPATING}
        and m.target = $1)) as agreed
    from idx_token t join resource a on a.rid = t.rid and a.source = {DIRECTORY} and a.body is not null
      join code_system c on c.id = t.system and c.uri = $3
      join idx_reference o on o.rid = a.rid and o.param = {_PRIMARY}
      left join idx_reference s on s.rid = a.rid and s.param = {_SERVICE}
    where t.param = {_ROLE} and t.code = $4
      and not exists (select from idx_token n where n.rid = a.rid and n.param = {_IN_FORCE} and n.code = 'false')
      and not exists (select from idx_date d where d.rid = a.rid and d.param = {_PERIOD}
        and (d.low > $2 or d.high <= $2))
    group by 1, 2
), away as materialized (
    select organization, min(created_at) as since from delivery
    where state in ('queued', 'leased', 'parked') and attempts > 0 group by organization
)
select {{columns}}, o.target,
  not exists (select from idx_token i where i.rid = o.target and i.param = {_ACTIVE} and i.code = 'false'),
  p.kind = 'vsp',
  array(select l.target from idx_reference l where l.rid = r.rid and l.param = {_LOCATION} and l.target is not null),
  array(select l.target from idx_reference l where l.rid = r.rid and l.param = {_AREA} and l.target is not null),
  (select bool_or(g.agreed) from accord g where g.organization = o.target and (g.service is null or g.service = r.rid)),
  (select w.since from away w where w.organization = o.target)
from fit f join resource r on r.rid = f.rid
  join idx_reference o on o.rid = r.rid and o.param = {_PROVIDER} and o.target is not null
  left join party p on p.organization = o.target
where r.source = {DIRECTORY} and r.body is not null and not r.quarantined and {{visible}}
"""


async def places(conn: Connection, viewer: Viewer, rids: Iterable[int]) -> dict[int, str]:
    """The texts of those Locations that are of the directory."""
    wanted = sorted(set(rids))
    if not wanted:
        return {}
    found = await read_rids(conn, viewer, wanted)
    return {rid: one.body for rid, one in found.items() if one.source == DIRECTORY and one.body}


async def middle(
    conn: Connection, viewer: Viewer, postal_code: str, city: str
) -> tuple[float, float] | None:
    """(latitude, longitude) in the middle of the directory's Locations of this postal code, or city.

    None where it has none there. Those of victim service providers do not count: they would move it.
    """
    name, value = (_POSTAL, postal_code) if postal_code else (_CITY, city)
    condition, arguments = visible(viewer, "r", 3)
    row = await conn.fetchrow(
        _MIDDLE.format(visible=condition), name, value, *arguments,
    )  # fmt: skip
    return None if row is None or row[0] is None else (row[0], row[1])


[_POSTAL, _CITY, _MANAGED] = _ids("Location", "address-postalcode", "address-city", "organization")

_MIDDLE: Final = f"""
select avg(p.latitude), avg(p.longitude)
from idx_string i join resource r on r.rid = i.rid join idx_position p on p.rid = r.rid
where i.param = $1 and i.value = $2 and r.source = {DIRECTORY} and r.body is not null and {{visible}}
  and not exists (select from idx_reference m join party a on a.organization = m.target and a.kind = 'vsp'
    where m.rid = r.rid and m.param = {_MANAGED})
  and not exists (select from idx_reference l join idx_reference o on o.rid = l.rid and o.param = {_PROVIDER}
    join party a on a.organization = o.target and a.kind = 'vsp' where l.target = r.rid and l.param = {_LOCATION})
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """How an organization, as it was addressed, answered when it was asked. Of the newest MOST only.

    waited: from being asked to accepting, together. lately: asked since then. refused: the last time for
    want of capacity, when asked for the same kind, unless it accepted later.
    """

    organization: int
    recipient: str
    answered: int
    accepted: int
    waited: timedelta
    lately: int
    refused: datetime | None


MOST: Final = 50
"""Times of being asked that are looked at, for each organization."""


async def answers(
    conn: Connection,
    organizations: Collection[int],
    kinds: Collection[tuple[str, str]],
    *,
    since: datetime,
    lately: datetime,
) -> list[Answers]:
    """Of these, among whom no victim service provider is to be: its answers influence nothing.

    kinds: codes (system, code) of what is asked for now.
    """
    listed = sorted(kinds)
    rows = await conn.fetch(
        _ANSWERS,
        sorted(organizations),
        [system for system, _ in listed],
        [code for _, code in listed],
        since,
        lately,
        MOST,
    )
    return [Answers(*row) for row in rows]


_ASKED_FOR: Final = ", ".join(str(one) for one in _ids("ServiceRequest", "category", "code"))

_ANSWERS: Final = f"""
select o.organization, c.recipient,
  count(*) filter (where c.accepted_at is not null or c.status = 'rejected'),
  count(c.accepted_at), coalesce(sum(c.accepted_at - c.asked_at), interval '0'),
  count(*) filter (where c.asked_at > $5),
  case when max(c.refused_at) > coalesce(max(c.accepted_at), '-infinity') then max(c.refused_at) end
from unnest($1::bigint[]) o(organization) cross join lateral (
    select d.recipient, d.status, d.asked_at, d.accepted_at,
      case when d.status = 'rejected' and d.reason = 'no-capacity' and exists (
        select from idx_token i join code_system s on s.id = i.system
          join unnest($2::text[], $3::text[]) k(uri, code) on k.uri = s.uri and k.code = i.code
        where i.rid = d.request and i.param in ({_ASKED_FOR})) then d.ended_at end as refused_at
    from candidate d where d.organization = o.organization and d.asked_at > $4
    order by d.asked_at desc limit $6) c
group by 1, 2
"""
