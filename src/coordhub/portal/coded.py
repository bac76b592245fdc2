"""What codes are called that come without words: those that the hub itself works by.

http://hl7.org/fhir/R4/datatypes.html#Coding

Systems often send a domain of need as its code alone, a test or a note as that of LOINC, and what a screening asked as
that of the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from coordhub.insight import kits, same_question
from coordhub.record.bootstrap import questionnaires
from coordhub.referral import data_request, screening
from coordhub.referral.same_kind import SDOHCC

REQUEST: Final = "Results of others"
"""What is asked of another organization: as the page of such requests is called."""


@cache
def words() -> Mapping[tuple[str, str], str]:
    """(system, code) -> English words."""
    asked = {
        (str(one["system"]), str(one["code"])): str(item["text"])
        for form in questionnaires()
        for item in _items(form)
        if item.get("text")
        for one in item.get("code") or []
    }
    tests = {code: one.title for code, one in same_question.in_use().items() if one.title}
    notes = {
        code: one.title.partition(",")[0]
        for kit in kits.in_use()
        for one in kit.back
        for code in one.codes
    }
    kinds = {code: kit.title for kit in kits.in_use() if kit.title for code in kit.kinds}
    return (
        notes
        | kinds
        | tests
        | asked
        | {(SDOHCC, one.kind): one.text for one in screening.needs().values()}
        | {(data_request.SYSTEM, data_request.KIND): REQUEST}
    )


def _items(within: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in within.get("item") or []:
        yield item
        yield from _items(item)
