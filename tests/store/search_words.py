"""R4's words about searching, said again of one document at a time: what each kind of value means.

It reads documents as they were sent and shares nothing with the hub's own extraction or comparison.
A value of a document is a plain text, or one of the small things below; `matches` says whether what
was asked, as one alternative, holds of it.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

UCUM = "http://unitsofmeasure.org"
GRAMS = {"g": Fraction(1), "mg": Fraction(1, 1000), "kg": Fraction(1000)}
FOREVER = datetime.max.replace(tzinfo=UTC)
NEVER = datetime.min.replace(tzinfo=UTC)
INFINITY = float("inf")

Number = Fraction | float
Body = dict[str, Any]


@dataclass(frozen=True)
class Coded:
    """A code or an identifier: texts are what people read beside it, types those of an Identifier.

    code: None where there is only a text.
    """

    system: str | None
    code: str | None
    texts: tuple[str, ...] = ()
    types: tuple[tuple[str | None, str], ...] = ()


@dataclass(frozen=True)
class Extent:
    """From one number or instant to another."""

    low: Any
    high: Any


@dataclass(frozen=True)
class Place:
    latitude: float
    longitude: float


def folded(text: str) -> str:
    marks = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(each for each in marks if not unicodedata.combining(each)).split())


def escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in "\\,|$" else each for each in text)


# What documents hold.


def concepts(*found: Body | None) -> list[Coded]:
    values = []
    for concept in found:
        for each in (concept or {}).get("coding", ()):
            texts = (each["display"],) if "display" in each else ()
            values.append(Coded(each.get("system"), each["code"], texts))
        if "text" in (concept or {}):
            values.append(Coded(None, None, (concept["text"],)))
    return values


def identifiers(found: Iterable[Body]) -> list[Coded]:
    return [
        Coded(
            each.get("system"),
            each["value"],
            (each["type"]["text"],) if "text" in each.get("type", {}) else (),
            tuple((one.get("system"), one["code"]) for one in each.get("type", {}).get("coding", ())),
        )
        for each in found
    ]  # fmt: skip


def codes(code: str | None, system: str) -> list[Coded]:
    """Of an element that is a bare code: its system is that of its binding."""
    return [] if code is None else [Coded(system, code)]


def covered(text: str) -> Extent:
    """As long as it is precise."""
    if "T" in text:
        start = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return Extent(start, start + timedelta(milliseconds=1 if "." in text else 1000))
    parts = [int(each) for each in text.split("-")]
    start = datetime(*[*parts, 1, 1][:3], tzinfo=UTC)
    if len(parts) == 3:
        return Extent(start, start + timedelta(days=1))
    if len(parts) == 2:
        return Extent(start, datetime(parts[0] + parts[1] // 12, parts[1] % 12 + 1, 1, tzinfo=UTC))
    return Extent(start, datetime(parts[0] + 1, 1, 1, tzinfo=UTC))


def dates(stated: str | Body | None) -> list[Extent]:
    if stated is None:
        return []
    if isinstance(stated, str):
        return [covered(stated)]
    start = covered(stated["start"]).low if "start" in stated else NEVER
    return [Extent(start, covered(stated["end"]).high if "end" in stated else FOREVER)]


def quantity_extent(quantity: Body) -> Extent:
    value, comparator = Fraction(quantity["value"]), quantity.get("comparator", "")
    return Extent(
        -INFINITY if "<" in comparator else value, INFINITY if ">" in comparator else value
    )


def number_extent(stated: Any) -> Extent:
    if isinstance(stated, dict):
        low, high = stated.get("low"), stated.get("high")
        return Extent(
            Fraction(low["value"]) if low else -INFINITY,
            Fraction(high["value"]) if high else INFINITY,
        )
    return Extent(Fraction(stated), Fraction(stated))


# Whether what is asked holds of a value.


def string(value: str, asked: str, modifier: str) -> bool:
    if modifier == "exact":
        return value == asked
    here, there = folded(value), folded(asked)
    return there in here if modifier == "contains" else here.startswith(there)


def uri(value: str, asked: str, modifier: str) -> bool:
    """:below: at or beneath what is asked, path segment by path segment; :above: the other way."""
    above, below = {"above": (value, asked), "below": (asked, value)}.get(modifier, ("", ""))
    return value == asked or (bool(above) and below.startswith(above.rstrip("/") + "/"))


def rounding(text: str) -> Extent:
    """What rounds to it: half of the last digit to either side."""
    half = Fraction(1, 2 * 10 ** len(text.partition(".")[2]))
    return Extent(Fraction(text) - half, Fraction(text) + half)


def number(value: Extent, prefix: str, asked: str, factor: Fraction = Fraction(1)) -> bool:
    """factor: by which the value's numbers are multiplied to be in the unit that was asked in."""
    low, high = value.low * factor, value.high * factor
    at, near = Fraction(asked), rounding(asked)
    tenth = abs(at) / 10
    equal = near.low <= low and high < near.high
    return {
        "": equal,
        "eq": equal,
        "ne": not equal,
        "gt": high > at,
        "ge": high >= at,
        "lt": low < at,
        "le": low <= at,
        "sa": low > at,
        "eb": high < at,
        "ap": low <= max(near.high, at + tenth) and high >= min(near.low, at - tenth),
    }[prefix]


def quantity(value: Body, prefix: str, asked: str, system: str | None, unit: str | None) -> bool:
    """No system but a unit: the code or what people read; neither: whatever the unit."""
    extent = quantity_extent(value)
    if unit is None:
        return number(extent, prefix, asked)
    if system is None:
        return unit in (value.get("code"), value.get("unit")) and number(extent, prefix, asked)
    if value.get("system") != system:
        return False
    if system == UCUM and unit in GRAMS:
        code = value["code"]
        return code in GRAMS and number(extent, prefix, asked, GRAMS[code] / GRAMS[unit])
    return value.get("code") == unit and number(extent, prefix, asked)


def date(value: Extent, prefix: str, asked: str, now: datetime) -> bool:
    """ap: by a tenth of how long ago or ahead it is."""
    there = covered(asked)
    within = there.low <= value.low and value.high <= there.high
    tenth = max(now - there.high, there.low - now, timedelta()) / 10
    return {
        "": within,
        "eq": within,
        "ne": not within,
        "gt": value.high > there.high,
        "ge": value.high > there.high or value.low >= there.low,
        "lt": value.low < there.low,
        "le": value.low < there.low or value.high <= there.high,
        "sa": value.low >= there.high,
        "eb": value.high <= there.low,
        "ap": value.low < there.high + tenth and value.high > there.low - tenth,
    }[prefix]


def near(value: Place, latitude: float, longitude: float, metres: float) -> bool:
    """Along the surface, by the angle between the two from the middle of the earth."""
    one, other = _upright(value.latitude, value.longitude), _upright(latitude, longitude)
    chord = math.dist(one, other)
    return 2 * math.asin(min(1.0, chord / 2)) * 6_371_008.8 <= metres


def _upright(latitude: float, longitude: float) -> tuple[float, float, float]:
    north, east = math.radians(latitude), math.radians(longitude)
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)
