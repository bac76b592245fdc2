"""Composite parameters: what one element holds for each component, found together.

http://hl7.org/fhir/R4/search.html#composite
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from coordhub.r4 import definitions
from coordhub.r4.conversion import conversion
from coordhub.r4.element_tree import Context, Leaf, Node, grow, visit
from coordhub.r4.index_values import Composite, Extracted, Part
from coordhub.r4.parameters import SearchParameter, Step, parameters

_CAST = re.compile(r"(\w+)\.as\((\w+)\)")
_WHOLE = "%resource."


def composite_paths(parameter: SearchParameter) -> Iterator[tuple[tuple[Step, ...], Leaf]]:
    """Where the elements of a composite are, each with what takes its parts from one."""
    for way in parameter.expression.split("|"):
        resource_type, *names = way.strip().split(".")
        container = resource_type
        for name in names:
            container = _types_below(container, name)[name]
        yield tuple((name,) for name in names), _leaf(parameter, container)


def component_parameters(parameter: SearchParameter) -> tuple[SearchParameter, ...]:
    """The parameters that a composite is composed of, in order."""
    known = parameters(parameter.resource_type)
    return tuple(known[code] for code, _ in parameter.components)


def _leaf(parameter: SearchParameter, container: str) -> Leaf:
    components = [
        (
            _tree(parameter.resource_type, container, kind.kind, expression),
            expression.startswith(_WHOLE),
        )
        for kind, (_, expression) in zip(
            component_parameters(parameter), parameter.components, strict=True
        )
    ]

    def take(element: Any, context: Context) -> None:
        given: list[tuple[Node, dict[str, Any]]] = []
        for tree, whole in components:
            start = context[2] if whole else element
            named = {name: start[name] for name in tree.children if name in start}
            if not named:
                return
            given.append((tree, named))
        found: list[list[Part]] = []
        for tree, named in given:
            one = Extracted()
            visit(tree, named, (one, context[1], context[2]))
            parts: list[Part] = [
                *one.tokens, *one.strings, *one.dates, *one.references, *one.numbers,
                *one.quantities,
            ]  # fmt: skip
            if not parts:
                return
            found.append(parts)
        for combination in itertools.product(*found):
            context[0].composites.append(Composite(parameter.id, combination))

    return take


def _tree(resource_type: str, container: str, kind: str, expression: str) -> Node:
    paths: list[tuple[tuple[Step, ...], Leaf]] = []
    for alternative in expression.split("|"):
        text = alternative.strip()
        below = container
        if text.startswith(_WHOLE):
            text, below = text.removeprefix(_WHOLE), resource_type
        cast = _CAST.fullmatch(text)
        *names, last = (cast[1] if cast else text).split(".")
        for name in names:
            below = _types_below(below, name)[name]
        # R4 writes `DateTime` where it means dateTime.
        wanted = (cast[2][0].lower() + cast[2][1:], cast[2]) if cast else None
        for name, type_ in _types_below(below, last).items():
            leaf = conversion(kind, type_, 0)
            if leaf is not None and (wanted is None or type_ in wanted):
                paths.append((tuple((step,) for step in (*names, name)), leaf))
    return grow(paths)


def _types_below(type_: str, name: str) -> dict[str, str]:
    """JSON names of the element `name`, each with its type."""
    for element in definitions.elements(type_):
        if element.name == name:
            return element.json_names()
    raise KeyError(f"{type_}.{name}")
