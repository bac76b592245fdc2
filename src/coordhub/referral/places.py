"""Where a person is, and where a service is given: points, postal codes, regions, polygons.

http://hl7.org/fhir/R4/datatypes.html#Address
http://hl7.org/fhir/R4/extension-geolocation.html
http://hl7.org/fhir/R4/extension-location-boundary-geojson.html, https://www.rfc-editor.org/rfc/rfc7946
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import asin, cos, isfinite, radians, sin, sqrt
from typing import Any, Final

import msgspec

GEOLOCATION: Final = "http://hl7.org/fhir/StructureDefinition/geolocation"
BOUNDARY: Final = "http://hl7.org/fhir/StructureDefinition/location-boundary-geojson"
EARTH_RADIUS_KM: Final = 6371.0
_LARGEST_BOUNDARY: Final = 4 * 1024 * 1024

Ring = tuple[tuple[float, float], ...]
"""(longitude, latitude), closed or not."""


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Place:
    """Parts of an address, folded for comparison; empty: not stated. polygons: each its outer ring and holes."""

    postal_code: str = ""
    city: str = ""
    district: str = ""
    state: str = ""
    country: str = ""
    point: Point | None = None
    polygons: tuple[tuple[Ring, ...], ...] = ()

    @property
    def says_something(self) -> bool:
        return self != Place()


def place_of(address: object, point: Point | None = None) -> Place:
    """An Address; its geolocation, unless a point is known already."""
    if not isinstance(address, Mapping):
        return Place(point=point)
    return Place(
        postal_code=_postal(address.get("postalCode")),
        city=_folded(address.get("city")),
        district=_folded(address.get("district")),
        state=_folded(address.get("state")),
        country=_folded(address.get("country")),
        point=point or _geolocation(address),
    )


def location_of(location: Mapping[str, Any]) -> Place:
    """A Location, with its position and its boundary."""
    position = location.get("position")
    point = _point(position) if isinstance(position, Mapping) else None
    polygons = tuple(polygon for text in _boundaries(location) for polygon in _polygons(text))
    return replace(place_of(location.get("address"), point), polygons=polygons)


def within(person: Place, area: Place, *, widely: bool = False) -> bool | None:
    """Whether a service for this area is one for the person; None: too little is known.

    A boundary decides where the person's position is known; else the postal code if the area states
    one, else the narrowest of city, district, state and country. A wider part that differs rules it
    out. widely: a service that is given from afar, for which only state and country count.
    """
    if not widely and area.polygons and person.point is not None:
        return any(_inside(person.point, polygon) for polygon in area.polygons)
    parts: tuple[str, ...] = ("country", "state")
    if not widely and area.postal_code and person.postal_code:
        parts = (*parts, "postal_code")
    elif not widely:
        parts = (*parts, "district", "city", "postal_code")
    found: bool | None = None
    for name in parts:
        stated, known = getattr(area, name), getattr(person, name)
        if stated and known and not _same(name, stated, known):
            return False
        if stated:
            found = True if known else None
    return None if area.polygons and not widely else found


def distance_km(one: Point, other: Point) -> float:
    """Along a great circle."""
    a, b = radians(one.latitude), radians(other.latitude)
    half = (
        sin((b - a) / 2) ** 2
        + cos(a) * cos(b) * sin(radians(other.longitude - one.longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(half)))


def _same(name: str, stated: str, known: str) -> bool:
    if name == "postal_code":  # ZIP+4 lies within its ZIP
        return known.startswith(stated) or stated.startswith(known)
    if name == "country":
        return _COUNTRIES.get(stated, stated) == _COUNTRIES.get(known, known)
    return stated == known


_COUNTRIES: Final = {"usa": "us", "united states": "us", "united states of america": "us"}


def _inside(point: Point, polygon: Sequence[Ring]) -> bool:
    return (
        bool(polygon)
        and _in_ring(point, polygon[0])
        and not any(_in_ring(point, hole) for hole in polygon[1:])
    )


def _in_ring(point: Point, ring: Ring) -> bool:
    """By how often a ray to the east crosses it."""
    inside = False
    x, y = point.longitude, point.latitude
    for (x1, y1), (x2, y2) in zip(ring, (*ring[1:], ring[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _boundaries(location: Mapping[str, Any]) -> Iterator[str]:
    for extension in _dicts(location.get("extension")):
        attachment = extension.get("valueAttachment")
        if extension.get("url") == BOUNDARY and isinstance(attachment, Mapping):
            data = attachment.get("data")
            if isinstance(data, str) and len(data) <= _LARGEST_BOUNDARY:
                yield data


def boundaries_in(data: str) -> int:
    """How many polygons a boundary (base64 of GeoJSON) has that can be read."""
    return len(_polygons(data))


@lru_cache(maxsize=1024)
def _polygons(data: str) -> tuple[tuple[Ring, ...], ...]:
    """Of a GeoJSON geometry, Feature or FeatureCollection; none of what cannot be read."""
    try:
        stated = msgspec.json.decode(base64.b64decode(data))
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return ()
    return tuple(_geometries(stated, 4))


def _geometries(stated: Any, deepest: int) -> Iterator[tuple[Ring, ...]]:
    if not isinstance(stated, dict) or not deepest:
        return
    match stated.get("type"):
        case "FeatureCollection":
            for one in _dicts(stated.get("features")):
                yield from _geometries(one, deepest - 1)
        case "Feature":
            yield from _geometries(stated.get("geometry"), deepest - 1)
        case "GeometryCollection":
            for one in _dicts(stated.get("geometries")):
                yield from _geometries(one, deepest - 1)
        case "Polygon":
            if rings := _rings(stated.get("coordinates")):
                yield rings
        case "MultiPolygon":
            for one in stated.get("coordinates") or ():
                if rings := _rings(one):
                    yield rings


def _rings(stated: Any) -> tuple[Ring, ...]:
    try:
        return tuple(
            tuple((float(position[0]), float(position[1])) for position in ring)
            for ring in stated
            if len(ring) >= 3
        )
    except (TypeError, ValueError, IndexError, KeyError):
        return ()


def _geolocation(element: Mapping[str, Any]) -> Point | None:
    for extension in _dicts(element.get("extension")):
        if extension.get("url") == GEOLOCATION:
            return _point(
                {
                    str(part.get("url")): part.get("valueDecimal")
                    for part in _dicts(extension.get("extension"))
                }
            )
    return None


def _point(stated: Mapping[str, Any]) -> Point | None:
    try:
        latitude, longitude = float(stated["latitude"]), float(stated["longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    on_earth = isfinite(latitude) and abs(latitude) <= 90 and abs(longitude) <= 180
    return Point(latitude, longitude) if on_earth else None


def _folded(value: object) -> str:
    return " ".join(value.casefold().split()) if isinstance(value, str) else ""


def _postal(value: object) -> str:
    return "".join(value.casefold().split()) if isinstance(value, str) else ""


def _dicts(value: object) -> Iterable[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else ()
