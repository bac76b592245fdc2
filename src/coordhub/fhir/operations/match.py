"""The operation Patient/$match: which Patients may be the one that is described.

http://hl7.org/fhir/R4/patient-operation-match.html

Among those that the caller sees; whom it does not see is neither found nor hinted at. With
`onlyCertainMatches` a caller gets the records of one person, or none.
"""

from __future__ import annotations

import re
from typing import Any, Final

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, moments
from coordhub.fhir.bundle import Entry, bundle, found, remark
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import structure
from coordhub.record import matching
from coordhub.record.matching import Match

GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
USUAL_COUNT: Final = 20
MOST: Final = 200

_SEVERAL: Final = Issue(
    "multiple-matches",
    "Several persons match with certainty. Say more, or ask without onlyCertainMatches.",
    severity="information",
)


async def answer(context: Context, asked: Asked) -> Answer:
    """A searchset, best first; 403 for a person, who is told of its own record only."""
    if asked.caller.is_person:
        raise errors.forbidden("A match is asked for by organizations.")
    described, only_certain, count = _wish(asked)
    view = viewer.searching(asked.caller)
    matches, one_person = await matching.find(context.hub, view, described)
    entries: list[Entry] = []
    if only_certain:
        matches = [one for one in matches if one.grade == "certain"]
        if not one_person:
            matches, entries = [], [remark([_SEVERAL])]
    listed = list(matches)[:count]
    entries = [*(_entry(context.hub.base, one) for one in listed), *entries]
    return Answer(
        200,
        bundle("searchset", entries, total=len(matches)),
        shown=tuple(one.version.rid for one in listed),
    )


def _entry(base: str, one: Match) -> Entry:
    search = {
        "extension": [{"url": GRADE, "valueCode": one.grade}],
        "mode": "match",
        "score": round(one.score, 7),
    }
    return {**found(base, one.version), "search": search}


def _wish(asked: Asked) -> tuple[dict[str, Any], bool, int]:
    """Whom it is about, whether only what is certain is wanted, and how many at most."""
    described, given = invocation.with_resource(asked)
    if described is None or described.get("resourceType") != "Patient":
        raise FhirError(
            400,
            Issue(
                "required", "Send Parameters with a Patient as `resource`.", "Parameters.parameter"
            ),
        )
    unknown = [name for name, _ in given if name not in ("onlyCertainMatches", "count")]
    if unknown:
        raise errors.bad_request(
            "It takes resource, onlyCertainMatches and count, each once.", "Parameters.parameter"
        )
    issues = list(structure.check(described, expected_type="Patient"))
    if issues:
        raise errors.unprocessable(*issues)
    certain = moments.once(given, "onlyCertainMatches") or "false"
    count = moments.once(given, "count") or str(USUAL_COUNT)
    if certain not in ("true", "false"):
        raise errors.bad_request("onlyCertainMatches is true or false.", "http.onlyCertainMatches")
    if not re.fullmatch(r"[0-9]{1,6}", count, re.ASCII) or int(count) == 0:
        raise errors.bad_request("count is a whole number from 1 on.", "http.count")
    if not matching.tells_enough(described):
        raise FhirError(
            422,
            Issue(
                "required",
                "Nothing can be looked for by this. Say an identifier with its system, a birthDate, a phone, an "
                "e-mail, or family and given name.",
                "Patient",
            ),
        )
    return described, certain == "true", min(int(count), MOST)
