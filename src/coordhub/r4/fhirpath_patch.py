"""FHIRPath Patch of a resource: a Parameters whose operations name places by simple FHIRPath.

http://hl7.org/fhir/R4/fhirpatch.html

add, insert, delete, replace, move. What stands beside a primitive (`_birthDate`) goes with it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.errors import FhirError, Issue
from coordhub.r4 import simple_path
from coordhub.r4.definitions import Element
from coordhub.r4.simple_path import Child, Place, Step, UnreadablePathError

MOST_OPERATIONS: Final = 1000

_NEEDS: Final = {
    "add": ("name", "value"),
    "insert": ("index", "value"),
    "delete": (),
    "replace": ("value",),
    "move": ("source", "destination"),
}

_Value = tuple[str | None, Any, Any]
"""Type as the choice names it (`Quantity`; None: an element without a type of its own), the value,
and what stands beside a primitive."""


@dataclass(frozen=True, slots=True)
class _Operation:
    """at: its FHIRPath within the Parameters."""

    kind: str
    steps: tuple[Step, ...]
    at: str
    name: str = ""
    value: dict[str, Any] | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


@dataclass(frozen=True, slots=True)
class FhirPathPatch:
    operations: tuple[_Operation, ...]

    def apply(self, document: dict[str, Any], at: str = "") -> dict[str, Any]:
        """The document after all operations; the one given is used up.

        at: prefix of expressions, where the patch is an entry of a Bundle. 422 naming the first
        operation that cannot be done.
        """
        for operation in self.operations:
            try:
                _require_root(document, operation.steps)
                _APPLY[operation.kind](document, operation)
            except _ImpossibleError as impossible:
                place = f"{at or 'Parameters'}.{operation.at}"
                raise FhirError(422, Issue("processing", str(impossible), place)) from None
        return document


class _ImpossibleError(Exception):
    """Why an operation cannot be done, without content."""


def read(parameters: dict[str, Any], at: str = "") -> FhirPathPatch:
    """Read a Parameters that is valid R4. 400 with everything else that is wrong with it."""
    listed = parameters.get("parameter") or []
    root = at or "Parameters"
    if len(listed) > MOST_OPERATIONS:
        raise FhirError(
            400, Issue("too-costly", f"A patch may have {MOST_OPERATIONS} operations here.", root)
        )
    issues: list[Issue] = []
    operations: list[_Operation] = []
    for number, parameter in enumerate(listed):
        where = f"parameter[{number}]"
        try:
            operations.append(_read_one(parameter, where))
        except (UnreadablePathError, _ImpossibleError) as fault:
            issues.append(Issue("structure", str(fault), f"{root}.{where}"))
    if not listed:
        issues.append(Issue("required", "A FHIRPath Patch has parameters named operation.", root))
    if issues:
        raise FhirError(400, *issues)
    return FhirPathPatch(tuple(operations))


def _read_one(parameter: dict[str, Any], at: str) -> _Operation:
    if parameter.get("name") != "operation":
        raise _ImpossibleError("Each parameter of a FHIRPath Patch is named operation.")
    parts = {str(part.get("name")): part for part in parameter.get("part") or []}
    kind = _text(parts, "type")
    if kind not in _NEEDS:
        raise _ImpossibleError("The part `type` is one of add, insert, delete, replace, move.")
    missing = [name for name in ("path", *_NEEDS[kind]) if name not in parts]
    if missing:
        raise _ImpossibleError(f"An operation of type {kind} needs {' and '.join(missing)}.")
    return _Operation(
        kind,
        simple_path.parse(_text(parts, "path")),
        at,
        _text(parts, "name"),
        parts.get("value"),
        _number(parts, "index"),
        _number(parts, "source"),
        _number(parts, "destination"),
    )


def _text(parts: dict[str, Any], name: str) -> str:
    part = parts.get(name, {})
    found = next((part[key] for key in ("valueCode", "valueString") if key in part), "")
    return str(found)


def _number(parts: dict[str, Any], name: str) -> int:
    part = parts.get(name)
    if part is None:
        return 0
    found = next(
        (
            part[key]
            for key in part
            if key in ("valueInteger", "valueUnsignedInt", "valuePositiveInt")
        ),
        None,
    )
    if type(found) is not int:
        raise _ImpossibleError(f"The part `{name}` is a valueInteger.")
    return found


# ---- what each operation does


def _add(document: dict[str, Any], operation: _Operation) -> None:
    place = _only(simple_path.find(document, operation.steps))
    element = _element(place, operation.name)
    kind, value, beside = _value(operation.value, element)
    name = _json_name(element, kind)
    holder = place.value
    if element.repeats:
        _put(holder, name, len(holder.get(name, [])), value, beside)
        return
    if any(_present(holder, each) for each in element.json_names()):
        raise _ImpossibleError("The element is there already; use replace.")
    _set(holder, name, value, beside)


def _insert(document: dict[str, Any], operation: _Operation) -> None:
    place, element = _list(document, operation.steps)
    kind, value, beside = _value(operation.value, element)
    name = _json_name(element, kind)
    if not 0 <= operation.index <= len(place.value.get(name, [])):
        raise _ImpossibleError("The index is beyond the end of the list.")
    _put(place.value, name, operation.index, value, beside)


def _delete(document: dict[str, Any], operation: _Operation) -> None:
    places = simple_path.find(document, operation.steps)
    if not places:
        return
    _remove(_only(places))


def _replace(document: dict[str, Any], operation: _Operation) -> None:
    place = _only(simple_path.find(document, operation.steps))
    element = _own_element(document, operation.steps, place)
    kind, value, beside = _value(operation.value, element)
    name = _json_name(element, kind)
    holder = _holder(place)
    if place.index is not None:
        holder[name][place.index] = value
        _put_beside(holder, name, place.index, beside, replace=True)
        return
    members = list(holder.items())
    holder.clear()
    for key, old in members:
        if key == place.name:
            _set(holder, name, value, beside)
        elif key != f"_{place.name}":
            holder[key] = old


def _move(document: dict[str, Any], operation: _Operation) -> None:
    place, element = _list(document, operation.steps)
    name = element.name
    values = place.value.get(name, [])
    if not (0 <= operation.source < len(values) and 0 <= operation.destination < len(values)):
        raise _ImpossibleError("source or destination is beyond the end of the list.")
    values.insert(operation.destination, values.pop(operation.source))
    others = _beside(place.value, name, len(values))
    if others is not None:
        others.insert(operation.destination, others.pop(operation.source))


_APPLY: Final = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


# ---- places


def _require_root(document: dict[str, Any], steps: tuple[Step, ...]) -> None:
    """A path that begins with the name of a type begins with this resource's: elements are lower case."""
    kind = str(document.get("resourceType"))
    first = steps[0]
    if (
        isinstance(first, Child)
        and first.name[:1].isupper()
        and first.name not in (kind, "Resource")
    ):
        raise _ImpossibleError(
            f"The path begins with another type than that of this resource; write {kind}."
        )


