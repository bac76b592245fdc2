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
    targets: resource types a Reference may point to; empty means any.
    summary: part of `_summary=true`.
    """

    name: str
    types: tuple[str, ...]
    required: bool
    repeats: bool
    choice: bool
    codes: str | None
    targets: tuple[str, ...]
    summary: bool

    def json_names(self) -> dict[str, str]:
        """JSON names of the element with the type each of them has: `valueQuantity` -> Quantity."""
        if self.choice:
            return {self.name + name[0].upper() + name[1:]: name for name in self.types}
        return {self.name: self.types[0]}

    def label(self) -> str:
        """The name as the specification writes it: `value[x]`."""
        return f"{self.name}[x]" if self.choice else self.name


class _Element(msgspec.Struct):
    name: str
    types: list[str]
    min: int = 0
    max: int | None = 1
    codes: str | None = None
    targets: tuple[str, ...] = ()
    summary: bool = False


class _Package(msgspec.Struct):
    resources: frozenset[str]
    primitives: frozenset[str]
    types: dict[str, msgspec.Raw]
    codes: dict[str, frozenset[str]]


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
            targets=declared.targets,
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
