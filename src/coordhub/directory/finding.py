"""Services of the directory by need, place, language and hours, for nobody in particular.

http://hl7.org/fhir/us/hsds (a directory asks for nothing that tells of whom), http://hl7.org/fhir/R4/healthcareservice.html

The same judgement as for a referral (`referral.matching`), without patient, sender and statistics. Who is full is
found, last; victim service providers are not: where they are, distances would tell.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from coordhub.directory import services as entries
from coordhub.directory.matching import offered_of
from coordhub.referral import weights as weighing
from coordhub.referral.matching import Finding, Known, Offered, Prospect, Wanted, judge
from coordhub.referral.places import Point, distance_km
from coordhub.referral.same_kind import NO_KIND
from coordhub.store import offers
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

_FULL: Final = frozenset({"capacity"})
_CLOSED: Final = frozenset({"active"})


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry that everyone may be told of. places: texts of its Locations, where it is given."""

    service: offers.Service
    offered: Offered
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """rid: of the HealthcareService. km: to the nearest place where it is given; None: not known, or from afar.

    findings: why it fits, and what has to be asked.
    """

    rid: int
    score: float
    km: float | None
    findings: tuple[Finding, ...]
    entry: Listed


async def find(
    conn: Connection,
    wanted: Wanted,
    *,
    within_km: float | None = None,
    open_at: bool = False,
    roomy: bool = False,
    closed: bool = False,
    zone: ZoneInfo | None = None,
) -> list[Hit]:
    """Nearest first where a point is wanted, else the best known first; full ones after all others.

    wanted: its `now` is the moment that hours and ages are of. within_km: of its place's point; what is given
    from afar is near to everybody. open_at: only what is known to be open at that moment. roomy: only what has said
    lately that it has places. closed: also what is in the directory and not offered now, after all others. zone: of
    services that do not say theirs.
    """
    found = await offers.services(conn, EVERYONE, wanted.kinds, NO_KIND, offers.NOBODY, wanted.now)
    passes = _FULL | _CLOSED if closed else _FULL
    weights = weighing.in_use()
    hits: list[tuple[bool, bool, float, float, Hit]] = []
    for entry in await _listed(conn, found, zone):
        offered = entry.offered
        judged = judge(wanted, offered, Known(entry.service.organization_active), weights)
        failed = {each.criterion for each in judged.findings if each.outcome == "failed"}
        if failed - passes or not offered.kinds or (open_at and not _has(judged, "hours")):
            continue
        if roomy and not _has(judged, "capacity"):
            continue
        km = _distance(wanted.place.point, offered)
        if within_km is not None and not offered.virtual and (km is None or km > within_km):
            continue
        far = float("inf") if km is None else km
        hit = Hit(entry.service.rid, judged.score, km, judged.findings, entry)
        hits.append(("active" in failed, bool(failed), far, -judged.score, hit))
    return [hit for *_, hit in sorted(hits, key=lambda one: (one[:4], one[4].rid))]


async def listed(
    conn: Connection, rids: Collection[int] | None, wanted: Wanted, zone: ZoneInfo | None
) -> list[tuple[Listed, Prospect]]:
    """These (rids of HealthcareServices), or where None all that are found at all, each as it is judged."""
    weights = weighing.in_use()
    found = await offers.entries(conn, EVERYONE, rids, wanted.now)
    return [
        (one, judge(wanted, one.offered, Known(one.service.organization_active), weights))
        for one in await _listed(conn, found, zone)
    ]


async def _listed(
    conn: Connection, found: Collection[offers.Service], zone: ZoneInfo | None
) -> list[Listed]:
    shown = [one for one in found if not one.apart and entries.is_met(one.labels)]
    places: Mapping[int, str] = await offers.places(
        conn, EVERYONE, {rid for one in shown for rid in (*one.locations, *one.areas)}
    )
    return [
        Listed(
            one, offered_of(one, places, zone),
            tuple(places[rid] for rid in one.locations if rid in places),
        )
        for one in shown
    ]  # fmt: skip


def _has(judged: Prospect, criterion: str) -> bool:
    return any(one.criterion == criterion and one.outcome == "met" for one in judged.findings)


def _distance(here: Point | None, offered: Offered) -> float | None:
    if here is None or not offered.at:
        return None
    return min(distance_km(here, one) for one in offered.at)
