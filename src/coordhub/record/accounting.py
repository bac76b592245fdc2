"""The accounting of disclosures as a FHIR Parameters resource.

https://www.ecfr.gov/current/title-45/section-164.528
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from coordhub.record.hub import instant
from coordhub.store.disclosures import Disclosure

_PURPOSE: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "COC",
    "display": "coordination of care",
}
"""What a referral shares for, whichever of its rules: parties, what they name, results."""

BREAK_GLASS: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "BTG",
    "display": "break the glass",
}
"""For what something is looked at in an emergency (`$break-glass`)."""

_RULES: Final = frozenset({"party", "referral", "result", "release", "team", "deputy"})

Parameter: TypeAlias = dict[str, Any]


def parameters(
    patient: str,
    since: datetime,
    until: datetime,
    told: Sequence[Disclosure],
    event: Callable[[Disclosure], str | None],
) -> dict[str, Any]:
    """patient: its reference. event: the AuditEvent that tells more, where whoever asks may read it."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": patient}},
            _time("start", since),
            _time("end", until),
            *({"name": "disclosure", "part": list(_parts(one, event(one)))} for one in told),
        ],
    }


def purpose_of(one: Disclosure) -> dict[str, str] | None:
    """For what it was told, as far as the rules on record say so."""
    if "break-glass" in one.rules:
        return BREAK_GLASS
    return _PURPOSE if _RULES.intersection(one.rules) else None


def _parts(one: Disclosure, event: str | None) -> Iterator[Parameter]:
    yield _time("date", one.at)
    if one.recipient is not None:
        yield {"name": "recipient", "valueReference": {"reference": one.recipient}}
    yield {"name": "how", "valueCode": "sent" if one.delivery is not None else one.interaction}
    for reference in one.what:
        yield {"name": "what", "valueReference": {"reference": reference}}
    if (purpose := purpose_of(one)) is not None:
        yield {"name": "purpose", "valueCoding": purpose}
    for rule in one.rules:
        yield {"name": "rule", "valueCode": rule}
    if event is not None:
        yield {"name": "event", "valueReference": {"reference": event}}


def _time(name: str, at: datetime) -> Parameter:
    return {"name": name, "valueInstant": instant(at)}
