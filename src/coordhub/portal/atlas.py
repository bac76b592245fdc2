"""A map of where services are given and which areas they serve: points and outlines of a drawing, and the same as rows.

https://www.w3.org/TR/SVG2/, https://www.rfc-editor.org/rfc/rfc7946

Degrees become lengths as on a sheet of paper, which is right for a county. Drawn by the hub from the directory alone:
no tiles, nobody elsewhere learns what is looked at. Of entries that everyone may be told of (directory.finding).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.directory.finding import Listed
from coordhub.r4 import document as fhir_json
from coordhub.referral.places import Point, Ring

WIDE: Final = 640.0
HIGHEST: Final = 560.0
EDGE: Final = 28.0
CELL: Final = 14.0
"""Services nearer to each other than this are one point."""
MOST_CORNERS: Final = 160
"""Of an outline."""
MOST_OUTLINES: Final = 60
MOST_NAMES: Final = 14
"""Towns that are named on the map: those with most services."""
BROAD: Final = 120.0
TALL: Final = 26.0
"""Room for a name."""
_BARS: Final = (1, 2, 5, 10, 20, 50, 100, 200)
_KM_OF_DEGREE: Final = 111.195


@dataclass(frozen=True, slots=True)
class Spot:
    """x, y, r: of a circle. count: services there. title: their names."""

    x: str
    y: str
    r: str
    count: int
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    x: str
    y: str
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """outlines: points of polygons. bar: (length, kilometres) of the scale."""

    width: str
    height: str
    spots: tuple[Spot, ...]
    outlines: tuple[str, ...]
    labels: tuple[Label, ...]
    bar: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Town:
    """services: (id, name) of those that are given there, by name. name: "" where the directory does not say."""

    name: str
    postal_code: str
    afar: bool
    services: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Given:
    id: str
    name: str
    points: tuple[Point, ...]
    towns: tuple[tuple[str, str], ...]


def towns(entries: Iterable[Listed]) -> list[Town]:
    """Each place with the services that are given there, in order; what is given from afar last."""
    by: dict[tuple[bool, str, str], set[tuple[str, str]]] = defaultdict(set)
    for entry in entries:
        one, afar = _given(entry), entry.offered.virtual
        for name, code in (("", ""),) if afar else one.towns or (("", ""),):
            by[afar, name, code].add((one.id, one.name))
    order = sorted(by, key=lambda key: (key[0], not key[1], key[1].casefold(), key[2]))
    return [
        Town(name, code, afar, tuple(sorted(by[afar, name, code], key=lambda one: (one[1], one[0]))))
        for afar, name, code in order
    ]  # fmt: skip


def drawing(entries: Sequence[Listed]) -> Drawing | None:
    """None where nothing has a place."""
    given = [_given(one) for one in entries if not one.offered.virtual]
    points = [point for one in given for point in one.points]
    if not points:
        return None
    outlines = _outlines(entries)
    sheet = _Sheet.of(points, outlines)
    return Drawing(
        f"{WIDE:.0f}",
        f"{sheet.height:.0f}",
        tuple(_spots(given, sheet)),
        tuple(sheet.ring(one) for one in outlines),
        tuple(_labels(given, sheet)),
        sheet.bar(),
    )


def _given(entry: Listed) -> _Given:
    document = fhir_json.parse(entry.service.text.encode())
    places = [fhir_json.parse(one.encode()) for one in entry.places]
    named = (_town(one.get("address")) for one in places)
    return _Given(
        entry.service.reference.partition("/")[2],
        str(document.get("name") or ""),
        entry.offered.at,
        tuple(dict.fromkeys(one for one in named if any(one))),
    )


def _town(address: Any) -> tuple[str, str]:
    stated: Mapping[str, Any] = address if isinstance(address, Mapping) else {}
    return str(stated.get("city") or ""), str(stated.get("postalCode") or "")[:5]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Where on the paper a point of the earth is. west, north: of its edge; across: of a degree of longitude."""

    west: float
    north: float
    across: float
    scale: float
    height: float

    @classmethod
    def of(cls, points: Sequence[Point], outlines: Sequence[Ring]) -> _Sheet:
        """All points are on it, and of outlines what is not far from them."""
        lats = [one.latitude for one in points]
        longs = [one.longitude for one in points]
        room = max(max(lats) - min(lats), max(longs) - min(longs), 0.05)
        for ring in outlines:
            for x, y in ring:
                if min(longs) - room <= x <= max(longs) + room:
                    longs.append(x)
                if min(lats) - room <= y <= max(lats) + room:
                    lats.append(y)
        south, north, west, east = min(lats), max(lats), min(longs), max(longs)
        across = max(math.cos(math.radians((south + north) / 2)), 0.05)
        wide = max((east - west) * across, 0.02)
        tall = max(north - south, 0.02)
        scale = min((WIDE - 2 * EDGE) / wide, (HIGHEST - 2 * EDGE) / tall)
        middle = (WIDE - 2 * EDGE - (east - west) * across * scale) / 2 / scale / across
        height = (north - south) * scale + 2 * EDGE + 24
        return cls(west - middle, north, across, scale, height)

    def at(self, longitude: float, latitude: float) -> tuple[float, float]:
        return (
            (longitude - self.west) * self.across * self.scale + EDGE,
            (self.north - latitude) * self.scale + EDGE,
        )

    def ring(self, ring: Ring) -> str:
        step = max(1, math.ceil(len(ring) / MOST_CORNERS))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*one) for one in ring[::step]))

    def bar(self) -> tuple[str, int]:
        """The longest round number of kilometres that is a quarter of the sheet or less."""
        length = self.scale / _KM_OF_DEGREE
        fitting = [one for one in _BARS if one * length <= WIDE / 4]
        km = fitting[-1] if fitting else _BARS[0]
        return f"{km * length:.1f}", km


