"""Numbers of events, as operations of Subscription take them."""

from __future__ import annotations

from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation
from coordhub.fhir.context import Asked


def number_of(asked: Asked, name: str, otherwise: int) -> int:
    """A parameter that is a whole number from 0 on; 400 if it is not."""
    text = dict(invocation.pairs(asked)).get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 18):
        raise FhirError(400, Issue("value", "A whole number from 0 on.", f"http.{name}"))
    return int(text)
