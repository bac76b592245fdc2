"""Visit of a resource for what its structure alone does not say: invariants, targets, bindings.

http://hl7.org/fhir/R4/references.html, http://hl7.org/fhir/R4/terminologies.html#required

Asked of every document, so that the way is planned: from the definitions it is known below which
elements there is anything to check, and only these are visited. Without an extension anywhere in
the document far fewer are (a Coding has nothing to check but its extensions), so there are two
plans for each type. Resources inside the resource are not entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final

from coordhub.errors import Issue
from coordhub.r4 import definitions, invariants, narrative
from coordhub.r4.invariant_words import items
from coordhub.r4.invariants import Invariant
from coordhub.r4.reference import parse

_MOST_TYPES_SHOWN: Final = 12

_DEFINITION: Final = "http://hl7.org/fhir/StructureDefinition/"

_WRONG_SHAPE: Final = (TypeError, AttributeError, KeyError, ValueError, IndexError, ArithmeticError)

# The way to an element: (way to its parent, name, index in an array or None).
_Path = tuple[Any, str, int | None]


@dataclass(slots=True)
class _Place:
    """A type at some element: what to ask of it there, and the elements in it that lead further.

    targets: types that a Reference here may lead to, empty for any; None: no Reference.
    concepts: value set that a CodeableConcept here is bound to.
    """

    invariants: tuple[Invariant, ...] = ()
    targets: frozenset[str] | None = None
    concepts: str | None = None
    is_narrative: bool = False
    is_simple_quantity: bool = False
    below: dict[str, _Place] = field(default_factory=dict)


class Surroundings:
    """What a Reference is seen in.

    root: the resource that is not contained in another; named: type by fullUrl of the resources
    that are sent together; broken: the structure is faulty, so that anything may be anywhere.
    """

    def __init__(
        self, root: Mapping[str, Any], named: Mapping[str, str], *, broken: bool = False
    ) -> None:
        self.root = root
        self.named = named
        self.broken = broken
        self.found: list[Issue] = []

    @cached_property
    def contained(self) -> dict[str, str]:
        """Type of each contained resource by its id."""
        contained = self.root.get("contained")
        return {
            str(resource.get("id")): str(resource.get("resourceType"))
            for resource in (contained if isinstance(contained, list) else ())
            if isinstance(resource, dict)
        }


def visit(
    resource: Mapping[str, Any],
    resource_type: str,
    path: str,
    surroundings: Surroundings,
    *,
    extended: bool,
) -> list[Issue]:
    """What is wrong. `extended`: there are extensions in the document, or there may be."""
    surroundings.found = []
    _visit(resource, _plan(resource_type, extended), (None, path, None), surroundings)
    return surroundings.found


def _visit(node: Mapping[str, Any], place: _Place, path: _Path, surroundings: Surroundings) -> None:
    for invariant in place.invariants:
        try:
            if not invariant.holds(node):
                _add_broken(invariant, node, path, surroundings)
        except _WRONG_SHAPE:
            # What it looked at is of another shape than R4 allows, which has been said.
            if not surroundings.broken:
                raise
    if place.targets is not None:
        _check_reference(node, place.targets, path, surroundings)
    elif place.concepts is not None:
        try:
            _check_concept(node, place.concepts, path, surroundings)
        except _WRONG_SHAPE:
            if not surroundings.broken:
                raise
    elif place.is_narrative:
        _check_narrative(node, path, surroundings)
    elif place.is_simple_quantity and "comparator" in node:
        says = "sqty-1: The comparator is not used on a SimpleQuantity."
        surroundings.found.append(Issue("invariant", says, f"{_written(path)}.comparator"))
    below = place.below
    if below:
        for name, value in node.items():
            lower = below.get(name)
            if lower is None:
                continue
            if isinstance(value, dict):
                _visit(value, lower, (path, name, None), surroundings)
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, dict):
                        _visit(item, lower, (path, name, index), surroundings)


def _add_broken(
    invariant: Invariant, node: Mapping[str, Any], path: _Path, surroundings: Surroundings
) -> None:
    at = _written(path)
    for place in invariant.places(node):
        where = f"{at}.{place}" if place else at
        surroundings.found.append(Issue("invariant", invariant.says, where))


def _check_reference(
    node: Mapping[str, Any], targets: frozenset[str], path: _Path, surroundings: Surroundings
) -> None:
    """ref-1, and that string, type and what the element may lead to agree."""
    text, stated = node.get("reference"), node.get("type")
    kind: str | None = None
    if isinstance(text, str):
        kind = _type_of(text, surroundings)
        if kind == "":
            says = "ref-1: SHALL have a contained resource if a local reference is provided."
            surroundings.found.append(Issue("invariant", says, f"{_written(path)}.reference"))
            return
        if kind is not None and targets and kind not in targets:
            surroundings.found.append(
                Issue("structure", _leads_to(targets, kind), f"{_written(path)}.reference")
            )
    if isinstance(stated, str):
        name = stated.removeprefix(_DEFINITION)
        if name not in definitions.resources():
            return
        if targets and name not in targets:
            surroundings.found.append(
                Issue("structure", _leads_to(targets, name), f"{_written(path)}.type")
            )
        elif kind is not None and kind != name:
            surroundings.found.append(
                Issue(
                    "structure",
                    f"The reference leads to {kind}, its type says {name}.",
                    f"{_written(path)}.type",
                )
            )


def _type_of(text: str, surroundings: Surroundings) -> str | None:
    """The type that a reference leads to; None: it does not say; empty: contained, and not there."""
    kind, slash, _ = text.partition("/")
    if slash and kind in definitions.resources():
        return kind
    known: str | None
    if text[:1] == "#":
        known = surroundings.contained.get(text[1:], "") if len(text) > 1 else None
    elif text in surroundings.named:
        known = surroundings.named[text]
    else:
        known = parse(text).type
    return known if known == "" or known in definitions.resources() else None


def _leads_to(targets: frozenset[str], kind: str) -> str:
    listed = sorted(targets)
    more = len(listed) - _MOST_TYPES_SHOWN
    shown = ", ".join(listed[:_MOST_TYPES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{kind} is not what this element refers to, which is one of: {shown}."


def _check_concept(
    node: Mapping[str, Any], value_set: str, path: _Path, surroundings: Surroundings
) -> None:
    """One coding is of the value set. Only an extension may stand for it (data-absent-reason)."""
    allowed = definitions.concepts(value_set)
    listed = items(node, "coding")
    if any((each.get("system"), each.get("code")) in allowed for each in listed):
        return
    if not listed and "text" not in node and "extension" in node:
        return
    codes = " | ".join(sorted(code for _, code in allowed))
    systems = " or ".join(sorted({system for system, _ in allowed}))
    surroundings.found.append(
        Issue(
            "code-invalid",
            f"One coding has to be of {value_set}: {codes}, with the system {systems}.",
            _written(path),
        )
    )


def _check_narrative(node: Mapping[str, Any], path: _Path, surroundings: Surroundings) -> None:
    div = node.get("div")
    if isinstance(div, str):
        for fault in narrative.faults(div):
            surroundings.found.append(Issue("invariant", fault, f"{_written(path)}.div"))


def _written(path: _Path) -> str:
    steps: list[str] = []
    here: _Path | None = path
    while here is not None:
        above, name, index = here
        steps.append(name.removeprefix("_") + ("" if index is None else f"[{index}]"))
        here = above
    return ".".join(reversed(steps))


@cache
def _plan(resource_type: str, extended: bool) -> _Place:
    return _Planner(extended).place(resource_type)


class _Planner:
    """Makes the places of one resource type, each type at most once where nothing depends on where."""

    def __init__(self, extended: bool) -> None:
        self.extended = extended
        self.matters = _types_that_matter(extended)
        self.made: dict[str, dict[str, _Place]] = {}

    def place(self, type_name: str) -> _Place:
        return _Place(
            invariants=invariants.of(type_name),
            is_narrative=type_name == "Narrative",
            below=self._below(type_name),
        )

    def _below(self, type_name: str) -> dict[str, _Place]:
        if type_name in self.made:
            return self.made[type_name]
        below: dict[str, _Place] = {}
        self.made[type_name] = below
        for name, element, lower in _edges(type_name, self.extended):
            own = _asked_here(type_name, element, lower)
            if own is None and lower not in self.matters:
                continue
            place = own or _Place()
            place.invariants += invariants.of(lower)
            place.is_narrative = lower == "Narrative"
            place.below = self._below(lower)
            below[name] = place
        if self.extended:
            self._add_siblings(type_name, below)
        return below

    def _add_siblings(self, type_name: str, below: dict[str, _Place]) -> None:
        """`_birthDate`, whose extensions are visited like any other."""
        for element in _elements(type_name):
            for name, value_type in element.json_names().items():
                if value_type in definitions.primitives():
                    below[f"_{name}"] = _Place(below=self._below("Element"))


def _edges(type_name: str, extended: bool) -> Iterator[tuple[str, definitions.Element, str]]:
    """Elements that are objects, by JSON name, with the type they have under it."""
    for element in _elements(type_name):
        if element.name in ("extension", "modifierExtension") and not extended:
            continue
        for name, lower in element.json_names().items():
            if lower not in definitions.primitives() and lower != definitions.RESOURCE:
                yield name, element, lower


def _elements(type_name: str) -> tuple[definitions.Element, ...]:
    """`Element` stands for what a primitive has beside its value."""
    if type_name == "Element":
        return tuple(
            element
            for element in definitions.elements("Extension")
            if element.name in ("id", "extension")
        )
    return definitions.elements(type_name)


def _asked_here(type_name: str, element: definitions.Element, lower: str) -> _Place | None:
    """What depends on where a type is used."""
    path = f"{type_name}.{element.label()}"
    own = invariants.of(path) if path != lower else ()
    if lower == "Reference":
        return _Place(own, targets=frozenset(element.targets))
    if lower == "CodeableConcept" and element.concepts is not None:
        return _Place(own, concepts=element.concepts)
    if lower == "Quantity" and element.simple:
        return _Place(own, is_simple_quantity=True)
    if element.choice and lower == "Range" and own:
        return _Place(own)
    return _Place(own) if own and not element.choice else None


@cache
def _types_that_matter(extended: bool) -> frozenset[str]:
    """Types in which there is anything to check, themselves or further below."""
    reaches: dict[str, set[str]] = {}
    found: set[str] = {"Narrative", "Reference"}
    for type_name in definitions.types():
        reaches[type_name] = set()
        if invariants.of(type_name):
            found.add(type_name)
        for _, element, lower in _edges(type_name, extended):
            reaches[type_name].add(lower)
            if _asked_here(type_name, element, lower) is not None:
                found.add(type_name)
    while more := {name for name, lower in reaches.items() if name not in found and lower & found}:
        found |= more
    return frozenset(found)
