"""FHIR batch interaction: the entries one by one, none the worse for another's failure.

http://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from dataclasses import replace

from coordhub import errors, telemetry
from coordhub.errors import FhirError
from coordhub.fhir import auditing, bundle, entries, refusal
from coordhub.fhir.context import Answer, Asked, Context, Perform
from coordhub.fhir.provenance_header import AT


async def answer(context: Context, asked: Asked, perform: Perform) -> Answer:
    """200 with a batch-response, its entries in the order of the batch's."""
    if asked.provenance is not None:
        raise errors.bad_request("X-Provenance goes with a transaction, not with a batch.", AT)
    base = context.hub.base
    answers: list[bundle.Entry] = []
    replayed = False
    for index, entry in enumerate(entries.read(asked, base=base, most=context.limits.entries)):
        if isinstance(entry, entries.Faulty):
            refused = entry.refusal
            await context.audit.record(auditing.row(asked.caller, auditing.UNKNOWN, refused.status))
            answers.append(bundle.refused(refused.status, refused.issues))
            continue
        key = entries.idempotency_of(asked.idempotency, entry, index)
        try:
            one = await perform(context, replace(entry, idempotency=key))
        except Exception as error:
            refused = _refused(error, entry)
            answers.append(bundle.refused(refused.status, refused.issues))
        else:
            replayed = replayed or one.replayed
            answers.append(bundle.response(base, one))
    return Answer(200, bundle.bundle("batch-response", answers), audited=True, replayed=replayed)


def _refused(error: Exception, entry: Asked) -> FhirError:
    refused = refusal.of(error)
    if refused.status >= 500:
        telemetry.log(
            "entry.failed",
            level="error",
            error=type(error).__name__,
            status=refused.status,
            at=entry.at,
        )
    return refusal.within(refused, entry.at)
