"""Bundles that the hub answers with, put together from stored texts.

http://hl7.org/fhir/R4/bundle.html

Nothing stored is parsed or serialised again: a resource is placed into its entry as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import msgspec

from coordhub.errors import Issue
from coordhub.fhir.context import Answer
from coordhub.fhir.headers import etag
from coordhub.r4 import outcome
from coordhub.r4.document import encode
from coordhub.r4.views import WHOLE, View, shown
from coordhub.record.hub import instant
from coordhub.store.resources import Version

Entry = dict[str, Any]

_METHODS = {"create": "POST", "update": "PUT", "delete": "DELETE"}
_STATUSES = {"create": 201, "update": 200, "delete": 204}


def bundle(
    kind: str,
    entries: Sequence[Entry],
    links: Iterable[tuple[str, str]] = (),
    total: int | None = None,
) -> bytes:
    """kind: Bundle.type. links: relation and url, in their order. total: matches on all pages."""
    document: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        document["total"] = total
    listed = [{"relation": relation, "url": url} for relation, url in links]
    if listed:
        document["link"] = listed
    if entries:  # FHIR has no empty arrays
        document["entry"] = entries if kind == "history" else list(_named_once(entries))
    return encode(document)


def _named_once(entries: Sequence[Entry]) -> Iterator[Entry]:
    """bdl-7: what is answered twice (made, and found again) has its fullUrl the first time only."""
    seen: set[str] = set()
    for entry in entries:
        full_url = entry.get("fullUrl")
        if full_url in seen:
            yield {name: value for name, value in entry.items() if name != "fullUrl"}
        else:
            if full_url is not None:
                seen.add(full_url)
            yield entry


def address(base: str, path: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{base}/{path}?{encoded(query)}" if query else f"{base}/{path}"


def encoded(query: Sequence[tuple[str, str]]) -> str:
    """As a query of an address: a search states its own in each link, and in the audit."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)


_quoted = lru_cache(1024)(quote_plus)


def found(base: str, version: Version, mode: str = "match", view: View = WHOLE) -> Entry:
    """An entry of a searchset; mode: match or include."""
    return {
        "fullUrl": f"{base}/{version.reference}",
        "resource": msgspec.Raw(shown(version.body or "", view)),
        "search": {"mode": mode},
    }


def remark(issues: Iterable[Issue]) -> Entry:
    """What a searchset says about the search itself."""
    return {"resource": msgspec.Raw(outcome.render(issues)), "search": {"mode": "outcome"}}


def past(base: str, version: Version) -> Entry:
    """An entry of a history."""
    entry: Entry = {"fullUrl": f"{base}/{version.reference}"}
    if version.body is not None:
        entry["resource"] = _stored(version.body)
    method = "PUT" if version.op == "create" and version.version > 1 else _METHODS[version.op]
    entry["request"] = {
        "method": method,
        "url": version.type if method == "POST" else version.reference,
    }
    entry["response"] = {
        "status": status_line(_STATUSES[version.op]),
        "etag": etag(version.version),
        "lastModified": instant(version.updated),
    }
    return entry


def response(base: str, answer: Answer) -> Entry:
    """An entry of a batch-response or transaction-response."""
    entry: Entry = {}
    said: dict[str, Any] = {"status": status_line(answer.status)}
    location = answer.location(base)
    if location is not None:
        said["location"] = location
    if answer.version is not None:
        said["etag"] = etag(answer.version)
    if answer.updated is not None:
        said["lastModified"] = instant(answer.updated)
    if answer.is_outcome:
        said["outcome"] = msgspec.Raw(answer.body)
    elif answer.body:
        if answer.reference is not None:
            entry["fullUrl"] = f"{base}/{answer.reference}"
        entry["resource"] = msgspec.Raw(answer.body)
    if answer.warnings and not answer.is_outcome:
        said["outcome"] = msgspec.Raw(outcome.render(answer.warnings))
    entry["response"] = said
    return entry


def refused(status: int, issues: Iterable[Issue]) -> Entry:
    """The same of an entry that was refused."""
    return {
        "response": {"status": status_line(status), "outcome": msgspec.Raw(outcome.render(issues))}
    }


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _stored(body: str) -> msgspec.Raw:
    return msgspec.Raw(body.encode())
