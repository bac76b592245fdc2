"""What each kind of recipient sees of a resource: its data set, and a resource trimmed to it.

https://www.law.cornell.edu/cfr/text/45/164.502 (b), http://hl7.org/fhir/R4/security.html

A data set is data (`datasets.json`, and a file of the operator's over it): for each type of resource
the elements that are shown. A type that is not in it is not shown at all. What is cut is marked by
the tag SUBSETTED; what R4 demands and the data set does not have says that it is masked.

A listed path shows all that stands below it. `only` shows resources that have one of these codes,
and no more than the skeleton of any other. `all_but` shows a type whole save for some elements, and
tags it only where one of those was there: so a Task can be read, changed and sent back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from coordhub.r4 import definitions
from coordhub.r4 import document as fhir_json
from coordhub.r4.definitions import Element
from coordhub.r4.parameters import (
    SearchParameter,
    main_patient_parameters,
    parameters,
)
from coordhub.r4.views import tagged

WHOLE: Final = 0
FOOD: Final = 1
HOUSING: Final = 2
TRANSPORT: Final = 3
SOCIAL: Final = 4
BLIND: Final = 5
VSP: Final = 6
DIRECTORY: Final = 7

DATA_ABSENT_REASON: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_ANY: Final = frozenset({"resourceType", "id", "implicitRules", "language", "_language"})
_META: Final = ("versionId", "lastUpdated", "security")
_OF_ANY_ROW: Final = frozenset({"_id", "_lastUpdated", "_security"})


class UnusableDatasetsError(ValueError):
    """A file of data sets says what cannot be; the message says where."""


class _Type(msgspec.Struct, forbid_unknown_fields=True):
    elements: list[str] = []
    all_but: list[str] | None = None
    only: dict[str, list[str]] = {}


class _Set(msgspec.Struct, forbid_unknown_fields=True):
    number: int
    title: str = ""
    fits: list[str] = []
    types: dict[str, _Type | list[str]] = {}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of one type.

    paths: elements, each by its names without `[x]`. hidden: the same, of a type shown whole but
    for them; None: only `paths` are shown. only: by path the tokens of which one must be there.
    """

    paths: frozenset[tuple[str, ...]]
    hidden: frozenset[tuple[str, ...]] | None = None
    only: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = ()

    def covers(self, path: tuple[str, ...]) -> bool:
        """Whether all that stands at and below this path is shown."""
        if self.hidden is not None:
            return not any(
                path[: len(one)] == one or one[: len(path)] == path for one in self.hidden
            )
        return any(path[: len(one)] == one for one in self.paths)

    def reaches(self, path: tuple[str, ...]) -> bool:
        """Whether something below this path is shown."""
        return any(one[: len(path)] == path for one in self.paths) or (
            self.hidden is not None and path not in self.hidden
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    number: int
    name: str
    title: str
    fits: frozenset[str]
    types: Mapping[str, Shown]


class Datasets:
    """All data sets of a deployment, by number."""

    def __init__(self, sets: Iterable[Dataset]) -> None:
        self._by_number = {one.number: one for one in sets}
        self._parameters: dict[tuple[int, str], frozenset[str]] = {}

    def __iter__(self) -> Any:
        return iter(self._by_number.values())

    def named(self, name: str) -> Dataset:
        """KeyError if there is none of that name."""
        return next(one for one in self._by_number.values() if one.name == name)

    def shows(self, number: int, resource_type: str) -> bool:
        """Whether anything of this type is shown; of an unknown data set nothing is."""
        return number == WHOLE or self._shown(number, resource_type) is not None

    def types_of(self, number: int) -> frozenset[str]:
        """Names of the types of which something is shown."""
        found = self._by_number.get(number)
        return frozenset() if found is None else frozenset(found.types)

    def admits(self, number: int, document: Mapping[str, Any]) -> bool:
        """Whether this resource is one that the data set has: by its type, and its codes if it asks."""
        if number == WHOLE:
            return True
        shown = self._shown(number, str(document.get("resourceType")))
        return shown is not None and _admitted(shown, document)

    def fitting(self, codes: Iterable[tuple[str | None, str]]) -> int:
        """The data set for a recipient or request with these codes (system, code).

        Of several that fit the one that shows least of a Patient; of none SOCIAL.
        """
        tokens = {f"{system or ''}|{code}" for system, code in codes}
        fit = [one for one in self._by_number.values() if one.fits & tokens]
        if not fit:
            return SOCIAL
        return min(fit, key=_breadth).number

    def trim(self, body: str, number: int, resource_type: str) -> str:
        """The JSON text with what this data set shows; digits and order are kept.

        Of a type that the data set does not have, the bare skeleton: callers should not show it.
        """
        if number == WHOLE:
            return body
        document = fhir_json.parse(body.encode())
        shown = self._shown(number, resource_type) or _NOTHING
        if shown.hidden is not None and not shown.hidden:
            return body
        if not _admitted(shown, document):
            shown = _NOTHING
        kept = self._resource(document, shown, number)
        if shown.hidden is not None and len(kept) == len(document) and kept == document:
            return body
        return fhir_json.encode(tagged(kept)).decode()

    def params_allowed(self, number: int, resource_type: str) -> frozenset[str]:
        """Codes of the search parameters that ask for nothing but what this data set shows."""
        key = (number, resource_type)
        if key not in self._parameters:
            self._parameters[key] = self._allowed(number, resource_type)
        return self._parameters[key]

    def allowing(self, resource_type: str, codes: Iterable[str]) -> frozenset[int]:
        """Numbers of the data sets, WHOLE among them, that allow all of these search parameters."""
        asked = frozenset(codes)
        return frozenset(
            [
                WHOLE,
                *(n for n in self._by_number if asked <= self.params_allowed(n, resource_type)),
            ]
        )

    def _shown(self, number: int, resource_type: str) -> Shown | None:
        found = self._by_number.get(number)
        return None if found is None else found.types.get(resource_type)

    def _allowed(self, number: int, resource_type: str) -> frozenset[str]:
        known = parameters(resource_type)
        if number == WHOLE:
            return frozenset(known)
        shown = self._shown(number, resource_type)
        if shown is None:
            return frozenset()
        if shown.only:
            patient = main_patient_parameters(resource_type)
            return frozenset({*_OF_ANY_ROW, *patient} & known.keys())
        return frozenset(
            code
            for code, each in known.items()
            if code in _OF_ANY_ROW
            or _is_covered(each, shown, known)
            # a type shown whole but for some elements shows its meta whole too
            or (shown.hidden is not None and each.paths and each.paths[0].steps[:1] == (("meta",),))
        )

    def _resource(self, document: dict[str, Any], shown: Shown, number: int) -> dict[str, Any]:
        kind = str(document.get("resourceType"))
        kept: dict[str, Any] = {}
        inner = document.get("contained")
        for name, value in document.items():
            if name in _ANY:
                kept[name] = value
            elif name == "meta" and isinstance(value, dict):
                kept[name] = (
                    value
                    if shown.hidden is not None
                    else {part: value[part] for part in _META if part in value}
                )
            elif name == "contained" or (name in ("text", "_text") and shown.hidden is None):
                continue
            elif (below := _below(name, value, kind, (), shown)) is not _CUT:
                kept[name] = below
        contained = self._contained(inner, kept, number) if isinstance(inner, list) else []
        if contained:
            kept["contained"] = contained
        names = {f"#{one.get('id')}" for one in contained} | {"#"}
        kept = {
            name: value if name in ("contained", "meta") else _without_loose_ends(value, names)
            for name, value in kept.items()
        }
        return kept | _masked_where_required(kept, kind)

    def _contained(
        self, inner: list[Any], kept: dict[str, Any], number: int
    ) -> list[dict[str, Any]]:
        """Of what is contained, what is referred to from what is shown, and only what is of the set."""
        named = _local_references(kept)
        found: list[dict[str, Any]] = []
        for one in inner:
            if isinstance(one, dict) and f"#{one.get('id')}" in named:
                shown = self._shown(number, str(one.get("resourceType")))
                if shown is not None and _admitted(shown, one):
                    found.append(self._resource(one, shown, number))
        return found


_NOTHING: Final = Shown(frozenset())
_CUT: Final = object()


def _breadth(dataset: Dataset) -> tuple[int, int]:
    patient = dataset.types.get("Patient", _NOTHING)
    return (len(patient.paths), dataset.number)


def _is_covered(
    parameter: SearchParameter, shown: Shown, known: Mapping[str, SearchParameter]
) -> bool:
    if parameter.components:
        return all(
            part in known and known[part].paths and _is_covered(known[part], shown, known)
            for part, _ in parameter.components
        )
    names = _names_of(parameter.resource_type)
    return bool(parameter.paths) and all(
        path.steps
        and path.steps[0][0] != "meta"
        and shown.covers(
            tuple(
                names.get(step[0], step[0]) if depth == 0 else step[0]
                for depth, step in enumerate(path.steps)
            )
        )
        for path in parameter.paths
    )


@cache
def _names_of(kind: str) -> dict[str, str]:
    """Element name by JSON name, of a type."""
    return {name: each.name for each in definitions.elements(kind) for name in each.json_names()}


@cache
def _declared(kind: str) -> dict[str, tuple[Element, str]]:
    if kind not in definitions.types():
        return {}
    return {
        name: (each, type_)
        for each in definitions.elements(kind)
        for name, type_ in each.json_names().items()
    }


def _below(name: str, value: Any, kind: str, above: tuple[str, ...], shown: Shown) -> Any:
    """What is shown of one member of an object of type `kind`; _CUT if nothing is."""
    found = _declared(kind).get(name.removeprefix("_"))
    path = (*above, found[0].name if found else name.removeprefix("_"))
    if shown.covers(path):
        return value
    if not shown.reaches(path) or found is None or name.startswith("_"):
        return _CUT
    if isinstance(value, list):
        kept = [part for item in value if (part := _object(item, found[1], path, shown))]
        return kept or _CUT
    return _object(value, found[1], path, shown) or _CUT


def _object(node: Any, kind: str, path: tuple[str, ...], shown: Shown) -> dict[str, Any] | None:
    if not isinstance(node, dict):
        return None
    kept = {
        name: below
        for name, value in node.items()
        if (below := _below(name, value, kind, path, shown)) is not _CUT
    }
    return kept | _masked_where_required(kept, kind) if kept else None


def _masked_where_required(kept: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """For each element that must be there and is not shown, one that says so."""
    added: dict[str, Any] = {}
    for element in definitions.elements(kind) if kind in definitions.types() else ():
        names = element.json_names()
        if not element.required or any(name in kept or f"_{name}" in kept for name in names):
            continue
        name, type_ = next(iter(names.items()))
        mask: Any = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "masked"}]}
        if type_ in definitions.primitives():
            name = f"_{name}"
        elif type_ not in definitions.types() or "." in type_:
            mask |= _masked_where_required({}, type_)
        added[name] = [mask] if element.repeats else mask
    return added


