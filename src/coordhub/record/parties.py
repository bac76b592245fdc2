"""Reading the few elements of a document that rules and grants turn on."""

from __future__ import annotations

from typing import Any

from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.record.work import Work
from coordhub.store.resources import Version


def local(element: object, base: str) -> str | None:
    """`Type/id` of a Reference element that points into this hub, else None."""
    if not isinstance(element, dict):
        return None
    found = reference.parse_element(element, base=base)
    return None if found is None else found.local


def locals_of(element: object, base: str) -> list[str]:
    """`Type/id` of each of a list of Reference elements that points into this hub."""
    return (
        [text for one in element if (text := local(one, base))] if isinstance(element, list) else []
    )


def document(version: Version) -> dict[str, Any]:
    """The document of a version that is not a deletion."""
    assert version.body is not None
    return fhir_json.parse(version.body.encode())


def holds(work: Work, organization: int, patient: int) -> bool:
    """Whether this organization wrote the Patient, which this commit writes or names."""
    written = next((one for one in work.drafts if one.rid == patient), None)
    if written is not None:
        return written.source == organization
    return any(
        found.rid == patient and found.source == organization for found in work.located.values()
    )
