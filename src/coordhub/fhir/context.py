"""What every interaction is given, what it is asked, and what it answers.

http://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coordhub.access.admission import Admission
from coordhub.access.caller import Caller
from coordhub.access.token import Tokens
from coordhub.errors import Issue
from coordhub.fhir.audit_ids import AuditIds
from coordhub.fhir.dispatch import Target
from coordhub.fhir.headers import Conditions, Preference
from coordhub.fhir.paging import Paging
from coordhub.fhir.restored import Restored
from coordhub.record.hub import Hub
from coordhub.record.operations import Idempotency
from coordhub.store.audit import AuditLog

JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Limits:
    """body_bytes: of a body, as sent and as opened. nesting: levels of objects and arrays.

    entries: of one batch or transaction. deleted: resources of one conditional delete.
    """

    body_bytes: int = 16 * 1024 * 1024
    nesting: int = 64
    entries: int = 5_000
    deleted: int = 1


@dataclass(frozen=True, slots=True)
class Context:
    """Parts of the running hub, the same for every request of a process that began at `started`."""

    hub: Hub
    audit: AuditLog
    tokens: Tokens
    paging: Paging
    limits: Limits
    started: datetime
    audit_ids: AuditIds
    restored: Restored
    admission: Admission


@dataclass(frozen=True, slots=True)
class Asked:
    """One interaction as asked for, by a request of its own or by an entry of a Bundle.

    query: the pairs of the address (and of the form of a _search), decoded, in order.
    document: the body as parsed; None where the interaction has none.
    at: prefix of issue expressions, `Bundle.entry[3]`; empty for a request of its own.
    full_url: of the entry. provenance: header X-Provenance, without its target.
    """

    caller: Caller
    target: Target
    query: tuple[tuple[str, str], ...] = ()
    document: dict[str, Any] | None = None
    conditions: Conditions = field(default_factory=Conditions)
    preference: Preference = field(default_factory=Preference)
    idempotency: Idempotency | None = None
    at: str = ""
    full_url: str | None = None
    provenance: dict[str, Any] | None = None

    @property
    def within(self) -> str:
        """Prefix of expressions about the document."""
        return f"{self.at}.resource" if self.at else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back.

    reference: `Type/id` of the one resource that it is about; version and updated are its.
    is_outcome: the body is an OperationOutcome about it, not the resource.
    located: it was written at `reference`, so that a Location is due.
    shown: rids of the resources whose content is in it, for the audit of a look.
    searched: the search criteria, for the audit only.
    audited: its audit rows are part of a commit already, or are those of its entries.
    replayed: an Idempotency-Key had been used for the same request; this is its first answer.
    warnings: what was stored all the same.
    """

    status: int
    body: bytes = b""
    reference: str | None = None
    version: int | None = None
    updated: datetime | None = None
    is_outcome: bool = False
    located: bool = False
    shown: tuple[int, ...] = ()
    searched: str | None = None
    audited: bool = False
    replayed: bool = False
    warnings: tuple[Issue, ...] = ()

    def location(self, base: str) -> str | None:
        if not self.located or self.reference is None:
            return None
        return f"{base}/{self.reference}/_history/{self.version}"


Perform = Callable[[Context, Asked], Awaitable[Answer]]
"""An interaction; what Bundles are given to have their entries answered."""
