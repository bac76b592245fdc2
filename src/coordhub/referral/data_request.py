"""A Task that asks who holds data to release it: what marks it as such.

http://hl7.org/fhir/us/davinci-hrex
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from coordhub.referral.wanted import codes

SYSTEM: Final = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
KIND: Final = "data-request"

HELD: Final = timedelta(days=30)
"""So long what was released is shown to who asked."""


def asks(task: Mapping[str, Any]) -> bool:
    """Whether this Task is such a request."""
    return (SYSTEM, KIND) in set(codes(task.get("code")))
