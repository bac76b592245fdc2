"""A tree of element names, grown from paths and walked along with a resource.

http://hl7.org/fhir/R4/fhirpath.html (the part of it that R4's search parameters use)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from coordhub.r4.index_values import Extracted
from coordhub.r4.parameters import Step
from coordhub.r4.reference import parse_element

# Where values go, this server's base, and the whole document.
Context = tuple[Extracted, str | None, Mapping[str, Any]]
Leaf = Callable[[Any, Context], None]


class Node:
    """What to do with an element: leaves take it, children look below it.

    conditional: nodes that see the element only where its condition holds.
    """

    __slots__ = ("children", "conditional", "leaves")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.conditional: dict[tuple[str, Any], Node] = {}
        self.leaves: list[Leaf] = []


def grow(paths: Iterable[tuple[tuple[Step, ...], Leaf]]) -> Node:
    """The tree of all paths, each with what takes the elements at its end."""
    root = Node()
    for steps, leaf in paths:
        node = root
        for step in steps:
            node = node.children.setdefault(step[0], Node())
            if len(step) == 3:
                node = node.conditional.setdefault((step[1], step[2]), Node())
        node.leaves.append(leaf)
    return root


def visit(node: Node, element: Any, context: Context) -> None:
    """Give the element, and what is below it, to the leaves that the tree names."""
    for leaf in node.leaves:
        leaf(element, context)
    if node.conditional:
        for (name, wanted), below in node.conditional.items():
            if _holds(name, wanted, element, context[2]):
                visit(below, element, context)
    children = node.children
    if children and isinstance(element, dict):
        for name, value in element.items():
            child = children.get(name)
            if child is None:
                continue
            if isinstance(value, list):
                for item in value:
                    if item is not None:
                        visit(child, item, context)
            elif value is not None:
                visit(child, value, context)


def _holds(name: str, wanted: Any, element: Any, document: Mapping[str, Any]) -> bool:
    if not isinstance(element, dict):
        return False
    if name == "type" and wanted[:1].isupper():
        return bool(_target_type(element, document) == wanted)
    if name == "extension":
        return any(
            isinstance(extension, dict) and extension.get("url") == wanted
            for extension in element.get("extension") or ()
        )
    return bool(element.get(name) == wanted)


def _target_type(element: Mapping[str, Any], document: Mapping[str, Any]) -> str | None:
    """The type of what a Reference element points to, as far as the document itself tells."""
    text = element.get("reference")
    if isinstance(text, str) and text[:1].isupper():
        type_, slash, _ = text.partition("/")
        if slash:
            return type_
    reference = parse_element(element)
    if reference is None:
        return None
    if reference.kind != "contained" or reference.type is not None:
        return reference.type
    if not reference.id:
        return str(document.get("resourceType"))
    for resource in document.get("contained") or ():
        if isinstance(resource, dict) and resource.get("id") == reference.id:
            return str(resource.get("resourceType"))
    return None
