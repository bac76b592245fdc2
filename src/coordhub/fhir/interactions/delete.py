"""FHIR delete interaction, conditional or not.

http://hl7.org/fhir/R4/http.html#delete, #cdelete
"""

from __future__ import annotations

from coordhub.fhir import written
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.writes import operation_of
from coordhub.record.commit import commit


async def answer(context: Context, asked: Asked) -> Answer:
    """204, also where nothing was there to delete; 412 if criteria match more than may be deleted."""
    done = await commit(
        context.hub,
        asked.caller,
        [operation_of(asked, context.limits)],
        interaction="delete",
        idempotency=asked.idempotency,
    )
    return written.answer(done.written[0], asked.preference, replayed=done.replayed)
