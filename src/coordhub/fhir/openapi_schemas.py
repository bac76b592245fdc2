"""The schemas of the OpenAPI document: FHIR R4's types, made from HL7's definitions.

http://hl7.org/fhir/R4/json.html, https://spec.openapis.org/oas/v3.1.0#schema-object

Each type is one schema and each code system of a required binding one enumeration; backbone
elements are named by their path without its dots (`TaskRestriction`). What JSON Schema cannot say
briefly stands in a description: that of a choice one member is sent, and that a required primitive
may be absent where its `_` sibling says why. The schemas are wider than the hub's own check, never
narrower but for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from coordhub.r4 import definitions, types
from coordhub.r4.definitions import RESOURCE, Element

Schema = dict[str, Any]

NAMED: Final = (
    "ServiceRequest", "Task", "Observation", "Patient", "Consent", "Organization",
    "HealthcareService", "Practitioner", "PractitionerRole", "Location", "Endpoint", "Bundle",
)  # fmt: skip
"""Types with operations and schemas of their own; the other types are described as one."""

_ANSWERED: Final = ("OperationOutcome", "CapabilityStatement", "MeasureReport", "Parameters")
OTHER: Final = "OtherResource"
_SIBLING: Final = "Element"
_SPECIFICATION: Final = "http://hl7.org/fhir/R4"

_ZONE = r"(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_DAY = r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
PRIMITIVES: Final[dict[str, Schema]] = {
    "base64Binary": {**_TEXT, "contentEncoding": "base64"},
    "boolean": {"type": "boolean"},
    "canonical": {**_TEXT, "pattern": r"^\S+$"},
    "code": {**_TEXT, "pattern": r"^\S+(\s\S+)*$"},
    "date": {"type": "string", "pattern": rf"^[0-9]{{4}}(-((0[1-9]|1[0-2])|{_DAY}))?$"},
    "dateTime": {
        "type": "string",
        "pattern": rf"^[0-9]{{4}}(-((0[1-9]|1[0-2])|{_DAY}(T{_TIME}{_ZONE})?))?$",
    },
    "decimal": {"type": "number", "description": "Digits are kept as sent: 7.50 stays 7.50."},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
    "instant": {"type": "string", "pattern": rf"^[0-9]{{4}}-{_DAY}T{_TIME}{_ZONE}$"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "markdown": _TEXT,
    "oid": {"type": "string", "pattern": r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "string": _TEXT,
    "time": {"type": "string", "pattern": rf"^{_TIME}$"},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "uri": {**_TEXT, "pattern": r"^\S+$"},
    "url": {**_TEXT, "pattern": r"^\S+$"},
    "uuid": {
        "type": "string",
        "pattern": "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    },
    "xhtml": {**_TEXT, "description": "A `div` of XHTML."},
}
"""What each primitive type looks like in JSON; a test compares it with the hub's own check."""


def reference(name: str) -> Schema:
    """`$ref` to the schema of a type, by its name in FHIR."""
    return {"$ref": f"#/components/schemas/{component(name)}"}


def component(type_name: str) -> str:
    """Name of a type's schema: `Task.restriction` -> `TaskRestriction`."""
    head, *parts = type_name.split(".")
    return head + "".join(part[0].upper() + part[1:] for part in parts)


def typed(resource_type: str) -> str:
    """Name of the schema that a resource of this type has."""
    return resource_type if resource_type in (*NAMED, *_ANSWERED) else OTHER


