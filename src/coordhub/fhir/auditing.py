"""The audit row of what was looked at or refused: who, what, and how it ended.

Of a request that no interaction could be found for it says just that: neither its address nor its
body is kept, which may hold anything and any amount of it.
"""

from __future__ import annotations

from typing import Final

from coordhub.access.caller import Caller
from coordhub.fhir.dispatch import Target
from coordhub.store.transact import AuditRow

UNKNOWN: Final = Target("unknown")
"""What is said of an address or entry that means no interaction."""

UNAUTHENTICATED: Final = Target("unauthenticated")
"""What is said of a request that came without a token of this hub."""


def row(
    caller: Caller,
    target: Target,
    status: int,
    shown: tuple[int, ...] = (),
    searched: str | None = None,
) -> AuditRow:
    return AuditRow(
        caller.client,
        caller.organization or None,
        f"${target.operation}" if target.operation else target.interaction,
        status,
        target.type,
        target.id,
        shown,
        searched,
        request_id=caller.request_id,
        person=caller.person,
    )
