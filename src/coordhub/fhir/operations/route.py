"""The operation ServiceRequest/$route: who could help with what is asked for, in which order, why, and why not.

A dry run: nothing is written and nobody is asked. Asked of a stored ServiceRequest by who wrote it, or
with a ServiceRequest (and, if known, a Patient) in Parameters. What the person has already is told as far as
the caller's organization may see it. Whom its Consents permit is told to organizations that are shown the
whole Patient: a parent, or a service that is shown a part, would learn of Consents that are hidden from it.

http://hl7.org/fhir/R4/operations.html, http://hl7.org/fhir/R4/servicerequest.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from coordhub import errors
from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.directory.matching import prospects
from coordhub.errors import FhirError, Issue, unprocessable
from coordhub.fhir import invocation
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.insight import duplicates, told
from coordhub.insight.duplicates import Duplicate
from coordhub.r4 import document, reference, sensitivity, structure
from coordhub.record import labels
from coordhub.record.hub import instant
from coordhub.referral.matching import Finding, Prospect
from coordhub.referral.wanted import wanted
from coordhub.store import grants, resources
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import WHOLE, Viewer

NAME: Final = "route"
MOST: Final = 100
"""Candidates that are told where `_count` does not say how many."""
LIMIT: Final = 1000

Document = dict[str, Any]
Parameter = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Question:
    """rid: of the ServiceRequest, where it is stored. subject: the Patient as stored, where it is."""

    request: Document
    rid: int | None
    patient: Document | None
    subject: Version | None
    sensitive: bool


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters resource; 404 for what the caller does not see, 403 for another's, 422 for what says no kind."""
    hub, view, most = context.hub, viewer.of(asked.caller), _count(asked)
    now = hub.clock()
    async with hub.engine.pool.acquire() as conn:
        question = await _question(context, asked, conn, view)
        evidence: list[Duplicate] = []
        if question.subject is not None and not question.sensitive:
            evidence = await duplicates.found(
                conn, view, question.request, question.subject.rid,
                base=hub.base, now=now, itself=question.rid,
            )  # fmt: skip
        found = await prospects(
            conn,
            question.request,
            question.patient,
            sender=asked.caller.organization,
            now=now,
            subject=await _consenting(conn, asked.caller, question.subject),
            received=duplicates.received(evidence),
            zone=hub.zone,
        )
        named = [
            *(one.organization for one in found[:most]),
            *(e.evidence.source for e in evidence),
        ]
        organizations = await resources.read_rids(conn, view, sorted(set(named)))
        if question.subject is not None and not asked.caller.is_person:
            await told.keep(
                conn, asked.caller.organization, asked.caller.client or "", NAME,
                question.request, question.subject.rid, evidence, now,
            )  # fmt: skip
    if question.subject is None or question.subject.source != asked.caller.organization:
        found = [_discreet(one) for one in found]
    parameters = [
        *(_duplicate(one, organizations) for one in evidence),
        {"name": "in", "valueInteger": sum(one.verdict == "in" for one in found)},
        {"name": "out", "valueInteger": sum(one.verdict == "out" for one in found)},
        *(_candidate(one, organizations) for one in found[:most]),
    ]
    body = document.encode({"resourceType": "Parameters", "parameter": parameters})
    seen = [question.rid, question.subject.rid if question.subject else None]
    return Answer(
        200,
        body,
        shown=(*(rid for rid in seen if rid is not None), *(e.evidence.rid for e in evidence)),
        searched=urlencode([("duplicate", one.code) for one in evidence]) or None,
    )


async def _consenting(conn: Connection, caller: Caller, subject: Version | None) -> int | None:
    """rid of the Patient whose Consents count in what this caller is told."""
    if subject is None or caller.is_person:
        return None
    shown = await grants.shareable(conn, caller.organization, [subject.rid])
    return subject.rid if shown.get(subject.rid) == WHOLE else None


async def _question(context: Context, asked: Asked, conn: Connection, view: Viewer) -> _Question:
    base = context.hub.base
    rid, labelled = None, 0
    if asked.target.id is not None:
        stored = await resources.read(conn, view, *asked.target.instance())
        if stored is None:
            raise errors.not_found(asked.target.reference)
        if stored.body is None:
            raise errors.gone(asked.target.reference, stored.version)
        if stored.source != asked.caller.organization:
            raise errors.forbidden(
                "Who could help is told to the organization that wrote the ServiceRequest. Send what you ask "
                "for yourself to ServiceRequest/$route."
            )
        request, rid, labelled = document.parse(stored.body.encode()), stored.rid, stored.labels
    else:
        request = _resource(asked, "serviceRequest", "ServiceRequest")
    given = invocation.parameter(asked, "patient") if asked.target.id is None else None
    patient: Document | None = None
    subject: Version | None = None
    if given is not None and "resource" in given:
        patient = _resource(asked, "patient", "Patient")
    else:
        stated = given.get("valueReference") if given is not None else request.get("subject")
        subject = await _patient(conn, view, stated, base, required=given is not None)
    if subject is not None and subject.body is not None:
        patient = document.parse(subject.body.encode())
    _of_some_kind(request, context.hub.clock())
    codes = (await context.hub.lists.current(conn)).codes
    labelled |= labels.label(request, codes)
    return _Question(request, rid, patient, subject, bool(labelled & sensitivity.SDV))


