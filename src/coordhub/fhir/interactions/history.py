"""FHIR history interaction of one resource: its versions, newest first.

http://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import re

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir.bundle import address, bundle, past
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import CURSOR, applied
from coordhub.store import resources

USUAL_COUNT = 50
LARGEST_COUNT = 1000


async def answer(context: Context, asked: Asked) -> Answer:
    """A Bundle of type history, a page of `_count` versions; 404 if there is nothing to see."""
    target = asked.target
    kind, fhir_id = target.instance()
    path = f"{target.reference}/_history"
    query = applied(asked.query)
    count = _count(asked.query)
    cursor = dict(asked.query).get(CURSOR)
    before = None
    if cursor is not None:
        before = int(context.paging.open(cursor, asked.caller, path, query)[0])
    async with context.hub.engine.pool.acquire() as conn:
        versions = await resources.history(
            conn,
            viewer.of(asked.caller),
            kind,
            fhir_id,
            count=count + 1,
            before=before,
        )
    if not versions:
        raise errors.not_found(target.reference)
    base = context.hub.base
    here = [*query, (CURSOR, cursor)] if cursor is not None else query
    links = [("self", address(base, path, here))]
    if len(versions) > count:
        versions = versions[:count]
        following = context.paging.seal([versions[-1].version], asked.caller, path, query)
        links.append(("next", address(base, path, [*query, (CURSOR, following)])))
    return Answer(
        200,
        bundle("history", [past(base, version) for version in versions], links),
        shown=(versions[0].rid,),
    )


def _count(query: tuple[tuple[str, str], ...]) -> int:
    text = dict(query).get("_count")
    if text is None:
        return USUAL_COUNT
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) == 0:
        raise errors.bad_request(
            f"_count is a whole number from 1 to {LARGEST_COUNT}.", "http._count"
        )
    return min(int(text), LARGEST_COUNT)
