"""From a recipient as addressed to the organization behind it and its Endpoints.

http://hl7.org/fhir/R4/healthcareservice.html, http://hl7.org/fhir/R4/endpoint.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.r4.parameters import parameters
from coordhub.r4.sensitivity import TEST
from coordhub.store.engine import Connection
from coordhub.store.resources import Version, read, read_near, read_rids
from coordhub.store.visibility import DIRECTORY, EVERYONE, HUB

HIGHEST_PART_OF = 5
"""Levels of Organization.partOf that are climbed for an Endpoint."""

_LEADS_TO_ORGANIZATION = {
    "HealthcareService": ("providedBy",),
    "PractitionerRole": ("organization",),
    "Location": ("managingOrganization",),
    "CareTeam": ("managingOrganization",),
}


@dataclass(frozen=True, slots=True)
class Recipient:
    """organization: the one behind the address. endpoints: nearest first, as references."""

    organization: Version
    endpoints: tuple[str, ...]


Entry: TypeAlias = tuple[Version, dict[str, Any]]

_known: ContextVar[dict[tuple[str, str], Entry | None] | None] = ContextVar("known", default=None)
_in_sandbox: ContextVar[bool] = ContextVar("in_sandbox", default=False)


@contextmanager
def within(*, sandbox: bool) -> Iterator[None]:
    """Look among the organizations of the sandbox alone while it lasts, or among all others alone: which of them
    somebody may be sent to, asked or told follows from who asks, and the others are not there."""
    token = _in_sandbox.set(sandbox)
    try:
        yield
    finally:
        _in_sandbox.reset(token)


def enter(*, sandbox: bool) -> None:
    """The same from now on, until the innermost `within` ends: once it is known whose referral it is."""
    _in_sandbox.set(sandbox)


def is_met(labels: int) -> bool:
    """Whether an entry of the directory with these labels is one that is looked among."""
    return bool(labels & TEST) == _in_sandbox.get()


@contextmanager
def once() -> Iterator[None]:
    """Read each entry once while it lasts, with what it leads to: for one transaction, which writes none of
    them."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


async def entry(conn: Connection, text: str, base: str) -> Entry | None:
    """A current directory entry, as everyone sees it; not to be changed."""
    found = reference.parse(text, base=base)
    if found.kind != "local" or found.type is None or found.id is None:
        return None
    name, known = (found.type, found.id), _known.get()
    if known is None:
        return _entry(await read(conn, EVERYONE, *name))
    if name not in known:
        known[name] = None
        if found.type in _LEADS_ON:
            _remember(known, await read_near(conn, EVERYONE, name, _along()))
        else:
            known[name] = _entry(await read(conn, EVERYONE, *name))
    return known[name]


async def by_rid(conn: Connection, rid: int) -> Entry | None:
    """The same of an entry by its rid."""
    known = _known.get()
    if known is None:
        return _entry((await read_rids(conn, EVERYONE, [rid])).get(rid))
    near = await read_near(conn, EVERYONE, rid, _along())
    _remember(known, near)
    found = next((one for one in near if one.rid == rid), None)
    return None if found is None else known[found.type, found.id]


def _entry(version: Version | None) -> Entry | None:
    if version is None or version.body is None:
        return None
    if version.rid not in (HUB, DIRECTORY) and not is_met(version.labels):
        return None
    return version, fhir_json.parse(version.body.encode())


def _remember(known: dict[tuple[str, str], Entry | None], versions: Iterable[Version]) -> None:
    for version in versions:
        known[version.type, version.id] = _entry(version)


_LEADS_ON = {
    "HealthcareService": ("organization", "endpoint"),
    "PractitionerRole": ("organization", "endpoint"),
    "Location": ("organization", "endpoint"),
    "Organization": ("partof", "endpoint"),
}
"""Search parameters along which whoever asks for an entry asks next."""


@cache
def _along() -> tuple[int, ...]:
    return tuple(parameters(kind)[name].id for kind, names in _LEADS_ON.items() for name in names)


def references(value: object) -> Iterator[str]:
    for element in value if isinstance(value, list) else [value]:
        if isinstance(element, dict) and isinstance(element.get("reference"), str):
            yield element["reference"]


async def recipient(conn: Connection, text: str, base: str) -> Recipient | None:
    """Who is behind `text` (`Type/id`); None if the directory does not lead to an organization.

    Endpoints: those of what was addressed, then of its organization, then of the organizations it is
    part of.
    """
    found = await entry(conn, text, base)
    if found is None:
        return None
    version, document = found
    endpoints = list(references(document.get("endpoint")))
    for name in _LEADS_TO_ORGANIZATION.get(version.type, ()):
        for text in references(document.get(name)):
            found = await entry(conn, text, base)
            break
    if found is None or found[0].type != "Organization":
        return None
    organization, document = found
    seen = {organization.rid}
    for _ in range(HIGHEST_PART_OF):
        endpoints.extend(references(document.get("endpoint")))
        parent = next(references(document.get("partOf")), None)
        above = await entry(conn, parent, base) if parent else None
        if above is None or above[0].rid in seen:
            break
        seen.add(above[0].rid)
        document = above[1]
    return Recipient(organization, tuple(dict.fromkeys(endpoints)))
