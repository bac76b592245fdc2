"""What a Patient says of other records of the same person: `Patient.link`.

http://hl7.org/fhir/R4/patient-definitions.html#Patient.link, https://profiles.ihe.net/ITI/PIXm/ITI-104.html

Of its own records an organization knows which are of one person, and which of them another has replaced: that is
taken as it is said, for as long as it is said. Of the records of others it says nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coordhub.identity import normalise
from coordhub.record import parties
from coordhub.store.resources import Version


def is_replaced(patient: dict[str, Any]) -> bool:
    """Whether another record has taken its place."""
    return any(link.get("type") == "replaced-by" for link in _links(patient))


def named(patient: dict[str, Any], base: str) -> list[str]:
    """Ids of the Patients of this hub that it names."""
    references = (parties.local(link.get("other"), base) for link in _links(patient))
    return [
        reference.removeprefix("Patient/")
        for reference in references
        if reference is not None and reference.startswith("Patient/")
    ]


def are_joined(one: Version, other: Version, base: str) -> bool:
    """Whether both are of one organization, which says of either that the other is the same person's."""
    if one.source != other.source:
        return False
    ours, theirs = parties.document(one), parties.document(other)
    return _names(ours, theirs, other.id, base) or _names(theirs, ours, one.id, base)


def _names(patient: dict[str, Any], another: dict[str, Any], its_id: str, base: str) -> bool:
    if its_id in named(patient, base):
        return True
    wanted = normalise.traits(patient).linked
    numbers = normalise.traits(another).identifiers
    return any(
        f"{system} {value}" in wanted for system, values in numbers.items() for value in values
    )


def _links(patient: dict[str, Any]) -> Iterator[dict[str, Any]]:
    stated = patient.get("link")
    for link in stated if isinstance(stated, list) else ():
        if isinstance(link, dict):
            yield link