async def _patient(
    conn: Connection, view: Viewer, stated: object, base: str, *, required: bool
) -> Version | None:
    """The Patient as the caller sees it; where it was named to be looked at, there has to be one."""
    found = reference.parse_element(stated, base=base) if isinstance(stated, Mapping) else None
    version = None
    if found is not None and found.kind == "local" and found.type == "Patient" and found.id:
        version = await resources.read(conn, view, "Patient", found.id)
    if required and (version is None or version.body is None):
        raise _bad(
            "patient", "Name a Patient of this hub that you may see, or send one as resource."
        )
    return version if version is not None and version.body is not None else None


def _resource(asked: Asked, name: str, kind: str) -> Document:
    given = invocation.parameter(asked, name)
    found = given.get("resource") if given is not None else None
    if not isinstance(found, dict):
        raise _bad(
            name, f"Send what is asked for as a {kind}, or ask at ServiceRequest/[id]/$route."
        )
    issues = structure.check(found, expected_type=kind)
    if issues:
        raise unprocessable(
            *(
                replace(one, expression=f"Parameters.parameter.where(name='{name}').resource")
                for one in issues
            )
        )
    return found


def _of_some_kind(request: Document, now: datetime) -> None:
    if not wanted(request, None, now).kinds:
        raise unprocessable(
            Issue(
                "required",
                "Nothing says by a code what kind of help is asked for. State ServiceRequest.category (a domain of "
                "SDOH Clinical Care) or code.",
                "ServiceRequest.category",
            )
        )


def _count(asked: Asked) -> int:
    stated = [value for name, value in asked.query if name == "_count"]
    if not stated:
        return MOST
    if len(stated) > 1 or not (stated[0].isascii() and stated[0].isdigit()):
        raise FhirError(400, Issue("invalid", "_count is one whole number.", "http._count"))
    return min(int(stated[0][:9]), LIMIT)


def _discreet(one: Prospect) -> Prospect:
    """Of whose record it is not the caller's, what the patient denied and what it did not say are the same."""
    return replace(
        one,
        findings=tuple(
            Finding("consent", "failed", "consent-missing") if each.criterion == "consent" else each
            for each in one.findings
        ),
    )


def _candidate(one: Prospect, organizations: Mapping[int, Version]) -> Parameter:
    parts: list[Parameter] = [{"name": "recipient", "valueReference": {"reference": one.recipient}}]
    if one.organization in organizations:
        known = organizations[one.organization].reference
        parts.append({"name": "organization", "valueReference": {"reference": known}})
    parts += [
        _code("verdict", one.verdict),
        {"name": "score", "valueDecimal": Decimal(str(one.score))},
        {"name": "confirm", "valueBoolean": one.confirm},
    ]
    for finding in one.findings:
        parts.append(
            {
                "name": "finding",
                "part": [
                    _code("criterion", finding.criterion),
                    _code("outcome", finding.outcome),
                    _code("code", finding.code),
                ],
            }
        )
    return {"name": "candidate", "part": parts}


def _duplicate(one: Duplicate, organizations: Mapping[int, Version]) -> Parameter:
    return {"name": "duplicate", "part": list(_evidence(one, organizations))}


def _evidence(one: Duplicate, organizations: Mapping[int, Version]) -> Iterator[Parameter]:
    yield _code("code", one.code)
    yield {"name": "evidence", "valueReference": {"reference": one.evidence.reference}}
    if one.evidence.source in organizations:
        by = organizations[one.evidence.source].reference
        yield {"name": "by", "valueReference": {"reference": by}}
    if one.service is not None:
        yield {"name": "service", "valueReference": {"reference": one.service}}
    if one.since is not None:
        yield {"name": "since", "valueInstant": instant(one.since)}


def _code(name: str, code: str) -> Parameter:
    return {"name": name, "valueCode": code}


def _bad(name: str, text: str) -> FhirError:
    return FhirError(400, Issue("required", text, f"Parameters.parameter.where(name='{name}')"))
