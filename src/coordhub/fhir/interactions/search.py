"""FHIR search interaction over a type, a compartment or the whole system, by GET or by POST _search.

http://hl7.org/fhir/R4/http.html#search, http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import functools

from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir.bundle import Entry, address, bundle, encoded, found, remark
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import CURSOR
from coordhub.fhir.searching import Plan, not_applied, plan
from coordhub.r4.views import View
from coordhub.record import same_person
from coordhub.store import include, search_types
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.search import Page, keeps_its_plan

USUAL_COUNT = 50
MOST_INCLUDED = 2000
ESTIMATED = 10_000
"""How far `_total=estimate` counts; from there on it says this number."""


async def answer(context: Context, asked: Asked) -> Answer:
    """A searchset of what the caller may see; `self` says what was applied, `next` goes on.

    One statement for the matches, one for all that is included, one for a total that is asked for. Where Patients
    are named of whom the caller sees further records, one for these, and one for the matches of all.
    """
    hub, caller = context.hub, asked.caller
    planned = plan(asked, base=hub.base, now=hub.clock())
    page, brought, total = await _look(context, asked, planned)
    path, pairs, cursor = planned.path, planned.pairs, planned.cursor
    here = [*pairs, (CURSOR, cursor)] if cursor is not None else pairs
    links = [("self", address(hub.base, path, here))]
    if page.next is not None:
        following = context.paging.seal(page.next, caller, path, pairs)
        links.append(("next", address(hub.base, path, [*pairs, (CURSOR, following)])))
    view = planned.shape.view
    entries: list[Entry] = [found(hub.base, version, "match", view) for version in page.versions]
    entries += [found(hub.base, one, "include", View(view.summary)) for one in brought]
    if planned.ignored:
        entries.append(remark(not_applied(name) for name in planned.ignored))
    return Answer(
        200,
        bundle("searchset", entries, links, total),
        shown=tuple(version.rid for version in (*page.versions, *brought)),
        searched=encoded(pairs) if planned.within is None else address("", path, pairs),
    )


async def _look(
    context: Context, asked: Asked, planned: Plan
) -> tuple[Page, list[Version], int | None]:
    """The page, what it brings along, and the total where it is asked for."""
    engine, view, shape = context.hub.engine, viewer.searching(asked.caller), planned.shape
    queries, within = planned.queries, planned.within
    after = None
    if planned.cursor is not None:
        after = context.paging.open(planned.cursor, asked.caller, planned.path, planned.pairs)
    kept = (
        len(queries) == 1
        and within is None
        and shape.total == "none"
        and not shape.includes
        and keeps_its_plan(queries[0])
    )

    async def found_by(conn: Connection) -> tuple[Page, list[Version] | None, int | None]:
        wanted, inside = queries, within
        named = same_person.named(queries, within)
        paged = functools.partial(
            search_types.search_types,
            conn,
            engine,
            view,
            after=after,
            limit=planned.count or USUAL_COUNT,
        )
        page: Page = Page([], None)
        brought: list[Version] | None = []
        total = None
        if not shape.count_only:
            page = await paged(wanted, within=inside, named=named)
        if page.is_of_more or (named and shape.count_only):
            wanted = tuple(await same_person.asked_of(conn, view, queries))
            inside = await same_person.compartment_of(conn, view, within)
        if page.is_of_more:
            page = await paged(wanted, within=inside)
        if shape.includes and page.versions:
            brought = await include.included(
                conn, viewer.of(asked.caller), page.versions, shape.includes, most=MOST_INCLUDED
            )
        if shape.total != "none":
            most = ESTIMATED if shape.total == "estimate" else None
            total = await search_types.count(conn, engine, view, wanted, within=inside, most=most)
        return page, brought, total

    if kept:
        async with engine.pool.acquire() as conn:
            page, brought, total = await found_by(conn)
    else:
        page, brought, total = await engine.look(found_by)
    if brought is None:
        raise FhirError(
            400,
            Issue(
                "too-costly",
                f"This page would include over {MOST_INCLUDED} resources. Ask for fewer matches "
                "with _count, or search the other type by its reference.",
            ),
        )
    return page, brought, total
