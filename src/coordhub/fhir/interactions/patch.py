"""FHIR patch interaction: JSON Patch and FHIRPath Patch, of one resource named by id or criteria.

http://hl7.org/fhir/R4/http.html#patch, http://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from coordhub.fhir import written
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.provenance_header import beside
from coordhub.fhir.writes import operation_of
from coordhub.record.commit import commit


async def answer(context: Context, asked: Asked) -> Answer:
    """200 with what is now stored; 412 if If-Match names an old version, 422 if it cannot be done."""
    done = await commit(
        context.hub,
        asked.caller,
        beside([operation_of(asked, context.limits)], asked.provenance),
        interaction="patch",
        idempotency=asked.idempotency,
    )
    return written.answer(done.written[0], asked.preference, replayed=done.replayed)
