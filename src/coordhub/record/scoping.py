"""What a granular scope lets be written: that of which the scope is true, before and after.

http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters

What the caller may not even look at was not found before this. What stands there is asked of the database
with the caller's eyes, so that nothing is told by what it is not shown.
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.scopes import Ways
from coordhub.errors import FhirError, insufficient_scope
from coordhub.r4.extract import extract
from coordhub.r4.parameters import sources
from coordhub.r4.search_criteria import Criterion
from coordhub.r4.search_values import ReferenceValue, TokenValue, Value
from coordhub.record import drafting
from coordhub.record.work import Draft, Work
from coordhub.store import resources
from coordhub.store.visibility import Chart

_LETTER: Final = {"create": "c", "update": "u", "delete": "d"}


async def check(work: Work) -> None:
    """403 for what lies outside of every scope that allows its kind of interaction on its type."""
    scopes = work.caller.scopes
    if not scopes.is_granular:
        return
    asked = [
        (draft, _LETTER[draft.op], ways)
        for draft in work.drafts
        if draft.operation is not None
        and (ways := scopes.within(draft.type, _LETTER[draft.op])) is not None
    ]
    for letter in sorted({letter for _, letter, _ in asked}):
        standing = [
            draft
            for draft, each, _ in asked
            if each == letter and draft.previous is not None and not draft.previous.deleted
        ]
        seen = await resources.read_rids(
            work.conn, viewer.of(work.caller, letter), [draft.rid for draft in standing]
        )
        for draft in standing:
            if draft.rid not in seen:
                raise _outside(work, draft, letter)
    for draft, letter, ways in asked:
        if draft.document is not None and not _fits(work, draft, ways):
            raise _outside(work, draft, letter)


def _outside(work: Work, draft: Draft, letter: str) -> FhirError:
    return insufficient_scope(
        f"The token's scopes allow this for some {draft.type} only: of one patient, or by search parameters; this "
        "one is not among them.",
        f"{work.caller.scopes.level}/{draft.type}.{letter}",
        draft.at,
    )


def _fits(work: Work, draft: Draft, ways: Ways) -> bool:
    document = {"resourceType": draft.type, **(draft.document or {})}
    return any(
        all(
            drafting.patient_of(work, draft) == criterion.patient
            if isinstance(criterion, Chart)
            else _meets(criterion, document, work.hub.base)
            for criterion in way
        )
        for way in ways
    )


def _meets(criterion: Criterion, document: dict[str, Any], base: str) -> bool:
    parameter = criterion.parameter
    numbers = {each.id for each in sources(parameter.resource_type)[parameter.code]}
    found = extract(document, base=base)
    tokens = [(one.system, one.code) for one in found.tokens if one.parameter in numbers]
    named = [
        (one.reference.type, one.reference.id)
        for one in found.references
        if one.parameter in numbers and one.reference.kind == "local"
    ]
    return any(_is_met(value, tokens, named) for value in criterion.values)


def _is_met(
    value: Value,
    tokens: list[tuple[str | None, str]],
    named: list[tuple[str | None, str | None]],
) -> bool:
    match value:
        case TokenValue(system, code, any_system):
            return any(
                (any_system or stated == system) and code in (None, known)
                for stated, known in tokens
            )
        case ReferenceValue(fhir_id, (kind,)):
            return (kind, fhir_id) in named
    return False
