"""FHIR create interaction, conditional or not.

http://hl7.org/fhir/R4/http.html#create, #ccreate
"""

from __future__ import annotations

from coordhub.fhir import written
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.provenance_header import beside
from coordhub.fhir.writes import operation_of
from coordhub.record.commit import commit


async def answer(context: Context, asked: Asked) -> Answer:
    """201 with what is now stored; 200 with the one match of If-None-Exist."""
    done = await commit(
        context.hub,
        asked.caller,
        beside([operation_of(asked, context.limits)], asked.provenance),
        interaction="create",
        idempotency=asked.idempotency,
    )
    return written.answer(done.written[0], asked.preference, replayed=done.replayed)
