"""Services of the directory by need, place, language and hours, for nobody in particular.

http://hl7.org/fhir/us/hsds (a directory asks for nothing that tells of whom), http://hl7.org/fhir/R4/healthcareservice.html

The same judgement as for a referral (`referral.matching`), without patient, sender and statistics. Who is full is
found, last; victim service providers are not: where they are, distances would tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from coordhub.directory import services as entries
from coordhub.directory.matching import offered_of
from coordhub.referral import weights as weighing
from coordhub.referral.matching import Known, Offered, Prospect, Wanted, judge
from coordhub.referral.places import Point, distance_km
from coordhub.referral.same_kind import NO_KIND
from coordhub.store import offers
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

NOBODY: Final = 0
_FULL: Final = frozenset({"capacity"})


@dataclass(frozen=True, slots=True)
class Hit:
    """rid: of the HealthcareService. km: to the nearest place where it is given; None: not known, or from afar."""

    rid: int
    score: float
    km: float | None


async def find(
    conn: Connection,
    wanted: Wanted,
    *,
    within_km: float | None = None,
    open_at: bool = False,
    zone: ZoneInfo | None = None,
) -> list[Hit]:
    """Nearest first where a point is wanted, else the best known first; full ones after all others.

    wanted: its `now` is the moment that hours and ages are of. within_km: of its place's point; what is given
    from afar is near to everybody. open_at: only what is known to be open at that moment. zone: of services that
    do not say theirs.
    """
    found = [
        one
        for one in await offers.services(conn, EVERYONE, wanted.kinds, NO_KIND, NOBODY, wanted.now)
        if not one.apart and one.organization_active and entries.is_met(one.labels)
    ]
    places = await offers.places(
        conn, EVERYONE, {rid for one in found for rid in (*one.locations, *one.areas)}
    )
    weights = weighing.in_use()
    hits: list[tuple[bool, float, float, Hit]] = []
    for one in found:
        offered = offered_of(one, places, zone)
        judged = judge(wanted, offered, Known(), weights)
        failed = {each.criterion for each in judged.findings if each.outcome == "failed"}
        if failed - _FULL or not offered.kinds or (open_at and not _is_open(judged)):
            continue
        km = _distance(wanted.place.point, offered)
        if within_km is not None and not offered.virtual and (km is None or km > within_km):
            continue
        far = float("inf") if km is None else km
        hits.append((bool(failed), far, -judged.score, Hit(one.rid, judged.score, km)))
    return [hit for *_, hit in sorted(hits, key=lambda one: (one[:3], one[3].rid))]


def _is_open(judged: Prospect) -> bool:
    return any(one.criterion == "hours" and one.outcome == "met" for one in judged.findings)


def _distance(here: Point | None, offered: Offered) -> float | None:
    if here is None or not offered.at:
        return None
    return min(distance_km(here, one) for one in offered.at)
