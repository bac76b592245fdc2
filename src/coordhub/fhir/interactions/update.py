"""FHIR update interaction, conditional or not; also as create.

http://hl7.org/fhir/R4/http.html#update, #upsert, #cond-update, #concurrency
"""

from __future__ import annotations

from coordhub.fhir import written
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.provenance_header import beside
from coordhub.fhir.writes import operation_of
from coordhub.record.commit import commit


async def answer(context: Context, asked: Asked) -> Answer:
    """200 with what is now stored, 201 if it was created; 412 if If-Match names an old version."""
    done = await commit(
        context.hub,
        asked.caller,
        beside([operation_of(asked, context.limits)], asked.provenance),
        interaction="update",
        idempotency=asked.idempotency,
    )
    return written.answer(done.written[0], asked.preference, replayed=done.replayed)