def _admitted(shown: Shown, document: Mapping[str, Any]) -> bool:
    return all(_tokens_at(document, path) & wanted for path, wanted in shown.only)


def _tokens_at(node: Any, path: tuple[str, ...]) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_tokens_at(item, path) for item in node))
    if path:
        return _tokens_at(node.get(path[0]), path[1:]) if isinstance(node, dict) else set()
    if isinstance(node, str):
        return {node}
    if not isinstance(node, dict):
        return set()
    if "coding" in node:
        return _tokens_at(node["coding"], ())
    return (
        {f"{node.get('system', '')}|{node['code']}"} if isinstance(node.get("code"), str) else set()
    )


def _local_references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_local_references, node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*map(_local_references, node.values()))
    text = node.get("reference")
    return found | {text} if isinstance(text, str) and text.startswith("#") else found


def _without_loose_ends(node: Any, names: set[str]) -> Any:
    """The same, where what referred to something contained that is not shown says that it is masked."""
    if isinstance(node, list):
        return [_without_loose_ends(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    text = node.get("reference")
    if isinstance(text, str) and text.startswith("#") and text not in names:
        return {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "masked"}]}
    return {name: _without_loose_ends(value, names) for name, value in node.items()}


_in_use: list[Datasets] = []


def in_use() -> Datasets:
    """The data sets of this process: the shipped ones, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(read())
    return _in_use[0]


def use(chosen: Datasets) -> None:
    """Have the whole process show by these; called once, before anything is read."""
    _in_use[:] = [chosen]


def read(text: bytes | None = None) -> Datasets:
    """The data sets as shipped, with those of an operator's file over them.

    A set of the file that has the name of a shipped one replaces the types that it names, and takes
    away those it gives an empty list; a new one has a number from 100 to 32767.
    Raises UnusableDatasetsError.
    """
    shipped = files("coordhub.r4").joinpath("datasets.json").read_bytes()
    common, sets = _decoded(shipped)
    if text is not None:
        more, changed = _decoded(text)
        common |= more
        for name, one in changed.items():
            known = sets.get(name)
            if known is None and not 100 <= one.number <= 32767:
                raise UnusableDatasetsError(
                    f"{name}.number: a new data set has a number from 100 to 32767."
                )
            if known is not None and known.number != one.number:
                raise UnusableDatasetsError(f"{name}.number: it is {known.number} and stays so.")
            sets[name] = (
                one
                if known is None
                else _Set(
                    known.number,
                    one.title or known.title,
                    one.fits or known.fits,
                    {**known.types, **one.types},
                )
            )
    numbers = [one.number for one in sets.values()]
    if len(set(numbers)) != len(numbers):
        raise UnusableDatasetsError("Two data sets have the same number.")
    return Datasets(
        Dataset(
            one.number,
            name,
            one.title,
            frozenset(one.fits),
            {
                kind: shown
                for kind, given in {**common, **one.types}.items()
                if (shown := _shown_of(name, kind, given)) is not None
            },
        )
        for name, one in sets.items()
    )


def _decoded(text: bytes) -> tuple[dict[str, _Type | list[str]], dict[str, _Set]]:
    try:
        parts = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        common = msgspec.json.decode(
            parts.pop("common", msgspec.Raw(b"{}")), type=dict[str, _Type | list[str]]
        )
        return common, {name: msgspec.json.decode(part, type=_Set) for name, part in parts.items()}
    except msgspec.DecodeError as error:
        raise UnusableDatasetsError(f"The data sets cannot be read: {error}") from None


def _shown_of(name: str, kind: str, given: _Type | list[str]) -> Shown | None:
    """None for an empty list, which takes a type out of the set."""
    if kind not in definitions.resources():
        raise UnusableDatasetsError(f"{name}.{kind}: R4 has no such type of resource.")
    if given == []:
        return None
    one = _Type(given) if isinstance(given, list) else given
    if one.all_but is not None and (one.elements or one.only):
        raise UnusableDatasetsError(f"{name}.{kind}: all_but stands alone.")
    return Shown(
        frozenset(_path(name, kind, text) for text in one.elements),
        None if one.all_but is None else frozenset(_path(name, kind, text) for text in one.all_but),
        tuple((_path(name, kind, text), frozenset(codes)) for text, codes in one.only.items()),
    )


def _path(name: str, kind: str, text: str) -> tuple[str, ...]:
    path = tuple(text.split("."))
    here = kind
    for step in path:
        found = [
            each
            for each in (definitions.elements(here) if here in definitions.types() else ())
            if each.name == step
        ]
        if not found:
            raise UnusableDatasetsError(f"{name}.{kind}: there is no element {text}.")
        here = found[0].types[0]
    return path
