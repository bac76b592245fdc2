"""The structure of FHIR R4 (4.0.1) as HL7 defines it: types, their elements, codes of bindings.

http://hl7.org/fhir/R4/structuredefinition.html

A *type* is a resource (`Observation`), a data type (`Quantity`), a primitive (`dateTime`) or a
backbone element, which is named by its path (`Observation.component`). The data is
`spec/structure.json.gz`; `spec/make.py` makes it. It is read at first use and costs about 20 ms.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

RESOURCE: Final = "Resource"
"""The type of an element that holds any resource."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type.

    name: without `[x]`.
    types: more than one only where `choice`; `("Resource",)` holds any resource.
    codes: address of the value set of a required binding, where the element is a code and HL7's
    package holds the whole set; `codes()` gives its codes.
    concepts: the same where the element is a CodeableConcept; `concepts()` gives its codes.
    targets: resource types a Reference may point to; empty means any.
    simple: a Quantity here has no comparator.
    summary: part of `_summary=true`.
    """

    name: str
    types: tuple[str, ...]
    required: bool
    repeats: bool
    choice: bool
    codes: str | None
    concepts: str | None
    targets: tuple[str, ...]
    simple: bool
    summary: bool

    def json_names(self) -> dict[str, str]:
        """JSON names of the element with the type each of them has: `valueQuantity` -> Quantity."""
        if self.choice:
            return {self.name + name[0].upper() + name[1:]: name for name in self.types}
        return {self.name: self.types[0]}

    def label(self) -> str:
        """The name as the specification writes it: `value[x]`."""
        return f"{self.name}[x]" if self.choice else self.name


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of severity error.

    path: of the element it is stated on, `Patient.contact`; key: `pat-1`; human: what it asks;
    expression: the same in FHIRPath.
    """

    path: str
    key: str
    human: str
    expression: str


class _Element(msgspec.Struct):
    name: str
    types: list[str]
    min: int = 0
    max: int | None = 1
    codes: str | None = None
    concepts: str | None = None
    targets: tuple[str, ...] = ()
    simple: bool = False
    summary: bool = False


class _Package(msgspec.Struct):
    resources: frozenset[str]
    primitives: frozenset[str]
    types: dict[str, msgspec.Raw]
    codes: dict[str, frozenset[str]]
    concepts: dict[str, frozenset[tuple[str, str]]]
    constraints: dict[str, tuple[tuple[str, str, str], ...]]


@cache
def _package() -> _Package:
    data = files("coordhub.r4").joinpath("spec", "structure.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(data), type=_Package)


def resources() -> frozenset[str]:
    """Names of the 146 types of resource that can be sent."""
    return _package().resources


def primitives() -> frozenset[str]:
    """Names of the primitive types, `xhtml` among them."""
    return _package().primitives


@cache
def elements(type_name: str) -> tuple[Element, ...]:
    """Elements of a resource, data type or backbone element, in the order of the specification.

    Raises KeyError if there is no such type.
    """
    return tuple(
        Element(
            name=declared.name.removesuffix("[x]"),
            types=tuple(declared.types),
            required=declared.min > 0,
            repeats=declared.max is None,
            choice=declared.name.endswith("[x]"),
            codes=declared.codes,
            concepts=declared.concepts,
            targets=declared.targets,
            simple=declared.simple,
            summary=declared.summary,
        )
        for declared in msgspec.json.decode(_package().types[type_name], type=list[_Element])
    )


def types() -> frozenset[str]:
    """Names of all types that have elements: resources, data types and backbone elements."""
    return frozenset(_package().types)


def codes(value_set: str) -> frozenset[str]:
    """Codes of a value set that some element names in `Element.codes`."""
    return _package().codes[value_set]


def concepts(value_set: str) -> frozenset[tuple[str, str]]:
    """System and code of each concept of a value set that some element names in `Element.concepts`."""
    return _package().concepts[value_set]


@cache
def constraints() -> tuple[Constraint, ...]:
    """All constraints of severity error but those that every element or resource has.

    Left out are ele-1, ext-1 and dom-2 to dom-5.
    """
    return tuple(
        Constraint(path, *constraint)
        for path, stated in _package().constraints.items()
        for constraint in stated
    )
