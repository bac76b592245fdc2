"""The search parameters that R4 defines, by resource type, and the patient compartment.

Read from `spec/search-parameters.json.gz`, which `spec/make_search.py` makes from HL7's package. A
parameter of one type has a number that never changes: the store writes it into its index.

http://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal, cast

import msgspec

from coordhub.r4 import definitions

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
        (`_id`, `_lastUpdated`), for what has no path, and for what sounds alike.
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
        return bool(self.paths or self.components) and not self.phonetic


@cache
def parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """Every parameter of the type by its code; none where R4 has no such type."""
    entries = _spec()["parameters"].get(resource_type, {})
    return MappingProxyType(
        {code: _parameter(resource_type, code, entry) for code, entry in entries.items()}
    )


@cache
def sources(resource_type: str) -> Mapping[str, tuple[SearchParameter, ...]]:
    """For each parameter by its code, those whose values together are its values.

    Nearly always itself. A parameter that R4 defines as the union of others (`combo-code` of `code`
    and `component-code`), or like another, has no values of its own: they would be stored twice.
    """
    known = parameters(resource_type)
    return MappingProxyType({code: _sources(each, known.values()) for code, each in known.items()})


def _sources(
    parameter: SearchParameter, known: Iterable[SearchParameter]
) -> tuple[SearchParameter, ...]:
    ways = _ways(parameter)
    missing = set(ways)
    parts: list[SearchParameter] = []
    for other in sorted(known, key=lambda each: (-len(_ways(each)), each.id)):
        theirs = _ways(other)
        if (
            not theirs
            or not parameter.indexed
            or not other.indexed
            or (other.kind, other.system) != (parameter.kind, parameter.system)
            or not (theirs < ways or (theirs == ways and other.id < parameter.id))
            or not theirs & missing
        ):
            continue
        parts.extend(_sources(other, known))
        missing -= theirs
    return tuple(dict.fromkeys(parts)) if ways and not missing else (parameter,)


def _ways(parameter: SearchParameter) -> frozenset[object]:
    """Where the values come from, to compare parameters by it."""
    if parameter.components:
        parts = tuple(expression for _, expression in parameter.components)
        return frozenset((way.strip(), parts) for way in parameter.expression.split("|"))
    return frozenset(parameter.paths)


def target_types(parameter: SearchParameter) -> tuple[str, ...]:
    """Types that what the parameter refers to may have; empty where any may be.

    R4 lists Group for `Observation.patient`, whose expression takes patients only.
    """
    wanted = {
        str(step[2])
        for path in parameter.paths
        for step in path.steps[-1:]
        if len(step) == 3 and step[1] == "type"
    }
    if len(wanted) == len(parameter.paths) == 1:
        return tuple(wanted)
    return parameter.targets


def single_valued(parameter: SearchParameter) -> bool:
    """Whether no resource can have more than one value of it."""
    names = {path.steps[0][0] for path in parameter.paths}
    if not names or any(len(path.steps) != 1 for path in parameter.paths):
        return False
    return any(
        not element.repeats and names <= element.json_names().keys()
        for element in definitions.elements(parameter.resource_type)
    )


@cache
def is_moment(parameter: SearchParameter) -> bool:
    """Whether its one value is a date or an instant, which covers a year at most, and no Period."""
    names = {path.steps[0][0] for path in parameter.paths}
    return single_valued(parameter) and any(
        names <= element.json_names().keys()
        and {element.json_names()[str(name)] for name in names} <= {"date", "dateTime", "instant"}
        for element in definitions.elements(parameter.resource_type)
    )


def hierarchies(parameter: SearchParameter) -> tuple[SearchParameter, ...]:
    """Of the types that a reference may have, the parameters that say what one is part of."""
    found: list[SearchParameter] = []
    for target in parameter.targets:
        for code in ("partof", "part-of"):
            part = parameters(target).get(code)
            if part is not None and part.kind == "reference" and target in part.targets:
                found.append(part)
    return tuple(found)


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


# What its expression names, a BackboneElement, is read whole: the place it says needs both numbers.
_NEAR = Path("position", (("position",),))


@cache
def main_patient_parameters(resource_type: str) -> tuple[str, ...]:
    """Codes of the parameters that look where the type says whose record it is, if in one place.

    For Observation `patient` and `subject`; none for Appointment, which many may take part in.
    """
    first = next(iter(patient_parameters(resource_type)), None)
    known = parameters(resource_type)
    if first is None or resource_type == "Patient" or len(known[first].paths) != 1:
        return ()
    (path,) = known[first].paths
    if len(path.steps) != 1:
        return ()
    name = path.steps[0][0]
    element = next(
        (each for each in definitions.elements(resource_type) if each.name == name), None
    )
    if element is None or element.repeats:
        return ()
    return tuple(
        code
        for code, each in known.items()
        if len(each.paths) == 1
        and len(each.paths[0].steps) == 1
        and each.paths[0].steps[0][0] == name
        and each.kind == "reference"
    )


def _parameter(resource_type: str, code: str, entry: dict[str, Any]) -> SearchParameter:
    return SearchParameter(
        id=entry["id"],
        resource_type=resource_type,
        code=code,
        kind=cast(Kind, entry["kind"]),
        expression=entry["expression"],
        targets=tuple(entry.get("targets", ())),
        components=_straightened(
            resource_type, code, [(part[0], part[1]) for part in entry.get("components", ())]
        ),
        system=entry.get("system"),
        phonetic=entry.get("phonetic", False),
        paths=tuple(
            Path(leaf, cast(Any, tuple(tuple(step) for step in steps)))
            for leaf, steps in entry["paths"]
        )
        or ((_NEAR,) if (resource_type, code) == ("Location", "near") else ()),
    )


@cache
def _spec() -> dict[str, Any]:
    data = files("coordhub.r4").joinpath("spec/search-parameters.json.gz").read_bytes()
    return cast(dict[str, Any], msgspec.json.decode(gzip.decompress(data)))


def _straightened(
    resource_type: str, code: str, components: list[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """Each component with its own expression: HL7 wrote those of this one parameter crosswise."""
    if (resource_type, code) == ("DocumentReference", "relationship"):
        (one, its), (other, others) = components
        return (one, others), (other, its)
    return tuple(components)
