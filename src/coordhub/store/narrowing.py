"""Whom a question finds something for: those who are shown what it asks about.

What is shown by a data set only is not found by an element that the data set leaves out, neither by
a criterion, nor through a link, nor by its place in an order: finding would tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from coordhub.r4 import datasets
from coordhub.r4.parameters import parameters, patient_parameters
from coordhub.r4.search import Chain, Condition, Criterion, Query, Reverse
from coordhub.r4.types import NAMES
from coordhub.store.visibility import Viewer


def of_codes(viewer: Viewer, resource_type: str, codes: Iterable[str]) -> Viewer:
    """The same viewer, to whom a row of the type is found only if all these parameters may ask of it."""
    if viewer.everything:
        return viewer
    sets = datasets.in_use()
    allowed = sets.allowing(resource_type, codes)
    # where a search goes over several types, a set is not closed by a type that it has nothing of
    allowed |= {one.number for one in sets if not sets.shows(one.number, resource_type)}
    if viewer.datasets is not None:
        allowed &= viewer.datasets
    return replace(viewer, datasets=allowed)


def of_query(viewer: Viewer, query: Query, *, further: Iterable[str] = ()) -> Viewer:
    """The same for what a query asks of its own rows; further: parameters it reads besides."""
    asked = [*further, *(key.parameter.code for key in query.sort)]
    for condition in query.criteria:
        asked += _asked(condition)
    return of_codes(viewer, query.resource_type, asked)


def of_links(
    viewer: Viewer, links: Iterable[tuple[str, Condition]], by: tuple[str, ...] = ()
) -> Viewer:
    """The same for what links lead to; by: the parameter, theirs, by which they are linked."""
    for resource_type, condition in links:
        viewer = of_codes(viewer, resource_type, [*by, *_asked(condition)])
    return viewer


def of_number(viewer: Viewer, number: int) -> Viewer:
    """The same for one parameter by its number; 0 stands for any."""
    if number == 0:
        return viewer if viewer.everything else replace(viewer, datasets=frozenset({0}))
    resource_type, code = _by_number()[number]
    return of_codes(viewer, resource_type, [code])


def of_compartment(viewer: Viewer, resource_types: Iterable[str]) -> Viewer:
    """The same for being in a patient's compartment, by what says first whose record it is."""
    for resource_type in resource_types:
        codes = patient_parameters(resource_type)[:1] if resource_type != "Patient" else ()
        viewer = of_codes(viewer, resource_type, codes)
    return viewer


def _asked(condition: Condition) -> list[str]:
    match condition:
        case Criterion(parameter) | Chain(parameter):
            return [parameter.code]
        case Reverse():
            return []


@cache
def _by_number() -> dict[int, tuple[str, str]]:
    return {each.id: (kind, code) for kind in NAMES for code, each in parameters(kind).items()}
