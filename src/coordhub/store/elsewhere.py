"""People who sign in at another provider: who is away there, and which account is whose.

A trip is used up by coming back from it. An account has one identity at a provider, and an identity one account;
nothing but an operator changes that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection

_SWEPT = 20


@dataclass(frozen=True, slots=True)
class Trip:
    """nonce, verifier: of the request. onward: path of the page that is shown afterwards."""

    nonce: str
    verifier: str
    onward: str


async def depart(
    conn: Connection, state: bytes, browser: bytes, trip: Trip, now: datetime, until: datetime
) -> None:
    """state, browser: digests of what has to come back. Those who did not come back are forgotten."""
    await conn.execute(
        "with old as (delete from sign_in_trip where state in (select state from sign_in_trip"
        f"   where until <= $6 limit {_SWEPT} for update skip locked))"
        " insert into sign_in_trip (state, browser, nonce, verifier, onward, until)"
        " values ($1, $2, $3, $4, $5, $7)",
        state,
        browser,
        trip.nonce,
        trip.verifier,
        trip.onward,
        now,
        until,
    )


async def come_back(conn: Connection, state: bytes, browser: bytes, now: datetime) -> Trip | None:
    """Once, in time, with the browser that left."""
    row = await conn.fetchrow(
        "delete from sign_in_trip where state = $1 and browser = $2 and until > $3"
        " returning nonce, verifier, onward",
        state,
        browser,
        now,
    )
    return None if row is None else Trip(*row)


async def bind(conn: Connection, person: str, issuer: str, subject: str, now: datetime) -> bool:
    """False where either is bound already."""
    bound = await conn.fetchval(
        "insert into person_identity (issuer, subject, person, bound_at) values ($1, $2, $3, $4)"
        " on conflict do nothing returning person",
        issuer,
        subject,
        person,
        now,
    )
    return bound is not None


async def unbind(conn: Connection, person: str, issuer: str) -> bool:
    """False where it was not bound."""
    gone = await conn.fetchval(
        "delete from person_identity where person = $1 and issuer = $2 returning person",
        person,
        issuer,
    )
    return gone is not None
