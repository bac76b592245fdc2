"""What a search asks of a resource: values of its parameters, or of resources it is linked with.

A chain (`subject:Patient.name`) asks it of what a reference points to, `_has`
(`_has:Observation:patient:code`) of what points here; both go on to any depth and into each other.

http://hl7.org/fhir/R4/search.html#chaining, http://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from coordhub.r4.parameters import SearchParameter, parameters, target_types
from coordhub.r4.search_text import Invalid, ModifierNotServed, NotServed, Unknown, split_values
from coordhub.r4.search_values import TokenValue, Value, read_values
from coordhub.r4.types import NAMES, NUMBER

SERVED = frozenset(
    {"string", "token", "reference", "date", "number", "quantity", "uri", "composite", "special"}
)
"""Kinds of parameters that a search takes."""

COLUMNS = frozenset({"_id", "_lastUpdated"})
"""Parameters that the store answers from the resource's own row."""

MOST_HOPS = 8
MOST_WAYS = 40
"""A chain through that many types at once asks for too much; it is to name the type it means."""

HAS = "_has:"
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_REASONS = {
    "_content": "The text of resources is not indexed; ask by their elements.",
    "_text": "The narrative of resources is not indexed; ask by their elements.",
    "_filter": "Filter expressions are not served; write the same with parameters.",
    "_list": "Lists are not followed; read the List, and ask for its entries by _id.",
    "_query": "There are no named queries here.",
}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter: any of `values` must fit.

    modifier: as written, without the type after a reference parameter, which is in its values.
    """

    parameter: SearchParameter
    modifier: str | None
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """What `parameter` refers to is of one of the types and meets the condition beside it."""

    parameter: SearchParameter
    links: tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, slots=True)
class Reverse:
    """A resource that refers here by `parameter`, which is its own, meets the condition."""

    parameter: SearchParameter
    condition: Condition


Condition: TypeAlias = "Criterion | Chain | Reverse"


def read_condition(
    resource_type: str,
    name: str,
    value: str,
    *,
    base: str | None,
    now: datetime | None,
) -> Condition:
    """What one (name, value) pair asks of a resource; raises Invalid, NotServed or Unknown."""
    return _Reading(value, base, now).read(resource_type, name, 0)


def read_ids(modifier: str | None, value: str) -> tuple[TokenValue, ...]:
    """The logical ids of an `_id`."""
    if modifier is not None:
        raise ModifierNotServed("_id takes no modifier; leave it out.")
    asked = dict.fromkeys(split_values(value))
    if not all(_ID.fullmatch(each) for each in asked):
        raise Invalid(
            "_id takes logical ids: letters, digits, '-' and '.', at most 64. Send of Type/id what "
            "follows the slash, several with commas between; what else is known of a resource is "
            "asked for by identifier=system|value."
        )
    return tuple(TokenValue(None, each, any_system=True) for each in asked)


def values_of(condition: Condition) -> Iterator[Value]:
    """All values, those of linked resources too."""
    match condition:
        case Criterion(values=values):
            yield from values
        case Chain(links=links):
            for _, linked in links:
                yield from values_of(linked)
        case Reverse(condition=linked):
            yield from values_of(linked)


class _Reading:
    """One pair; what a name means for a type is found out once, however many ways lead there."""

    def __init__(self, value: str, base: str | None, now: datetime | None) -> None:
        self.value = value
        self.base = base
        self.now = now
        self.known: dict[tuple[str, str], Condition | Unknown | Invalid | NotServed] = {}

    def read(self, resource_type: str, name: str, hops: int) -> Condition:
        found = self.known.get((resource_type, name))
        if found is None:
            try:
                found = self._condition(resource_type, name, hops)
            except (Unknown, Invalid, NotServed) as fault:
                found = fault
            self.known[resource_type, name] = found
        if isinstance(found, Exception):
            raise found
        return found

    def _condition(self, resource_type: str, name: str, hops: int) -> Condition:
        if hops > MOST_HOPS:
            raise NotServed(f"At most {MOST_HOPS} resources are followed one after another.")
        if name.startswith(HAS):
            return self._reverse(resource_type, name, hops)
        head, dot, rest = name.partition(".")
        code, colon, after = head.partition(":")
        modifier = after if colon else None
        parameter = parameters(resource_type).get(code)
        if code in _REASONS:
            raise NotServed(f"{code} is not served. {_REASONS[code]}")
        if parameter is None:
            raise Unknown(resource_type, code)
        _require_served(parameter)
        if dot and not rest:
            raise Invalid("After the . stands a parameter of what is referred to.")
        if dot:
            return self._chain(parameter, modifier, rest, hops)
        if not self.value:
            raise Invalid(f"{code} has no value; leave it out, or say what to look for.")
        if code == "_id":
            return Criterion(parameter, None, read_ids(modifier, self.value))
        if code == "_lastUpdated" and modifier == "missing":
            raise Invalid("_lastUpdated is never missing.")
        values = read_values(parameter, modifier, self.value, self.base, self.now)
        typed = parameter.kind == "reference" and modifier in NUMBER
        return Criterion(parameter, None if typed else modifier, values)

    def _chain(self, parameter: SearchParameter, type_: str | None, rest: str, hops: int) -> Chain:
        if parameter.kind != "reference":
            raise Invalid(f"{parameter.code} is no reference, so nothing can be chained to it.")
        if not any(path.leaf == "Reference" for path in parameter.paths):
            raise NotServed(f"{parameter.code} names a canonical address; chains go by references.")
        if type_ is not None and type_ not in NUMBER:
            raise Invalid(f"Between : and . stands the type that {parameter.code} refers to.")
        if type_ is not None and parameter.targets and type_ not in parameter.targets:
            raise Invalid(
                f"{parameter.code} does not refer to {type_}, "
                f"but to {', '.join(parameter.targets)}."
            )
        links: list[tuple[str, Condition]] = []
        fault: Unknown | Invalid | NotServed | None = None
        for target in (type_,) if type_ else target_types(parameter) or NAMES:
            try:
                links.append((target, self.read(target, rest, hops + 1)))
            except (Unknown, Invalid, NotServed) as error:
                # Of several types, those that know the parameter as it is asked are meant.
                if fault is None or isinstance(fault, Unknown):
                    fault = error
        if not links and fault is not None:
            raise fault
        if sum(_ways(linked) for _, linked in links) > MOST_WAYS:
            raise NotServed(
                f"{parameter.code} may refer to many types; name one: {parameter.code}:[type]."
            )
        return Chain(parameter, tuple(links))

    def _reverse(self, resource_type: str, name: str, hops: int) -> Reverse:
        parts = name.removeprefix(HAS).split(":", 2)
        if len(parts) != 3 or not all(parts):
            raise Invalid("_has is written _has:[type]:[reference parameter]:[parameter].")
        other, code, rest = parts
        if other not in NUMBER:
            raise Invalid("The first part of _has is the type of resource that refers here.")
        parameter = parameters(other).get(code)
        if parameter is None:
            raise Unknown(other, code)
        if parameter.kind != "reference" or not parameter.indexed:
            raise Invalid(f"{code} is no reference of {other}; _has follows references.")
        if parameter.targets and resource_type not in parameter.targets:
            raise Invalid(f"{code} of {other} does not refer to {resource_type}.")
        return Reverse(parameter, self.read(other, rest, hops + 1))


def _require_served(parameter: SearchParameter) -> None:
    if parameter.phonetic:
        raise NotServed(
            f"{parameter.code} is not served: what sounds alike differs by language. Use name."
        )
    if parameter.kind not in SERVED or not (parameter.indexed or parameter.code in COLUMNS):
        raise NotServed(f"{parameter.code} is not served.")


def _ways(condition: Condition) -> int:
    match condition:
        case Chain(links=links):
            return sum(_ways(linked) for _, linked in links)
        case Reverse(condition=linked):
            return _ways(linked)
    return 1
