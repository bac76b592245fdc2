"""The operation $prior-results: what is known already that answers an order, and what is under way.

Asked of a ServiceRequest, or of a Patient with the code of what is to be ordered. It tells what the caller may
see, of the Patient and of those that are the same person (store.people).

http://hl7.org/fhir/R4/operations.html, docs/cds.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.insight import prior_results, priors, same_question
from coordhub.insight.priors import Pending, Result
from coordhub.insight.same_question import Question
from coordhub.r4 import document as fhir_json
from coordhub.record.hub import instant
from coordhub.store import resources

NAME = "prior-results"
TYPES = ("Patient", "ServiceRequest")

Parameter = dict[str, Any]


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters resource; 404 for what the caller does not see, 422 for an order that says no code."""
    hub, target, view = context.hub, asked.target, viewer.of(asked.caller)
    kind, fhir_id = target.instance()
    stated = _stated(kind, [value for name, value in asked.query if name == "code"])
    async with hub.engine.pool.acquire() as conn:
        about = await resources.read(conn, view, kind, fhir_id)
        if about is None:
            raise errors.not_found(target.reference)
        if about.body is None:
            raise errors.gone(target.reference, about.version)
        question = stated or _of_order(fhir_json.parse(about.body.encode()))
        whose = about.rid if kind == "Patient" else about.patient
        if whose is None:
            raise errors.unprocessable(
                Issue(
                    "required",
                    "The order names no Patient of this hub: set subject.",
                    "ServiceRequest.subject",
                )
            )
        found = await prior_results.found(
            conn, view, whose, question, base=hub.base, now=hub.clock(), zone=hub.zone or UTC,
            itself=about.rid,
        )  # fmt: skip
    told = [
        _question(question),
        *(_result(one, found.holders) for one in found.results),
        *_trend(found),
        *(_pending(one, found.holders) for one in found.pending),
    ]
    body = fhir_json.encode({"resourceType": "Parameters", "parameter": told})
    return Answer(200, body, shown=(about.rid, *found.rids))


def _stated(kind: str, codes: list[str]) -> Question | None:
    """What is asked of a Patient: by its code; of an order that says it itself."""
    if kind == "ServiceRequest":
        if codes:
            raise FhirError(400, Issue("invalid", "The order says its code.", "http.code"))
        return None
    pairs = [(system, code) for system, _, code in (text.rpartition("|") for text in codes)]
    question = same_question.asked(pairs)
    if question is None or not all(all(pair) for pair in pairs):
        raise FhirError(
            400,
            Issue(
                "required",
                "Say what is to be ordered: code=system|code, such as http://loinc.org|4548-4.",
                "http.code",
            ),
        )
    return question


def _of_order(document: dict[str, Any]) -> Question:
    question = same_question.asked(priors.codes_of(document.get("code")))
    if question is None:
        raise errors.unprocessable(
            Issue(
                "required",
                "The order is of no code with a system: add a coding, such as LOINC's.",
                "ServiceRequest.code",
            )
        )
    return question


def _question(question: Question) -> Parameter:
    codings = ({"system": system, "code": code} for system, code in sorted(question.answers))
    parts: list[Parameter] = [{"name": "answeredBy", "valueCoding": one} for one in codings]
    if question.title:
        parts.insert(0, {"name": "title", "valueString": question.title})
    if question.window is not None:
        parts.append({"name": "windowDays", "valuePositiveInt": question.window.days})
        parts.append({"name": "source", "valueString": question.source})
    return {"name": "question", "part": parts}


def _result(one: Result, holders: Mapping[int, str]) -> Parameter:
    concept = one.document[priors.CODED_BY[one.version.type]]
    parts: list[Parameter] = [
        _reference("resource", one.version.reference),
        {
            "name": "code",
            "valueCodeableConcept": concept[0] if isinstance(concept, list) else concept,
        },
        *_when(one.taken, one.age),
        {"name": "withinWindow", "valueBoolean": one.is_new},
    ]
    if one.number is not None:
        parts.append({"name": "value", "valueQuantity": one.document["valueQuantity"]})
    elif one.value:
        parts.append({"name": "value", "valueString": one.value})
    return {"name": "result", "part": [*parts, *_holder(one, holders)]}


def _trend(found: prior_results.Priors) -> Iterator[Parameter]:
    if found.trend is not None:
        yield {
            "name": "trend",
            "part": [
                {"name": "direction", "valueCode": found.trend.direction},
                {"name": "change", "valueDecimal": found.trend.change},
                {"name": "since", "valueInstant": instant(found.trend.since)},
            ],
        }


def _pending(one: Pending, holders: Mapping[int, str]) -> Parameter:
    parts = [
        _reference("order", one.version.reference),
        *(_reference("task", task.reference) for task in one.tasks),
        *_when(one.since, one.age),
        *_holder(one, holders),
    ]
    return {"name": "pending", "part": parts}


def _when(at: datetime, age: int) -> Iterator[Parameter]:
    yield {"name": "at", "valueInstant": instant(at)}
    yield {"name": "ageInDays", "valueUnsignedInt": age}


def _holder(one: Result | Pending, holders: Mapping[int, str]) -> Iterator[Parameter]:
    if one.version.rid in holders:
        yield {"name": "by", "valueString": holders[one.version.rid]}


def _reference(name: str, reference: str) -> Parameter:
    return {"name": name, "valueReference": {"reference": reference}}
