"""What one simulated partner holds and remembers: resources by version, and all it was sent.

http://hl7.org/fhir/R4/http.html#transaction

A small FHIR server in memory, as strict as needed to notice a hub that sends nonsense: a Bundle is
taken as a whole or not at all, references between its entries are resolved, a repeated delivery is
known by its key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from coordhub.r4 import reference

Document = dict[str, Any]

_TYPE = re.compile(r"[A-Z][A-Za-z]{2,63}")
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")


class Refusal(Exception):
    """The partner takes nothing of it: HTTP status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a Bundle: write `resource` to type/id, or to what `query` finds.

    method: POST (query: If-None-Exist), PUT, DELETE. id: "" where the partner chooses it.
    """

    method: str
    type: str
    id: str
    query: str
    resource: Document
    full_url: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change."""

    status: int
    type: str
    id: str
    version: int


@dataclass(slots=True)
class Taken:
    """A delivery that was applied, to be answered alike when it is repeated."""

    digest: str
    results: list[Result]
    resources: list[Document]


def read_bundle(bundle: Document) -> list[Change]:
    """The changes of a transaction Bundle, or Refusal naming the entry at fault."""
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
        raise Refusal(400, "only a Bundle of type transaction is taken here")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Refusal(400, "Bundle.entry is no list")
    return [_read_entry(index, entry) for index, entry in enumerate(entries)]


@dataclass
class Partner:
    """The memory of one partner. `random` makes its ids and its whims, so a seed repeats a run."""

    name: str
    random: Random
    versions: dict[tuple[str, str], list[Document]] = field(default_factory=dict)
    received: list[Document] = field(default_factory=list)
    read: list[Document] = field(default_factory=list)
    taken: dict[str, Taken] = field(default_factory=dict)
    sequence: int = 0

    def current(self, type_: str, id_: str) -> Document | None:
        """The newest version, None when there is none or it was deleted."""
        history = self.versions.get((type_, id_))
        return history[-1] if history and "resourceType" in history[-1] else None

    def find(self, type_: str, query: str) -> list[Document]:
        """Resources by `identifier` (system|value or value) and `_id`."""
        pairs = parse_qsl(query, keep_blank_values=True)
        if not pairs or any(name not in {"identifier", "_id"} for name, _ in pairs):
            raise Refusal(400, "this partner searches by identifier and _id only")
        return [
            found
            for key in self.versions
            if key[0] == type_
            and (found := self.current(*key)) is not None
            and all(_matches(found, name, value) for name, value in pairs)
        ]

    def everything(self, type_: str) -> list[Document]:
        """All current resources of a type."""
        keys = [key for key in self.versions if key[0] == type_]
        return [found for key in keys if (found := self.current(*key)) is not None]

    def take(
        self, key: str | None, body: bytes, changes: list[Change], now: datetime, *, once: bool
    ) -> tuple[Taken, bool]:
        """Apply the changes, all or none; with `once` a key that was seen is only looked up.

        Returns what was applied, and whether it was a repeat.
        """
        known = self.taken.get(key) if key else None
        if known is not None and once:
            return known, True
        results = self._apply(changes, now)
        resources = [
            summary(change.resource, result)
            for change, result in zip(changes, results, strict=True)
        ]
        taken = Taken(hashlib.sha256(body).hexdigest(), results, resources)
        if key:
            self.taken[key] = taken
        return taken, known is not None

    def record(self, entry: Document) -> None:
        """Note one request that arrived, in order of arrival's end."""
        self.sequence += 1
        self.received.append({"sequence": self.sequence, **entry})

    def forget(self) -> None:
        """Drop resources, requests and known keys; behaviour stays."""
        self.versions.clear()
        self.received.clear()
        self.read.clear()
        self.taken.clear()

    def _apply(self, changes: list[Change], now: datetime) -> list[Result]:
        # All targets are settled before anything is written: all or nothing, and entries may refer
        # to one another in any order.
        targets = [self._target(change) for change in changes]
        addresses = {
            change.full_url: f"{change.type}/{id_}"
            for change, (id_, _) in zip(changes, targets, strict=True)
            if change.full_url
        }
        written = [
            reference.rewrite(change.resource, lambda text: self._resolve(text, addresses))
            for change in changes
        ]
        for document in written:
            for path, element in reference.walk(document):
                if element["reference"].startswith("urn:"):
                    raise Refusal(422, f"{path} refers to no entry of this Bundle")
        return [
            self._write(change, id_, exists, document, now)
            for change, (id_, exists), document in zip(changes, targets, written, strict=True)
        ]

    def _target(self, change: Change) -> tuple[str, bool]:
        """The id to write to, and whether it holds something."""
        if change.query:
            matches = self.find(change.type, change.query)
            if len(matches) > 1:
                raise Refusal(412, f"{change.type}: the criteria match {len(matches)} resources")
            if matches:
                return matches[0]["id"], True
            return change.id or self._new_id(), False
        if change.id:
            return change.id, self.current(change.type, change.id) is not None
        return self._new_id(), False

    def _write(
        self, change: Change, id_: str, exists: bool, document: Document, now: datetime
    ) -> Result:
        history = self.versions.setdefault((change.type, id_), [])
        if change.method == "POST" and exists:
            return Result(200, change.type, id_, len(history))
        if change.method == "DELETE":
            if exists:
                history.append({})
            return Result(204, change.type, id_, len(history))
        meta = document.get("meta")
        kept = meta if isinstance(meta, dict) else {}
        stamp = {"versionId": str(len(history) + 1), "lastUpdated": now.isoformat()}
        history.append({**document, "id": id_, "meta": {**kept, **stamp}})
        return Result(200 if exists else 201, change.type, id_, len(history))

    def _resolve(self, text: str, addresses: dict[str, str]) -> str | None:
        if text in addresses:
            return addresses[text]
        type_, conditional, query = text.partition("?")
        if conditional and _TYPE.fullmatch(type_):
            matches = self.find(type_, query)
            if len(matches) != 1:
                raise Refusal(412, f"a conditional reference matches {len(matches)} resources")
            return f"{type_}/{matches[0]['id']}"
        return None

    def _new_id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))


