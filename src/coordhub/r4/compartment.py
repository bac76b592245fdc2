"""Whose record a resource belongs to: R4's patient compartment.

http://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from coordhub.r4.conversion import conversion
from coordhub.r4.element_tree import Node, grow, visit
from coordhub.r4.index_values import Extracted
from coordhub.r4.parameters import parameters, patient_parameters


def patient_references(document: Mapping[str, Any], *, base: str | None = None) -> list[str]:
    """`Patient/x` for every local patient in whose compartment the resource is, without version.

    The first is whose record it is (subject, patient, beneficiary), as far as the resource says.
    A Task belongs to the patient it is `for`. Of a Patient only its links are named, not itself.
    """
    found = Extracted()
    for tree in _trees(str(document.get("resourceType", ""))):
        visit(tree, document, (found, base, document))
    return list(
        dict.fromkeys(
            reference.local
            for _, reference in found.references
            if reference.type == "Patient" and reference.local is not None
        )
    )


@cache
def _trees(resource_type: str) -> list[Node]:
    """One tree for each parameter, so that their order and not the document's decides."""
    return [
        grow(
            (path.steps, leaf)
            for path in parameters(resource_type)[code].paths
            if (leaf := conversion("reference", path.leaf, 0)) is not None
        )
        for code in patient_parameters(resource_type)
    ]
