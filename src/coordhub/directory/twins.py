"""Services that two feeds tell of, and that are one: found by what both say, certain or to be looked at.

http://hl7.org/fhir/R4/healthcareservice.html

Certain is a pair of one name, of organizations of one name, at one address or telephone, of one kind, where each
has no other such. What is alike and not that much is for a steward, unless it has its certain twin already. Entries
of one feed are not compared: it knows what it lists twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any, Final

from coordhub.directory.hsds.withheld import digits, folded
from coordhub.referral.places import Point, distance_km, location_of
from coordhub.referral.wanted import codes

Document = Mapping[str, Any]

ALIKE: Final = 0.86
"""Names from here on are of one service perhaps; letter by letter, words in order of the alphabet."""
NEAR_KM: Final = 0.15
CROWD: Final = 60
"""Entries with one telephone or address; more share a switchboard or an office building, which says nothing."""

_SHORT: Final = {
    "street": "st", "avenue": "ave", "road": "rd", "boulevard": "blvd", "drive": "dr", "lane": "ln", "suite": "ste",
    "north": "n", "south": "s", "east": "e", "west": "w", "saint": "st", "and": "", "the": "", "inc": "", "of": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """An entry as one feed tells of it. rid: of the HealthcareService."""

    rid: int
    feed: str
    name: str
    organization: str
    phones: frozenset[str]
    addresses: frozenset[str]
    points: tuple[Point, ...]
    kinds: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Twins:
    """kept: the entry that stays, the one that was there first. because: what both say."""

    kept: int
    other: int
    certain: bool
    because: tuple[str, ...]


def told(
    rid: int, feed: str, service: Document, organization: Document, locations: Sequence[Document]
) -> Told:
    phones = {
        digits(str(one.get("value", "")))
        for one in service.get("telecom", ())
        if one.get("system") == "phone"
    }
    addresses = {_address(one.get("address", {})) for one in locations}
    points = [place.point for place in map(location_of, locations) if place.point is not None]
    kinds = frozenset(codes([*service.get("type", ()), *service.get("category", ())]))
    return Told(
        rid,
        feed,
        _name(str(service.get("name", ""))),
        _name(str(organization.get("name", ""))),
        frozenset(phones - {""}),
        frozenset(addresses - {""}),
        tuple(points),
        kinds,
    )


def find(entries: Iterable[Told]) -> list[Twins]:
    """Each pair once, in order."""
    by = {one.rid: one for one in entries}
    found = [
        (pair, evidence)
        for pair in sorted(_candidates(by.values()))
        if (evidence := _compare(by[pair[0]], by[pair[1]])) is not None
    ]
    certain: dict[int, int] = {}
    for (kept, other), (sure, _) in found:
        for rid in (kept, other):
            certain[rid] = certain.get(rid, 0) + sure
    twins = [
        Twins(kept, other, sure and certain[kept] == certain[other] == 1, because)
        for (kept, other), (sure, because) in found
    ]
    settled = {rid for one in twins if one.certain for rid in (one.kept, one.other)}
    return [one for one in twins if one.certain or not {one.kept, one.other} & settled]


def _candidates(entries: Iterable[Told]) -> set[tuple[int, int]]:
    """Pairs of different feeds that share a telephone, an address, or a name."""
    groups: dict[tuple[str, str], list[Told]] = {}
    for one in entries:
        for key in _keys(one):
            groups.setdefault(key, []).append(one)
    return {
        (min(one.rid, other.rid), max(one.rid, other.rid))
        for group in groups.values()
        if len(group) <= CROWD
        for one, other in combinations(group, 2)
        if one.feed != other.feed
    }


def _keys(one: Told) -> Iterator[tuple[str, str]]:
    yield from (("phone", phone) for phone in one.phones)
    yield from (("address", address) for address in one.addresses)
    if one.name:
        yield "name", f"{one.name}/{one.organization}"


def _compare(one: Told, other: Told) -> tuple[bool, tuple[str, ...]] | None:
    """(certain, because); None: not alike."""
    because = []
    name = _likeness(one.name, other.name)
    if name < ALIKE:
        return None
    because.append("name" if one.name == other.name else "name-alike")
    organization = _likeness(one.organization, other.organization)
    if organization >= ALIKE:
        because.append(
            "organization" if one.organization == other.organization else "organization-alike"
        )
    if one.phones & other.phones:
        because.append("phone")
    if one.addresses & other.addresses:
        because.append("address")
    elif any(distance_km(a, b) <= NEAR_KM for a in one.points for b in other.points):
        because.append("near")
    if one.kinds & other.kinds:
        because.append("kind")
    if not {"phone", "address", "near"} & set(because):
        return None
    return {"name", "organization", "kind"} <= set(because) and bool(
        {"phone", "address"} & set(because)
    ), tuple(because)


def _likeness(one: str, other: str) -> float:
    if one == other:
        return 1.0 if one else 0.0
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):  # the second of a row is not the first
        return 0.0
    return SequenceMatcher(None, one, other).ratio()


def _name(text: str) -> str:
    """Words in order of the alphabet, in short."""
    return " ".join(sorted(filter(None, (_SHORT.get(word, word) for word in folded(text).split()))))


def _address(address: Mapping[str, Any]) -> str:
    """Street and postal code, or town; "" where either is not said."""
    line = folded(str(next(iter(address.get("line", ())), "")))
    street = " ".join(filter(None, (_SHORT.get(word, word) for word in line.split())))
    where = re.sub(r"\s", "", str(address.get("postalCode", "")))[:5] or folded(
        str(address.get("city", ""))
    )
    return f"{street}/{where}" if street and where else ""
