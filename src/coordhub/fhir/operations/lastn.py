"""The operation Observation/$lastn: the newest results of each code.

http://hl7.org/fhir/R4/observation-operation-lastn.html

It takes `max` (1 if not said) and every parameter of a search for Observations, of which `patient`
or `subject` must be there.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, moments
from coordhub.fhir.bundle import address, bundle, found
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import applied
from coordhub.r4.search import parse_query
from coordhub.record import same_person
from coordhub.store import lastn
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

MOST = 1000


async def answer(context: Context, asked: Asked) -> Answer:
    """A searchset, codes together, newest first; 400 if it were more than 1,000 entries."""
    hub = context.hub
    pairs = applied(invocation.pairs(asked))
    each = moments.once(pairs, "max") or "1"
    criteria = [pair for pair in pairs if pair[0] != "max"]
    issues = []
    if not re.fullmatch(r"[0-9]{1,6}", each, re.ASCII) or int(each) == 0:
        issues.append(Issue("invalid", "max is a whole number from 1 on.", "http.max"))
    if not any(name.partition(":")[0] in ("patient", "subject") for name, _ in criteria):
        issues.append(Issue("required", "Say whose results: patient or subject.", "http.patient"))
    issues += [
        Issue("not-supported", "The order and number of the entries are given.", f"http.{name}")
        for name, _ in criteria
        if name in ("_sort", "_count", "_cursor")
    ]
    if issues:
        raise FhirError(400, *issues)
    query = parse_query("Observation", criteria, base=hub.base, now=hub.clock())
    view = viewer.searching(asked.caller)

    async def found_by(conn: Connection) -> list[Version]:
        [wanted] = await same_person.asked_of(conn, view, [query])
        return await lastn.newest(conn, hub.engine, view, wanted, each=int(each), limit=MOST + 1)

    versions = await hub.engine.look(found_by)
    if len(versions) > MOST:
        raise errors.bad_request(
            f"These are over {MOST} results; ask for fewer codes, or a smaller max.",
            code="too-costly",
        )
    return Answer(
        200,
        bundle(
            "searchset",
            [found(hub.base, version) for version in versions],
            [("self", address(hub.base, "Observation/$lastn", pairs))],
        ),
        shown=tuple(version.rid for version in versions),
        searched=urlencode(pairs),
    )
