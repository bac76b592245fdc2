"""FHIR vread interaction: one version of a resource.

http://hl7.org/fhir/R4/http.html#vread
"""

from __future__ import annotations

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.viewing import view_of
from coordhub.r4.views import shown
from coordhub.store import resources


async def answer(context: Context, asked: Asked) -> Answer:
    """That version, current or not; 404, or 410 if it is a deletion."""
    target = asked.target
    kind, fhir_id = target.instance()
    assert target.version is not None
    view = view_of(asked)
    async with context.hub.engine.pool.acquire() as conn:
        found = await resources.read_version(
            conn, viewer.of(asked.caller), kind, fhir_id, target.version
        )
    if found is None:
        raise errors.not_found(f"{target.reference}/_history/{target.version}")
    if found.body is None:
        raise errors.gone(target.reference, found.version)
    return Answer(
        200,
        shown(found.body, view),
        reference=found.reference,
        version=found.version,
        updated=found.updated,
        shown=(found.rid,),
    )
