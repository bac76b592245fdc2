"""What a resource is found by: the values of its search parameters.

The paths of a type's parameters are compiled once into a tree by element name, which then is walked
along with the resource: the cost follows what the resource has, not what R4 could ask of it.
Content that is valid but odd makes no value and no fault; judging it is for the validation.

Values of `_id` and `_lastUpdated` are not made (columns of the store), nor of parameters that
others make up (`parameters.sources`). A string is given as it stands, up to 200 characters; `normalise` is
the form to compare. Elements that are bare codes give a token without system: R4 leaves it to the
binding, `SearchParameter.system` names it.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from coordhub.r4.composites import composite_paths
from coordhub.r4.conversion import conversion
from coordhub.r4.element_tree import Node, grow, visit
from coordhub.r4.index_values import (
    Date,
    Extracted,
    Number,
    Quantity,
    Ref,
    Str,
    Token,
    Uri,
)
from coordhub.r4.parameters import SearchParameter, parameters, sources

__all__ = [
    "Date",
    "Extracted",
    "Number",
    "Quantity",
    "Ref",
    "SearchParameter",
    "Str",
    "Token",
    "Uri",
    "extract",
    "normalise",
    "parameters",
]


def extract(document: Mapping[str, Any], *, base: str | None = None) -> Extracted:
    """The values of every parameter of the document's type.

    base: this server's FHIR base; absolute references below it come out as local.
    A type that R4 does not have gives nothing.
    """
    found = Extracted()
    visit(_tree(str(document.get("resourceType", ""))), document, (found, base, document))
    found.references = _distinct(found.references)
    found.tokens = _once(found.tokens)
    found.strings = _once(found.strings)
    found.dates = _once(found.dates)
    found.uris = _once(found.uris)
    found.numbers = _once(found.numbers)
    found.quantities = _once(found.quantities)
    found.composites = _once(found.composites)
    found.texts = _once(found.texts)
    found.identifiers = _once(found.identifiers)
    return found


def normalise(text: str) -> str:
    """The form in which strings are compared: without accents, case and doubled white space."""
    if not text.isascii():
        text = "".join(
            character
            for character in unicodedata.normalize("NFKD", text)
            if not unicodedata.combining(character)
        )
    return " ".join(text.casefold().split())


_Value = TypeVar("_Value")


def _once(values: list[_Value]) -> list[_Value]:
    return list(dict.fromkeys(values)) if len(values) > 1 else values


def _distinct(references: list[Ref]) -> list[Ref]:
    """By what was stated, which costs less to compare than what it was read as."""
    if len(references) < 2:
        return references
    return list(
        {
            (each[0], each[1].text, each[1].identifier_system, each[1].identifier_value): each
            for each in references
        }.values()
    )


@cache
def _tree(resource_type: str) -> Node:
    stored = [
        parameter
        for code, parameter in parameters(resource_type).items()
        if parameter.indexed and sources(resource_type)[code] == (parameter,)
    ]
    simple = (
        (path.steps, leaf)
        for parameter in stored
        for path in parameter.paths
        if (leaf := conversion(parameter.kind, path.leaf, parameter.id)) is not None
    )
    composite = (
        path for parameter in stored if parameter.components for path in composite_paths(parameter)
    )
    return grow((*simple, *composite))
