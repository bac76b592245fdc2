"""Words that invariants are written in: FHIRPath's, as far as they occur in them, over documents.

http://hl7.org/fhirpath/N1/

A primitive exists also where it has extensions only (`_status`); its value then is none, and what
compares it holds, except where an invariant says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

Node = Mapping[str, Any]
Holds = Callable[[Node], bool]

UCUM: Final = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Each:
    """An invariant that an element of `name` can break by itself, so that its place can be told.

    holds: of one element and of what it is in.
    """

    name: str
    holds: Callable[[Node, Node], bool]

    def __call__(self, node: Node) -> bool:
        return not any(self.places(node))

    def places(self, node: Node) -> Iterator[str]:
        """Where it does not hold: `entry[3]`."""
        for index, item in enumerate(node.get(self.name) or ()):
            if isinstance(item, dict) and not self.holds(item, node):
                yield f"{self.name}[{index}]"


def has(node: Node, *names: str) -> bool:
    """Any of these exists."""
    for name in names:  # noqa: SIM110 - asked several times of every document
        if name in node or f"_{name}" in node:
            return True
    return False


def has_choice(node: Node, name: str) -> bool:
    """`name[x]` exists in some type."""
    size = len(name)
    return any(
        (key.startswith(name) and key[size : size + 1].isupper())
        or (key.startswith(f"_{name}") and key[size + 1 : size + 2].isupper())
        for key in node
    )


def count(node: Node, *names: str) -> int:
    """How many elements of these names there are."""
    found = 0
    for name in names:
        value = node.get(name, node.get(f"_{name}"))
        found += len(value) if isinstance(value, list) else value is not None
    return found


def items(node: Node, *names: str) -> list[Node]:
    """The elements at the end of a path of names, over all branches."""
    here: list[Node] = [node]
    for name in names:
        below: list[Node] = []
        for each in here:
            value = each.get(name)
            if isinstance(value, dict):
                below.append(value)
            elif isinstance(value, list):
                below += [item for item in value if isinstance(item, dict)]
        here = below
    return here


def values(nodes: Iterable[Node], name: str) -> list[Any]:
    """Values of one primitive over several elements, where they have it."""
    return [node[name] for node in nodes if name in node]


def distinct(found: Iterable[Hashable]) -> bool:
    listed = list(found)
    return len(set(listed)) == len(listed)


def together(node: Node, one: str, other: str) -> bool:
    """Both exist, or neither."""
    return has(node, one) == has(node, other)


def not_both(one: str, other: str) -> Holds:
    return lambda node: not (has(node, one) and has(node, other))


def either(*names: str) -> Holds:
    """At least one exists."""
    return lambda node: has(node, *names)


def only_one(one: str, other: str) -> Holds:
    """Exactly one of the two exists."""
    return lambda node: has(node, one) != has(node, other)


def needs(name: str, *required: str) -> Holds:
    """Where `name` exists, one of `required` does."""
    return lambda node: not has(node, name) or has(node, *required)


def coded(node: Node, name: str, system: str, *codes: str) -> bool:
    """A coding of the CodeableConcept `name` is of this system, with one of these codes."""
    return any(
        coding.get("system") == system and coding.get("code") in codes
        for coding in items(node, name, "coding")
    )


def later(one: Any, other: Any) -> bool:
    """The first date, dateTime or instant is surely later than the second.

    What is equal as far as both say is not: `2026-03` is not later than `2026-03-15`, nor is
    `10:00:05.671Z` later than the `10:00:05Z` of someone who keeps whole seconds. A day without a
    time zone is taken for one where the other was written.
    """
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    if len(one) > len("2026-01-01") and len(other) > len("2026-01-01"):
        if one == other:
            return False
        moments = _moment(one), _moment(other)
        if "." not in one or "." not in other:
            moments = moments[0].replace(microsecond=0), moments[1].replace(microsecond=0)
        return moments[0] > moments[1]
    known = min(len(one), len(other), len("2026-01-01"))
    return one[:known] > other[:known]


def _moment(text: str) -> datetime:
    # A leap second is taken for the one before it.
    return datetime.fromisoformat(text[:17] + text[17:].replace("60", "59", 1))


def greater(low: Node, high: Node) -> bool:
    """The first Quantity is surely greater than the second: both of one unit, or both of none."""
    if any(low.get(name) != high.get(name) for name in ("system", "code")):
        return False
    if "code" not in low and low.get("unit") != high.get("unit"):
        return False
    one, other = low.get("value"), high.get("value")
    return one is not None and other is not None and bool(one > other)
