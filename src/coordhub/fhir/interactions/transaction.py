"""FHIR transaction interaction: every entry or none.

http://hl7.org/fhir/R4/http.html#transaction, #trules

A Bundle with an identifier is taken once (http://hl7.org/fhir/R4/bundle-definitions.html#Bundle.identifier).
The writes are one `commit`, which puts them into R4's order. Reads and searches follow when it is
durable, so that they see what it wrote; one that finds nothing says so in its entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import replace
from typing import Any

from coordhub import errors
from coordhub.errors import FhirError, Issue
from coordhub.fhir import bundle, entries, written
from coordhub.fhir.context import Answer, Asked, Context, Perform
from coordhub.fhir.dispatch import needs
from coordhub.fhir.provenance_header import beside
from coordhub.fhir.refusal import within
from coordhub.fhir.searching import plan
from coordhub.fhir.writes import is_write, operation_of
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.operations import Idempotency, Operation


async def answer(context: Context, asked: Asked, perform: Perform) -> Answer:
    """200 with a transaction-response; the first refusal of any entry refuses all, naming each."""
    base = context.hub.base
    read = entries.read(asked, base=base, most=context.limits.entries)
    issues = list(entries.repeated_full_urls(asked.document or {}))
    refusals = [FhirError(400, *issues)] if issues else []
    operations: dict[int, Operation] = {}
    full_urls = {entry.full_url for entry in read if isinstance(entry, Asked) and entry.full_url}
    for position, entry in enumerate(read):
        if isinstance(entry, entries.Faulty):
            refusals.append(entry.refusal)
            continue
        try:
            operation = _prepared(entry, full_urls, context, base)
        except FhirError as refused:
            refusals.append(within(refused, entry.at))
        else:
            if operation is not None:
                operations[position] = operation
    if refusals:
        raise _together(refusals)
    answers: dict[int, bundle.Entry] = {}
    replayed = False
    if operations or asked.provenance is not None:
        done = await commit(
            context.hub,
            asked.caller,
            beside(list(operations.values()), asked.provenance),
            interaction="transaction",
            idempotency=asked.idempotency or _by_identifier(asked.document or {}),
        )
        replayed = done.replayed
        for position, one in zip(operations, done.written, strict=False):
            answers[position] = bundle.response(base, written.answer(one, asked.preference))
    for position, entry in enumerate(read):
        if position not in answers and isinstance(entry, Asked):
            answers[position] = await _look(context, entry, perform)
    return Answer(
        200,
        bundle.bundle("transaction-response", [answers[position] for position in range(len(read))]),
        audited=True,
        replayed=replayed,
    )


def _by_identifier(sent: dict[str, Any]) -> Idempotency | None:
    """A Bundle that is identified is sent once, however often: its identifier is the key then.

    What it was sent with is its entries; a Bundle that is sent again may have another timestamp.
    """
    identifier = sent.get("identifier") or {}
    system, value = identifier.get("system"), identifier.get("value")
    if not (isinstance(system, str) and isinstance(value, str)):
        return None
    name = hashlib.sha256(fhir_json.encode([system, value])).hexdigest()
    entries = fhir_json.encode(sent.get("entry") or [])
    return Idempotency(f"Bundle.identifier {name}", hashlib.sha256(entries).digest())


async def _look(context: Context, entry: Asked, perform: Perform) -> bundle.Entry:
    try:
        return bundle.response(context.hub.base, await perform(context, entry))
    except FhirError as refused:
        return bundle.refused(refused.status, within(refused, entry.at).issues)


def _prepared(
    entry: Asked, full_urls: Container[str], context: Context, base: str
) -> Operation | None:
    """The write that an entry asks for; None for a look, which is checked as far as can be now."""
    target = entry.target
    letter = needs(target)
    if target.type is not None and letter is not None:
        entry.caller.require(target.type, letter)
    if target.operation is not None and letter != "read" and letter != "search":
        raise errors.not_supported(
            f"${target.operation} writes; invoke it on its own.", f"{entry.at}.request.url"
        )
    if is_write(entry):
        document = entry.document
        if document is not None:
            document = entries.with_full_references(document, entry.full_url, full_urls)
        return operation_of(replace(entry, document=document), context.limits)
    if target.interaction in ("search-type", "search-system"):
        plan(entry, base=base, now=context.hub.clock())
    return None


def _together(refusals: list[FhirError]) -> FhirError:
    """One refusal for all entries; of several statuses the plainest, 400."""
    statuses = {refused.status for refused in refusals}
    issues: list[Issue] = [issue for refused in refusals for issue in refused.issues]
    return FhirError(statuses.pop() if len(statuses) == 1 else 400, *issues)
