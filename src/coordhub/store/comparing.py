"""What a search asks of a value, as SQL conditions on the columns of an index table.

http://hl7.org/fhir/R4/search.html#prefix
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import cos, degrees, radians

from coordhub.r4.search import DateValue, NearValue, QuantityValue
from coordhub.r4.search_measures import EARTH_RADIUS, MeasureCondition
from coordhub.store.arguments import Arguments, any_of


class Comparing:
    """Makes conditions for one statement, of columns that each is told.

    systems: numbers of the code systems that are interned; what is not interned matches nothing.
    """

    def __init__(self, systems: Mapping[str, int], arguments: Arguments) -> None:
        self._systems = systems
        self._add = arguments.add

    def dates(
        self, values: Iterable[DateValue], low: str, high: str, *, moment: bool = False
    ) -> str:
        """Any of these. moment: what is compared covers a year at most, so that an index of low is of use."""
        return any_of(self.date(value, low, high, moment=moment) for value in values)

    def _number(self, value: object) -> str:
        return self._add(str(value), "text") + "::numeric"

    def system(self, system: str | None) -> str:
        return self._add(self._systems.get(system, -1) if system else 0, "int")

    def like(self, column: str, text: str, *, within: bool = False) -> str:
        pattern = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} like {self._add(f'%{pattern}%' if within else f'{pattern}%', 'text')}"

    def date(self, value: DateValue, low: str, high: str, *, moment: bool = False) -> str:
        comparisons = value.condition.comparisons
        compared = [
            f"{low if each.bound == 'low' else high} {each.operator} {self._add(each.at, 'timestamptz')}"
            for each in comparisons
        ]
        fits = "(" + f" {value.condition.joined} ".join(compared) + ")"
        if moment and all(each.operator in (">", ">=") for each in comparisons):
            since = self._add(min(each.at for each in comparisons), "timestamptz")
            return f"({fits} and {low} > {since} - interval '367 days')"
        return fits

    def measure(self, condition: MeasureCondition, low: str, high: str) -> str:
        """The bounds, written so that the indexes of low, and of high where it differs, are of use."""
        bounds = []
        for bound in condition.bounds:
            at = self._number(bound.at)
            if bound.end == "low":
                bounds.append(f"{low} {bound.operator} {at}")
            elif bound.operator in ("<", "<="):
                # high is never below low, so that the index of low ends the scan.
                bounds.append(f"({low} {bound.operator} {at} and {high} {bound.operator} {at})")
            else:
                bounds.append(
                    f"({low} {bound.operator} {at}"
                    f" or ({low} <> {high} and {high} {bound.operator} {at}))"
                )
        return "(" + f" {condition.joined} ".join(bounds) + ")"

    def quantity(self, value: QuantityValue, system: str, code: str) -> str:
        if value.unit is not None and value.canonical is not None:
            dimension = self._add(value.unit.dimension, "text")
            within = self.measure(value.canonical, "i.canonical_low", "i.canonical_high")
            return f"i.dimension = {dimension} and {within}"
        parts = [self.measure(value.condition, "i.low", "i.high")]
        if value.system is not None:
            parts.append(f"{system} = {self.system(value.system)}")
            if value.code is not None:
                parts.append(f"{code} = {self._add(value.code, 'text')}")
        elif value.code is not None:
            unit = self._add(value.code, "text")
            parts.append(f"({code} = {unit} or i.unit = {unit})")
        return " and ".join(parts)

    def near(self, value: NearValue) -> str:
        """A box that an index can find, and the distance itself by the haversine formula."""
        angle = degrees(value.distance / EARTH_RADIUS) * 1.000001
        south, north = value.latitude - angle, value.latitude + angle
        box = [f"i.latitude between {self._add(south, 'float8')} and {self._add(north, 'float8')}"]
        if south > -90 and north < 90:
            width = min(180.0, angle / min(cos(radians(south)), cos(radians(north))) * 1.000001)
            # Across the date line the box has two parts.
            boxes = [
                f"i.longitude between {self._add(value.longitude - width + turn, 'float8')}"
                f" and {self._add(value.longitude + width + turn, 'float8')}"
                for turn in (0, 360, -360)
                if value.longitude - width + turn <= 180 and value.longitude + width + turn >= -180
            ]
            box.append(any_of(boxes))
        latitude = self._add(value.latitude, "float8")
        longitude = self._add(value.longitude, "float8")
        distance = (
            f"2 * {EARTH_RADIUS} * asin(least(1, sqrt("
            f"sin(radians(i.latitude - {latitude}) / 2) ^ 2 + cos(radians({latitude}))"
            f" * cos(radians(i.latitude)) * sin(radians(i.longitude - {longitude}) / 2) ^ 2)))"
        )
        return f"{' and '.join(box)} and {distance} <= {self._add(value.distance, 'float8')}"
