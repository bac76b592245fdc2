"""Refusals in the audit: the first of whoever fails, then how many more there were, and not a row for each.

Who asks without having been let in costs a row of the audit, which is kept for years: so of one client, or of one
address where no client is known, a row is written in INTERVAL at most, and the next says how many were left out.
Whatever is more than MOST of these at a time counts together. All of them are in
`coordhub_token_refusals_total{error}`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from coordhub.authorization.refusal import OAuthError
from coordhub.store.transact import AuditRow
from coordhub.telemetry import TOKEN_REFUSALS

INTERVAL: Final = timedelta(minutes=5)
MOST: Final = 100
"""Clients and addresses that have rows of their own in an interval, in each process."""

OTHERS: Final = "others"


@dataclass(slots=True)
class _Counted:
    """since: when a row was written. further: what came after and is in none; the last of it: error, request_id."""

    since: datetime
    client: str | None
    organization: int | None
    further: int = 0
    last: tuple[str, int, str | None] = ("", 0, None)


@dataclass(slots=True)
class Refusals:
    """What this process has refused lately."""

    _counted: OrderedDict[str, _Counted] = field(default_factory=OrderedDict)

    def note(
        self, refused: OAuthError, address: str, request_id: str | None, now: datetime
    ) -> list[AuditRow]:
        """The rows to be written now, of this one and of what was left out before."""
        TOKEN_REFUSALS.labels(refused.error).inc()
        rows = self.over(now - INTERVAL)
        client, organization = refused.client, refused.organization
        key = address if client is None else f"client {client}"
        if key not in self._counted and len(self._counted) >= MOST:
            key, client, organization = OTHERS, None, None
        counted = self._counted.get(key)
        if counted is None:
            self._counted[key] = _Counted(now, client, organization)
            said = f"error={refused.error}"
            rows.append(_row(client, organization, refused.status, said, key, request_id))
        else:
            counted.further += 1
            counted.last = (refused.error, refused.status, request_id)
        return rows

    def over(self, before: datetime) -> list[AuditRow]:
        """What was left out in the intervals that began by then, which are forgotten."""
        rows = []
        while self._counted:
            key, counted = next(iter(self._counted.items()))
            if counted.since > before:
                break
            del self._counted[key]
            if counted.further:
                error, status, request_id = counted.last
                said = f"error={error}&further={counted.further}"
                rows.append(
                    _row(counted.client, counted.organization, status, said, key, request_id)
                )
        return rows


def _row(
    client: str | None, organization: int | None, status: int, said: str, key: str,
    request_id: str | None,
) -> AuditRow:  # fmt: skip
    """A known client's is for its organization to read; else where it came from is for the operator."""
    query = said if client is not None else f"{said}&from={key}"
    return AuditRow(
        client, organization, "token-refused", status, query=query, request_id=request_id
    )
