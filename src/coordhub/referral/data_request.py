"""A Task that asks who holds data to release it: what marks it as such, and what it asks for.

http://hl7.org/fhir/us/davinci-hrex
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from coordhub.referral.wanted import codes

SYSTEM: Final = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
KIND: Final = "data-request"

HELD: Final = timedelta(days=30)
"""So long what was released is shown to who asked."""

_WHOSE: Final = frozenset({"patient", "subject"})
_DOCUMENTS: Final = {"DocumentReference": "type", "DiagnosticReport": "code"}


def asks(task: Mapping[str, Any]) -> bool:
    """Whether this Task is such a request."""
    return (SYSTEM, KIND) in set(codes(task.get("code")))


def questions(task: Mapping[str, Any]) -> Iterator[str]:
    """What it asks for, as it says it: for people to read."""
    for kind, element in _inputs(task):
        if kind == "data-query":
            yield str(element.get("valueString") or "")
        else:
            concept = element.get("valueCodeableConcept") or {}
            coded: Mapping[str, Any] = next(iter(concept.get("coding") or ()), {})
            yield str(concept.get("text") or coded.get("display") or coded.get("code") or "")


def searches(task: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Type and parameters of searches in one patient's record; whose it is, is left out."""
    for kind, element in _inputs(task):
        if kind == "data-query":
            path, _, query = str(element.get("valueString") or "").partition("?")
            yield (
                path.rpartition("/")[2],
                [pair for pair in parse_qsl(query) if pair[0] not in _WHOSE],
            )
        else:
            stated = ",".join(
                f"{system}|{code}" for system, code in codes(element.get("valueCodeableConcept"))
            )
            yield from (
                (type_, [(parameter, stated)]) for type_, parameter in _DOCUMENTS.items() if stated
            )


def _inputs(task: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for one in task.get("input") or ():
        for system, code in codes(one.get("type")):
            if system == SYSTEM and code in ("data-query", "data-code"):
                yield code, one
