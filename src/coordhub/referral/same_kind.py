"""Which codes of different code systems mean the same kind of service.

A referral says what it asks for in the words of who sends it (a domain of SDOH Clinical Care, a SNOMED
CT procedure), a service what it is in those of its directory (service-type, specialty). Codes of one
entry of same_kind.json are taken for each other. In it, SDOHCC stands for the code system of SDOH
Clinical Care.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

SDOHCC: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
)

Code = tuple[str, str]

_SAYS_NO_KIND: Final = frozenset(
    {
        ("http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "sdoh"),
        ("http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "functional-status"),
        ("http://snomed.info/sct", "410606002"),
        ("http://snomed.info/sct", "3457005"),
        (SDOHCC, "sdoh-category-unspecified"),
    }
)
"""What stands beside a kind, such as "social service procedure", "patient referral"."""

NO_KIND: Final = frozenset(code for _, code in _SAYS_NO_KIND)
"""Those codes, where one may do without the system."""


class _Same(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    codes: list[str]


def kinds(codes: Iterable[Code]) -> frozenset[Code]:
    """These, without what says no kind, and all that means the same."""
    stated = frozenset(codes) - _SAYS_NO_KIND
    same = _same()
    return stated.union(*(same[one] for one in stated if one in same))


def domains(codes: Iterable[Code]) -> frozenset[str]:
    """The domains of SDOH Clinical Care among these."""
    return frozenset(code for system, code in codes if system == SDOHCC)


@cache
def _same() -> dict[Code, frozenset[Code]]:
    text = files("coordhub.referral").joinpath("same_kind.json").read_bytes()
    found: dict[Code, frozenset[Code]] = {}
    for entry in msgspec.json.decode(text, type=list[_Same]):
        codes = frozenset(_code(one) for one in entry.codes)
        found |= {one: found.get(one, frozenset()) | codes for one in codes}
    return found


def _code(text: str) -> Code:
    system, _, code = text.rpartition("|")
    return (SDOHCC if system == "SDOHCC" else system), code
