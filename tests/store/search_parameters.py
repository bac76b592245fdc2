"""The search parameters that are asked about: what of a document each names, and by what it is ordered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import search_words as words
from search_words import GRAMS, UCUM, Body, Place, concepts, dates, identifiers


@dataclass(frozen=True)
class Parameter:
    """of: its values in a document."""

    code: str
    kind: str
    of: Callable[[Body], list[Any]]


def _all(*parameters: tuple[str, str, Callable[[Body], list[Any]]]) -> dict[str, Parameter]:
    return {one[0]: Parameter(*one) for one in parameters}


def _names(part: str) -> Callable[[Body], list[str]]:
    def of(body: Body) -> list[str]:
        found = [each.get(part, []) for each in body.get("name", ())]
        return [one for each in found for one in ([each] if isinstance(each, str) else each)]

    return of


def _listed(name: str) -> Callable[[Body], list[Any]]:
    return lambda body: list(body.get(name, ()))


def _one(name: str) -> Callable[[Body], list[Any]]:
    return lambda body: [body[name]] if name in body else []


def _patients(body: Body) -> list[Body]:
    """Only what is known to be a patient."""
    return [
        each
        for each in _one("subject")(body)
        if each.get("reference", "").startswith("Patient/")
    ]  # fmt: skip


def _concept(name: str) -> Callable[[Body], list[Any]]:
    return lambda body: concepts(body.get(name))


def _code(name: str, system: str) -> Callable[[Body], list[Any]]:
    return lambda body: words.codes(body.get(name), system)


def _dates(*names: str) -> Callable[[Body], list[Any]]:
    return lambda body: [each for name in names for each in dates(body.get(name))]


def _probabilities(body: Body) -> list[Any]:
    return [
        words.number_extent(each[name])
        for each in body.get("prediction", ())
        for name in ("probabilityDecimal", "probabilityRange")
        if name in each
    ]


def _places(body: Body) -> list[Place]:
    return [Place(float(at["latitude"]), float(at["longitude"])) for at in _one("position")(body)]


def measured(element: Body) -> list[Body]:
    return _one("valueQuantity")(element)


def _both(body: Body) -> list[Body]:
    """An Observation and its components."""
    return [body, *body.get("component", ())]


PARAMETERS: dict[str, dict[str, Parameter]] = {
    "Patient": _all(
        ("identifier", "token", lambda body: identifiers(body.get("identifier", ()))),
        ("family", "string", _names("family")),
        ("given", "string", _names("given")),
        ("birthdate", "date", _dates("birthDate")),
        ("gender", "token", _code("gender", "http://hl7.org/fhir/administrative-gender")),
        ("address-postalcode", "string", lambda body: [each["postalCode"] for each in body.get("address", ())]),
        ("general-practitioner", "reference", _listed("generalPractitioner")),
    ),
    "Observation": _all(
        ("code", "token", _concept("code")),
        ("combo-code", "token", lambda body: concepts(*(each["code"] for each in _both(body)))),
        ("value-quantity", "quantity", measured),
        ("combo-value-quantity", "quantity", lambda body: [q for each in _both(body) for q in measured(each)]),
        ("value-string", "string", _one("valueString")),
        ("date", "date", _dates("effectiveDateTime", "effectivePeriod")),
        ("subject", "reference", _one("subject")),
        ("patient", "reference", _patients),
        ("performer", "reference", _listed("performer")),
    ),
    "ServiceRequest": _all(
        ("status", "token", _code("status", "http://hl7.org/fhir/request-status")),
        ("code", "token", _concept("code")),
        ("authored", "date", _dates("authoredOn")),
        ("subject", "reference", _one("subject")),
        ("patient", "reference", _patients),
        ("requester", "reference", _one("requester")),
        ("based-on", "reference", _listed("basedOn")),
        ("instantiates-uri", "uri", _listed("instantiatesUri")),
    ),
    "RiskAssessment": _all(
        ("probability", "number", _probabilities),
        ("date", "date", _dates("occurrenceDateTime")),
        ("method", "token", _concept("method")),
        ("subject", "reference", _one("subject")),
        ("patient", "reference", _patients),
    ),
    "Location": _all(
        ("name", "string", _one("name")),
        ("status", "token", _code("status", "http://hl7.org/fhir/location-status")),
        ("near", "special", _places),
        ("organization", "reference", _one("managingOrganization")),
        ("partof", "reference", _one("partOf")),
    ),
}  # fmt: skip
"""By type and code."""

COMPOSITES: dict[str, Callable[[Body], list[Body]]] = {
    "code-value-quantity": lambda body: [body],
    "component-code-value-quantity": _listed("component"),
    "combo-code-value-quantity": _both,
}
"""Of an Observation: the elements that have a code and a quantity together."""

LEADING = {
    "Patient": (),
    "Observation": ("subject", "performer"),
    "ServiceRequest": ("subject",),
    "RiskAssessment": ("subject",),
}
"""What puts a type into a patient's compartment."""


def order(parameter: Parameter, body: Body, descending: bool) -> Any:
    """The value that it is sorted by, None where it has none: the least, descending the greatest."""
    found = [_sorted_by(parameter, each, descending) for each in parameter.of(body)]
    found = [each for each in found if each is not None]
    if not found:
        return None
    return max(found) if descending else min(found)


def _sorted_by(parameter: Parameter, value: Any, descending: bool) -> Any:
    match parameter.kind:
        case "string":
            return words.folded(value)
        case "token":
            return value.code
        case "date":
            return value.low
        case "number":
            return value.high if descending else value.low
        case "quantity":
            extent = words.quantity_extent(value)
            factor = GRAMS.get(value.get("code", ""), 1) if value.get("system") == UCUM else 1
            return (extent.high if descending else extent.low) * factor
        case "reference":
            text = value.get("reference")
            return text if text is None or "://" in text else text.partition("/")[2]
        case "uri":
            return value
    raise AssertionError(parameter)
