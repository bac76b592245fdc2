"""When somebody is taken into a hospital, and let go home.

http://hl7.org/fhir/R4/encounter.html
http://terminology.hl7.org/CodeSystem/v3-ActCode (classes of encounters)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

ACT_CODES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

STAYS = frozenset({"IMP", "ACUTE", "NONAC", "EMER", "OBSENC", "SS"})
"""Classes of an encounter in which somebody stays: inpatient, emergency, observation, short stay."""

_NEVER = frozenset({"cancelled", "entered-in-error"})
_THERE = frozenset({"arrived", "triaged", "in-progress", "onleave"})

Turn = Literal["admitted", "discharged", "withdrawn"]


def turn(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Turn | None:
    """What this version of an Encounter brings that the one before did not; None: neither."""
    then = _phase(before) if before is not None else None
    if then is not None and now.get("status") in _NEVER:
        return "withdrawn"
    phase = _phase(now)
    return phase if phase is not None and phase != then else None


def _phase(encounter: Mapping[str, Any]) -> Turn | None:
    kind = encounter.get("class")
    if (
        not isinstance(kind, dict)
        or kind.get("system") != ACT_CODES
        or kind.get("code") not in STAYS
    ):
        return None
    status = encounter.get("status")
    if status in _THERE:
        return "admitted"
    return "discharged" if status == "finished" else None
