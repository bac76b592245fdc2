"""What a search asks for, read from the address, the query and the token before anything is looked up.

http://hl7.org/fhir/R4/search.html, http://hl7.org/fhir/R4/compartmentdefinition.html#search

A search over several types takes the parameters that each of them has, of one kind, and goes over the
types that the token may search.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from coordhub import errors
from coordhub.errors import FhirError, Issue
from coordhub.fhir.context import Asked
from coordhub.fhir.paging import applied
from coordhub.r4 import search_result, types
from coordhub.r4.compartments import Compartment, compartment, members
from coordhub.r4.parameters import parameters
from coordhub.r4.search import Query, parse_query
from coordhub.r4.search_result import Pair, Shape

ALL_HAVE: Final = ("_id", "_lastUpdated", "_profile", "_security", "_source", "_tag")
"""Parameters that every type has."""

_SORTS: Final = frozenset({"_id", "-_id", "_lastUpdated", "-_lastUpdated"})
_ALSO: Final = frozenset({"_sort", "_count", "_cursor", "_format", "_pretty"})


@dataclass(frozen=True, slots=True)
class Plan:
    """One search, understood.

    queries: one for each type, by the same criteria. path: its address below the base.
    pairs: what was applied, for the links. ignored: what a lenient search had to leave out.
    """

    queries: tuple[Query, ...]
    shape: Shape
    within: Compartment | None
    path: str
    pairs: list[Pair]
    ignored: tuple[str, ...]

    @property
    def cursor(self) -> str | None:
        return self.queries[0].cursor

    @property
    def count(self) -> int | None:
        return self.queries[0].count


def plan(asked: Asked, *, base: str, now: datetime) -> Plan:
    """Understand a search; 400 with every fault of its query, 403 for a `_type` out of scope."""
    lenient, owner = asked.preference.lenient, asked.target.compartment
    if asked.target.type is not None:
        kinds: Sequence[str] = (asked.target.type,)
        pairs: Sequence[Pair] = asked.query
    else:
        kinds, pairs = _kinds(asked)
    shape, left, issues = search_result.read(kinds, pairs, lenient=lenient)
    ignored = list(shape.ignored)
    if asked.target.type is None:
        left, odd = _common(left, kinds)
        if lenient:
            ignored += odd
        else:
            issues += [_not_common(name, kinds) for name, _ in odd]
    try:
        first = parse_query(kinds[0], left, lenient=lenient, base=base, now=now)
    except FhirError as refused:
        raise FhirError(400, *issues, *refused.issues) from None
    if issues:
        raise FhirError(400, *issues)
    others = (
        parse_query(kind, left, lenient=lenient, base=base, now=now)
        if first.criteria
        else replace(first, resource_type=kind)
        for kind in kinds[1:]
    )
    return Plan(
        (first, *others),
        shape,
        None if owner is None else compartment(*owner, kinds),
        _path(asked),
        _applied(asked.query, first, ignored),
        tuple(dict.fromkeys([*(name for name, _ in ignored), *first.ignored])),
    )


def not_applied(name: str) -> Issue:
    """What is said of a parameter that a lenient search left out."""
    return Issue(
        "not-supported",
        "Was left out of this search, as `Prefer: handling=lenient` allows.",
        f"http.{_shown(name)}",
        severity="warning",
    )


def _kinds(asked: Asked) -> tuple[Sequence[str], list[Pair]]:
    """The types to search, and the query without `_type`."""
    owner = asked.target.compartment
    possible = members(owner[0]) if owner is not None else types.NAMES
    named = [
        name.strip() for key, value in asked.query if key == "_type" for name in value.split(",")
    ]
    unknown = [name for name in named if name not in types.NUMBER]
    if unknown:
        raise errors.bad_request("_type takes resource types of R4.", "http._type")
    for name in named:
        asked.caller.require(name, "search")
    kinds = [
        name
        for name in possible
        if (name in named if named else asked.caller.scopes.allow(name, "s"))
    ]
    if not kinds and named:
        raise errors.bad_request("None of these types can be in this compartment.", "http._type")
    if not kinds:
        raise errors.forbidden("The token's scopes do not allow to search any type.")
    return kinds, [pair for pair in asked.query if pair[0] != "_type"]


def _common(pairs: Sequence[Pair], kinds: Sequence[str]) -> tuple[list[Pair], list[Pair]]:
    """The pairs that every one of these types understands, and the others."""
    fits: list[Pair] = []
    odd: list[Pair] = []
    for name, value in pairs:
        code = re.split("[:.]", name, maxsplit=1)[0]
        common = code in _ALSO or _all_have(code, kinds)
        if code == "_sort":
            common = set(value.split(",")) <= _SORTS
        (fits if common else odd).append((name, value))
    return fits, odd


def _all_have(code: str, kinds: Sequence[str]) -> bool:
    """Whether all of these types have a parameter of this name, and of one kind."""
    if code in ALL_HAVE:
        return True
    valued = {one.kind if one else None for one in (parameters(kind).get(code) for kind in kinds)}
    return len(valued) == 1 and None not in valued


def _not_common(name: str, kinds: Sequence[str]) -> Issue:
    shared = [code for code in parameters(kinds[0]) if _all_have(code, kinds)]
    return Issue(
        "not-supported",
        f"A search over these types takes {', '.join(sorted({*ALL_HAVE, *shared}))} and sorts by _id and "
        "_lastUpdated; for other parameters ask for [type]?[criteria].",
        f"http.{_shown(name)}",
    )


def _path(asked: Asked) -> str:
    parts = [*(asked.target.compartment or ())]
    if asked.target.type is not None:
        parts.append(asked.target.type)
    elif parts:
        parts.append("*")
    return "/".join(parts)


def _applied(pairs: Sequence[Pair], query: Query, ignored: Sequence[Pair]) -> list[Pair]:
    """The pairs without what a lenient search left out; of a `_sort`, the keys that are used."""
    kept = [pair for pair in applied(pairs) if pair[0] not in query.ignored and pair not in ignored]
    if "_sort" in query.ignored and query.sort:
        keys = ("-" * key.descending + key.parameter.code for key in query.sort)
        kept.append(("_sort", ",".join(keys)))
    return kept


def _shown(name: str) -> str:
    return "".join(c for c in name[:64] if c.isascii() and (c.isalnum() or c in "_:.-"))
