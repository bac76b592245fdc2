"""Simple FHIRPath: the paths by which a patch names places in a resource.

http://hl7.org/fhir/R4/fhirpath.html#simple, http://hl7.org/fhir/R4/fhirpatch.html

Elements, indexes, `first()`, `last()`, `where(a.b = 'x' and c = 'y')` and
`ofType(T)`. A path is followed along the definitions, so that `Observation.value` finds
`valueQuantity` and each place knows the type of what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from coordhub.r4 import definitions
from coordhub.r4.definitions import Element

LONGEST: Final = 1000
MOST_STEPS: Final = 64

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*|`[A-Za-z_][A-Za-z0-9_]*`)"
    r"|(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<sign>[.()\[\]=]))",
    re.ASCII,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class UnreadablePathError(ValueError):
    """Not a path, or one that is not simple; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Child:
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """From 0; -1 is the last."""

    number: int


@dataclass(frozen=True, slots=True)
class Where:
    """All of the conditions hold: some value at the path equals the literal."""

    conditions: tuple[tuple[tuple[Child, ...], str | bool | Decimal], ...]


@dataclass(frozen=True, slots=True)
class OfType:
    type: str


Step = Child | Index | Where | OfType


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: `holder[name]`, or `holder[name][index]` of an element that repeats.

    type: of the value. The resource itself has no holder and no name.
    """

    value: Any
    type: str
    holder: dict[str, Any] | None = None
    name: str = ""
    index: int | None = None


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path, the first of them the name of the resource's type or of an element."""
    if len(text) > LONGEST:
        raise UnreadablePathError(f"A path has at most {LONGEST} characters.")
    tokens = _Tokens(text)
    steps: list[Step] = [Child(tokens.name())]
    while not tokens.done:
        steps.append(_step(tokens))
        if len(steps) > MOST_STEPS:
            raise UnreadablePathError(f"A path has at most {MOST_STEPS} steps.")
    return tuple(steps)


def find(document: dict[str, Any], steps: tuple[Step, ...]) -> list[Place]:
    """The places that a path names, in document order."""
    kind = str(document.get("resourceType", ""))
    places = [Place(document, kind)]
    if steps and isinstance(steps[0], Child) and steps[0].name in (kind, "Resource"):
        steps = steps[1:]
    for step in steps:
        places = list(_follow(places, step))
    return places


def element_of(type_name: str, name: str) -> Element | None:
    """The element that a type has under this name, or under this JSON name of a choice."""
    try:
        listed = definitions.elements(type_name)
    except KeyError:
        return None
    for element in listed:
        if name == element.name or (element.choice and name in element.json_names()):
            return element
    return None


def children(place: Place, name: str) -> Iterator[Place]:
    """What stands in the element `name` of a place; nothing if its type has no such element."""
    if not isinstance(place.value, dict):
        return
    element = element_of(place.type, name)
    if element is None:
        return
    for json_name, kind in element.json_names().items():
        if name not in (element.name, json_name):
            continue
        value = place.value.get(json_name)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if item is not None:
                    yield Place(item, _actual(kind, item), place.value, json_name, index)
        elif value is not None:
            yield Place(value, _actual(kind, value), place.value, json_name)


def _actual(kind: str, value: Any) -> str:
    if kind == definitions.RESOURCE and isinstance(value, dict):
        return str(value.get("resourceType", kind))
    return kind


def _follow(places: list[Place], step: Step) -> Iterator[Place]:
    match step:
        case Child(name):
            for place in places:
                yield from children(place, name)
        case Index(number):
            if -1 <= number < len(places) and places:
                yield places[number]
        case Where(conditions):
            for place in places:
                if all(_holds(place, path, literal) for path, literal in conditions):
                    yield place
        case OfType(kind):
            yield from (place for place in places if place.type == kind)


def _holds(place: Place, path: tuple[Child, ...], literal: str | bool | Decimal) -> bool:
    found = [place]
    for step in path:
        found = list(_follow(found, step))
    return any(_equals(each.value, literal) for each in found)


def _equals(value: Any, literal: str | bool | Decimal) -> bool:
    if isinstance(value, bool) or isinstance(literal, bool):
        return value is literal
    return bool(value == literal)


class _Tokens:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise _not_simple()
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._next = 0

    @property
    def done(self) -> bool:
        return self._next == len(self._tokens)

    def take(self, kind: str, value: str | None = None) -> str:
        if self.done or self._tokens[self._next][0] != kind:
            raise _not_simple()
        found = self._tokens[self._next][1]
        if value is not None and found != value:
            raise _not_simple()
        self._next += 1
        return found

    def name(self) -> str:
        return self.take("name").strip("`")

    def sees(self, value: str) -> bool:
        return not self.done and self._tokens[self._next] == (
            "sign" if value in ".()[]=" else "name",
            value,
        )

    def text(self) -> str:
        quoted = self.take("text")[1:-1]
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), quoted)

    def literal(self) -> str | bool | Decimal:
        if self.done:
            raise _not_simple()
        kind, value = self._tokens[self._next]
        if kind == "text":
            return self.text()
        if kind == "number":
            return Decimal(self.take("number"))
        if value in ("true", "false"):
            return self.take("name") == "true"
        raise _not_simple()


def _step(tokens: _Tokens) -> Step:
    if tokens.sees("["):
        tokens.take("sign", "[")
        number = tokens.take("number")
        tokens.take("sign", "]")
        if not number.isdigit():
            raise _not_simple()
        return Index(int(number))
    tokens.take("sign", ".")
    name = tokens.name()
    if not tokens.sees("("):
        return Child(name)
    tokens.take("sign", "(")
    step = _function(name, tokens)
    tokens.take("sign", ")")
    return step


def _function(name: str, tokens: _Tokens) -> Step:
    match name:
        case "first":
            return Index(0)
        case "last":
            return Index(-1)
        case "ofType" | "as":
            return OfType(tokens.name())
        case "where":
            conditions = [_condition(tokens)]
            while tokens.sees("and"):
                tokens.take("name", "and")
                conditions.append(_condition(tokens))
            return Where(tuple(conditions))
    raise _not_simple()


def _condition(tokens: _Tokens) -> tuple[tuple[Child, ...], str | bool | Decimal]:
    path = [Child(tokens.name())]
    while tokens.sees("."):
        tokens.take("sign", ".")
        path.append(Child(tokens.name()))
    tokens.take("sign", "=")
    return tuple(path), tokens.literal()


def _not_simple() -> UnreadablePathError:
    return UnreadablePathError(
        "This is no simple path: use element names, [index], first(), last(), "
        "where(element = 'value'), ofType(Type)."
    )
