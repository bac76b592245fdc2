"""Those around a patient, outside of any one referral: who treats, who belongs to the team, who holds the record."""

from __future__ import annotations

from coordhub.store.engine import Connection
from coordhub.store.visibility import DIRECTORY, HUB, sees


async def around(conn: Connection, patient: int, rid: int) -> tuple[int, ...]:
    """Organizations around the patient (rid) that may see resource `rid` now.

    By the CareTeams and the referrals that somebody is at work on, by holding the record, or by what
    was shared with them as of a team. Persons look for themselves.
    """
    rows = await conn.fetch(
        "select distinct o.organization from ("
        " select c.actor as organization from access_rule c where c.patient = $1 and c.permit"
        "  and c.rule in ('treatment', 'team') and c.since <= now() and (c.until is null or c.until > now())"
        " union select p.source from resource p where p.rid = $1"
        " union select g.organization from access_grant g where g.rid = $2 and g.rule = 'team'"
        "  and g.until is null) o"
        " join resource r on r.rid = $2 and r.shard = ($2 & 255)::smallint"
        " left join party k on k.organization = o.organization"
        " where o.organization not in ($3, $4) and coalesce(k.kind, 'social') not in ('vsp', 'person')"
        f" and {sees('o.organization', 'r')} order by o.organization",
        patient,
        rid,
        HUB,
        DIRECTORY,
    )
    return tuple(row[0] for row in rows)
