"""The kind of need that a ServiceRequest asks for: what its strategy and its deadlines go by.

A domain of SDOH Clinical Care, or `laboratory`, `imaging` or `specialist`, by the codes of the order;
empty where none of them says so.

http://hl7.org/fhir/us/sdoh-clinicalcare
http://hl7.org/fhir/R4/valueset-servicerequest-category.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from coordhub.referral.same_kind import domains, kinds
from coordhub.referral.wanted import codes

_SNOMED: Final = "http://snomed.info/sct"

_BY_CODE: Final = {
    (_SNOMED, "108252007"): "laboratory",
    (_SNOMED, "363679005"): "imaging",
    (_SNOMED, "3457005"): "specialist",
}
"""ServiceRequest.category: laboratory procedure, imaging, patient referral."""


def kind_of(request: Mapping[str, Any]) -> str:
    """What an order asks for; of several domains the first by name."""
    asked = [
        code
        for element in ("category", "code", "performerType")
        for code in codes(request.get(element))
    ]
    found = sorted(domains(kinds(asked)))
    if found:
        return found[0]
    for code in asked:
        if code in _BY_CODE:
            return _BY_CODE[code]
    return "specialist" if request.get("performerType") else ""
