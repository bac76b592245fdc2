"""FHIR update interaction; for clients that may choose ids also as create.

http://hl7.org/fhir/R4/http.html#update, #upsert, #concurrency
"""

from __future__ import annotations

from coordhub.fhir import written
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.resource import of_instance
from coordhub.record.commit import commit
from coordhub.record.operations import Update


async def answer(context: Context, asked: Asked) -> Answer:
    """200 with what is now stored, 201 if the id was new; 412 if If-Match names an old version."""
    document, kind, fhir_id = of_instance(asked)
    done = await commit(
        context.hub,
        asked.caller,
        [Update(kind, fhir_id, document, asked.conditions.if_match, asked.full_url, asked.within)],
        interaction="update",
        idempotency=asked.idempotency,
    )
    return written.answer(done.written[0], asked.preference, replayed=done.replayed)