def summary(resource: Document, result: Result | None = None) -> Document:
    """What the list of received things shows of a resource.

    id, version: the partner's own, absent where nothing was applied; sourceId, sourceVersion: the
    sender's.
    """
    meta = resource.get("meta")
    shown = {
        "type": result.type if result else resource.get("resourceType"),
        "id": result.id if result else None,
        "version": result.version if result else None,
        "status": resource.get("status"),
        "sourceId": resource.get("id"),
        "sourceVersion": meta.get("versionId") if isinstance(meta, dict) else None,
        "identifiers": [f"{system}|{value}" for system, value in _identifiers(resource)],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _read_entry(index: int, entry: object) -> Change:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise Refusal(400, f"entry[{index}] has no request")
    method, url = request.get("method"), request.get("url")
    if method not in {"POST", "PUT", "DELETE"} or not isinstance(url, str):
        raise Refusal(400, f"entry[{index}].request is not understood")
    path, _, query = url.partition("?")
    type_, _, id_ = path.partition("/")
    resource = entry.get("resource", {})
    if not _TYPE.fullmatch(type_) or (id_ and not _ID.fullmatch(id_)):
        raise Refusal(400, f"entry[{index}].request.url is not understood")
    if not isinstance(resource, dict) or (
        method != "DELETE" and resource.get("resourceType") != type_
    ):
        raise Refusal(422, f"entry[{index}].resource is no {type_}")
    if method == "PUT" and not id_ and not query:
        raise Refusal(400, f"entry[{index}].request.url names no target")
    if method == "PUT" and id_ and resource.get("id") != id_:
        raise Refusal(422, f"entry[{index}].resource.id is not the one of its url")
    if method == "POST":
        id_, query = "", str(request.get("ifNoneExist", "")).rpartition("?")[2]
    return Change(method, type_, id_, query, resource, str(entry.get("fullUrl", "")))


def _matches(document: Document, name: str, value: str) -> bool:
    if name == "_id":
        return bool(document["id"] == value)
    system, bar, code = value.rpartition("|")
    return any(
        found[1] == code and (not bar or found[0] == system) for found in _identifiers(document)
    )


def _identifiers(document: Document) -> Iterator[tuple[str, str]]:
    stated = document.get("identifier", [])
    for identifier in stated if isinstance(stated, list) else [stated]:
        if isinstance(identifier, dict) and "value" in identifier:
            yield str(identifier.get("system", "")), str(identifier["value"])
