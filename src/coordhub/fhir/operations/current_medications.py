"""The operation $current-medications: what a patient is on, by all who say so, and what does not go together.

It tells what the caller may see, of the Patient and of those that are the same person (store.people). Nothing is
merged: each order, statement and allergy is named, with who says so and when.

http://hl7.org/fhir/R4/operations.html, docs/cds.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.insight import current_medications
from coordhub.insight.current_medications import Current
from coordhub.insight.medications import Allergy, Finding, Medication
from coordhub.r4 import document as fhir_json
from coordhub.record.hub import instant
from coordhub.store import resources

Parameter = dict[str, Any]

FINDINGS = "urn:coordhub:medication-finding"
"""System of the code of a finding."""


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters resource; 404 for a Patient that the caller does not see."""
    hub, target, view = context.hub, asked.target, viewer.of(asked.caller)
    kind, fhir_id = target.instance()
    async with hub.engine.pool.acquire() as conn:
        about = await resources.read(conn, view, kind, fhir_id)
        if about is None:
            raise errors.not_found(target.reference)
        if about.body is None:
            raise errors.gone(target.reference, about.version)
        found = await current_medications.found(conn, view, about.rid, base=hub.base)
    told = [
        *(_medication(one, found) for one in found.medications),
        *(_allergy(one, found) for one in found.allergies),
        *(_finding(one) for one in found.findings),
    ]
    body = fhir_json.encode({"resourceType": "Parameters", **({"parameter": told} if told else {})})
    return Answer(200, body, shown=(about.rid, *found.rids))


def _medication(one: Medication, found: Current) -> Parameter:
    parts: list[Parameter] = [
        *_what(one, one.concept),
        {"name": "status", "valueCode": one.status},
        *([{"name": "dosage", "valueString": one.dosage}] if one.dosage else []),
        *_said(one, found),
    ]
    return {"name": "medication", "part": parts}


def _allergy(one: Allergy, found: Current) -> Parameter:
    return {
        "name": "allergy",
        "part": [*_what(one, one.document.get("code") or {}), *_said(one, found)],
    }


def _finding(one: Finding) -> Parameter:
    about = (
        {"name": "about", "valueReference": {"reference": each.version.reference}}
        for each in one.about
    )
    parts = [
        {"name": "code", "valueCoding": {"system": FINDINGS, "code": one.code}},
        {"name": "ingredient", "valueString": one.ingredient},
        *about,
    ]
    return {"name": "finding", "part": parts}


def _what(one: Medication | Allergy, concept: Any) -> Iterator[Parameter]:
    yield {"name": "resource", "valueReference": {"reference": one.version.reference}}
    if concept:
        yield {"name": "code", "valueCodeableConcept": concept}


def _said(one: Medication | Allergy, found: Current) -> Iterator[Parameter]:
    yield {"name": "at", "valueInstant": instant(one.said)}
    if one.version.rid in found.by:
        yield {"name": "by", "valueString": found.by[one.version.rid]}
