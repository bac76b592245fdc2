"""The operation Patient/$ihe-pix: under which other numbers a patient is known.

https://profiles.ihe.net/ITI/PIXm/ITI-83.html

Of records that the caller sees, and that are of one person by the hub's links. What it does not see is not known:
neither the number, nor its system.
"""

from __future__ import annotations

from typing import Any, Final

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document as fhir_json
from coordhub.r4.search_text import split_escaped, unescape
from coordhub.record import cross_reference
from coordhub.record.cross_reference import Person

MOST_SYSTEMS: Final = 20


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters; 404 and 400 for a number and a system that are not known, 403 for a target that is not."""
    if asked.caller.is_person:
        raise errors.forbidden("Numbers are looked up by organizations.")
    hub, view = context.hub, viewer.searching(asked.caller)
    system, value = _source([text for name, text in asked.query if name == "sourceIdentifier"])
    targets = [unescape(text) for name, text in asked.query if name == "targetSystem"]
    if len(targets) > MOST_SYSTEMS or not all(targets):
        raise errors.bad_request(
            f"targetSystem is a system, and there may be {MOST_SYSTEMS}.", "http.targetSystem"
        )
    if system == hub.base:
        person = await cross_reference.by_id(hub, view, value.removeprefix("Patient/"))
    else:
        person = await cross_reference.by_number(hub, view, system, value)
    if person is None:
        raise await _unknown(context, asked, system)
    if not person.one_person:
        raise FhirError(
            409,
            Issue(
                "multiple-matches",
                "Several persons have this number. Ask by another, or by the Patient: "
                f"{hub.base}|Patient/[id].",
                "http.sourceIdentifier",
            ),
        )
    named = {each for each in targets if each != hub.base}
    if named - await cross_reference.knows(hub, view, named):
        raise FhirError(403, Issue("code-invalid", "targetSystem not found", "http.targetSystem"))
    told = _told(person, set(targets), (system, value), hub.base)
    body = {"resourceType": "Parameters"} | ({"parameter": told} if told else {})
    return Answer(
        200, fhir_json.encode(body), shown=tuple(each.version.rid for each in person.records)
    )


def _source(stated: list[str]) -> tuple[str, str]:
    pieces = split_escaped(stated[0], "|") if len(stated) == 1 else []
    if len(pieces) != 2 or not all(pieces) or len(split_escaped(stated[0])) != 1:
        raise FhirError(
            400,
            Issue(
                "required",
                "Say one sourceIdentifier as system|value, with both.",
                "http.sourceIdentifier",
            ),
        )
    return unescape(pieces[0]), unescape(pieces[1])


async def _unknown(context: Context, asked: Asked, system: str) -> FhirError:
    view = viewer.searching(asked.caller)
    if system == context.hub.base or await cross_reference.knows(context.hub, view, [system]):
        said = "sourceIdentifier Patient Identifier not found"
        return FhirError(404, Issue("not-found", said, "http.sourceIdentifier"))
    said = "sourceIdentifier Assigning Authority not found"
    return FhirError(400, Issue("code-invalid", said, "http.sourceIdentifier"))


def _told(
    person: Person, targets: set[str], source: tuple[str, str], base: str
) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    said: set[tuple[str, str]] = {source}
    for record in person.records:
        wanted = [each for each in record.identifiers if not targets or each["system"] in targets]
        reference = record.version.reference
        if (wanted or not targets or base in targets) and source != (base, reference):
            told.append({"name": "targetId", "valueReference": {"reference": reference}})
        for each in wanted:
            number = (each["system"], each["value"])
            if number not in said:
                said.add(number)
                told.append({"name": "targetIdentifier", "valueIdentifier": each})
    return told
