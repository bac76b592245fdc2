"""R4's compartments: which parameters put a resource into that of a patient, an encounter ...

http://hl7.org/fhir/R4/compartmentdefinition.html
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

import msgspec

from coordhub.r4.parameters import parameters
from coordhub.r4.types import NAMES

OWNERS: Final = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


@dataclass(frozen=True, slots=True)
class Compartment:
    """One compartment: whose it is, and the numbers of the reference parameters that lead into it.

    beside: ids of other records of the same owner, whose compartments are looked into as well.
    """

    type: str
    id: str
    parameters: tuple[int, ...]
    beside: tuple[str, ...] = ()


def compartment(owner: str, fhir_id: str, types: Iterable[str]) -> Compartment:
    """The compartment as far as resources of these types can be in it."""
    numbers = (number for name in types for number in leading(owner, name))
    return Compartment(owner, fhir_id, tuple(numbers))


@cache
def members(owner: str) -> tuple[str, ...]:
    """The types that can be in a compartment, the owner's own among them."""
    return tuple(name for name in NAMES if name == owner or leading(owner, name))


@cache
def leading(owner: str, resource_type: str) -> tuple[int, ...]:
    """Numbers of the parameters of a type that put its resources into an owner's compartment.

    A type that R4 leaves out of the patient's (Task, Device ...) belongs to it through `patient`.
    """
    known = parameters(resource_type)
    codes = _spec()["compartments"][owner].get(resource_type, [])
    if owner == "Patient" and not codes and "patient" in known:
        codes = ["patient"]
    return tuple(
        known[code].id for code in codes if code in known and known[code].kind == "reference"
    )


def modifiers(resource_type: str) -> frozenset[str]:
    """Names of the top-level elements that change what the rest means, `[x]` left out."""
    listed: list[str] = _spec()["modifiers"][resource_type]
    return frozenset(name.removesuffix("[x]") for name in listed)


@cache
def _spec() -> dict[str, Any]:
    data = files("coordhub.r4").joinpath("spec/views.json.gz").read_bytes()
    return cast(dict[str, Any], msgspec.json.decode(gzip.decompress(data)))
