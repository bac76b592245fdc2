"""What somebody looks for in the community, as a form says it, and the services that were found, each with why.

http://hl7.org/fhir/R4/healthcareservice.html, docs/directory.md

It asks what HealthcareService/$find asks (directory.finding). Nothing of it tells of a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from coordhub.access import viewer
from coordhub.directory import finding
from coordhub.directory.finding import Listed
from coordhub.portal import candidates, errand, offering
from coordhub.portal.occurrences import Wall
from coordhub.portal.offering import Sheet
from coordhub.portal.reasons import REASONS
from coordhub.r4 import document as fhir_json
from coordhub.r4.extract import normalise
from coordhub.record.hub import Hub
from coordhub.referral.matching import Finding, Wanted
from coordhub.referral.places import Place, Point
from coordhub.store import offers
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

MOST: Final = 40
"""Services of a page."""
DISTANCES: Final = (5, 10, 25, 50, 100)
OLDEST: Final = 130
LONGEST: Final = 60
"""Letters of a place, or of a name."""
SEXES: Final = {"female": "a woman", "male": "a man"}
_MILE: Final = 1.609344

_SAYS_NOTHING: Final = frozenset(
    {
        "address-not-known", "age-not-known", "sex-not-known", "language-not-known", "capacity-not-stated",
        "same-kind", "capacity", "waitlist", "no-capacity", "capacity-out-of-date",
        "additional-assessment-required",
    }
)  # fmt: skip
"""Of nobody in particular some is not known; what is asked for, all offer; capacity is told by itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A form as it was sent. need: "" for any, of this name. within: kilometres, 0: any. age: None: any."""

    need: str
    name: str
    place: str
    within: int
    language: str
    age: int | None
    sex: str
    open: bool
    room: bool


@dataclass(frozen=True, slots=True)
class Line:
    """far: how far, in words. fits, ask: what speaks for it, and what is to be asked, in English."""

    sheet: Sheet
    far: str
    fits: tuple[str, ...]
    ask: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """whole: how many there are. placed: the place is known, so that they are ordered by distance from it."""

    lines: tuple[Line, ...]
    whole: int
    placed: bool
    rids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Fit:
    entry: Listed
    findings: Sequence[Finding]
    km: float | None = None


def asked(form: Mapping[str, str]) -> Asked:
    """What cannot be read is not asked for."""
    age, within = form.get("age", "").strip(), form.get("within", "")
    need, language, sex = (form.get(name, "") for name in ("need", "language", "sex"))
    is_age = age.isascii() and age.isdigit() and len(age) < 4 and int(age) <= OLDEST
    return Asked(
        need if need in candidates.kinds() else "",
        " ".join(form.get("name", "").split())[:LONGEST],
        " ".join(form.get("place", "").split())[:LONGEST],
        int(within) if within in {str(one) for one in DISTANCES} else 0,
        language if language in offering.LANGUAGES else "",
        int(age) if is_age else None,
        sex if sex in SEXES else "",
        form.get("open") == "on",
        form.get("room") == "on",
    )


async def found(
    hub: Hub, conn: Connection, organization: int, sought: Asked, wall: Wall
) -> Found | None:
    """Nearest first where the place is known; who is full, then who is closed for a time, comes last.

    None where neither a need nor a name is said.
    """
    if not sought.need and not sought.name:
        return None
    place = await _place(conn, sought.place)
    if sought.need:
        fits = await _of_need(hub, conn, sought, place, wall.now)
    else:
        fits = await _of_name(hub, conn, organization, sought, wall.now)
    fits = [one for one in fits if one.entry.offered.active or offering.pauses(one.entry)]
    first = fits[:MOST]
    sheets = await offering.sheets(conn, [one.entry for one in first], wall)
    lines = tuple(_line(one, sheets[one.entry.service.rid], wall) for one in first)
    return Found(lines, len(fits), place.point is not None, tuple(one.sheet.rid for one in lines))


async def _of_need(
    hub: Hub, conn: Connection, sought: Asked, place: Place, now: datetime
) -> list[_Fit]:
    hits = await finding.find(
        conn, wanted(sought, place, now),
        within_km=(sought.within or None) if place.point is not None else None,
        open_at=sought.open, roomy=sought.room, closed=not (sought.open or sought.room), zone=hub.zone,
    )  # fmt: skip
    name = normalise(sought.name)
    return [
        _Fit(one.entry, one.findings, one.km)
        for one in hits
        if not name or name in normalise(_name(one.entry))
    ]


async def _of_name(
    hub: Hub, conn: Connection, organization: int, sought: Asked, now: datetime
) -> list[_Fit]:
    view = viewer.as_organization(organization)
    rids = [one.rid for one in await errand.of_name(hub, view, sought.name)]
    anything = Wanted(kinds=frozenset(), now=now)
    entries = await finding.listed(conn, rids, anything, hub.zone)
    return sorted((_Fit(one, ()) for one, _ in entries), key=lambda one: _name(one.entry))


def _name(entry: Listed) -> str:
    return str(fhir_json.parse(entry.service.text.encode()).get("name") or "")


async def _place(conn: Connection, text: str) -> Place:
    """A postal code if there is a digit in it, else a town; with the middle of the directory's places there."""
    folded = normalise(text)
    if not folded:
        return Place()
    code, city = (folded, "") if any(each.isdigit() for each in folded) else ("", folded)
    middle = await offers.middle(conn, EVERYONE, code, city)
    return Place(
        postal_code=code.replace(" ", ""),
        city=" ".join(text.casefold().split()) if city else "",
        point=None if middle is None else Point(*middle),
    )


def wanted(sought: Asked, place: Place, now: datetime) -> Wanted:
    """As a referral of somebody such as this would ask for it."""
    age = sought.age
    return Wanted(
        kinds=candidates.codes(candidates.kinds()[sought.need]),
        now=now,
        by=now if sought.open else None,
        place=place,
        languages=(sought.language,) if sought.language else (),
        born=None if age is None else date(now.year - age, now.month, min(now.day, 28)),
        gender=sought.sex,
    )


def _line(one: _Fit, sheet: Sheet, wall: Wall) -> Line:
    told = [
        each for each in one.findings if each.code in REASONS and each.code not in _SAYS_NOTHING
    ]
    return Line(
        sheet,
        "" if one.km is None else far(one.km, wall),
        tuple(REASONS[each.code] for each in told if each.outcome == "met"),
        tuple(REASONS[each.code] for each in told if each.outcome == "unknown"),
    )


def far(km: float, wall: Wall) -> str:
    return wall.t("{km} km ({miles} mi)", km=f"{km:.1f}", miles=f"{km / _MILE:.1f}")
