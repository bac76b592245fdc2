"""FHIR create interaction, conditional or not.

http://hl7.org/fhir/R4/http.html#create, #ccreate
"""

from __future__ import annotations

from coordhub.fhir import written
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.resource import of_type
from coordhub.record.commit import commit
from coordhub.record.operations import Create


async def answer(context: Context, asked: Asked) -> Answer:
    """201 with what is now stored; 200 with the one match of If-None-Exist."""
    document, kind = of_type(asked)
    if asked.conditions.if_none_exist is not None:
        asked.caller.require(kind, "search")
    done = await commit(
        context.hub,
        asked.caller,
        [Create(kind, document, asked.full_url, asked.conditions.if_none_exist, asked.within)],
        interaction="create",
        idempotency=asked.idempotency,
    )
    return written.answer(done.written[0], asked.preference, replayed=done.replayed)
