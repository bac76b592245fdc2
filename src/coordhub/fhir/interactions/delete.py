"""FHIR delete interaction.

http://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from coordhub.fhir import written
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.record.commit import commit
from coordhub.record.operations import Delete


async def answer(context: Context, asked: Asked) -> Answer:
    """204, also where nothing was there to delete."""
    target = asked.target
    kind, fhir_id = target.instance()
    done = await commit(
        context.hub,
        asked.caller,
        [Delete(kind, fhir_id, asked.conditions.if_match, asked.at)],
        interaction="delete",
        idempotency=asked.idempotency,
    )
    return written.answer(done.written[0], asked.preference, replayed=done.replayed)