def _only(places: Sequence[Place]) -> Place:
    if not places:
        raise _ImpossibleError("The path leads to nothing in this resource.")
    if len(places) > 1:
        raise _ImpossibleError("The path leads to more than one element; name one.")
    return places[0]


def _holder(place: Place) -> dict[str, Any]:
    if place.holder is None:
        raise _ImpossibleError("The resource itself is not replaced or deleted by a patch.")
    return place.holder


def _element(place: Place, name: str) -> Element:
    element = simple_path.element_of(place.type, name) if isinstance(place.value, dict) else None
    if element is None:
        raise _ImpossibleError(f"{place.type} has no element of this name.")
    return element


def _own_element(document: dict[str, Any], steps: tuple[Step, ...], place: Place) -> Element:
    """The element that a place is one of."""
    holder = _holder(place)
    names = [number for number, step in enumerate(steps) if isinstance(step, Child)]
    for above in simple_path.find(document, steps[: names[-1]]):
        if above.value is holder:
            return _element(above, place.name)
    raise _ImpossibleError("The path leads to nothing in this resource.")


def _list(document: dict[str, Any], steps: tuple[Step, ...]) -> tuple[Place, Element]:
    """The holder of a list and the list's element; the list may be empty."""
    last = steps[-1]
    if len(steps) < 2 or not isinstance(last, Child):
        raise _ImpossibleError("The path must end with the name of a list.")
    place = _only(simple_path.find(document, steps[:-1]))
    element = _element(place, last.name)
    if not element.repeats:
        raise _ImpossibleError("The element does not repeat; use add or replace.")
    return place, element


