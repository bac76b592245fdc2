"""What can be asked of the record, and what comes of it.

http://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coordhub.errors import Issue
from coordhub.r4.fhirpath_patch import FhirPathPatch
from coordhub.r4.json_patch import JsonPatch


@dataclass(frozen=True, slots=True)
class Create:
    """A new resource.

    document: as parsed; its `id` and `meta.versionId` are the hub's to set, whatever it says.
    full_url: Bundle.entry.fullUrl, by which other entries of the same transaction refer to it.
    if_none_exist: search criteria (the header's or entry's text, without `?`); one match: nothing is
        made and the match answers, more: 412.
    at: where it stands, as the prefix of issue expressions: "" or `Bundle.entry[3].resource`.
    """

    type: str
    document: dict[str, Any]
    full_url: str | None = None
    if_none_exist: str | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """A new version of a resource, or a resource under an id that the client chose.

    if_match: version that the sender's change is based on; None: the current one, whatever it is.
    criteria: search criteria that name the resource instead of `id`, which then is the one the
        document has, or empty. No match: it is created; more than one: 412.
    patched: the Patch that the document is the outcome of.
    """

    type: str
    id: str
    document: dict[str, Any]
    if_match: int | None = None
    full_url: str | None = None
    at: str = ""
    criteria: str | None = None
    patched: Patched | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """A deletion; of what is not there it is no error.

    criteria: search criteria instead of `id`; most: how many matches are deleted, more: 412.
    """

    type: str
    id: str
    if_match: int | None = None
    at: str = ""
    criteria: str | None = None
    most: int = 1


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of parts of a resource; what comes of it is judged like an update.

    criteria: search criteria instead of `id`. No match: 404; more than one: 412.
    """

    type: str
    id: str
    change: JsonPatch | FhirPathPatch
    if_match: int | None = None
    full_url: str | None = None
    at: str = ""
    criteria: str | None = None


@dataclass(frozen=True, slots=True)
class Patched:
    """What a document is the outcome of: the change, and the version it was tried on."""

    change: JsonPatch | FhirPathPatch
    version: int


Operation = Create | Update | Patch | Delete

Settled = Create | Update | Delete
"""An operation of which it is known which resource it means and, save for deletions, what it writes."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one operation, in the order of the operations.

    status: 201 created, 200 updated or already there (conditional create, unchanged update),
        204 deleted (version 0: there was nothing).
    body: the exact JSON now stored; None after a delete.
    warnings: what was stored all the same, because the client is to be warned only.
    """

    status: int
    type: str
    id: str
    rid: int
    version: int
    updated: datetime
    body: str | None
    warnings: tuple[Issue, ...] = ()

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What a request is known by if it comes again, and the SHA-256 of what it asked for.

    An Idempotency-Key as sent, with method, address and body; or what `Bundle.identifier` says, which no
    key can be (it has a space), with the entries.
    """

    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Committed:
    """replayed: the Idempotency-Key had been used for the same request; this is its first answer."""

    written: Sequence[Written] = field(default=())
    replayed: bool = False
