"""Parts of the running hub that this door works with, the same for every call of a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from coordhub.access.admission import Admission
from coordhub.cds.servers import Servers
from coordhub.record.hub import Hub
from coordhub.store.audit import AuditLog
from coordhub.store.clients import Client

Prove: TypeAlias = Callable[[str, str], Awaitable[Client | None]]
"""Whose a JWT is that is made out to this address, used for the first time; None: nobody's."""


@dataclass(frozen=True, slots=True)
class Context:
    """largest: bytes of a body."""

    hub: Hub
    audit: AuditLog
    prove: Prove
    servers: Servers
    admission: Admission
    largest: int = 1024 * 1024
