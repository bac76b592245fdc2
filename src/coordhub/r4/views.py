"""Views of a resource: `_summary` and `_elements`.

A view is less than the resource and says so by its tag SUBSETTED; numbers keep their digits. What
must be there and what changes the meaning of the rest is part of every view.

http://hl7.org/fhir/R4/search.html#summary, http://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from coordhub.r4 import document as fhir_json
from coordhub.r4.compartments import modifiers
from coordhub.r4.definitions import Element, elements, primitives, types

OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
SUBSETTED: Final = {"system": OBSERVATION_VALUE, "code": "SUBSETTED"}

Summary = Literal["true", "text", "data"]

_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})


@dataclass(frozen=True, slots=True)
class View:
    """What of a resource is asked for. elements: top-level names; empty: not asked by name."""

    summary: Summary | None = None
    elements: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        return self.summary is None and not self.elements


WHOLE: Final = View()


def shown(body: str, view: View) -> bytes:
    """The stored JSON as the view has it, tagged; of a whole view the stored JSON itself."""
    if view.whole:
        return body.encode()
    whole = fhir_json.parse(body.encode())
    return fhir_json.encode(tagged(_viewed(whole, view)))


def tagged(resource: dict[str, Any]) -> dict[str, Any]:
    """The same resource, marked as less than the whole."""
    if is_subsetted(resource):
        return resource
    meta = dict(resource.get("meta", {}))
    meta["tag"] = [*meta.get("tag", ()), SUBSETTED]
    return {**resource, "meta": meta}


def is_subsetted(resource: Mapping[str, Any]) -> bool:
    """Whether it says of itself that it is not the whole resource."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return isinstance(tags, list) and any(
        isinstance(tag, dict)
        and tag.get("system") == OBSERVATION_VALUE
        and tag.get("code") == "SUBSETTED"
        for tag in tags
    )


def _viewed(whole: dict[str, Any], view: View) -> dict[str, Any]:
    kind = whole["resourceType"]
    match view.summary:
        case "true":
            return _summary(whole, kind)
        case "data":
            return {name: value for name, value in whole.items() if name not in ("text", "_text")}
        case "text":
            return _top(whole, kind, lambda element: element.name == "text" or element.required)
        case None:
            named = view.elements | modifiers(kind)
            return _top(whole, kind, lambda one: one.name in named or one.required)


def _top(whole: dict[str, Any], kind: str, keep: Callable[[Element], bool]) -> dict[str, Any]:
    declared = _by_json_name(kind)
    return {
        name: value
        for name, value in whole.items()
        if name in _ALWAYS
        or ((found := declared.get(name.removeprefix("_"))) is not None and keep(found[0]))
    }


def _summary(node: dict[str, Any], kind: str) -> dict[str, Any]:
    """What is marked as summary, and what must be there, at every depth."""
    declared = _by_json_name(kind)
    kept: dict[str, Any] = {}
    for name, value in node.items():
        found = declared.get(name.removeprefix("_"))
        if name in _ALWAYS or (found is not None and name.startswith("_") and _stays(found[0])):
            kept[name] = value
        elif found is not None and _stays(found[0]):
            below = _below(value, found[1])
            if below not in ({}, []):
                kept[name] = below
    return kept


def _stays(element: Element) -> bool:
    return element.summary or element.required


def _below(value: Any, kind: str) -> Any:
    if kind in primitives() or kind not in types():
        return value
    if isinstance(value, list):
        return [one for item in value if (one := _below(item, kind)) != {}]
    return _summary(value, kind) if isinstance(value, dict) else value


@cache
def _by_json_name(kind: str) -> dict[str, tuple[Element, str]]:
    return {
        name: (element, type_)
        for element in elements(kind)
        for name, type_ in element.json_names().items()
    }
