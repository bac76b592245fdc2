"""FHIR history interaction of a resource, of a type or of the whole system: newest first, or as a feed.

http://hl7.org/fhir/R4/http.html#history, https://hl7.org/fhir/R5/http.html#history (`_sort`)

`_since` and `_at` choose versions; a page goes on where the last one ended, whatever was written
meanwhile. Oldest first (`_sort=_lastUpdated`, as R5 has it) it is a change feed: behind its last page
stands the link `monitor`, by which what came since is asked for.

https://www.iana.org/assignments/link-relations
"""

from __future__ import annotations

from collections.abc import Sequence

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import moments
from coordhub.fhir.bundle import address, bundle, past
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import CURSOR, applied
from coordhub.store import feed, history, resources
from coordhub.store.engine import Connection

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
    sort = moments.once(query, "_sort")
    if sort == "_lastUpdated":
        return await _feed(context, asked, query, count, span)
    if sort not in (None, "-_lastUpdated"):
        raise errors.bad_request(
            "A history is sorted by -_lastUpdated, newest first, or as a change feed by _lastUpdated.",
            "http._sort",
        )
    before = None
    if cursor is not None:
        before = int(context.paging.open(cursor, asked.caller, path, query)[0])
    view = viewer.of(asked.caller)

    async def found_by(conn: Connection) -> history.Past:
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
        return page

    page = await context.hub.engine.look(found_by)
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


async def _feed(
    context: Context,
    asked: Asked,
    query: Sequence[tuple[str, str]],
    count: int,
    span: history.Span,
) -> Answer:
    """A page of the change feed, of which none is the last: `next` while there is more, then `monitor`."""
    if span.at is not None:
        raise errors.bad_request(
            "_at does not go with _sort=_lastUpdated; _since does.", "http._at"
        )
    kind, base = asked.target.type, context.hub.base
    path = f"{kind or ''}/_history".removeprefix("/")
    cursor = moments.once(asked.query, CURSOR)
    view = viewer.of(asked.caller)
    async with context.hub.engine.searches.acquire() as conn:
        if cursor is None:
            position = await feed.begin(conn, view, span.since)
        else:
            position = feed.position_of(context.paging.open(cursor, asked.caller, path, query))
        page = await feed.read(
            conn, view, None if kind is None else [kind], position, count=count, since=span.since
        )
    if page is None:
        raise FhirError(
            410,
            Issue(
                "processing",
                "What you may see has changed as a whole, or the hub was restored from a backup. Begin anew, "
                "without _cursor.",
                "http._cursor",
            ),
        )
    here = [*query, (CURSOR, cursor)] if cursor is not None else query
    following = context.paging.seal(page.position.as_values(), asked.caller, path, query)
    links = [
        ("self", address(base, path, here)),
        ("next" if page.more else "monitor", address(base, path, [*query, (CURSOR, following)])),
    ]
    return Answer(
        200,
        bundle("history", [past(base, version) for version in page.versions], links),
        shown=tuple(dict.fromkeys(version.rid for version in page.versions)),
    )
