"""The API, looked through on a page: a search or a read, answered as FHIR answers the person's organization.

http://hl7.org/fhir/R4/http.html, http://hl7.org/fhir/R4/search.html

It only reads. The same code answers as over HTTP, with the same places before the database and the same words where
it refuses; in the audit it is what it would be there, with the person in the place of a client.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from fastapi import FastAPI, Request, Response

from coordhub import errors
from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.errors import FhirError
from coordhub.fhir import headers, http
from coordhub.fhir.answering import answer
from coordhub.fhir.bundle import address
from coordhub.fhir.context import Answer, Asked
from coordhub.fhir.dispatch import dispatch
from coordhub.fhir.paging import applied
from coordhub.fhir.present import pretty
from coordhub.portal import answering, guests
from coordhub.portal.guests import Guest
from coordhub.r4 import types
from coordhub.record.hub import Hub

SCOPES: Final = parse("system/*.rs")
LOOKS: Final = frozenset({"read", "vread", "search-type"})
LONGEST: Final = 4_000
"""Characters of an address that is asked for."""

MOST: Final = 200_000
"""Characters of a resource that a page shows; a Binary may hold more."""


@dataclass(frozen=True, slots=True)
class Row:
    """A resource that was found. path: where it is read."""

    path: str
    updated: str
    version: str
    is_match: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a page shows of an answer.

    refused: the words of the OperationOutcome. rows: of a search. next: the path of what follows.
    text: the one resource; is_part: the beginning of it.
    """

    status: int
    refused: tuple[str, ...] = ()
    rows: tuple[Row, ...] | None = None
    total: int | None = None
    next: str = ""
    text: str = ""
    is_part: bool = False


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/explore", include_in_schema=False)
    async def explored(request: Request) -> Response:
        guest = await guests.at(request, "deliveries")
        if isinstance(guest, Response):
            return guest
        asked = request.query_params
        kind, query = asked.get("type", ""), asked.get("query", "").strip()
        path = asked.get("path", "").strip()
        if kind and not path:
            path = f"{kind}?{query}" if query else kind
        hub = guests.context_of(request).hub
        path = path.removeprefix(hub.base).lstrip("/")
        found = await _found(request, guest, path) if path else None
        if found is None:
            await guests.noted(request, guest.session.person, "explore", 200)
        return guests.room(
            request, guest, "explore", found.status if found else 200, here="deliveries", found=found,
            path=path, kind=kind, query=query, kinds=sorted(types.NAMES), curl=_curl(hub, path),
        )  # fmt: skip


async def _found(request: Request, guest: Guest, path: str) -> Found:
    hub = guests.context_of(request).hub
    try:
        answered, is_search = await _answered(request, guest, path)
    except FhirError as error:
        return Found(error.status, guests.refused(error))
    if is_search:
        return _listed(hub, msgspec.json.decode(answered.body))
    text = pretty(answered.body).decode()
    return Found(200, text=text[:MOST], is_part=len(text) > MOST)


async def _answered(request: Request, guest: Guest, path: str) -> tuple[Answer, bool]:
    """As the door of FHIR answers it, and whether it was searched; the FhirError that refuses it is on record."""
    context, named = guests.context_of(request), guest.own
    client, asked_by = answering.PERSON + guest.session.person.id, request.state.request_id
    caller = Caller(client, named.rid, named.reference, SCOPES, request_id=asked_by)
    state: dict[str, Any] = {"caller": caller, "request_id": asked_by}
    try:
        if len(path) > LONGEST:
            raise errors.bad_request(f"An address has at most {LONGEST} characters here.")
        where, _, query = path.partition("?")
        pairs = http.pairs_of(query.encode())
        headers.require_json_answer(None, [value for name, value in pairs if name == "_format"])
        parts = [unquote(part) for part in where.split("/") if part]
        target = dispatch("GET", parts, conditional=bool(applied(pairs)))
        if target.interaction not in LOOKS:
            raise errors.not_supported(
                "Here a resource is read, [type]/[id], or a type is searched, [type]?[criteria]; the API does the rest."
            )
        state["target"] = target
        is_search = target.interaction == "search-type"
        async with context.admission.turn(client, searches=is_search):
            state["is_audited"] = True
            return await answer(context, Asked(caller, target, pairs)), is_search
    except FhirError as error:
        if error.status < 500:
            await http.audit_refusal(context, state, error)
        raise


def _listed(hub: Hub, bundle: Mapping[str, Any]) -> Found:
    links: Sequence[Mapping[str, str]] = bundle.get("link", ())
    following = next((one["url"] for one in links if one["relation"] == "next"), "")
    rows = tuple(_row(entry) for entry in bundle.get("entry", ()))
    following = following.removeprefix(f"{hub.base}/")
    return Found(200, rows=rows, total=bundle.get("total"), next=following)


def _row(entry: Mapping[str, Any]) -> Row:
    one = entry["resource"]
    meta = one.get("meta", {})
    path = f"{one['resourceType']}/{one['id']}"
    mode = entry.get("search", {}).get("mode", "match")
    return Row(path, meta.get("lastUpdated", ""), meta.get("versionId", ""), mode == "match")


def _curl(hub: Hub, path: str) -> str:
    """What asks for the same at a terminal; TOKEN: an access token of the organization."""
    where, _, query = path.partition("?")
    try:
        pairs = http.pairs_of(query.encode())
    except FhirError:
        return ""
    url = address(hub.base, quote(unquote(where)), pairs)
    return f'curl -s -H "Authorization: Bearer $TOKEN" {shlex.quote(url)}' if where else ""
