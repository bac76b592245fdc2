"""What the directory says of an organization decides what kind of party it is.

http://hl7.org/fhir/R4/organization.html, http://terminology.hl7.org/CodeSystem/organization-type

Only the directory's steward is believed: what an organization says of itself gives it no sight.
"""

from __future__ import annotations

from typing import Any

from coordhub.record.work import Draft, Work
from coordhub.store.transact import Party
from coordhub.store.visibility import DIRECTORY

ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"
PROVIDER = "prov"


def apply(work: Work, draft: Draft) -> None:
    """Who provides health care treats; everyone else is a social service."""
    if draft.source == DIRECTORY and draft.document is not None:
        work.batch.parties.append(Party(draft.rid, kind_of(draft.document)))


def kind_of(document: dict[str, Any]) -> str:
    """treatment or social."""
    return "treatment" if _provides_care(document) else "social"


def _provides_care(document: dict[str, Any]) -> bool:
    return any(
        coding.get("system") == ORGANIZATION_TYPE and coding.get("code") == PROVIDER
        for concept in document.get("type") or []
        if isinstance(concept, dict)
        for coding in concept.get("coding") or []
        if isinstance(coding, dict)
    )
