"""Who was shown or sent what of a patient's chart, from the audit: the accounting of disclosures.

Told to the organization whose Patient it is, about the resources of that chart that it wrote itself
and those that the hub made of them. What it does with its own, and what the hub does inside, is no
disclosure; what somebody else writes it knew before. Deliveries count whenever they left the house.
Looks of a victim service provider are left out (store.audit_trail).

https://www.ecfr.gov/current/title-45/section-164.528
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from coordhub.r4 import types
from coordhub.store.audit_trail import TOLD
from coordhub.store.engine import Connection
from coordhub.store.visibility import HUB, Viewer

SIX_YEARS: Final = timedelta(days=6 * 365 + 2)
"""How far back it reaches, and how long the audit is kept at least."""

_WRITES = ["create", "update", "patch", "delete", "transaction"]

_STATEMENT = f"""
with chart as materialized (
    select r.rid, r.type, r.fhir_id, r.source from resource r where r.patient = $1 and r.source = any($2::bigint[])
), told as (
    select a.seq, a.at, a.organization, a.interaction, a.delivery, array(
        select c.rid from chart c where c.rid = any(a.rids) order by c.rid
    ) as rids
    from audit a
    where a.rids && (select coalesce(array_agg(rid), '{{}}') from chart)
      and a.at >= $3 and a.at < $4 and a.organization <> all($2::bigint[])
      and a.interaction <> all($5::text[]) and {TOLD} and ($8::bigint is null or a.seq = $8)
    order by a.seq limit $6
)
select t.seq, t.at, o.type, o.fhir_id, t.interaction, t.delivery,
    array(select c.type from chart c where c.rid = any(t.rids) order by c.rid),
    array(select c.fhir_id from chart c where c.rid = any(t.rids) order by c.rid),
    array(
        select distinct g.rule from access_grant g
        where g.organization = t.organization and g.rid = any(t.rids) and g.since <= t.at
          and (g.until is null or g.until > t.at)
        union select c.rule from access_rule c
        where c.actor = t.organization and c.patient = $1 and c.rule = 'break-glass' and c.since <= t.at
          and c.until > t.at
        order by 1),
    exists (select from chart c where c.rid = any(t.rids) and c.source = $7), t.organization
from told t left join resource o on o.rid = t.organization and o.shard = (t.organization & 255)::smallint
order by t.seq
"""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """recipient: `Organization/<id>` or a person's, None if it is not there any more. what: `Type/id` of each.

    rules: by which it was shown then, of the grants and emergencies that are on record; empty: none is.
    is_of_own: the organization told wrote some of it, so that it also sees the AuditEvent. actor: rid of the recipient.
    """

    seq: int
    at: datetime
    recipient: str | None
    interaction: str
    delivery: UUID | None
    what: tuple[str, ...]
    rules: tuple[str, ...]
    is_of_own: bool
    actor: int | None


async def of_patient(
    conn: Connection,
    viewer: Viewer,
    patient: int,
    since: datetime,
    until: datetime,
    most: int,
    only: int | None = None,
) -> list[Disclosure]:
    """Oldest first; at most `most` + 1, so that the caller sees that there are more. only: the one with this seq."""
    rows = await conn.fetch(
        _STATEMENT,
        patient,
        [viewer.organization, HUB],
        since,
        until,
        _WRITES,
        most + 1,
        viewer.organization,
        only,
    )
    return [
        Disclosure(
            row[0],
            row[1],
            row[2] and f"{types.name_of(row[2])}/{row[3]}",
            row[4],
            row[5],
            tuple(
                f"{types.name_of(kind)}/{fhir_id}"
                for kind, fhir_id in zip(row[6], row[7], strict=True)
            ),
            tuple(row[8]),
            row[9],
            row[10],
        )
        for row in rows
    ]
