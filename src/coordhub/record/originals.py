"""Copies of what an organization keeps on its own server, written as if it had sent them.

A copy belongs to whom the original belongs to, is judged like anything that it sends, and says where
it comes from (`meta.source`). What the resources refer to on their server becomes the hub's copy of
it, or what the hub has under an id there, or is named by its absolute URL. An entry of the directory
that is the same by an identifier is not copied: it is that entry.

http://hl7.org/fhir/R4/references.html, http://hl7.org/fhir/R4/resource-definitions.html#Meta.source
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.directory.bases import Base
from coordhub.errors import unprocessable
from coordhub.r4 import reference
from coordhub.r4.search import Query, parse_query
from coordhub.record import commit
from coordhub.record.hub import Hub
from coordhub.record.operations import Create, Operation, Update, Written
from coordhub.record.validation import structure
from coordhub.store import counterparts, matches
from coordhub.store.counterparts import Known, Told
from coordhub.store.engine import Connection
from coordhub.store.visibility import DIRECTORY, EVERYONE

Document = dict[str, Any]

_OF_DIRECTORY: Final = frozenset(
    {"Organization", "HealthcareService", "Location", "Practitioner", "PractitionerRole"}
)


@dataclass(frozen=True, slots=True)
class Original:
    """One resource as it is on its server. seen: its entity tag."""

    document: Document
    seen: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """written: of the operations, those on the copies first. copies: rids of all that was fetched."""

    written: Sequence[Written]
    copies: Sequence[int]


def name_at(text: str, base: str) -> str | None:
    """`Type/id` of a reference that a resource on the server of `base` holds, if it is to one there."""
    found = reference.parse(text, base=base)
    return found.local if found.kind == "local" else None


async def take(
    hub: Hub,
    conn: Connection,
    caller: Caller,
    base: Base,
    fetched: Mapping[str, Original],
    own: Collection[str],
    besides: Sequence[Update] = (),
    theirs: Collection[str] = (),
) -> Taken:
    """Write the copies in the transaction that is open, and remember whose they are.

    fetched: by `Type/id` of that server. own: names that mean the hub's own resources also there.
    besides: further updates of the caller's, whose references to that server are rewritten too; in these
    of their elements (`theirs`) also the relative ones are that server's.
    Refuses like any write.
    """
    listed = await _listed(hub, conn, fetched)
    known = {
        one.theirs: one
        for one in await counterparts.meant(
            conn, viewer.as_organization(caller.organization), _named(fetched, besides, base)
        )
        if one.endpoint == base.endpoint
    }
    urls = {
        name: uuid.uuid5(uuid.NAMESPACE_URL, f"{base.address}/{name}").urn
        for name in fetched
        if name not in known and name not in listed
    }
    ours = {
        **{name: name for name in own},
        **{name: one.ours for name, one in known.items()},
        **{name: one.ours for name, one in listed.items()},
        **urls,
    }

    def named(text: str) -> str | None:
        name = name_at(text, base.address)
        if name is None:
            return None
        return ours.get(name) or (f"{base.address}/{text}" if "://" not in text else None)

    def said(document: Document) -> Document:
        kind = {"resourceType": document["resourceType"]}
        foreign = {name: value for name, value in document.items() if name in theirs}
        here = {name: value for name, value in document.items() if name not in theirs}
        here = reference.rewrite(here, lambda text: named(text) if "://" in text else None)
        there = reference.rewrite(kind | foreign, named)
        return {name: there.get(name, here.get(name)) for name in document}

    operations: list[Operation] = []
    names: list[str] = []
    for name, original in fetched.items():
        if name in listed or (name in known and not known[name].original):
            continue
        document = _told_of(reference.rewrite(original.document, named), f"{base.address}/{name}")
        kind = name.partition("/")[0]
        if name in known:
            fhir_id = known[name].ours.partition("/")[2]
            operations.append(Update(kind, fhir_id, {**document, "id": fhir_id}, at=name))
        else:
            operations.append(Create(kind, document, full_url=urls[name], at=name))
        names.append(name)
    operations += [Update(one.type, one.id, said(one.document), at=one.at) for one in besides]
    for operation in operations:
        caller.require(operation.type, "create" if isinstance(operation, Create) else "update")
    issues = list(structure.check(operations))
    if issues:
        raise unprocessable(*issues)
    written, wakes = await commit.apply(hub, conn, caller, operations, interaction="transaction")
    told = [
        Told(one.rid, name, True, fetched[name].seen)
        for name, one in zip(names, written, strict=False)
    ]
    found = [Told(one.rid, name) for name, one in listed.items()]
    await counterparts.learn(conn, caller.organization, base.endpoint, [*told, *found], hub.clock())
    if wakes:
        hub.engine.wake()
    return Taken(written, [one.rid for one in told])


def _named(
    fetched: Mapping[str, Original], besides: Sequence[Update], base: Base
) -> Collection[str]:
    documents = [*(one.document for one in fetched.values()), *(one.document for one in besides)]
    return {
        *fetched,
        *(
            name
            for document in documents
            for _, element in reference.walk(document)
            if (name := name_at(element["reference"], base.address)) is not None
        ),
    }


def _told_of(document: Document, url: str) -> Document:
    """With where it comes from, unless it says so; without the version it has there."""
    meta = document.get("meta") or {}
    kept = {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in document.items() if name not in ("id", "meta")}
    return {**rest, "meta": {"source": url, **kept}}


async def _listed(hub: Hub, conn: Connection, fetched: Mapping[str, Original]) -> dict[str, Known]:
    """Those of the directory's types that are one entry of it by an identifier."""
    queries: dict[tuple[str, int], Query] = {}
    for name, original in fetched.items():
        kind = name.partition("/")[0]
        if kind in _OF_DIRECTORY:
            for number, text in enumerate(_identifiers(original.document)):
                queries[name, number] = parse_query(kind, [("identifier", text)])
    if not queries:
        return {}
    entries: dict[str, dict[int, Known]] = {}
    found = await matches.find(conn, hub.engine, EVERYONE, queries, limit=2, source=DIRECTORY)
    for (name, _), versions in found.items():
        for one in versions:
            entry = Known(one.rid, one.reference, name, 0, "", False, None)
            entries.setdefault(name, {})[one.rid] = entry
    return {name: next(iter(some.values())) for name, some in entries.items() if len(some) == 1}


def _identifiers(document: Document) -> list[str]:
    stated = document.get("identifier")
    return [
        f"{_escaped(one['system'])}|{_escaped(one['value'])}"
        for one in (stated if isinstance(stated, list) else [])
        if isinstance(one, dict)
        and isinstance(one.get("system"), str)
        and isinstance(one.get("value"), str)
        and one["system"]
        and one["value"]
    ]


def _escaped(text: str) -> str:
    for sign in "\\,|$":
        text = text.replace(sign, f"\\{sign}")
    return text
