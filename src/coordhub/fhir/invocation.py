"""What an operation is given: the parameters of its address, or of the Parameters in its body.

http://hl7.org/fhir/R4/operations.html#executing
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coordhub.errors import FhirError, Issue, unprocessable
from coordhub.fhir.context import Asked
from coordhub.r4 import structure


def pairs(asked: Asked) -> list[tuple[str, str]]:
    """All parameters with a plain value, of the address first; 400, 422 if the body is odd."""
    found = list(asked.query)
    for position, parameter in enumerate(_listed(asked)):
        values = [value for name, value in parameter.items() if name.startswith("value")]
        if not values or isinstance(values[0], dict | list):
            raise FhirError(
                400,
                Issue(
                    "invalid",
                    "This parameter takes a plain value.",
                    f"Parameters.parameter[{position}].value",
                ),
            )
        value = values[0]
        found.append(
            (parameter["name"], str(value).lower() if value in (True, False) else f"{value}")
        )
    return found


def parameter(asked: Asked, name: str) -> dict[str, Any] | None:
    """The one parameter of the body with this name; 400 if there are several."""
    found = [each for each in _listed(asked) if each["name"] == name]
    if len(found) > 1:
        raise FhirError(400, Issue("invalid", f"{name} may be given once.", "Parameters.parameter"))
    return found[0] if found else None


def with_resource(asked: Asked) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """The resource that an operation is about, in a Parameters or by itself, and its plain parameters."""
    document = asked.document
    if document is None or document.get("resourceType") != "Parameters":
        return document, list(asked.query)
    inner = parameter(asked, "resource")
    plain = [one for one in document.get("parameter", []) if one["name"] != "resource"]
    rest = {name: value for name, value in document.items() if name != "parameter"}
    if plain:
        rest["parameter"] = plain
    resource = inner.get("resource") if inner is not None else None
    return resource, pairs(replace(asked, document=rest))


def _listed(asked: Asked) -> list[dict[str, Any]]:
    document = asked.document
    if document is None:
        return []
    if document.get("resourceType") != "Parameters":
        raise FhirError(
            400, Issue("invalid", "A Parameters resource is expected.", "Resource.resourceType")
        )
    kept = {**document, "parameter": [_outside(each) for each in document.get("parameter", [])]}
    issues = structure.check(kept if kept["parameter"] else document, expected_type="Parameters")
    if issues:
        raise unprocessable(*issues)
    listed: list[dict[str, Any]] = document.get("parameter", [])
    return listed


def _outside(parameter: Any) -> Any:
    """The parameter without its resource, which is judged for itself."""
    if not isinstance(parameter, dict) or "resource" not in parameter:
        return parameter
    return {"name": parameter.get("name"), "valueBoolean": True}
