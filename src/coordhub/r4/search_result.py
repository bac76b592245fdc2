"""How a search wants to be answered: R4's search result parameters, read and judged.

`_include`, `_revinclude`, `_total`, `_summary`, `_elements` and `_count=0` are taken out of a query
here; what is left says what matches (`r4.search`). `_sort` and `_count` stay there: they say which
matches a page has.

http://hl7.org/fhir/R4/search.html#return
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from coordhub.errors import Issue
from coordhub.r4.definitions import elements
from coordhub.r4.parameters import SearchParameter, parameters
from coordhub.r4.types import NAMES, NUMBER
from coordhub.r4.views import WHOLE, View

Total = Literal["none", "estimate", "accurate"]

Pair = tuple[str, str]

PARAMETERS: Final = ("_include", "_revinclude", "_total", "_summary", "_elements")
ANY: Final = 0
"""Stands for every reference parameter, and for every target type."""

_ONCE: Final = ("_total", "_summary")


@dataclass(frozen=True, slots=True)
class Include:
    """References to follow: of a match to its target, or backwards to what refers to a match.

    parameter: number of a reference parameter, or ANY. target: number of the type that the
    reference must lead to, or ANY. iterate: also from what was included.
    """

    parameter: int
    target: int
    reverse: bool
    iterate: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What the Bundle holds besides matches, and how much of each.

    count_only: no entries, only `Bundle.total`.
    ignored: pairs that a lenient query had to do without.
    """

    includes: tuple[Include, ...] = ()
    total: Total = "none"
    view: View = WHOLE
    count_only: bool = False
    ignored: tuple[Pair, ...] = ()


def read(
    types: Sequence[str], pairs: Sequence[Pair], *, lenient: bool = False
) -> tuple[Shape, list[Pair], list[Issue]]:
    """The shape, the pairs that are left, and every fault.

    types: what is searched; several in a search over the whole system.
    """
    reading = _Reading(types, lenient)
    left = [pair for pair in pairs if not reading.takes(*pair)]
    shape = Shape(
        tuple(dict.fromkeys(reading.includes)),
        "accurate" if reading.count_only and reading.total == "none" else reading.total,
        View(reading.summary, frozenset(reading.elements)),
        reading.count_only,
        tuple(dict.fromkeys(reading.ignored)),
    )
    return shape, left, reading.issues


class _Reading:
    def __init__(self, types: Sequence[str], lenient: bool) -> None:
        self.types = types
        self.lenient = lenient
        self.issues: list[Issue] = []
        self.ignored: list[Pair] = []
        self.includes: list[Include] = []
        self.total: Total = "none"
        self.summary: Literal["true", "text", "data"] | None = None
        self.elements: set[str] = set()
        self.count_only = False
        self.seen: set[str] = set()

    def takes(self, name: str, value: str) -> bool:
        """Whether the pair is one of these parameters; then it has been read."""
        code, _, modifier = name.partition(":")
        if name == "_count" and value and not value.strip("0"):
            self.count_only = True
            return True
        if code not in PARAMETERS:
            return False
        if code in ("_include", "_revinclude"):
            if modifier in ("", "iterate", "recurse"):
                self._include((name, value.strip()), code == "_revinclude", bool(modifier))
            else:
                self._invalid(name, f"{code} takes the modifier :iterate only.")
        elif modifier:
            self._invalid(name, f"{code} takes no modifier.")
        elif code in _ONCE and code in self.seen:
            self._invalid(name, f"{code} may be given once.")
        else:
            self.seen.add(code)
            self._other(code, value)
        return True

    def _other(self, code: str, value: str) -> None:
        match code, value:
            case "_total", "none" | "estimate" | "accurate":
                self.total = value
            case "_total", _:
                self._invalid(code, "_total is none, estimate or accurate.")
            case "_summary", "false":
                pass
            case "_summary", "count":
                self.count_only = True
            case "_summary", "true" | "text" | "data":
                self.summary = value
            case "_summary", _:
                self._invalid(code, "_summary is true, text, data, count or false.")
            case _:
                self._elements(value)

    def _elements(self, value: str) -> None:
        for text in value.split(","):
            kind, _, name = text.strip().rpartition(".")
            known = {
                element.name for each in self.types if not kind or each == kind
                for element in elements(each)
            }  # fmt: skip
            if name in known:
                self.elements.add(name)
            else:
                self._not_served(("_elements", value), _no_element(kind, name, self.types, known))

    def _include(self, pair: Pair, reverse: bool, iterate: bool) -> None:
        value = pair[1]
        if value == "*":
            self.includes.append(Include(ANY, ANY, reverse, iterate))
            return
        kind, _, rest = value.partition(":")
        code, _, target = rest.partition(":")
        if kind not in NUMBER or not code:
            near = difflib.get_close_matches(kind, NAMES, n=1, cutoff=0.6)
            hint = f" Did you mean {near[0]}?" if near else ""
            self._not_served(
                pair, f"It is written [type]:[parameter], as Task:focus is, or *.{hint}"
            )
        elif target and target not in NUMBER:
            self._not_served(
                pair,
                "What follows the second colon is a resource type, as in Task:focus:ServiceRequest; "
                "leave it out to follow the reference to whatever it leads.",
            )
        elif not reverse and not iterate and kind not in self.types:
            self._not_served(
                pair, f"{kind} is not searched here; with :iterate it may be included."
            )
        else:
            self._follow(pair, kind, code, NUMBER[target] if target else ANY, reverse, iterate)

    def _follow(
        self, pair: Pair, kind: str, code: str, target: int, reverse: bool, iterate: bool
    ) -> None:
        known = {each.code: each for each in references(kind)}
        if code == "*":
            found = list(known.values())
        elif code in known:
            found = [known[code]]
        else:
            near = difflib.get_close_matches(code, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            has = f"It has {', '.join(sorted(known))}." if known else "It has none; leave this out."
            self._not_served(pair, f"{kind} has no reference parameter {_shown(code)}.{hint} {has}")
            return
        self.includes.extend(Include(each.id, target, reverse, iterate) for each in found)

    def _not_served(self, pair: Pair, diagnostics: str) -> None:
        if self.lenient:
            self.ignored.append(pair)
        else:
            self.issues.append(Issue("not-supported", diagnostics, f"http.{_shown(pair[0])}"))

    def _invalid(self, name: str, diagnostics: str) -> None:
        self.issues.append(Issue("invalid", diagnostics, f"http.{_shown(name)}"))


def references(resource_type: str) -> list[SearchParameter]:
    """The parameters of a type that can be followed."""
    return [
        parameter
        for parameter in parameters(resource_type).values()
        if parameter.kind == "reference" and parameter.indexed
    ]


def _no_element(kind: str, name: str, types: Sequence[str], known: Collection[str]) -> str:
    if kind and kind not in types:
        return "What stands before the dot is a type that is searched here; leave it out."
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    of = types[0] if len(types) == 1 else "None of the types searched"
    has = "has no" if len(types) == 1 else "has a"
    told = f" It has {', '.join(sorted(known))}." if len(types) == 1 else ""
    return (
        f"{of} {has} top-level element {_shown(name)}.{hint} _elements takes names of those, "
        f"with commas between.{told}"
    )


def _shown(name: str) -> str:
    return "".join(c for c in name[:64] if c.isascii() and (c.isalnum() or c in "_:.-"))
