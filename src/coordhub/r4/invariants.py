"""Invariants of FHIR R4: HL7's constraints of severity error, and the predicates that check them.

http://hl7.org/fhir/R4/conformance-rules.html#constraints

Texts and FHIRPath expressions are HL7's and lie in the definitions; what is written here is a
predicate for each (path, key), in Python, because the check of every document passes through it.
What all elements and resources have (ele-1, ext-1, dom-2 to dom-5) is the structure's, and so are
ref-1, txt-1 and txt-2, which look further than their element. `UNCHECKED` says what is not checked,
and why. Two of HL7's expressions contradict their own text: app-4 names a status `no-show`, where
the code is `noshow` (the text is followed), que-12 asks from three conditions on, where the text
says two (the expression is followed, as the milder of the two).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from coordhub.r4 import (
    definitions,
    invariants_of_definitions,
    invariants_of_records,
    invariants_of_types,
)
from coordhub.r4.invariant_words import Each

PREDICATES: Final = (
    invariants_of_types.PREDICATES
    | invariants_of_records.PREDICATES
    | invariants_of_definitions.PREDICATES
)
"""By path and key of the constraint."""

ELSEWHERE: Final = {
    ("Reference", "ref-1"): "structure_visit",
    ("Narrative.div", "txt-1"): "narrative",
    ("Narrative.div", "txt-2"): "narrative",
}
"""Checked, but not by a predicate on the element: by which module."""

_NEVER_FAILS = "as HL7 wrote it, it never fails: "
_SAME = "the same elements are checked by "

UNCHECKED: Final = {
    ("Consent", "ppc-2"): f"{_NEVER_FAILS}it looks for a code system named 'something'",
    ("Consent", "ppc-3"): f"{_NEVER_FAILS}it looks for a code system named 'something'",
    ("Consent", "ppc-4"): f"{_NEVER_FAILS}it looks for a code system named 'something'",
    ("Consent", "ppc-5"): f"{_NEVER_FAILS}it looks for a code system named 'something'",
    ("ElementDefinition", "eld-11"): f"{_NEVER_FAILS}it asks whether an answer exists",
    ("TestScript.test.action.operation", "tst-8"): f"{_SAME}tst-7",
    ("TestScript.teardown.action.operation", "tst-9"): f"{_SAME}tst-7",
    ("TestScript.test.action.assert", "tst-6"): f"{_SAME}tst-5",
    ("TestScript.test.action.assert", "tst-11"): f"{_SAME}tst-10",
    ("TestScript.test.action.assert", "tst-13"): f"{_SAME}tst-12",
}

_WITHIN: Final = {
    "ElementDefinition.max": ("ElementDefinition", "max"),
    "StructureDefinition.snapshot": ("StructureDefinition", "snapshot"),
    "StructureDefinition.differential": ("StructureDefinition", "differential"),
}
"""Constraints looked at from the element above: that element, and where the fault is then."""

_FROM_ABOVE: Final = frozenset({"eld-3", "sdf-8", "sdf-8a"})


@dataclass(frozen=True, slots=True)
class Invariant:
    """A constraint with what checks it.

    below: where under the element that `holds` is asked about the fault lies; usually empty.
    """

    key: str
    human: str
    holds: Callable[[Mapping[str, Any]], bool]
    below: str = ""

    @property
    def says(self) -> str:
        text = self.human.strip()
        return f"{self.key}: {text}" if text.endswith((".", ";")) else f"{self.key}: {text}."

    def places(self, node: Mapping[str, Any]) -> Iterator[str]:
        """Where it does not hold, seen from the element: nothing, `max`, `entry[3]`."""
        if isinstance(self.holds, Each):
            yield from self.holds.places(node)
        else:
            yield self.below


@cache
def _by_path() -> dict[str, tuple[Invariant, ...]]:
    found: dict[str, list[Invariant]] = {}
    for constraint in definitions.constraints():
        holds = PREDICATES.get((constraint.path, constraint.key))
        if holds is None:
            continue
        path, below = constraint.path, ""
        if constraint.key in _FROM_ABOVE:
            path, below = _WITHIN[constraint.path]
        found.setdefault(path, []).append(Invariant(constraint.key, constraint.human, holds, below))
    return {path: tuple(listed) for path, listed in found.items()}


def of(path: str) -> tuple[Invariant, ...]:
    """What is to be asked of the elements at a path: `Period`, `Organization.telecom`."""
    return _by_path().get(path, ())
