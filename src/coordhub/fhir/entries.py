"""The entries of a batch or transaction: what each asks for, and everything that is wrong with it.

http://hl7.org/fhir/R4/bundle.html, http://hl7.org/fhir/R4/http.html#transaction

Pure. Faults carry the path of the entry, `Bundle.entry[3].request.url`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from coordhub.errors import FhirError, Issue
from coordhub.fhir import headers
from coordhub.fhir.context import Asked
from coordhub.fhir.dispatch import dispatch
from coordhub.fhir.paging import applied
from coordhub.fhir.refusal import within
from coordhub.r4 import reference, structure
from coordhub.r4.document import encode
from coordhub.record.operations import Idempotency

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_WITH_RESOURCE = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True)
class Faulty:
    """An entry that cannot be asked for, and why."""

    refusal: FhirError


def read(asked: Asked, *, base: str, most: int) -> list[Asked | Faulty]:
    """One Asked per entry, in order. The Bundle itself being faulty is a FhirError.

    base: the hub's FHIR base, which may stand before the address of a request.
    """
    document = asked.document or {}
    listed = document.get("entry", [])
    if isinstance(listed, list) and len(listed) > most:
        raise FhirError(
            413, Issue("too-costly", f"A Bundle may have {most} entries here.", "Bundle.entry")
        )
    issues = structure.check(document, expected_type="Bundle", entries=False)
    if issues:
        raise FhirError(422, *issues)
    return [_entry(asked, entry, index, base) for index, entry in enumerate(listed)]


def repeated_full_urls(document: dict[str, Any]) -> Iterator[Issue]:
    """bdl-7, of a Bundle that `read` took: a fullUrl is there once (versions aside)."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(document.get("entry", [])):
        url = entry.get("fullUrl")
        if url is None:
            continue
        if url in seen:
            yield Issue(
                "duplicate",
                f"Bundle.entry[{seen[url]}] has the same fullUrl; give each entry its own.",
                f"Bundle.entry[{index}].fullUrl",
            )
        seen.setdefault(url, index)


def with_full_references(
    document: dict[str, Any], full_url: str | None, full_urls: Container[str]
) -> dict[str, Any]:
    """The document with relative references to other entries made absolute, as their fullUrl is.

    `Patient/1` in an entry `http://a/Observation/2` means the entry `http://a/Patient/1`; where
    there is no such entry, or the fullUrl is no RESTful address, it means this hub's.

    http://hl7.org/fhir/R4/bundle.html#references
    """
    own = reference.parse(full_url or "")
    if own.kind != "absolute" or own.type is None or own.version is not None:
        return document
    base = own.text.removesuffix(f"{own.type}/{own.id}")

    def absolute(text: str) -> str | None:
        return base + text if base + text in full_urls else None

    return reference.rewrite(document, absolute)


def _entry(asked: Asked, entry: dict[str, Any], index: int, base: str) -> Asked | Faulty:
    at = f"Bundle.entry[{index}]"
    request = entry.get("request")
    if request is None:
        return _faulty("required", "An entry says in `request` what is to be done.", at)
    method, url, resource = request["method"], request["url"], entry.get("resource")
    if method in _WITH_RESOURCE and resource is None:
        return _faulty("required", f"{method} needs a resource.", f"{at}.resource")
    if "/_history/" in entry.get("fullUrl", ""):
        return _faulty("invalid", "A fullUrl names no version.", f"{at}.fullUrl")
    path, _, text = url.removeprefix(base).partition("?")
    try:
        query = tuple(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000))
        segments = [unquote(part, errors="strict") for part in path.split("/")]
    except ValueError:
        return _faulty("invalid", "The address cannot be read.", f"{at}.request.url")
    try:
        target = dispatch(method, segments, conditional=bool(applied(query)))
        if target.interaction in ("transaction", "capabilities") or segments[-1] == "_search":
            return _faulty("not-supported", "Not within a Bundle.", f"{at}.request.url")
    except FhirError as error:
        return Faulty(within(error, f"{at}.request.url"))
    try:
        conditions = headers.conditions(
            match=request.get("ifMatch"),
            none_match=request.get("ifNoneMatch"),
            modified_since=request.get("ifModifiedSince"),
            none_exist=request.get("ifNoneExist"),
            at=at,
        )
    except FhirError as error:
        return Faulty(error)
    return replace(
        asked,
        target=target,
        query=query,
        document=resource if method in _WITH_RESOURCE else None,
        conditions=conditions,
        idempotency=None,
        at=at,
        full_url=entry.get("fullUrl"),
        provenance=None,
    )


def idempotency_of(bundle: Idempotency | None, entry: Asked, index: int) -> Idempotency | None:
    """The key of one entry of a batch that has one: with a space, which no sender can use."""
    if bundle is None:
        return None
    asked = f"{entry.target.interaction} {entry.target.reference} {entry.query}\n".encode()
    body = encode(entry.document) if entry.document is not None else b""
    return Idempotency(f"{bundle.key} {index}", hashlib.sha256(asked + body).digest())


def _faulty(code: str, diagnostics: str, at: str) -> Faulty:
    return Faulty(FhirError(400, Issue(code, diagnostics, at)))
