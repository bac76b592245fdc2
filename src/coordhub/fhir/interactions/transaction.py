"""FHIR transaction interaction: every entry or none.

http://hl7.org/fhir/R4/http.html#transaction, #trules

The writes are one `commit`, which puts them into R4's order. Reads and searches follow when it is
durable, so that they see what it wrote; one that finds nothing says so in its entry.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime

from coordhub import errors
from coordhub.errors import FhirError, Issue
from coordhub.fhir import bundle, entries, written
from coordhub.fhir.context import Answer, Asked, Context, Perform
from coordhub.fhir.dispatch import needs
from coordhub.fhir.refusal import within
from coordhub.fhir.resource import of_instance, of_type
from coordhub.fhir.searching import plan
from coordhub.record.commit import commit
from coordhub.record.operations import Create, Delete, Operation, Update


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
            operation = _prepared(entry, full_urls, base, context.hub.clock())
        except FhirError as refused:
            refusals.append(within(refused, entry.at))
        else:
            if operation is not None:
                operations[position] = operation
    if refusals:
        raise _together(refusals)
    answers: dict[int, bundle.Entry] = {}
    replayed = False
    if operations:
        done = await commit(
            context.hub,
            asked.caller,
            list(operations.values()),
            interaction="transaction",
            idempotency=asked.idempotency,
        )
        replayed = done.replayed
        for position, one in zip(operations, done.written, strict=True):
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


async def _look(context: Context, entry: Asked, perform: Perform) -> bundle.Entry:
    try:
        return bundle.response(context.hub.base, await perform(context, entry))
    except FhirError as refused:
        return bundle.refused(refused.status, within(refused, entry.at).issues)


def _prepared(
    entry: Asked, full_urls: Container[str], base: str, now: datetime
) -> Operation | None:
    """The write that an entry asks for; None for a look, which is checked as far as can be now."""
    target, conditions = entry.target, entry.conditions
    letter = needs(target)
    if target.type is not None and letter is not None:
        entry.caller.require(target.type, letter)
    if target.operation is not None and letter != "read" and letter != "search":
        raise errors.not_supported(
            f"${target.operation} writes; invoke it on its own.", f"{entry.at}.request.url"
        )
    match target.interaction:
        case "create":
            document, kind = of_type(entry)
            document = entries.with_full_references(document, entry.full_url, full_urls)
            if conditions.if_none_exist is not None:
                entry.caller.require(kind, "search")
            return Create(kind, document, entry.full_url, conditions.if_none_exist, entry.within)
        case "update":
            document, kind, fhir_id = of_instance(entry)
            document = entries.with_full_references(document, entry.full_url, full_urls)
            return Update(
                kind, fhir_id, document, conditions.if_match, entry.full_url, entry.within
            )
        case "delete":
            return Delete(*target.instance(), conditions.if_match, entry.at)
        case "search-type" | "search-system":
            plan(entry, base=base, now=now)
            return None
        case _:
            return None


def _together(refusals: list[FhirError]) -> FhirError:
    """One refusal for all entries; of several statuses the plainest, 400."""
    statuses = {refused.status for refused in refusals}
    issues: list[Issue] = [issue for refused in refusals for issue in refused.issues]
    return FhirError(statuses.pop() if len(statuses) == 1 else 400, *issues)
