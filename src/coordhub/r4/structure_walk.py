"""Complete walk over a resource: every fault of its elements, each with its FHIRPath.

http://hl7.org/fhir/R4/json.html, http://hl7.org/fhir/R4/element.html

Says what is wrong and what is allowed, never what was sent. Names that came with the document are
repeated only if they look like a name of FHIR. Resources inside the resource are not entered.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from coordhub.errors import Issue
from coordhub.r4 import definitions
from coordhub.r4.definitions import Element
from coordhub.r4.structure_primitives import fault

_NAME: Final = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_MOST_CODES_SHOWN: Final = 24

_WITHOUT_SIBLING: Final = {("Extension", "url"), ("Narrative", "div")}
"""XML attributes and XHTML: they take no `_url`, `_div`. Nor do the ids of elements."""


@dataclass(frozen=True, slots=True)
class _Property:
    """What a JSON key of a type stands for."""

    element: Element
    type_name: str
    primitive: bool


@cache
def _properties(type_name: str) -> dict[str, _Property]:
    return {
        key: _Property(element, value_type, value_type in definitions.primitives())
        for element in definitions.elements(type_name)
        for key, value_type in element.json_names().items()
    }


def walk(resource: dict[str, Any], resource_type: str, path: str) -> Iterator[Issue]:
    """Faults of a resource whose type exists. `path` is what expressions begin with."""
    return _object(resource, resource_type, path)


def nearest(name: str, names: Iterable[str]) -> str:
    """A half sentence with the most similar name, or nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else "."


def shown(name: object) -> str | None:
    """A name from outside, if it can be repeated in diagnostics."""
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _object(node: Any, type_name: str, path: str) -> Iterator[Issue]:
    if not isinstance(node, dict):
        yield Issue("structure", f"A JSON object is expected here ({type_name}).", path)
        return
    if not node:
        yield Issue("structure", "An object must not be empty; leave the element out.", path)
        return
    properties = _properties(type_name)
    is_resource = type_name in definitions.resources()
    for key, value in node.items():
        if key in properties:
            yield from _element(node, key, value, properties[key], path)
        elif key[:1] == "_" and (owner := properties.get(key[1:])) and owner.primitive:
            yield from _sibling(node, key, value, owner, type_name, path)
        elif not (is_resource and key == "resourceType"):
            yield _unknown(key, type_name, properties, path)
    for element in definitions.elements(type_name):
        yield from _presence(node, element, path)
    if type_name == "Extension":
        yield from _value_or_extensions(node, path)


def _unknown(key: str, type_name: str, properties: dict[str, _Property], path: str) -> Issue:
    name = shown(key)
    if name is None:
        return Issue("structure", f"A key here is no element of {type_name}.", path)
    return Issue(
        "structure",
        f"{name} is no element of {type_name} in R4" + nearest(name, properties),
        f"{path}.{name}",
    )


def _presence(node: dict[str, Any], element: Element, path: str) -> Iterator[Issue]:
    """A required element is there; a choice is made once."""
    present = [key for key in element.json_names() if key in node or f"_{key}" in node]
    at = f"{path}.{element.name}"
    if element.required and not present:
        says = f"{element.label()} is required"
        if element.choice:
            says += ", as one of: " + ", ".join(element.json_names())
        elif element.codes:
            says += f"; {_allowed(element.codes)}"
        yield Issue("required", says + ".", at)
    if len(present) > 1:
        yield Issue(
            "structure",
            f"{element.label()} can have one type only; keep one of: {', '.join(present)}.",
            at,
        )


def _element(
    node: dict[str, Any], key: str, value: Any, prop: _Property, path: str
) -> Iterator[Issue]:
    at = f"{path}.{key}"
    if not prop.element.repeats:
        if isinstance(value, list):
            yield Issue("structure", f"{key} does not repeat: send one value, no array.", at)
        else:
            yield from _value(value, prop, at)
        return
    if not isinstance(value, list):
        yield Issue("structure", f"{key} repeats: send an array, even of one.", at)
        return
    if not value:
        yield Issue("structure", "An array must not be empty; leave the element out.", at)
    siblings = node.get(f"_{key}") if prop.primitive else None
    for index, item in enumerate(value):
        if item is None and isinstance(siblings, list):
            if index >= len(siblings) or siblings[index] is None:
                yield Issue(
                    "structure",
                    f"null stands for a value with extensions in _{key}[{index}]; none are there.",
                    f"{at}[{index}]",
                )
        else:
            yield from _value(item, prop, f"{at}[{index}]")