# ---- values


def _value(part: dict[str, Any] | None, element: Element) -> _Value:
    part = part or {}
    if "resource" in part:
        return None, copy.deepcopy(part["resource"]), None
    names = [name.removeprefix("_") for name in part if name.removeprefix("_")[:5] == "value"]
    if names:
        kind = names[0].removeprefix("value")
        beside = part.get(f"_{names[0]}")
        return kind, copy.deepcopy(part.get(names[0])), copy.deepcopy(beside)
    built: dict[str, Any] = {}
    for inner in part.get("part") or []:
        own = simple_path.element_of(element.types[0], str(inner.get("name")))
        if own is None:
            raise _ImpossibleError("A part of the value is no element of its type.")
        kind_of, value, beside = _value(inner, own)
        name = _json_name(own, kind_of)
        if own.repeats:
            _put(built, name, len(built.get(name, [])), value, beside)
        else:
            _set(built, name, value, beside)
    if not built:
        raise _ImpossibleError("The part `value` holds no value.")
    return None, built, None


def _json_name(element: Element, kind: str | None) -> str:
    if not element.choice:
        return element.name
    name = f"{element.name}{kind}"
    if name not in element.json_names():
        raise _ImpossibleError(f"{element.label()} cannot be of the type of this value.")
    return name


def _present(holder: dict[str, Any], name: str) -> bool:
    return name in holder or f"_{name}" in holder


def _set(holder: dict[str, Any], name: str, value: Any, beside: Any) -> None:
    if value is not None:
        holder[name] = value
    if beside is not None:
        holder[f"_{name}"] = beside


def _put(holder: dict[str, Any], name: str, index: int, value: Any, beside: Any) -> None:
    values = holder.setdefault(name, [])
    values.insert(index, value)
    _put_beside(holder, name, index, beside)


def _put_beside(
    holder: dict[str, Any], name: str, index: int, beside: Any, *, replace: bool = False
) -> None:
    length = len(holder[name])
    others = _beside(holder, name, length if replace else length - 1)
    if others is None:
        if beside is None:
            return
        others = holder[f"_{name}"] = [None] * (length if replace else length - 1)
    if replace:
        others[index] = beside
    else:
        others.insert(index, beside)
    _drop_empty(holder, f"_{name}")


def _beside(holder: dict[str, Any], name: str, length: int) -> list[Any] | None:
    """The list beside a list of primitives, as long as that one; None if there is none."""
    others = holder.get(f"_{name}")
    if not isinstance(others, list):
        return None
    others.extend([None] * (length - len(others)))
    return others


def _remove(place: Place) -> None:
    holder, name = _holder(place), place.name
    if place.index is None:
        del holder[name]
        holder.pop(f"_{name}", None)
        return
    others = _beside(holder, name, len(holder[name]))
    del holder[name][place.index]
    if others is not None:
        del others[place.index]
        _drop_empty(holder, f"_{name}")
    if not holder[name]:
        del holder[name]


def _drop_empty(holder: dict[str, Any], name: str) -> None:
    if all(item is None for item in holder.get(name, ())):
        holder.pop(name, None)