def schemas() -> dict[str, Schema]:
    """All schemas by name: resources first, then what they are made of, by name."""
    roots = (*NAMED, *_ANSWERED)
    used = sorted(set(_below(roots)) - set(roots) - {RESOURCE})
    made = {name: _resource(name) for name in roots}
    made[RESOURCE] = {
        "description": "A resource of any type; resourceType tells which.",
        "anyOf": [reference(name) for name in (*roots, OTHER)],
    }
    made[OTHER] = {
        "type": "object",
        "description": f"A resource of another type: {_SPECIFICATION}/resourcelist.html",
        "required": ["resourceType"],
        "properties": {
            "resourceType": {
                "type": "string",
                "enum": [name for name in types.NAMES if name not in roots],
            },
            "id": reference("id"),
            "meta": reference("Meta"),
        },
        "additionalProperties": True,
    }
    made[_SIBLING] = {
        "type": "object",
        "description": f"What a primitive carries besides its value: {_SPECIFICATION}/json.html#primitive",
        "properties": {
            "id": reference("string"),
            "extension": {"type": "array", "items": reference("Extension")},
        },
        "additionalProperties": False,
    }
    for name in used:
        made[component(name)] = PRIMITIVES[name] if name in PRIMITIVES else _object(name)
    for address in sorted(
        {e.codes for name in (*roots, *used) for e in _elements(name) if e.codes is not None}
    ):
        name = _value_set(address)
        assert name not in made, f"two schemas would be called {name}"
        made[name] = {
            "type": "string",
            "description": address,
            "enum": sorted(definitions.codes(address)),
        }
    return made


def _below(roots: Iterable[str]) -> Iterator[str]:
    """Names of all types that these are made of."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting.extend(below for e in _elements(name) for below in e.types)


def _elements(type_name: str) -> tuple[Element, ...]:
    if type_name == RESOURCE or type_name in definitions.primitives():
        return ()
    return definitions.elements(type_name)


def _resource(name: str) -> Schema:
    made = _object(name)
    made["required"] = ["resourceType", *made.get("required", ())]
    made["properties"] = {
        "resourceType": {"type": "string", "const": name},
        **made["properties"],
    }
    return made


def _object(name: str) -> Schema:
    said = [f"{_SPECIFICATION}/{_page(name)}"]
    properties: Schema = {}
    required: list[str] = []
    for element in _elements(name):
        if element.choice:
            need = "One" if element.required else "At most one"
            said.append(f"{need} of {element.label()} is sent.")
        elif element.required:
            required.append(element.name)
        for json_name, type_name in element.json_names().items():
            properties |= _members(element, json_name, type_name)
    made: Schema = {"type": "object", "description": " ".join(said)}
    if required:
        made["required"] = required
    return {**made, "properties": properties, "additionalProperties": False}


def _members(element: Element, json_name: str, type_name: str) -> Schema:
    """The property, and the `_` sibling of a primitive one."""
    one = dict(reference(_value_set(element.codes) if element.codes else type_name))
    is_primitive = type_name in PRIMITIVES and json_name != "id"
    if type_name in ("Reference", "canonical") and element.targets:
        one["description"] = f"To {', '.join(element.targets)}."
    if not element.repeats:
        sibling = {f"_{json_name}": reference(_SIBLING)} if is_primitive else {}
        return {json_name: one, **sibling}
    if not is_primitive:
        return {json_name: {"type": "array", "minItems": 1, "items": one}}
    padded = [one, {"type": "null"}]
    siblings = [reference(_SIBLING), {"type": "null"}]
    return {
        json_name: {"type": "array", "minItems": 1, "items": {"anyOf": padded}},
        f"_{json_name}": {"type": "array", "minItems": 1, "items": {"anyOf": siblings}},
    }


def _value_set(address: str) -> str:
    """Name of an enumeration: `.../ValueSet/task-status` -> `TaskStatusCode`."""
    words = address.partition("|")[0].rpartition("/")[2].split("-")
    return "".join(word[:1].upper() + word[1:] for word in words) + "Code"


def _page(type_name: str) -> str:
    """The page of the specification that defines a type."""
    head = type_name.partition(".")[0]
    if head in types.NUMBER:
        return f"{head.lower()}.html"
    special = {
        "Extension": "extensibility.html",
        "Meta": "resource.html#Meta",
        "Narrative": "narrative.html",
        "Reference": "references.html",
        "Dosage": "dosage.html",
    }
    return special.get(head, f"datatypes.html#{head}")
