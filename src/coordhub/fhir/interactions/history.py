"""FHIR history interaction of a resource, of a type or of the whole system: newest first.

http://hl7.org/fhir/R4/http.html#history

`_since` and `_at` choose versions; a page goes on where the last one ended, whatever was written
meanwhile.
"""

from __future__ import annotations

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir import moments
from coordhub.fhir.bundle import address, bundle, past
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import CURSOR, applied
from coordhub.store import history, resources

USUAL_COUNT = 50


async def answer(context: Context, asked: Asked) -> Answer:
    """A Bundle of type history, a page of `_count` versions; 404 for a resource not to be seen."""
    target, base = asked.target, context.hub.base
    path = f"{target.reference}/_history".removeprefix("/")
    query = applied(asked.query)
    count = moments.count(query, USUAL_COUNT)
    since = moments.period(query, "_since")
    span = history.Span(since and since[0], moments.period(query, "_at"))
    cursor = moments.once(asked.query, CURSOR)
    before = None
    if cursor is not None:
        before = int(context.paging.open(cursor, asked.caller, path, query)[0])
    view = viewer.of(asked.caller)
    async with context.hub.engine.searches.acquire() as conn:
        page = await history.history(
            conn,
            view,
            None if target.type is None else [target.type],
            target.id,
            count=count,
            before=before,
            span=span,
        )
        if not page.versions and target.id is not None:
            # nothing in that time, or nothing at all
            known = await resources.read(conn, view, *target.instance())
            if known is None:
                raise errors.not_found(target.reference)
    here = [*query, (CURSOR, cursor)] if cursor is not None else query
    links = [("self", address(base, path, here))]
    if page.next is not None:
        following = context.paging.seal([page.next], asked.caller, path, query)
        links.append(("next", address(base, path, [*query, (CURSOR, following)])))
    return Answer(
        200,
        bundle("history", [past(base, version) for version in page.versions], links),
        shown=tuple(dict.fromkeys(version.rid for version in page.versions)),
    )