def _outlines(entries: Iterable[Listed]) -> list[Ring]:
    """Each boundary once, without its holes."""
    rings = (
        polygon[0]
        for entry in entries
        for area in entry.offered.areas or ()
        for polygon in area.polygons
        if polygon
    )
    return list(dict.fromkeys(rings))[:MOST_OUTLINES]


def _spots(given: Iterable[_Given], sheet: _Sheet) -> Iterable[Spot]:
    cells: dict[tuple[int, int], list[tuple[float, float, str]]] = defaultdict(list)
    for one in given:
        for point in one.points:
            x, y = sheet.at(point.longitude, point.latitude)
            cells[int(x // CELL), int(y // CELL)].append((x, y, one.name))
    for key in sorted(cells):
        there = cells[key]
        names = sorted(dict.fromkeys(name for *_, name in there))
        yield Spot(
            f"{sum(x for x, *_ in there) / len(there):.1f}",
            f"{sum(y for _, y, _ in there) / len(there):.1f}",
            f"{4 + 2 * math.sqrt(len(there) - 1):.1f}",
            len(there),
            ", ".join(names[:8]) + (" ..." if len(names) > 8 else ""),
        )


def _labels(given: Sequence[_Given], sheet: _Sheet) -> Iterable[Label]:
    """At the middle of each town, where there is room for its name."""
    where: dict[str, list[Point]] = defaultdict(list)
    for one in given:
        for (town, _), point in zip(one.towns, one.points, strict=False):
            if town:
                where[town].append(point)
    counted = Counter({town: len(points) for town, points in where.items()})
    taken: list[tuple[float, float]] = []
    for town, _ in sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:MOST_NAMES]:
        middle = _middle(where[town])
        x, y = sheet.at(middle.longitude, middle.latitude)
        if any(abs(x - other) < BROAD and abs(y - beside) < TALL for other, beside in taken):
            continue
        taken.append((x, y))
        yield Label(f"{x:.1f}", f"{y - 12:.1f}", town)


def _middle(points: Sequence[Point]) -> Point:
    return Point(
        sum(one.latitude for one in points) / len(points),
        sum(one.longitude for one in points) / len(points),
    )
