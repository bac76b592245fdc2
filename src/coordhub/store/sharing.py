"""Which two organizations share one Task: agreed is what both of them say.

Read in the transaction in which somebody is asked; what was asked before stands, whatever is said later.
"""

from __future__ import annotations

from datetime import datetime

from coordhub.store.engine import Connection


async def say(conn: Connection, organization: int, other: int, now: datetime) -> None:
    """The first (rid) says yes to sharing Tasks with the other; saying so twice changes nothing."""
    await conn.execute(
        "insert into sharing (organization, other, since) values ($1, $2, $3) on conflict do nothing",
        organization,
        other,
        now,
    )


async def take_back(conn: Connection, organization: int, other: int) -> None:
    """The first does not say so any more: from now on there is no agreement."""
    await conn.execute(
        "delete from sharing where organization = $1 and other = $2", organization, other
    )


async def take_all_back(conn: Connection, organization: int) -> None:
    """Neither does it say so to anybody, nor anybody to it."""
    await conn.execute("delete from sharing where $1 in (organization, other)", organization)


async def said(conn: Connection, one: int, other: int) -> tuple[bool, bool]:
    """Whether the first says yes to the second, and the second to the first."""
    row = await conn.fetchrow(
        "select exists (select from sharing where organization = $1 and other = $2),"
        " exists (select from sharing where organization = $2 and other = $1)",
        one,
        other,
    )
    assert row is not None
    return row[0], row[1]


async def is_agreed(conn: Connection, requester: int, recipient: int) -> bool:
    """Whether both treat patients, and both say yes; who takes it back waits for this transaction."""
    found: bool = await conn.fetchval(
        "select count(*) = 2 from (select from sharing s join party p on p.organization = s.organization"
        " and p.kind = 'treatment' where (s.organization, s.other) in (($1, $2), ($2, $1))"
        " for share of s) both_of_them",
        requester,
        recipient,
    )
    return found


async def is_underway(conn: Connection, organization: int) -> bool:
    """Whether it is asked by a shared Task that has not ended."""
    found: bool = await conn.fetchval(
        "select exists (select from candidate where organization = $1 and task = episode"
        " and ended_at is null)",
        organization,
    )
    return found
