"""What of a patient's record says that it is served, or referred, for something already; as a viewer sees it.

What is sensitive for domestic violence, or of a victim service provider, is left out whoever looks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, WIDTH, Version, version_of
from coordhub.store.visibility import HUB, Viewer, shown, visible

MOST: Final = 100
"""Observations, and referrals, that are looked at: the newest."""


@dataclass(frozen=True, slots=True)
class OpenReferral:
    """version: the ServiceRequest of who refers. since: when the hub took it up."""

    version: Version
    since: datetime


async def enrolments(
    conn: Connection, viewer: Viewer, patient: int, values: Collection[tuple[str, str]]
) -> list[Version]:
    """Observations of the patient with one of these values (system, code), unless in error."""
    known = parameters("Observation")
    condition, arguments = visible(viewer, "r", 5)
    listed = sorted(values)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 5)} from resource r"
        f" where r.patient = $1 and r.type = {types.NUMBER['Observation']} and r.body is not null"
        f" and r.labels & {SDV | VSP} = 0 and exists ("
        "  select from idx_token i join code_system s on s.id = i.system"
        "   join unnest($2::text[], $3::text[]) k(uri, code) on k.uri = s.uri and k.code = i.code"
        f"  where i.rid = r.rid and i.param = {known['value-concept'].id})"
        " and not exists (select from idx_token i"
        f"  where i.rid = r.rid and i.param = {known['status'].id} and i.code in ('entered-in-error', 'cancelled'))"
        f" and {condition} order by r.rid desc limit $4",
        patient,
        [system for system, _ in listed],
        [code for _, code in listed],
        MOST,
        *arguments,
    )
    return [version_of(row) for row in rows]


async def open_referrals(
    conn: Connection,
    viewer: Viewer,
    patient: int,
    kinds: Collection[tuple[str, str]],
    itself: int | None,
) -> list[OpenReferral]:
    """ServiceRequests of this patient for one of these kinds, of which a need is open.

    itself: rid of a ServiceRequest whose own referral does not count.
    """
    known = parameters("ServiceRequest")
    of_kind = f"{known['category'].id}, {known['code'].id}"
    condition, arguments = visible(viewer, "r", 6)
    listed = sorted(kinds)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 6)}, e.opened_at from episode e"
        " join need n on n.episode = e.id and n.state in ('open', 'won', 'queued')"
        " join resource r on r.rid = n.request and r.shard = (n.request & 255)::smallint"
        f" where e.patient = $1 and e.state = 'open' and r.body is not null and r.source <> {HUB}"
        " and not exists (select from need o where o.episode = e.id and o.request = $4)"
        f" and r.labels & {SDV | VSP} = 0 and exists ("
        "  select from idx_token i join code_system s on s.id = i.system"
        "   join unnest($2::text[], $3::text[]) k(uri, code) on k.uri = s.uri and k.code = i.code"
        f"  where i.rid = r.rid and i.param in ({of_kind}))"
        f" and {condition} order by e.opened_at desc limit $5",
        patient,
        [system for system, _ in listed],
        [code for _, code in listed],
        itself,
        MOST,
        *arguments,
    )
    return [OpenReferral(version_of(row), row[WIDTH]) for row in rows]