def _value(value: Any, prop: _Property, at: str) -> Iterator[Issue]:
    if value is None:
        yield Issue("structure", "null is no value; leave the element out.", at)
    elif prop.type_name == definitions.RESOURCE:
        if not isinstance(value, dict):
            yield Issue("structure", "A resource is expected here, as a JSON object.", at)
    elif not prop.primitive:
        yield from _object(value, prop.type_name, at)
    elif wrong := fault(value, prop.type_name):
        yield Issue(*wrong, at)
    elif (value_set := prop.element.codes) and value not in definitions.codes(value_set):
        yield Issue("code-invalid", f"Not a code of R4; {_allowed(value_set)}.", at)


def _sibling(
    node: dict[str, Any], key: str, value: Any, owner: _Property, type_name: str, path: str
) -> Iterator[Issue]:
    """`_birthDate`, or `_given` with an entry for each of `given`: id and extensions of values."""
    name = key[1:]
    at = f"{path}.{name}"
    own_id = name == "id" and type_name not in definitions.resources()
    if own_id or (type_name, name) in _WITHOUT_SIBLING:
        yield Issue("structure", f"{name} takes no extensions; leave {key} out.", at)
        return
    if not owner.element.repeats:
        yield from _extensions_of_value(value, name in node, key, at)
        return
    if not isinstance(value, list):
        yield Issue("structure", f"{key} repeats like {name}: send an array.", at)
        return
    values = node.get(name)
    if isinstance(values, list):
        if len(values) != len(value):
            yield Issue(
                "structure",
                f"{key} has {len(value)} entries and {name} has {len(values)}: give each value one "
                "entry, null where there is nothing.",
                at,
            )
    elif all(entry is None for entry in value):
        yield Issue("structure", f"{key} says nothing; leave it out.", at)
        return
    beside = values if isinstance(values, list) else []
    for index, entry in enumerate(value):
        if entry is not None:
            has_value = index < len(beside) and beside[index] is not None
            yield from _extensions_of_value(entry, has_value, key, f"{at}[{index}]")
        elif index >= len(beside):
            yield Issue("structure", f"null in {key} stands beside no value.", f"{at}[{index}]")


def _extensions_of_value(value: Any, has_value: bool, key: str, at: str) -> Iterator[Issue]:
    if not isinstance(value, dict):
        yield Issue("structure", f"{key} holds an object with id and extension.", at)
        return
    if not value:
        yield Issue("structure", f"An object must not be empty; leave {key} out.", at)
        return
    extension, element_id = _properties("Extension")["extension"], _properties("Extension")["id"]
    for name, inner in value.items():
        if name == "extension":
            yield from _element(value, name, inner, extension, at)
        elif name == "id":
            yield from _element(value, name, inner, element_id, at)
        elif (known := shown(name)) is not None:
            yield Issue("structure", f"{key} takes id and extension only.", f"{at}.{known}")
        else:
            yield Issue("structure", f"{key} takes id and extension only.", at)
    if not has_value and "extension" not in value:
        yield Issue("invariant", "ele-1: an element must have a value or extensions.", at)


def _value_or_extensions(node: dict[str, Any], path: str) -> Iterator[Issue]:
    has_value = any(key.removeprefix("_").startswith("value") for key in node)
    if has_value == ("extension" in node):
        says = "ext-1: an extension has either a value or extensions"
        yield Issue("invariant", says + (", not both." if has_value else "; give one."), path)


def _allowed(value_set: str) -> str:
    codes = sorted(definitions.codes(value_set))
    more = len(codes) - _MOST_CODES_SHOWN
    listed = " | ".join(codes[:_MOST_CODES_SHOWN]) + (f" | and {more} more" if more > 0 else "")
    return f"{value_set} allows {listed}"
