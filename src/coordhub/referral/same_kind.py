"""Which codes of different code systems mean the same kind of service.

A referral says what it asks for in the words of who sends it (a domain of SDOH Clinical Care, a SNOMED
CT procedure), a service what it is in those of its directory (service-type, specialty). Codes of one
entry of same_kind.json, or of an operator's file over it, are taken for each other. In it, SDOHCC
stands for the code system of SDOH Clinical Care.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


class UnusableKindsError(ValueError):
    """The file says what cannot be; the message says where."""


Same = Mapping[Code, frozenset[Code]]
"""Code -> all that mean the same."""


def kinds(codes: Iterable[Code]) -> frozenset[Code]:
    """These, without what says no kind, and all that means the same."""
    stated = frozenset(codes) - _SAYS_NO_KIND
    same = in_use()
    return stated.union(*(same[one] for one in stated if one in same))


def domains(codes: Iterable[Code]) -> frozenset[str]:
    """The domains of SDOH Clinical Care among these."""
    return frozenset(code for system, code in codes if system == SDOHCC)


def read(text: bytes | None = None) -> Same:
    """The shipped entries, and those of an operator's file: an entry of one name goes on. Raises UnusableKindsError."""
    entries: dict[str, frozenset[Code]] = {}
    shipped = files("coordhub.referral").joinpath("same_kind.json").read_bytes()
    for each in (shipped, text):
        if each is None:
            continue
        try:
            stated = msgspec.json.decode(each, type=list[_Same])
        except msgspec.MsgspecError as error:
            raise UnusableKindsError(str(error)) from None
        for entry in stated:
            codes = frozenset(_code(one) for one in entry.codes)
            entries[entry.kind] = entries.get(entry.kind, frozenset()) | codes
    found: dict[Code, frozenset[Code]] = {}
    for codes in entries.values():
        found |= {one: found.get(one, frozenset()) | codes for one in codes}
    return found


_in_use: list[Same] = []


def in_use() -> Same:
    """What this process takes for the same: the shipped entries, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(read())
    return _in_use[0]


def use(chosen: Same) -> None:
    """Have the whole process go by these; called once, before anything is matched."""
    _in_use[:] = [chosen]


def _code(text: str) -> Code:
    system, bar, code = text.rpartition("|")
    if not bar or not code:
        raise UnusableKindsError(f"{text!r} is not system|code")
    return (SDOHCC if system == "SDOHCC" else system), code
