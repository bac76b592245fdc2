"""The operation $why: why an organization is, or is not, shown a resource, told to whose it is.

What is decided just now, what decided it, and what was sent before. Answered to the privacy officer of
the organization that wrote the resource; to who merely sees it, 403, and to all others it is absent.

http://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from coordhub import errors
from coordhub.access import viewer
from coordhub.directory import services
from coordhub.errors import FhirError, Issue
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document, reference, sensitivity
from coordhub.record.hub import instant
from coordhub.store import resources, why
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import DIRECTORY, WHOLE, Viewer

NAME = "why"
MOST = 100
"""Deliveries, and looks, that are told: the newest."""

_PERSONS = frozenset({"Patient", "RelatedPerson", "Practitioner"})

Parameter = dict[str, Any]


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters resource; 404 for what the caller does not see, 403 for what is another's."""
    target, view = asked.target, viewer.of(asked.caller)
    stated = [value for name, value in asked.query if name == "recipient"]
    async with context.hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, view, *target.instance())
        if found is None:
            raise errors.not_found(target.reference)
        if found.source != asked.caller.organization:
            raise errors.forbidden(
                f"{target.reference} was written by another organization; ask that one why it is shown, or not."
            )
        asked.caller.require_privacy_officer("$why")
        if len(stated) != 1:
            raise FhirError(
                400,
                Issue(
                    "required", "Say once of whom: recipient=Organization/[id].", "http.recipient"
                ),
            )
        who = await _recipient(conn, view, stated[0], context.hub.base)
        if who is None:
            raise FhirError(
                400,
                Issue(
                    "not-found",
                    "The directory leads to no organization from here. Name an Organization, "
                    "HealthcareService or PractitionerRole by Type/id.",
                    "http.recipient",
                ),
            )
        decision = await why.decision(conn, view, found.rid, who.rid)
        assert decision is not None
        sent = await why.deliveries(conn, found.rid, who.rid, MOST)
        shown = await why.shown(conn, found.rid, who.rid, MOST)
        reasons = [one.because for one in (decision.ruling, *decision.grants) if one is not None]
        known = await resources.read_rids(conn, view, reasons)
    own = who.rid == found.source
    told = [
        {"name": "recipient", "valueReference": {"reference": who.reference}},
        *_decided(found, decision, own, known),
        *_labels(found, decision, own),
        *_sent(sent),
        *({"name": "shown", "part": [_time("at", one.at), _code("how", one.how)]} for one in shown),
    ]
    body = document.encode({"resourceType": "Parameters", "parameter": told})
    return Answer(200, body, shown=(found.rid,))


async def _recipient(conn: Connection, view: Viewer, text: str, base: str) -> Version | None:
    """The organization behind what was named, or the person."""
    found = reference.parse(text, base=base)
    if found.kind == "local" and found.type in _PERSONS and found.id is not None:
        return await resources.read(conn, view, found.type, found.id)
    recipient = await services.recipient(conn, text, base)
    return None if recipient is None else recipient.organization


def _decided(
    found: Version, decision: why.Decision, own: bool, known: Mapping[int, Version]
) -> Iterator[Parameter]:
    """permit or deny, by which rule, because of what: the last only as far as the caller sees it."""
    public = found.source == DIRECTORY and not decision.quarantined
    seen = own or public or decision.dataset is not None
    yield _code("decision", "permit" if seen else "deny")
    if own or public:
        yield _code("rule", "own" if own else "directory")
        return
    if decision.quarantined:
        yield {
            "name": "withheld",
            "valueString": "It is in quarantine, as a reference of it leads nowhere: shown to nobody but the "
            "organization that wrote it. Send what is missing, then it again.",
        }
        return
    ruling = decision.ruling
    if ruling is not None:
        yield {"name": "ruling", "part": [
            _code("says", "permit" if ruling.permit else "deny"),
            *_because(ruling.rule, ruling.because, ruling.since, known),
            *([_time("until", ruling.until)] if ruling.until is not None else []),
        ]}  # fmt: skip
    for grant in decision.grants:
        yield {
            "name": "grant",
            "part": list(_because(grant.rule, grant.because, grant.since, known)),
        }
    if decision.dataset is not None:
        yield {"name": "whole", "valueBoolean": decision.dataset == WHOLE}
    if ruling is None:
        yield {
            "name": "absent",
            "valueString": "No rule of the patient's speaks of this. What a referral names is then shown by the "
            "deployment's policy (COORDHUB_CONSENT_POLICY), and nothing else is.",
        }


def _because(
    rule: str, rid: int, since: datetime, known: Mapping[int, Version]
) -> Iterator[Parameter]:
    yield _code("rule", rule)
    if rid in known:
        yield {"name": "because", "valueReference": {"reference": known[rid].reference}}
    if since.year > 1:
        yield _time("since", since)


def _labels(found: Version, decision: why.Decision, own: bool) -> Iterator[Parameter]:
    """The sensitivity classes of the resource, and that they are why it is kept back."""
    for coding in sensitivity.codings(decision.labels):
        yield {"name": "label", "valueCoding": coding}
    ruling = decision.ruling
    uncovered = [one for one in decision.grants if decision.labels & ~one.labels]
    kept = not own and not decision.quarantined and decision.dataset is None
    if kept and uncovered and (ruling is None or ruling.permit):
        yield {
            "name": "withheld",
            "valueString": "A referral names it, and covers no such class: a Consent whose securityLabel names "
            "the class would.",
        }


def _sent(sent: Iterable[why.Sent]) -> Iterator[Parameter]:
    for one in sent:
        parts = [
            {"name": "version", "valueId": str(one.version)},
            _code("state", one.state),
            {"name": "attempts", "valueInteger": one.attempts},
            _time("planned", one.created_at),
        ]
        if one.settled_at is not None:
            parts.append(_time("settled", one.settled_at))
        if one.reason is not None:
            parts.append({"name": "reason", "valueString": one.reason})
        yield {"name": "delivery", "part": parts}


def _code(name: str, code: str) -> Parameter:
    return {"name": name, "valueCode": code}


def _time(name: str, at: datetime) -> Parameter:
    return {"name": name, "valueInstant": instant(at)}
