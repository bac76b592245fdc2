"""FHIR search interaction over one type, by GET or by POST _search.

http://hl7.org/fhir/R4/http.html#search, http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from urllib.parse import urlencode

from coordhub.access import viewer
from coordhub.errors import Issue
from coordhub.fhir.bundle import Entry, address, bundle, match, remark
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import CURSOR, applied
from coordhub.r4.search import Query, parse_query
from coordhub.store import search

USUAL_COUNT = 50


async def answer(context: Context, asked: Asked) -> Answer:
    """A searchset of what the caller may see; `self` says what was applied, `next` goes on."""
    hub, caller, kind = context.hub, asked.caller, asked.target.type
    assert kind is not None
    query = parse_query(
        kind,
        asked.query,
        lenient=asked.preference.lenient,
        base=hub.base,
        now=hub.clock(),
    )
    pairs = _applied(asked.query, query)
    after = None
    if query.cursor is not None:
        after = context.paging.open(query.cursor, caller, kind, pairs)
    async with hub.engine.searches.acquire() as conn:
        page = await search.search(
            conn,
            hub.engine,
            viewer.of(caller),
            query,
            after=after,
            limit=query.count or USUAL_COUNT,
        )
    here = [*pairs, (CURSOR, query.cursor)] if query.cursor is not None else pairs
    links = [("self", address(hub.base, kind, here))]
    if page.next is not None:
        following = context.paging.seal(page.next, caller, kind, pairs)
        links.append(("next", address(hub.base, kind, [*pairs, (CURSOR, following)])))
    entries: list[Entry] = [match(hub.base, version) for version in page.versions]
    if query.ignored:
        entries.append(remark(_ignored(name) for name in query.ignored))
    return Answer(
        200,
        bundle("searchset", entries, links),
        shown=tuple(version.rid for version in page.versions),
        searched=urlencode(pairs),
    )


def _applied(pairs: tuple[tuple[str, str], ...], query: Query) -> list[tuple[str, str]]:
    """The pairs without what a lenient search left out; of a `_sort`, the keys that are used."""
    kept = [pair for pair in applied(pairs) if pair[0] not in query.ignored]
    if "_sort" in query.ignored and query.sort:
        keys = ("-" * key.descending + key.parameter.code for key in query.sort)
        kept.append(("_sort", ",".join(keys)))
    return kept


def _ignored(name: str) -> Issue:
    return Issue(
        "not-supported",
        "Was left out of this search, as `Prefer: handling=lenient` allows.",
        f"http.{name[:64]}",
        severity="warning",
    )
