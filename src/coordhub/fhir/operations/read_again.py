"""The operation Task/$read-again: originals of the caller's, on its own server, have changed.

In Parameters, their URLs; or a notification as the Subscriptions R5 Backport has it for R4, so that a
Subscription at the sender's server can have this address. What the hub has no copy of is passed over.

http://hl7.org/fhir/uv/subscriptions-backport/notifications.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document
from coordhub.record import read_again

NAME: Final = "read-again"
MOST: Final = 500
"""URLs of one request."""


async def answer(context: Context, asked: Asked) -> Answer:
    """Parameters with how many of them will be read; 400 where no URL is named."""
    urls = list(dict.fromkeys(_urls(asked)))
    if not urls or len(urls) > MOST:
        raise FhirError(
            400,
            Issue(
                "required" if not urls else "too-costly",
                f"Name what has changed by its absolute URL: a parameter `original` (valueUri) for each, at most "
                f"{MOST}; or send the notification Bundle of a Subscription.",
                "Parameters.parameter",
            ),
        )
    count = await read_again.read_again(context.hub, asked.caller, urls)
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "found", "valueInteger": count}],
    }
    return Answer(200, document.encode(parameters))


def _urls(asked: Asked) -> Iterator[str]:
    sent = asked.document or {}
    if sent.get("resourceType") != "Bundle":
        yield from (value for name, value in invocation.pairs(asked) if name == "original")
        return
    for entry in _dicts(sent.get("entry")):
        if isinstance(entry.get("fullUrl"), str):
            yield entry["fullUrl"]
        resource = entry.get("resource")
        if isinstance(resource, dict) and resource.get("resourceType") == "Parameters":
            yield from _focuses(resource.get("parameter"))


def _focuses(parameters: Any) -> Iterator[str]:
    """The focus of each notification-event, which is a part of it."""
    for parameter in _dicts(parameters):
        value = parameter.get("valueReference")
        named = value.get("reference") if isinstance(value, dict) else None
        if parameter.get("name") == "focus" and isinstance(named, str):
            yield named
        yield from _focuses(parameter.get("part"))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
