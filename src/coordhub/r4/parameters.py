"""The search parameters that R4 defines, by resource type, and the patient compartment.

Read from `spec/search-parameters.json.gz`, which `spec/make_search.py` makes from HL7's package. A
parameter of one type has a number that never changes: the store writes it into its index.

http://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal, cast

import msgspec

Kind = Literal[
    "string", "token", "reference", "date", "number", "quantity", "uri", "composite", "special"
]


Step = tuple[str] | tuple[str, str, Any]
"""A JSON name with choices resolved (`valueQuantity`), alone or with a condition on the element it
leads to: `type` of a reference's target, `extension` with that url, or a member and its value."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way from the resource to elements that a parameter looks at.
    leaf: FHIR type of the elements at its end.
    """

    leaf: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter of one resource type.

    id: number of (resource type, code), smallint, the same for ever.
    targets: types that a reference may have; empty where any may be.
    components: of a composite, the code of each part and its expression below `expression`.
    system: code system that the bindings imply where the elements are bare codes.
    indexed: whether `extract` makes values for it; not so for what the store keeps as columns
        (`_id`, `_lastUpdated`) and for what has no path.
    """

    id: int
    resource_type: str
    code: str
    kind: Kind
    expression: str
    targets: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    system: str | None
    phonetic: bool
    paths: tuple[Path, ...]

    @property
    def indexed(self) -> bool:
        return bool(self.paths)


@cache
def parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """Every parameter of the type by its code; none where R4 has no such type."""
    entries = _spec()["parameters"].get(resource_type, {})
    return MappingProxyType(
        {code: _parameter(resource_type, code, entry) for code, entry in entries.items()}
    )


@cache
def patient_parameters(resource_type: str) -> tuple[str, ...]:
    """Codes of the reference parameters that put a resource of the type into a patient compartment.

    The one that says whose record it is comes first, then the order of CompartmentDefinition
    "patient". Of the types that R4 leaves out (Task, Device, Contract ...) those with a parameter
    `patient` belong through it: a Task is `for` its patient here.
    """
    listed: list[str] = _spec()["patient"].get(resource_type, [])
    if not listed and "patient" in parameters(resource_type):
        return ("patient",)
    main = [code for code in ("patient", "subject", "beneficiary") if code in listed]
    return tuple(dict.fromkeys([*main, *listed]))


def _parameter(resource_type: str, code: str, entry: dict[str, Any]) -> SearchParameter:
    return SearchParameter(
        id=entry["id"],
        resource_type=resource_type,
        code=code,
        kind=cast(Kind, entry["kind"]),
        expression=entry["expression"],
        targets=tuple(entry.get("targets", ())),
        components=tuple((part[0], part[1]) for part in entry.get("components", ())),
        system=entry.get("system"),
        phonetic=entry.get("phonetic", False),
        paths=tuple(
            Path(leaf, cast(Any, tuple(tuple(step) for step in steps)))
            for leaf, steps in entry["paths"]
        ),
    )


@cache
def _spec() -> dict[str, Any]:
    data = files("coordhub.r4").joinpath("spec/search-parameters.json.gz").read_bytes()
    return cast(dict[str, Any], msgspec.json.decode(gzip.decompress(data)))
