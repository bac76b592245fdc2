"""FHIR read interaction, conditional or not.

http://hl7.org/fhir/R4/http.html#read, #cread
"""

from __future__ import annotations

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.headers import unchanged
from coordhub.fhir.viewing import view_of
from coordhub.r4.views import shown
from coordhub.store import resources


async def answer(context: Context, asked: Asked) -> Answer:
    """The current version, or the view of it; 304 if the reader has it, 404, 410 after a deletion."""
    target = asked.target
    kind, fhir_id = target.instance()
    view = view_of(asked)
    async with context.hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, viewer.of(asked.caller), kind, fhir_id)
    if found is None:
        raise errors.not_found(target.reference)
    if found.body is None:
        raise errors.gone(target.reference, found.version)
    # Labels come and go without a version; who has this one may not have them.
    same = not found.labels and unchanged(asked.conditions, found.version, found.updated)
    return Answer(
        304 if same else 200,
        b"" if same else shown(found.body, view),
        reference=found.reference,
        version=found.version,
        updated=found.updated,
        shown=(found.rid,),
    )
