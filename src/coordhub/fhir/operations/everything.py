"""The operation $everything of a Patient or an Encounter: the record as far as the caller sees it.

http://hl7.org/fhir/R4/operation-patient-everything.html, http://hl7.org/fhir/R4/operation-encounter-everything.html

The matches are the resource itself and its compartment, in pages; a page brings along what its
resources refer to, and the Binaries that are their attachments. `start` and `end` leave out what
happened at another time; what has no time stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, moments
from coordhub.fhir.bundle import address, bundle, found
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import CURSOR, applied
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference, types
from coordhub.r4.compartments import compartment, members
from coordhub.r4.parameters import parameters
from coordhub.r4.search import Query, parse_query
from coordhub.r4.search_result import ANY, Include
from coordhub.record import same_person
from coordhub.store import include, resources, search_types
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.search import Page
from coordhub.store.search_types import During

USUAL_COUNT = 500
MOST_INCLUDED = 5000

_REFERRED_TO = (Include(ANY, ANY, reverse=False, iterate=False),)
_CARE_DATES = (
    "date", "period", "effective", "effective-time", "occurrence", "onset-date", "authoredon",
    "authored", "authored-on", "start-date", "sent", "created", "whenhandedover", "started",
)  # fmt: skip
"""Codes of the parameters that tell when the care was; of a type the first that it has."""


@dataclass(frozen=True, slots=True)
class _Wish:
    queries: list[Query]
    during: During | None
    count: int


async def answer(context: Context, asked: Asked) -> Answer:
    """A searchset; 404 unless the caller sees the resource itself."""
    hub, target = context.hub, asked.target
    kind, fhir_id = target.instance()
    given = invocation.pairs(asked)
    query, path = applied(given), f"{target.reference}/$everything"
    wish = _wish(kind, query)
    cursor = moments.once(given, CURSOR)
    after = None
    if cursor is not None:
        after = context.paging.open(cursor, asked.caller, path, query)
    view = viewer.of(asked.caller)

    async def found_by(
        conn: Connection,
    ) -> tuple[Version, Page, list[Version] | None, dict[tuple[str, str], Version]]:
        whose = await resources.read(conn, view, kind, fhir_id)
        if whose is None:
            raise errors.not_found(target.reference)
        if whose.body is None:
            raise errors.gone(target.reference, whose.version)
        kinds = [one.resource_type for one in wish.queries]
        within = await same_person.compartment_of(conn, view, compartment(kind, fhir_id, kinds))
        page = await search_types.search_types(
            conn,
            hub.engine,
            view,
            wish.queries,
            limit=wish.count,
            after=after,
            within=within,
            during=wish.during,
        )
        brought = await include.included(
            conn, view, page.versions, _REFERRED_TO, most=MOST_INCLUDED
        )
        held = await resources.read_names(conn, view, _attached(page.versions, hub.base))
        return whose, page, brought, held

    whose, page, brought, held = await hub.engine.look(found_by)
    if brought is None or len(brought) + len(held) > MOST_INCLUDED:
        raise FhirError(400, Issue("too-costly", "This page is too large; ask with _count."))
    brought = [one for one in brought if _beside(one, whose, query)]
    known = {one.rid for one in brought}
    brought += [
        one
        for one in held.values()
        if one.body is not None and one.rid not in known and _is_of_type(one, query)
    ]
    links = [("self", address(hub.base, path, [*query, (CURSOR, cursor)] if cursor else query))]
    if page.next is not None:
        following = context.paging.seal(page.next, asked.caller, path, query)
        links.append(("next", address(hub.base, path, [*query, (CURSOR, following)])))
    entries = [found(hub.base, one) for one in page.versions]
    entries += [found(hub.base, one, "include") for one in brought]
    return Answer(
        200,
        bundle("searchset", entries, links),
        shown=tuple(one.rid for one in (*page.versions, *brought)),
    )


def _wish(kind: str, query: list[tuple[str, str]]) -> _Wish:
    named = [name for key, text in query if key == "_type" for name in text.split(",")]
    if any(name not in types.NUMBER for name in named):
        raise errors.bad_request("_type takes resource types of R4.", "http._type")
    kinds = [name for name in members(kind) if not named or name in named]
    since = moments.period(query, "_since")
    pairs = [("_lastUpdated", f"ge{since[0].isoformat()}")] if since else []
    start, end = moments.period(query, "start"), moments.period(query, "end")
    during = None
    if start or end:
        during = During(
            tuple(number for name in kinds for number in _care_date(name)),
            start[0] if start else datetime.min.replace(tzinfo=UTC),
            end[1] if end else datetime.max.replace(tzinfo=UTC),
        )
    return _Wish(
        # none left: nothing of the compartment was asked for
        [parse_query(name, pairs) for name in kinds] or [Query(kind, ids=())],
        during,
        moments.count(query, USUAL_COUNT),
    )


def _beside(one: Version, whose: Version, query: list[tuple[str, str]]) -> bool:
    """Whether what a page refers to is no match of another page, and of a type asked for."""
    if not _is_of_type(one, query):
        return False
    return one.rid != whose.rid and (whose.type != "Patient" or one.patient != whose.rid)


def _is_of_type(one: Version, query: list[tuple[str, str]]) -> bool:
    named = [name for key, text in query if key == "_type" for name in text.split(",")]
    return not named or one.type in named


def _attached(versions: list[Version], base: str) -> list[tuple[str, str]]:
    """The Binaries of this hub that are the `url` of an element, as an Attachment has it."""
    found: dict[tuple[str, str], None] = {}
    waiting: list[object] = [
        fhir_json.parse(one.body.encode())
        for one in versions
        if one.body is not None and '"url"' in one.body and "Binary/" in one.body
    ]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            url = here.get("url")
            read = reference.parse(url, base=base) if isinstance(url, str) else None
            if read is not None and read.kind == "local" and read.type == "Binary" and read.id:
                found[("Binary", read.id)] = None
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
    return list(found)


@cache
def _care_date(resource_type: str) -> tuple[int, ...]:
    known = parameters(resource_type)
    for code in _CARE_DATES:
        if code in known and known[code].kind == "date":
            return (known[code].id,)
    return ()
