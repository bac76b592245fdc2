"""Idempotency keys: what a request with this key wrote, kept in the commit that wrote it.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the key was used for, and when. outcome: (status, rid, version) of each operation."""

    fingerprint: bytes
    at: datetime
    outcome: list[tuple[int, int, int]]


async def claim(
    conn: Connection, organization: int, key: str, fingerprint: bytes, now: datetime
) -> Claimed | None:
    """Take the key for this transaction; or what it was used for. Waits while another request holds it."""
    taken = await conn.fetchval(
        "insert into idempotency (organization, key, fingerprint, at) values ($1, $2, $3, $4)"
        " on conflict do nothing returning true",
        organization,
        key,
        fingerprint,
        now,
    )
    if taken:
        return None
    row = await conn.fetchrow(
        "select fingerprint, at, outcome from idempotency where organization = $1 and key = $2",
        organization,
        key,
    )
    assert row is not None
    return Claimed(
        row["fingerprint"], row["at"], [tuple(one) for one in json.loads(row["outcome"] or "[]")]
    )


async def settle(
    conn: Connection, organization: int, key: str, outcome: Sequence[tuple[int, int, int]]
) -> None:
    """Note under the key what this transaction wrote."""
    await conn.execute(
        "update idempotency set outcome = $3::jsonb where organization = $1 and key = $2",
        organization,
        key,
        json.dumps(outcome),
    )
