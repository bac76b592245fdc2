"""The operation $meta: profiles, tags and security labels of a resource, or those in use.

http://hl7.org/fhir/R4/resource-operation-meta.html

Of one resource its whole meta; of a type or of the system the tags and labels on what the caller
may see.
"""

from __future__ import annotations

from typing import Any

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document, types
from coordhub.store import labels, resources
from coordhub.store.resources import Version

MOST = 1000


async def answer(context: Context, asked: Asked) -> Answer:
    """Parameters with one `return`, a Meta; 404 for a resource not to be seen."""
    target, view = asked.target, viewer.of(asked.caller)
    if target.id is not None:
        async with context.hub.engine.pool.acquire() as conn:
            found = await resources.read(conn, view, *target.instance())
        if found is None:
            raise errors.not_found(target.reference)
        return of_version(found)
    kinds = [
        name
        for name in ([target.type] if target.type else types.NAMES)
        if asked.caller.scopes.allow(name, "r")
    ]
    async with context.hub.engine.searches.acquire() as conn:
        used = await labels.in_use(conn, view, kinds, most=MOST)
    meta: dict[str, Any] = {}
    for label in used:
        coding = {"system": label.system} if label.system else {}
        meta.setdefault(label.element, []).append({**coding, "code": label.code})
    return Answer(200, returned(meta))


def of_version(found: Version) -> Answer:
    """The meta of one resource; 410 if it is deleted."""
    if found.body is None:
        raise errors.gone(found.reference, found.version)
    meta = document.parse(found.body.encode()).get("meta", {})
    return Answer(
        200,
        returned(meta),
        reference=found.reference,
        version=found.version,
        updated=found.updated,
        shown=(found.rid,),
    )


def returned(meta: dict[str, Any]) -> bytes:
    """A Meta as the result of an operation; an empty one is not written, FHIR has no empty elements."""
    result: dict[str, Any] = {"resourceType": "Parameters"}
    if meta:
        result["parameter"] = [{"name": "return", "valueMeta": meta}]
    return document.encode(result)
